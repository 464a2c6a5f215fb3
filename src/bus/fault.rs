//! Errors that are ours.

use std::error::Error;

use http::StatusCode;

use crate::counts::COUNTS;
use crate::http::Problem;
use crate::log::LogError;

/// An error that is ours: logged with its causes, answered without them.
pub(crate) fn internal(what: &str, error: &(dyn Error + 'static)) -> Problem {
    let problem = fault(what, &causes(error));
    let mut cause = Some(error);
    while let Some(error) = cause {
        let detail = match error.downcast_ref() {
            Some(damage @ (LogError::Damaged { .. } | LogError::DamagedObject { .. })) => {
                format!("{damage}; `veche verify` lists all that is")
            }
            Some(damage @ LogError::Malformed(_)) => damage.to_string(),
            _ => {
                cause = error.source();
                continue;
            }
        };
        COUNTS.damage.inc();
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", detail);
    }
    problem
}

/// The same, where words say what is wrong.
pub(crate) fn fault(what: &str, error: &str) -> Problem {
    tracing::error!(error, "{what} failed");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "the server could not do this; its log says why",
    )
}

/// An error's own words and those of its causes.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
