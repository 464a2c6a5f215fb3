use serde_json::json;

use super::Probe;
use crate::stage::Stage;

pub struct Presence;

impl Presence {
    fn tell(stage: &mut Stage) {
        let told = stage.ann.post("/typing", &json!({"to": "@ann"}));
        told.expect(204);
    }
}

impl Probe for Presence {
    fn name(&self) -> &'static str {
        "presence"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["typing"]
    }

    fn found(&mut self, stage: &mut Stage) {
        Self::tell(stage);
    }

    fn hidden(&self, stage: &mut Stage) {
        let told = stage.ann.post("/typing", &json!({"to": "@ann"}));
        told.problem(404, "feature_off");
    }

    fn act(&mut self, stage: &mut Stage) {
        Self::tell(stage);
    }
}
