use serde_json::{Value, json};

use super::{Probe, recent, resumes};
use crate::stage::{Stage, list};

#[derive(Default)]
pub struct Comments {
    message: u64,
    texts: Vec<String>,
    made: Vec<(usize, Value)>,
}

impl Comments {
    fn path(&self) -> String {
        format!("/messages/{}/comments", self.message)
    }
}

impl Probe for Comments {
    fn name(&self) -> &'static str {
        "comments"
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["comments"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["comment"]
    }

    fn found(&mut self, stage: &mut Stage) {
        let path = format!("{}?limit=200", self.path());
        let answer = stage.bob.get(&path).expect(200);
        let texts = list(&answer["comments"]).into_iter();
        let texts: Vec<Value> = texts.map(|comment| comment["text"].clone()).collect();
        assert_eq!(texts, self.texts);
        let message = stage
            .ann
            .get(&format!("/messages/{}", self.message))
            .expect(200);
        assert_eq!(message["comments"], self.texts.len());
        resumes(stage, "comment", "id", recent(stage), &self.made);
    }

    fn act(&mut self, stage: &mut Stage) {
        if self.message == 0 {
            let message = stage.post("common", &json!({}));
            self.message = message["id"].as_u64().unwrap_or_default();
        }
        let text = stage.words("comment");
        let reply = stage.ann.post(&self.path(), &json!({ "text": text }));
        let comment = reply.expect(201);
        stage.counted += u64::from(stage.has("rate_limit"));
        assert_eq!(reply.header("ratelimit").is_some(), stage.has("rate_limit"));
        self.texts.push(text);
        self.made.push((stage.number, comment["id"].clone()));
    }
}
