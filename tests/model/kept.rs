//! Sequences that failed once: steps, not seeds, so that they stay what they were.

use crate::model::{DAY, HOUR, MINUTE};
use crate::run;
use crate::steps::{Step, To, What};

#[track_caller]
fn passes(steps: &[Step]) {
    if let Err(error) = run(steps, None, None) {
        panic!("{error}");
    }
}

/// Whoever had joined after the time that it was now was `too_new`, without a `min_age`.
#[test]
fn a_clock_that_is_set_back_behind_their_joining_lets_people_complain() {
    passes(&[
        Step::Clock { by: -MINUTE },
        Step::Do {
            client: 0,
            what: What::Complain {
                user: 2,
                reason: None,
                message: None,
            },
            keyed: false,
        },
    ]);
}

/// Rooms that nobody is in take their messages along.
#[test]
fn what_was_said_in_a_room_is_told_no_more_once_its_last_member_has_left() {
    let client = 1;
    passes(&[
        Step::Do {
            client,
            what: What::MakeRoom {
                title: 0,
                all: false,
            },
            keyed: false,
        },
        Step::Do {
            client,
            what: What::Send {
                to: To::Room(0),
                text: 0,
                file: None,
            },
            keyed: true,
        },
        Step::Do {
            client,
            what: What::Leave { room: 0 },
            keyed: false,
        },
        Step::Again {
            which: 0,
            client,
            other: false,
        },
        Step::Poll { client },
    ]);
}

/// An upload's repeat was refused where one more upload would have been.
#[test]
fn an_upload_is_repeated_also_when_no_more_are_allowed() {
    let upload = |name, keyed| Step::Do {
        client: 2,
        what: What::Upload { name, large: false },
        keyed,
    };
    passes(&[
        upload(1, false),
        upload(0, true),
        Step::Again {
            which: 0,
            client: 2,
            other: false,
        },
    ]);
}

/// What failed waits no more, and the answer that said so is gone.
#[test]
fn a_scheduled_message_that_failed_is_not_answered_as_waiting() {
    passes(&[
        Step::Do {
            client: 1,
            what: What::Schedule {
                to: To::Common,
                text: 0,
                file: None,
                by: MINUTE,
                at: false,
            },
            keyed: true,
        },
        Step::Clock { by: 2 * DAY },
        Step::Again {
            which: 0,
            client: 1,
            other: false,
        },
    ]);
}

/// A link whose end its owner was told of was good again, and its code was not there to be answered.
#[test]
fn a_link_that_is_over_stays_so_when_the_clock_is_set_back() {
    let client = 1;
    passes(&[
        Step::Do {
            client,
            what: What::MakeRoom {
                title: 0,
                all: false,
            },
            keyed: false,
        },
        Step::Do {
            client,
            what: What::Link {
                room: 0,
                expires: Some(3040),
                uses: Some(1),
            },
            keyed: true,
        },
        Step::Clock { by: HOUR },
        Step::Clock { by: -2 * HOUR },
        Step::Again {
            which: 0,
            client,
            other: false,
        },
    ]);
}
