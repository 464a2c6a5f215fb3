use serde_json::json;
use veche::testing::Receiver;

use super::Probe;
use crate::stage::Stage;

/// A program that is told what somebody notes down.
#[derive(Default)]
pub struct Subscriptions {
    program: Option<Receiver>,
}

impl Probe for Subscriptions {
    fn name(&self) -> &'static str {
        "subscriptions"
    }

    fn settings(&self) -> &'static str {
        "allow = [\"127.0.0.1\"]"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["subscription", "subscription_state"]
    }

    fn found(&mut self, stage: &mut Stage) {
        let listed = stage.ann.get("/subscriptions").expect(200);
        assert_eq!(listed["subscriptions"][0]["state"], "on", "{listed}");
    }

    fn hidden(&self, stage: &mut Stage) {
        stage.ann.get("/subscriptions").problem(404, "feature_off");
    }

    fn act(&mut self, stage: &mut Stage) {
        let program = self.program.get_or_insert_with(|| {
            let program = Receiver::start();
            let new = json!({"chat": "@me", "url": program.url("/")});
            stage.ann.post("/subscriptions", &new).expect(201);
            program
        });
        let noted = stage.post("@ann", &json!({}));
        // Others note things down, too, and did while it was off.
        while program.next().body["data"]["id"] != noted["id"] {}
    }
}
