//! What users mark messages with.

use rusqlite::Connection;

use super::*;
use crate::log::query::meta;
use crate::log::sqlite::{FORMAT, UNMARKED, set_meta};
use crate::log::sums::sum_schema;

fn mark(log: &mut SqliteLog, pos: Pos, by: u64, text: &str, on: bool) {
    let beside = Beside::Mark { message: 1, on };
    let mut record = record(pos, Audience::Nobody);
    record.by = Some(UserId(by));
    record.row = Some(beside);
    let change = Change::Row(beside, None);
    log.stage(&record, Some(text), &[change]).expect("staged");
}

fn marks(log: &SqliteLog) -> Vec<(String, Vec<u64>)> {
    let marks = log.marks(1).expect("readable").into_iter();
    let mut marks: Vec<_> = marks
        .map(|mark| {
            let mut by: Vec<_> = mark.by.iter().map(|user| user.0).collect();
            by.sort_unstable();
            (mark.text().to_owned(), by)
        })
        .collect();
    marks.sort();
    marks
}

#[test]
fn marks_are_shown_while_they_are_on_and_go_with_their_message() {
    let folder = Folder::new();
    let mut log = folder.log();
    post(&mut log, 1, "a message", message(None, None));
    mark(&mut log, 2, 7, "yes", true);
    mark(&mut log, 3, 8, "yes", true);
    mark(&mut log, 4, 8, "no", true);
    mark(&mut log, 5, 9, "yes", false);
    log.commit(0).expect("durable");
    let expected = vec![("no".to_owned(), vec![8]), ("yes".to_owned(), vec![7, 8])];
    assert_eq!(marks(&log), expected);
    let stands = |text: &str, by| {
        let marked = log.marked("test", 1, text, UserId(by)).expect("readable");
        let own = marked.own.and_then(|row| row.on);
        (own, marked.newest.map(|row| row.id), marked.different)
    };
    assert_eq!(stands("yes", 7), (Some(true), Some(5), 2));
    assert_eq!(stands("yes", 9), (Some(false), Some(5), 2));
    assert_eq!(stands("no", 7), (None, Some(4), 2));
    assert_eq!(stands("perhaps", 7), (None, None, 2));
    let row = log.message(1).expect("readable").expect("there");
    assert_eq!(row.counts.len(), 0, "they are counted by themselves");
    let reader = Reader::new(&folder.0);
    let page = |text: Option<&str>, after, limit| {
        let found = reader.read_here(|reading| reading.marks("test", 1, text, after, limit));
        let (rows, more) = found.expect("readable");
        (rows.iter().map(|row| row.id).collect::<Vec<_>>(), more)
    };
    assert_eq!(page(None, 0, 2), (vec![2, 3], true));
    assert_eq!(page(None, 3, 2), (vec![4], false));
    assert_eq!(page(Some("yes"), 2, 2), (vec![3], false));
    change(&mut log, 6, Change::Remove(vec![1]));
    log.commit(5).expect("durable");
    assert!(marks(&log).is_empty());
    for id in 2..=5 {
        assert!(log.row(id).expect("readable").is_none(), "{id}");
    }
}

#[test]
fn a_layout_without_marks_gets_them_once() {
    let folder = Folder::new();
    let mut log = folder.log();
    post(&mut log, 1, "a message", message(None, None));
    change(&mut log, 2, Change::Row(Beside::Message(1), None));
    log.commit(0).expect("durable");
    drop(log);
    let connection = Connection::open(sqlite::file(&folder.0)).expect("open");
    let before = "DROP INDEX rows_by_mark; DROP INDEX rows_by_marker;
        ALTER TABLE rows DROP COLUMN marks; ALTER TABLE rows DROP COLUMN marks_sum;";
    connection.execute_batch(before).expect("dropped");
    set_meta(&connection, "format", &UNMARKED).expect("set");
    sum_schema(&connection).expect("summed");
    drop(connection);
    for _ in 0..2 {
        let mut log = folder.log();
        let (pos, was_there) = (log.last() + 1, marks(&log).len());
        mark(&mut log, pos, pos, &format!("mark {pos}"), true);
        log.commit(pos - 1).expect("durable");
        assert_eq!(marks(&log).len(), was_there + 1);
        let row = log.row(2).expect("readable").expect("there");
        assert_eq!((row.message, row.on), (Some(1), None));
    }
    let connection = Connection::open(sqlite::file(&folder.0)).expect("open");
    assert_eq!(meta(&connection, "format").expect("readable"), Some(FORMAT));
    // What is damaged is not taken for what was made by that.
    set_meta(&connection, "format", &UNMARKED).expect("set");
    let damage = "DROP INDEX rows_by_mark; DROP INDEX rows_by_marker; DROP INDEX messages_by_end;
        ALTER TABLE rows DROP COLUMN marks; ALTER TABLE rows DROP COLUMN marks_sum;";
    connection.execute_batch(damage).expect("dropped");
    drop(connection);
    let refused = SqliteLog::open(&folder.0).err();
    assert!(matches!(refused, Some(LogError::Schema(_))), "{refused:?}");
}

#[test]
fn marks_are_found_by_their_indexes_alone() {
    let folder = Folder::new();
    drop(folder.log());
    let connection = Connection::open(sqlite::file(&folder.0)).expect("open");
    for (sql, index) in [
        (
            "SELECT marks, max(id), group_concat(author) FROM rows
             WHERE marks IN (SELECT value FROM json_each('[1]')) AND text IS NOT NULL
             GROUP BY marks, owner, text",
            "COVERING INDEX rows_by_mark",
        ),
        (
            "SELECT min(text) FROM rows WHERE marks = 1 AND owner = 'x' AND text > ''",
            "COVERING INDEX rows_by_mark",
        ),
        (
            "SELECT * FROM rows WHERE marks = 1 AND owner = 'x' AND text = 'y' ORDER BY id DESC",
            "INDEX rows_by_mark (marks=? AND owner=? AND text=?)",
        ),
        (
            "SELECT * FROM rows INDEXED BY rows_by_marker WHERE marks IN (1, -1) AND author = 2 AND owner = 'x' AND text = 'y'",
            "INDEX rows_by_marker (marks=? AND author=?)",
        ),
        (
            "SELECT 1 FROM rows WHERE marks BETWEEN 1 AND 2 LIMIT 1",
            "COVERING INDEX rows_by_mark",
        ),
        (
            "SELECT id FROM rows WHERE message = 1 UNION ALL SELECT id FROM rows WHERE marks IN (1, -1)",
            "COVERING INDEX rows_by_mark",
        ),
    ] {
        let plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
        let mut plan = plan.expect("a statement");
        let lines = plan.query_map([], |row| row.get::<_, String>(3));
        let lines: Vec<_> = lines.expect("a plan").flatten().collect();
        let plan = lines.join("\n");
        assert!(plan.contains(index), "{sql}:\n{plan}");
        assert!(!plan.contains("ORDER BY"), "it is sorted: {sql}:\n{plan}");
    }
}
