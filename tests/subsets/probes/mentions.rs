use serde_json::{Value, json};

use super::Probe;
use crate::stage::Stage;

/// Each time another message calls Bob.
#[derive(Default)]
pub struct Mentions {
    messages: Vec<Value>,
}

impl Probe for Mentions {
    fn name(&self) -> &'static str {
        "mentions"
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["mentions"]
    }

    fn has_chat_part(&self) -> bool {
        true
    }

    fn found(&mut self, stage: &mut Stage) {
        let page = stage.bob.get("/mentions?limit=200").expect(200);
        let ids = page["messages"].as_array().into_iter().flatten();
        let ids: Vec<&Value> = ids.map(|message| &message["id"]).collect();
        assert_eq!(ids, self.messages.iter().collect::<Vec<_>>());
    }

    fn act(&mut self, stage: &mut Stage) {
        let text = stage.words("@Bob:");
        let message = stage.post("common", &json!({"text": text}));
        assert_eq!(message["mentions"], json!(["bob"]), "{message}");
        self.messages.push(message["id"].clone());
    }
}
