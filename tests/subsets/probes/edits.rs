use serde_json::{Value, json};

use super::Probe;
use crate::stage::Stage;

#[derive(Default)]
pub struct Edits {
    /// What was changed, with the text that it has.
    changed: Vec<(Value, String)>,
}

impl Probe for Edits {
    fn name(&self) -> &'static str {
        "edits"
    }

    fn has_server_part(&self) -> bool {
        true
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["edited"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["edited"]
    }

    fn found(&mut self, stage: &mut Stage) {
        for (id, text) in &self.changed {
            let message = stage.bob.get(&format!("/messages/{id}")).expect(200);
            assert_eq!(message["text"], *text);
            assert!(message["edited"].is_string(), "{message}");
        }
    }

    fn hidden(&self, stage: &mut Stage) {
        for (id, text) in &self.changed {
            let message = stage.bob.get(&format!("/messages/{id}")).expect(200);
            assert_eq!(message["text"], *text);
        }
    }

    fn act(&mut self, stage: &mut Stage) {
        let message = stage.post("@bob", &json!({}));
        let text = stage.words("edit");
        let change = json!({"message": message["id"], "text": text});
        stage.ann.post("/edit", &change).expect(200);
        stage.reworded(&message["id"], &text);
        self.changed.push((message["id"].clone(), text));
    }
}
