use super::Probe;
use crate::stage::{POSTS, Stage};

pub struct RateLimit;

impl Probe for RateLimit {
    fn name(&self) -> &'static str {
        "rate_limit"
    }

    fn settings(&self) -> &'static str {
        "messages = 100000\nper = \"400d\""
    }

    fn has_user_part(&self) -> bool {
        true
    }

    fn found(&mut self, stage: &mut Stage) {
        let left = &stage.ann.status()["user"]["rate_limit"]["left"];
        assert_eq!(*left, POSTS - stage.counted);
    }

    fn act(&mut self, _: &mut Stage) {}
}
