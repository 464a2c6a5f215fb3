use serde_json::{Value, json};
use veche::testing::Client;

use super::Probe;
use crate::stage::Stage;

#[derive(Default)]
pub struct Complaints {
    /// One who is banned, and until when.
    villain: Option<(Client, Value)>,
    /// Those who were warned once, by Ann.
    warned: Vec<Client>,
}

impl Probe for Complaints {
    fn name(&self) -> &'static str {
        "complaints"
    }

    fn settings(&self) -> &'static str {
        "warnings = 2\nban = \"400d\"\ndecay = \"400d\""
    }

    fn has_user_part(&self) -> bool {
        true
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["warned", "warning_ended", "banned", "unbanned"]
    }

    fn found(&mut self, stage: &mut Stage) {
        if let Some((villain, until)) = &self.villain {
            let refused = villain.send("@me", "milk").problem(403, "banned");
            assert_eq!(refused["until"], *until);
            assert_eq!(
                villain.status()["user"]["complaints"]["banned_until"],
                *until
            );
        }
        for warned in self.warned.iter().rev().take(2) {
            let case = warned.status()["user"]["complaints"].clone();
            assert_eq!(
                case,
                json!({"warnings": 1, "limit": 2, "banned_until": null})
            );
            let body = json!({"user": warned.name});
            let again = stage.ann.post("/complaints", &body);
            again.problem(409, "already_complained");
        }
    }

    fn hidden(&self, stage: &mut Stage) {
        if let Some((villain, _)) = &self.villain {
            villain.send("@me", "milk").expect(201);
        }
        for warned in self.warned.iter().rev().take(1) {
            let cursor = warned.welcome["cursor"].as_str().unwrap_or_default();
            let (events, _) = warned.poll(cursor, "0s");
            let told = events.iter().any(|event| event.event == "warned");
            assert!(!told, "{:?}: {events:?}", stage.on);
        }
    }

    fn act(&mut self, stage: &mut Stage) {
        let complain = |by: &Client, user: &Client| {
            let body = json!({"user": user.name});
            by.post("/complaints", &body).expect(201)["banned_until"].clone()
        };
        if self.villain.is_none() {
            let villain = stage.server.connect("villain");
            complain(&stage.ann, &villain);
            let until = complain(&stage.bob, &villain);
            assert!(until.is_string(), "{until}");
            self.villain = Some((villain, until));
        }
        let next = stage.server.connect(&format!("user{}", stage.number));
        complain(&stage.ann, &next);
        self.warned.push(next);
    }
}
