use serde_json::{Value, json};
use veche::testing::wait_until;

use super::{Probe, recent, resumes};
use crate::stage::{Stage, list};

#[derive(Default)]
pub struct Schedule {
    /// What waits for long.
    waiting: Option<Value>,
    /// What falls due soon, whether the feature is on then or not.
    soon: Option<String>,
    made: Vec<(usize, Value)>,
}

impl Probe for Schedule {
    fn name(&self) -> &'static str {
        "schedule"
    }

    fn has_user_part(&self) -> bool {
        true
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[
            "scheduled",
            "scheduled_sent",
            "scheduled_failed",
            "cancelled",
            "scheduled_forgotten",
        ]
    }

    fn found(&mut self, stage: &mut Stage) {
        let ann = &stage.ann;
        let scheduled = || list(&ann.get("/scheduled").expect(200)["scheduled"]);
        if let Some(text) = &self.soon {
            wait_until("it to be sent", || {
                let mut sent = scheduled().into_iter().filter(|one| one["state"] == "sent");
                sent.any(|one| one["text"] == text.as_str()).then_some(())
            });
            let notes = ann.history("@ann");
            let times = notes
                .iter()
                .filter(|one| one["text"] == text.as_str())
                .count();
            assert_eq!(times, 1, "{text}");
        }
        let waiting = scheduled()
            .into_iter()
            .filter(|one| one["state"] == "waiting");
        let waiting: Vec<Value> = waiting.collect();
        assert_eq!(waiting, Vec::from_iter(self.waiting.clone()));
        assert_eq!(ann.status()["user"]["schedule"]["waiting"], waiting.len());
        let made: Vec<_> = self.made.iter().rev().take(1).cloned().collect();
        resumes(stage, "scheduled", "id", recent(stage), &made);
    }

    fn act(&mut self, stage: &mut Stage) {
        let ann = &stage.ann;
        if let Some(waiting) = self.waiting.take() {
            let id = waiting["id"].as_str().unwrap_or_default();
            ann.delete(&format!("/scheduled/{id}")).expect(204);
        }
        let schedule = |text: &str, delay: &str| {
            let body = json!({"to": "@me", "text": text, "in": delay});
            ann.post("/scheduled", &body).expect(201)
        };
        let waiting = schedule(&stage.words("later"), "100d");
        self.made.push((stage.number, waiting["id"].clone()));
        self.waiting = Some(waiting);
        let soon = stage.words("soon");
        schedule(&soon, "150ms");
        self.soon = Some(soon);
    }
}
