use super::super::commands::parse;
use super::super::fake::{Record, Reply, serve, session};
use super::*;
use serde_json::json;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

fn posted(id: u64, text: &str) -> Value {
    let at = "2026-11-24T20:18:55.123Z";
    json!({"id": id, "from": "ann", "to": "common", "text": text, "at": at})
}

/// A session at a server that refuses the text `no`.
fn session_with_posts() -> Arc<Session> {
    let base = serve(|asked| match asked.path.as_str() {
        "/status" => Reply::Json(
            200,
            json!({"server": {"features": ["polls"]}, "user": {"name": "ann"}}),
        ),
        "/send" if asked.body["text"] == "no" => {
            Reply::Json(422, json!({"code": "invalid", "detail": "that is no text"}))
        }
        "/send" => Reply::Json(201, posted(7, asked.body["text"].as_str().unwrap())),
        "/messages" if asked.query("chat") == Some("@bob") => {
            Reply::Json(200, json!({"messages": []}))
        }
        "/messages" => Reply::Json(404, json!({"detail": "there is no such chat"})),
        _ => Reply::Json(204, Value::Null),
    });
    Arc::new(session(&base))
}

fn run(session: Arc<Session>, typed: bool, jobs: Vec<Job>) -> (Result<(), Error>, Vec<String>) {
    let record = Arc::new(Record::default());
    let (sender, queue) = sync_channel(16);
    for job in jobs {
        sender.try_send(job).unwrap();
    }
    let result = Worker::new(session, record.clone(), typed).run(&queue);
    (result, record.lines())
}

fn say(text: &str) -> Job {
    Job::Run(Command::Say(text.to_owned()), Some("common".to_owned()))
}

#[test]
fn a_typed_line_is_confirmed_and_its_echo_is_not_shown() {
    static SESSION: std::sync::OnceLock<Arc<Session>> = std::sync::OnceLock::new();
    let base = serve(|asked| match asked.path.as_str() {
        "/status" => Reply::Json(200, json!({"server": {}, "user": {"name": "ann"}})),
        "/send" => {
            // The stream is faster than the answer.
            let session = SESSION.get().unwrap();
            match session.take(Event::message(posted(7, "hi"))) {
                None => Reply::Json(201, posted(7, "hi")),
                Some(_) => Reply::Json(400, json!({"detail": "shown before its answer"})),
            }
        }
        _ => Reply::Json(204, Value::Null),
    });
    let session = Arc::new(session(&base));
    assert!(SESSION.set(session.clone()).is_ok());
    let (result, lines) = run(session.clone(), true, vec![say("hi"), Job::End]);
    assert!(result.is_ok());
    assert_eq!(lines, ["sent 7"]);
    // The stream is slower than the answer.
    assert!(session.take(Event::message(posted(7, "hi"))).is_none());
}

#[test]
fn ones_own_message_from_another_client_is_shown_after_all() {
    let session = session_with_posts();
    session.posting();
    assert!(
        session
            .take(Event::message(posted(6, "elsewhere")))
            .is_none()
    );
    let (_, lines) = run(session, true, vec![say("hi"), Job::End]);
    assert_eq!(lines, ["sent 7", "message 6"]);
}

#[test]
fn a_pipe_waits_for_its_echo_and_does_not_show_it_twice() {
    let session = session_with_posts();
    let streamed = session.clone();
    let (result, lines) = std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(event) = streamed.take(Event::message(posted(7, "hi"))) {
                streamed.shown(&event);
            }
        });
        run(session, false, vec![say("hi"), Job::End])
    });
    assert!(result.is_ok());
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn a_refused_line_is_told_and_the_next_one_posted() {
    let jobs = vec![
        say("no"),
        Job::Wrong("/x is no command".to_owned()),
        say("hi"),
        Job::End,
    ];
    let session = session_with_posts();
    let echo = session.take(Event::message(posted(7, "hi")));
    session.shown(&echo.unwrap());
    let (result, lines) = run(session, false, jobs);
    assert!(matches!(result, Err(Error::Refused(2))));
    let expected = [
        "trouble: not sent: that is no text: \"no\"",
        "trouble: /x is no command",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_is_done_again_since_its_answer_was_lost_is_done_once() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = keys.clone();
    let base = serve(move |asked| match asked.path.as_str() {
        "/scheduled" => {
            let mut seen = seen.lock().unwrap();
            seen.push(asked.field("idempotency-key").map(str::to_owned));
            // Each call is tried twice at once, as a connection may have been kept too long.
            match seen.len() {
                1..=4 => Reply::Lost,
                _ => Reply::Json(201, json!({"id": "7"})),
            }
        }
        _ => Reply::Json(200, json!({"server": {}, "user": {"name": "ann"}})),
    });
    let session = session(&base).waiting(Duration::ZERO);
    let record = Arc::new(Record::default());
    let worker = Worker::new(Arc::new(session), record, true);
    let later = |text: &str| worker.post_once("/scheduled", &json!({"text": text}));
    assert!(later("one").is_err());
    assert!(later("one").is_err());
    assert!(later("one").is_ok());
    assert!(later("two").is_ok());
    assert!(later("one").is_ok());
    let keys = keys.lock().unwrap();
    assert!(keys.iter().all(Option::is_some));
    assert!(keys[..5].iter().all(|key| *key == keys[0]), "{keys:?}");
    // What is done is done: the same after it is another.
    assert_ne!(keys[5], keys[0]);
    assert_ne!(keys[6], keys[0]);
}

#[test]
fn how_a_command_ended_is_told_to_who_waits_for_it() {
    for (line, expected) in [
        ("/to @nobody", Ended::Failed),
        ("/to @bob", Ended::At("@bob".to_owned())),
        ("/me", Ended::Here),
    ] {
        let command = parse(line, |_| true).unwrap().unwrap();
        let (ended, end) = sync_channel(1);
        let jobs = vec![Job::Await(command, None, ended), Job::End];
        let (_, lines) = run(session_with_posts(), true, jobs);
        assert_eq!(end.recv(), Ok(expected), "{lines:?}");
    }
}

#[test]
fn a_line_that_belongs_nowhere_is_refused() {
    let nowhere = Job::Run(Command::Say("hi".to_owned()), None);
    let (_, lines) = run(session_with_posts(), true, vec![nowhere, Job::End]);
    assert!(
        lines[0].starts_with("trouble: not sent: there is no chat") && lines[0].ends_with("\"hi\""),
        "{lines:?}"
    );
}

#[test]
fn a_name_without_a_password_is_not_given_up_by_one_word() {
    let (first, once) = sync_channel(1);
    let (second, twice) = sync_channel(1);
    let jobs = vec![Job::LogOut(first), Job::LogOut(second)];
    let (result, lines) = run(session_with_posts(), true, jobs);
    assert!(result.is_ok());
    assert_eq!((once.recv(), twice.recv()), (Ok(false), Ok(true)));
    assert!(lines[0].contains("/logout once more"), "{lines:?}");
}
