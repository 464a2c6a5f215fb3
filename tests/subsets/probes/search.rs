use serde_json::json;
use veche::testing::encode;

use super::Probe;
use crate::stage::Stage;

pub struct Search;

impl Probe for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    fn found(&mut self, stage: &mut Stage) {
        self.act(stage);
    }

    fn hidden(&self, stage: &mut Stage) {
        let asked = stage.ann.get("/search?q=needle");
        asked.problem(404, "feature_off");
    }

    fn act(&mut self, stage: &mut Stage) {
        let message = stage.post("common", &json!({}));
        let text = encode(message["text"].as_str().unwrap_or_default());
        let path = format!("/search?q=%22{text}%22&limit=1");
        let found = stage.ann.get(&path).expect(200);
        assert_eq!(found["found"][0]["message"]["id"], message["id"]);
    }
}
