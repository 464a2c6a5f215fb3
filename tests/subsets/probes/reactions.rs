use serde_json::{Value, json};
use veche::testing::Client;

use super::Probe;
use crate::stage::{Stage, list};

/// Each time another emoji is put on the same message, by both; one of them takes the one before back.
#[derive(Default)]
pub struct Reactions {
    message: u64,
    count: usize,
}

impl Reactions {
    const EMOJI: [&str; 8] = ["👍", "🎉", "👀", "🚀", "🔥", "🙏", "💯", "🍀"];

    fn react(&self, by: &Client, emoji: &str, on: bool) {
        let body = json!({"message": self.message, "emoji": emoji, "on": on});
        by.post("/react", &body).expect(200);
    }
}

impl Probe for Reactions {
    fn name(&self) -> &'static str {
        "reactions"
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["reactions"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["reaction"]
    }

    fn found(&mut self, stage: &mut Stage) {
        let path = format!("/messages/{}", self.message);
        let shown = list(&stage.bob.get(&path).expect(200)["reactions"]);
        let part = |one: &Value| json!([one["emoji"], one["count"], one["mine"]]);
        let shown: Vec<Value> = shown.iter().map(part).collect();
        let expected = (0..self.count).map(|number| {
            let is_last = number + 1 == self.count;
            json!([Self::EMOJI[number], 1 + u64::from(is_last), is_last])
        });
        assert_eq!(shown, expected.collect::<Vec<_>>());
    }

    fn act(&mut self, stage: &mut Stage) {
        if self.message == 0 {
            let message = stage.post("common", &json!({}));
            self.message = message["id"].as_u64().unwrap_or_default();
        }
        if self.count == Self::EMOJI.len() {
            return;
        }
        if let Some(before) = self.count.checked_sub(1) {
            self.react(&stage.bob, Self::EMOJI[before], false);
        }
        for by in [&stage.ann, &stage.bob] {
            self.react(by, Self::EMOJI[self.count], true);
        }
        self.count += 1;
    }
}
