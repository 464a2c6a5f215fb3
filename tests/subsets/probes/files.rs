use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Probe;
use crate::stage::Stage;

#[derive(Default)]
pub struct Files {
    /// The messages that have one, and the file as they show it.
    sent: BTreeMap<u64, Value>,
    /// One that waits to be sent.
    waiting: Option<Value>,
}

impl Probe for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn has_server_part(&self) -> bool {
        true
    }

    fn settings(&self) -> &'static str {
        "orphan = \"400d\""
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["file"]
    }

    fn found(&mut self, stage: &mut Stage) {
        for message in stage.ann.history("common") {
            let id = message["id"].as_u64().unwrap_or_default();
            assert_eq!(message.get("file"), self.sent.get(&id), "{message}");
        }
        for file in self.sent.values().rev().take(2) {
            let path = file["url"].as_str().unwrap_or_default();
            let reply = stage.bob.get(path);
            assert_eq!(reply.status, 200, "{reply}");
            assert_eq!(reply.text, file["name"].as_str().unwrap_or_default());
        }
    }

    fn hidden(&self, stage: &mut Stage) {
        // It means nothing now, and never will.
        if let Some(file) = &self.waiting {
            let message = stage.post("common", &json!({"file": file["id"]}));
            assert!(message.get("file").is_none(), "{message}");
        }
    }

    fn act(&mut self, stage: &mut Stage) {
        // What was uploaded when it was on before is sent now.
        if let Some(file) = self.waiting.take() {
            let message = stage.post("common", &json!({"file": file["id"]}));
            assert_eq!(message["file"], file);
            self.sent
                .insert(message["id"].as_u64().unwrap_or_default(), file);
        }
        let name = stage.words("file").replace(' ', "-");
        let request = stage.ann.request("POST", &format!("/files?name={name}"));
        self.waiting = Some(request.body(name, "text/plain").send().expect(201));
    }
}
