use super::Probe;
use crate::stage::Stage;

pub struct Web;

impl Probe for Web {
    fn name(&self) -> &'static str {
        "web"
    }

    fn has_chat_part(&self) -> bool {
        true
    }

    fn found(&mut self, stage: &mut Stage) {
        assert_eq!(stage.ann.get("/").status, 200);
    }

    fn hidden(&self, stage: &mut Stage) {
        stage.ann.get("/").problem(404, "feature_off");
    }

    fn act(&mut self, _: &mut Stage) {}
}
