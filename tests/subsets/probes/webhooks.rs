use serde_json::json;

use super::Probe;
use crate::stage::Stage;

#[derive(Default)]
pub struct Webhooks {
    url: String,
}

impl Probe for Webhooks {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["bot"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["hook"]
    }

    fn found(&mut self, stage: &mut Stage) {
        self.act(stage);
    }

    fn hidden(&self, stage: &mut Stage) {
        stage.ann.get("/hooks").problem(404, "feature_off");
        let told = stage
            .server
            .guest()
            .post(&self.url, &json!({"text": "psst"}));
        told.problem(404, "feature_off");
    }

    fn act(&mut self, stage: &mut Stage) {
        if self.url.is_empty() {
            let new = json!({"name": "bot", "to": "@me"});
            let made = stage.ann.post("/hooks", &new).expect(201);
            made["url"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut self.url);
        }
        let guest = stage.server.guest();
        assert_eq!(guest.post(&self.url, &json!({"text": "psst"})).text, "ok");
    }
}
