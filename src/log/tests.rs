//! One suite over every store behind [`Log`].

mod marks;
mod sums;

use std::sync::mpsc;
use std::thread;

use serde_json::value::RawValue;

use super::sqlite::SqliteLog;
use super::*;
use crate::log::reader::{Page, Reader};

struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("veche-log-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn log(&self) -> SqliteLog {
        SqliteLog::open(&self.0).expect("a log")
    }

    /// Whether any file holds these bytes.
    fn holds(&self, bytes: &[u8]) -> bool {
        std::fs::read_dir(&self.0).expect("a folder").any(|entry| {
            let path = entry.expect("an entry").path();
            let content = std::fs::read(path).expect("a file");
            content.windows(bytes.len()).any(|window| window == bytes)
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const COMMON: ChatId = ChatId::COMMON;

fn record(pos: Pos, audience: Audience) -> Record {
    Record {
        pos,
        at: Time(1_000 + pos.cast_signed()),
        owner: "test".into(),
        fact: RawValue::from_string(format!("{{\"n\":{pos}}}")).expect("JSON"),
        by: Some(UserId(1)),
        audience,
        riders: Riders::new(),
        row: None,
        object: None,
        holds: Vec::new(),
        text: false,
    }
}

fn message(ends: Option<i64>, fuse: Option<u64>) -> Change {
    let (ends, fuse) = (ends.map(Time), fuse.map(Period::ms));
    Change::Message {
        chat: COMMON,
        addressee: None,
        ends,
        fuse,
    }
}

fn post(log: &mut SqliteLog, pos: Pos, text: &str, change: Change) {
    let mut record = record(pos, Audience::Chat(COMMON));
    record.text = true;
    log.stage(&record, Some(text), &[change]).expect("staged");
}

fn positions(records: &[Record]) -> Vec<Pos> {
    records.iter().map(|record| record.pos).collect()
}

#[test]
fn a_committed_batch_is_there_again_after_reopening_and_a_rolled_back_one_is_not() {
    let folder = Folder::new();
    let epoch = {
        let mut log = folder.log();
        post(&mut log, 1, "kept", message(None, None));
        log.commit(0).expect("durable");
        post(&mut log, 2, "dropped", message(None, None));
        assert!(
            log.message(2).expect("readable").is_some(),
            "the open batch is seen by its log"
        );
        log.rollback();
        assert!(log.message(2).expect("readable").is_none());
        log.epoch().to_owned()
    };
    let log = folder.log();
    assert_eq!(log.epoch(), epoch);
    assert_eq!(log.last(), 1);
    assert_eq!(positions(&log.read(0, 10).expect("readable")), [1]);
    assert_eq!(
        log.message(1).expect("readable").expect("kept").text,
        "kept"
    );
}

#[test]
fn an_append_after_another_position_is_lost() {
    let folder = Folder::new();
    let mut log = folder.log();
    post(&mut log, 1, "a", message(None, None));
    assert!(matches!(log.commit(7), Err(AppendError::Lost)));
    log.rollback();
    assert_eq!(log.last(), 0);
}

#[test]
fn a_removed_message_is_in_no_file_once_scrubbed() {
    let folder = Folder::new();
    let mut log = folder.log();
    for pos in 1..=200 {
        let secret = format!("secret-{pos}-{}", "x".repeat(pos as usize * 7 % 900));
        post(&mut log, pos, &secret, message(None, None));
        let mut comment = record(1_000 + pos, Audience::Nobody);
        comment.row = Some(Beside::Message(pos));
        log.stage(
            &comment,
            Some("secret-comment"),
            &[Change::Row(Beside::Message(pos), None)],
        )
        .expect("staged");
    }
    log.commit(0).expect("durable");
    assert!(folder.holds(b"secret-"));
    log.stage(
        &record(2_000, Audience::Nobody),
        None,
        &[Change::Remove((1..=200).collect())],
    )
    .expect("staged");
    log.commit(1_200).expect("durable");
    assert!(log.scrub(Duration::ZERO).expect("scrubbed"));
    assert!(!folder.holds(b"secret-"), "a text outlived its message");
    assert!(
        log.row(1_001).expect("readable").is_none(),
        "a comment outlived its message"
    );
}

#[test]
fn the_next_end_is_the_soonest_and_delivery_starts_a_fuse_once() {
    let folder = Folder::new();
    let mut log = folder.log();
    post(&mut log, 1, "a", message(Some(9_000), None));
    post(&mut log, 2, "b", message(Some(8_000), Some(100)));
    post(&mut log, 3, "c", message(None, None));
    assert_eq!(log.next_end().expect("readable"), Some(Time(8_000)));
    for (pos, ends) in [(4, 5_100), (5, 6_100)] {
        let delivered = Change::Delivered(vec![(2, Time(ends)), (3, Time(ends))]);
        log.stage(&record(pos, Audience::Nobody), None, &[delivered])
            .expect("staged");
    }
    log.commit(0).expect("durable");
    let row = log.message(2).expect("readable").expect("there");
    assert_eq!(
        (row.ends, row.fuse),
        (Some(Time(5_100)), None),
        "the second delivery is none"
    );
    assert_eq!(log.message(3).expect("readable").expect("there").ends, None);
    let next = |log: &SqliteLog| log.next_end().expect("readable");
    assert_eq!(next(&log), Some(Time(5_100)));
    post(&mut log, 6, "d", message(Some(4_000), None));
    assert_eq!(next(&log), Some(Time(4_000)));
    log.rollback();
    assert_eq!(next(&log), Some(Time(5_100)), "what was rolled back ends");
    let ended: Vec<_> = log
        .ended(Time(9_000), 10)
        .expect("readable")
        .iter()
        .map(|m| m.id)
        .collect();
    assert_eq!(ended, [1, 2]);
    assert_eq!(log.ended(Time(5_099), 10).expect("readable").len(), 0);
}

fn answer(body: &str) -> KeptAnswer {
    KeptAnswer {
        status: 201,
        headers: vec![],
        body: Some(body.into()),
        made: Some(1),
    }
}

fn keep(log: &mut SqliteLog, pos: Pos, digest: &str, answer: &KeptAnswer) {
    let key = Change::Key {
        user: UserId(1),
        key: "k".into(),
        digest: digest.into(),
        made: answer.made,
    };
    let text = serde_json::to_string(answer).expect("JSON");
    let record = record(pos, Audience::Nobody);
    log.stage(&record, Some(&text), &[key]).expect("staged");
}

#[test]
fn a_key_is_found_for_a_day() {
    let folder = Folder::new();
    let mut log = folder.log();
    let answer = answer("a");
    keep(&mut log, 1, "d", &answer);
    log.commit(0).expect("durable");
    let found = |log: &SqliteLog, since| log.key(UserId(1), "k", Time(since)).expect("readable");
    let kept = |digest: &str| Some((digest.to_owned(), Some(answer.clone())));
    assert_eq!(found(&log, 1_001), kept("d"));
    assert_eq!(found(&log, 1_002), None, "it is too old");
    let other = log.key(UserId(2), "k", Time(0)).expect("readable");
    assert_eq!(other, None, "a key of another user was found");
    keep(&mut log, 2, "e", &answer);
    log.commit(1).expect("durable");
    assert_eq!(found(&log, 1_002), kept("e"));
}

#[test]
fn a_kept_answer_goes_with_what_it_tells_of() {
    let folder = Folder::new();
    let mut log = folder.log();
    post(&mut log, 1, "a", message(None, None));
    keep(&mut log, 2, "d", &answer("secret-answer"));
    log.commit(0).expect("durable");
    assert!(folder.holds(b"secret-answer"));
    let removed = record(3, Audience::Nobody);
    log.stage(&removed, None, &[Change::Remove(vec![1])])
        .expect("staged");
    log.commit(2).expect("durable");
    let found = log.key(UserId(1), "k", Time(0)).expect("readable");
    assert_eq!(found, Some(("d".to_owned(), None)), "the key itself stays");
    assert!(log.scrub(Duration::ZERO).expect("scrubbed"));
    assert!(!folder.holds(b"secret-answer"));
}

#[test]
fn who_reads_is_waited_for_until_what_was_erased_is_out_of_the_files() {
    let folder = Folder::new();
    let mut log = folder.log();
    post(&mut log, 1, "secret-message", message(None, None));
    log.commit(0).expect("durable");
    let reader = Reader::new(&folder.0);
    let (reads, is_read) = mpsc::channel();
    let (end, is_ended) = mpsc::channel::<()>();
    let reading = thread::spawn(move || {
        reader.read_here(|reading| {
            reading.last()?;
            reads.send(()).expect("the test waits");
            is_ended.recv().expect("the test goes on");
            thread::sleep(Duration::from_millis(50));
            Ok(())
        })
    });
    is_read.recv().expect("it reads");
    let removed = record(2, Audience::Nobody);
    log.stage(&removed, None, &[Change::Remove(vec![1])])
        .expect("staged");
    log.commit(1).expect("durable");
    assert!(
        !log.scrub(Duration::ZERO).expect("no fault"),
        "somebody reads"
    );
    assert!(folder.holds(b"secret-message"));
    end.send(()).expect("it reads");
    assert!(log.scrub(Duration::from_secs(60)).expect("no fault"));
    assert!(!folder.holds(b"secret-message"));
    reading.join().expect("no panic").expect("readable");
}

/// A row by itself with an object, then messages (or another row) that hold it.
fn hold(log: &mut SqliteLog, object: Uuid, holders: &[(Pos, bool)]) {
    let kept = Change::Row(Beside::None, Some(object));
    log.stage(&record(1, Audience::Nobody), Some("about"), &[kept])
        .expect("staged");
    for (pos, is_message) in holders {
        let made = if *is_message {
            message(None, None)
        } else {
            Change::Row(Beside::None, None)
        };
        let chat = is_message.then_some(COMMON);
        let changes = [made, Change::Hold(vec![1], chat)];
        let record = record(*pos, Audience::Chat(COMMON));
        log.stage(&record, Some("a"), &changes).expect("staged");
    }
}

fn change(log: &mut SqliteLog, pos: Pos, change: Change) {
    log.stage(&record(pos, Audience::Nobody), None, &[change])
        .expect("staged");
}

#[test]
fn a_held_row_lives_until_nothing_holds_it_and_leaves_its_object_to_be_deleted() {
    let folder = Folder::new();
    let mut log = folder.log();
    let object = Uuid::from_u128(7);
    hold(&mut log, object, &[(2, true), (3, true), (4, false)]);
    let there = |log: &SqliteLog| log.row_of(object).expect("readable").is_some();
    let row = log.message(2).expect("readable").expect("there").held;
    assert_eq!((row[0].id, row[0].text.as_deref()), (1, Some("about")));
    let held_in = |log: &SqliteLog, chats: &[(u64, Id)]| {
        let chats: Vec<_> = chats
            .iter()
            .map(|(id, floor)| (ChatId(*id), *floor))
            .collect();
        log.is_held_in(1, &chats).expect("readable")
    };
    assert!(held_in(&log, &[(0, 2)]), "the newest is beyond");
    assert!(held_in(&log, &[(0, 0), (7, 0), (9, 0)]));
    assert!(!held_in(&log, &[(0, 3)]), "they came later");
    assert!(!held_in(&log, &[(7, 0), (9, 0)]));
    assert!(!held_in(&log, &[]));
    change(&mut log, 5, Change::Remove(vec![2, 3]));
    assert!(there(&log), "another row holds it");
    change(&mut log, 6, Change::Erase(vec![4]));
    assert!(!there(&log), "nothing holds it");
    log.commit(0).expect("durable");
    let reader = Reader::new(&folder.0);
    let trash = |reader: &Reader| reader.read_here(|r| r.trash(10)).expect("readable");
    assert_eq!(trash(&reader), [(object, "test".to_owned())]);
    log.forget(&[object]).expect("noted");
    assert_eq!(trash(&reader), []);
}

#[test]
fn a_row_that_nothing_ever_held_stays_until_it_is_erased() {
    let folder = Folder::new();
    let mut log = folder.log();
    let object = Uuid::from_u128(7);
    hold(&mut log, object, &[]);
    change(&mut log, 2, Change::Remove(vec![9]));
    assert!(log.row(1).expect("readable").is_some());
    change(&mut log, 3, Change::Erase(vec![1]));
    assert!(log.row_of(object).expect("readable").is_none());
    log.commit(0).expect("durable");
    let reader = Reader::new(&folder.0);
    assert_eq!(
        reader.read_here(|r| r.trash(10)).expect("readable").len(),
        1
    );
}

#[tokio::test]
async fn a_resumed_reader_gets_what_was_theirs_to_see_in_order_and_only_that() {
    let folder = Folder::new();
    let mut log = folder.log();
    let (one, room) = (UserId(2), ChatId(9));
    let audiences = [
        Audience::Chat(COMMON),
        Audience::Users(vec![one, UserId(3)]),
        Audience::Users(vec![UserId(3)]),
        Audience::Nobody,
        Audience::Chat(room),
        Audience::Chat(room),
        Audience::Chat(COMMON),
        Audience::Chat(room),
        Audience::Chat(room),
    ];
    for (pos, audience) in (1..).zip(audiences) {
        let change = match pos {
            6 => Some(Change::Enter(one, room)),
            8 => Some(Change::Leave(one, room)),
            _ => None,
        };
        log.stage(&record(pos, audience), None, change.as_slice())
            .expect("staged");
    }
    log.commit(0).expect("durable");
    let reader = Reader::new(&folder.0);
    let told = |after, limit| {
        let reader = reader.clone();
        async move {
            let read = reader.read(move |r| r.told(one, after, limit)).await;
            let (told, upto) = read.expect("readable");
            (
                told.iter().map(|told| told.record.pos).collect::<Vec<_>>(),
                upto,
            )
        }
    };
    assert_eq!(
        told(0, 10).await,
        (vec![2, 6, 7, 8], 9),
        "from their coming, and from entering a chat to leaving it"
    );
    assert_eq!(
        told(0, 2).await,
        (vec![2, 6], 6),
        "a part says how far it reaches"
    );
    assert_eq!(told(6, 2).await, (vec![7, 8], 9));
    assert_eq!(told(8, 2).await, (vec![], 9));
}

#[tokio::test]
async fn pages_come_oldest_first_from_either_side() {
    let folder = Folder::new();
    let mut log = folder.log();
    for pos in 1..=5 {
        post(&mut log, pos, "m", message(None, None));
    }
    log.commit(0).expect("durable");
    let reader = Reader::new(&folder.0);
    let cases = [
        (Page::Newest, vec![4, 5], true),
        (Page::Before(4), vec![2, 3], true),
        (Page::Before(3), vec![1, 2], false),
        (Page::After(0), vec![1, 2], true),
        (Page::After(3), vec![4, 5], false),
        (Page::Before(u64::MAX), vec![4, 5], true),
        (Page::After(u64::MAX), vec![], false),
    ];
    for (page, expected, expected_more) in cases {
        let (rows, more) = reader
            .read(move |r| r.page(COMMON, page, 0, 2))
            .await
            .expect("readable");
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        assert_eq!((ids, more), (expected, expected_more), "{page:?}");
    }
}

#[test]
fn a_snapshot_is_whole_or_not_there_and_the_log_is_trimmed_behind_the_older_one() {
    let folder = Folder::new();
    let mut log = folder.log();
    for pos in 1..=10 {
        log.stage(&record(pos, Audience::Chat(COMMON)), None, &[])
            .expect("staged");
    }
    log.commit(0).expect("durable");
    log.save_part(4, 0, b"half", false).expect("saved");
    assert!(
        log.snapshot().expect("readable").is_none(),
        "half a snapshot is none"
    );
    log.save_part(4, 1, b"-whole", true).expect("saved");
    let snapshot = log.snapshot().expect("readable").expect("there");
    assert_eq!((snapshot.pos, snapshot.body), (4, b"half-whole".to_vec()));
    let far = Time(i64::MAX);
    assert_eq!(
        log.trim(far, 0, 100).expect("trimmed"),
        0,
        "only one snapshot covers it"
    );
    log.save_part(8, 0, b"next", true).expect("saved");
    assert_eq!(
        log.trim(Time(1_003), 0, 100).expect("trimmed"),
        2,
        "what is young stays"
    );
    assert_eq!(
        log.trim(far, 7, 100).expect("trimmed"),
        1,
        "the last ones stay"
    );
    assert_eq!(log.trim(far, 0, 100).expect("trimmed"), 1);
    assert_eq!(
        positions(&log.read(0, 100).expect("readable")),
        [5, 6, 7, 8, 9, 10]
    );
    assert_eq!(log.last(), 10);
}

#[test]
fn data_of_another_format_is_refused() {
    let folder = Folder::new();
    drop(folder.log());
    let connection = rusqlite::Connection::open(sqlite::file(&folder.0)).expect("open");
    connection
        .execute("UPDATE meta SET value = 99 WHERE key = 'format'", [])
        .expect("changed");
    assert!(matches!(
        SqliteLog::open(&folder.0),
        Err(LogError::Format { found: 99, .. })
    ));
}

#[test]
fn a_snapshot_that_found_no_room_leaves_the_next_append_whole() {
    let folder = Folder::new();
    let mut log = folder.log();
    post(&mut log, 1, "kept", message(None, None));
    log.commit(0).expect("durable");
    log.limit_pages(Some(40));
    let part = vec![7; 1 << 20];
    assert!(matches!(
        log.save_part(1, 0, &part, false),
        Err(AppendError::Full(_))
    ));
    log.limit_pages(None);
    post(&mut log, 2, "after", message(None, None));
    let seen = || {
        rusqlite::Connection::open(sqlite::file(&folder.0)).and_then(|connection| {
            connection.query_row("SELECT count(*) FROM messages", [], |row| {
                row.get::<_, i64>(0)
            })
        })
    };
    assert_eq!(seen(), Ok(1), "nothing is seen before it is committed");
    log.commit(1).expect("durable");
    assert_eq!(seen(), Ok(2));
}

#[test]
fn another_programs_lock_is_no_failure() {
    let folder = Folder::new();
    let mut log = folder.log();
    let other = rusqlite::Connection::open(sqlite::file(&folder.0)).expect("open");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let refused = log.stage(&record(1, Audience::Nobody), None, &[]);
    assert!(matches!(refused, Err(AppendError::Busy(_))));
    log.rollback();
    other.execute_batch("ROLLBACK").expect("let go");
    log.stage(&record(1, Audience::Nobody), None, &[])
        .expect("staged");
    log.commit(0).expect("durable");
}

/// A message whose text takes pages of its own.
fn post_pages(log: &mut SqliteLog, pos: Pos, pages: usize) {
    post(log, pos, &"x".repeat(pages * 4096), message(None, None));
    log.commit(pos - 1).expect("durable");
}

#[test]
fn what_is_committed_reaches_the_database_beside_the_writer_and_the_wal_stays_bounded() {
    let folder = Folder::new();
    let mut log = folder.log();
    let length = |name: &str| std::fs::metadata(folder.0.join(name)).map_or(0, |file| file.len());
    let before = length("veche.db");
    for pos in 1..=3 {
        post_pages(&mut log, pos, 400);
    }
    // The writer does nothing more.
    crate::testing::wait_until("a checkpoint", || {
        (length("veche.db") > before + 3 * 400 * 4096).then_some(())
    });
    for pos in 4..=60 {
        post_pages(&mut log, pos, 400);
    }
    assert!(length("veche.db-wal") < 18_000 * 4096, "the WAL grew on");
    drop(log);
    assert_eq!(length("veche.db-wal"), 0, "a clean end leaves one file");
    assert_eq!(folder.log().last(), 60);
}
