use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Probe;
use crate::stage::Stage;

pub struct Ttl;

impl Probe for Ttl {
    fn name(&self) -> &'static str {
        "ttl"
    }

    fn settings(&self) -> &'static str {
        "after = \"400d\"\nundelivered = \"500d\""
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["expires"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["delivered"]
    }

    fn found(&mut self, stage: &mut Stage) {
        // Each ends as was said when it was posted; those that were posted without it never end.
        let ends = stage
            .posted
            .iter()
            .map(|posted| (posted.id, &posted.expires));
        let ends: BTreeMap<u64, &Value> = ends.collect();
        let history = stage.ann.history("common");
        assert!(!history.is_empty());
        for message in &history {
            let id = message["id"].as_u64().unwrap_or_default();
            assert_eq!(Some(&&message["expires"]), ends.get(&id), "{message}");
        }
    }

    fn act(&mut self, stage: &mut Stage) {
        let message = stage.post("common", &json!({}));
        assert!(message["expires"].is_string(), "{message}");
    }
}
