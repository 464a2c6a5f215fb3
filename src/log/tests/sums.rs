//! What is damaged is noticed.

use rusqlite::Connection;

use super::*;
use crate::log::sums::PARTS;

/// A log with something in every table, closed.
fn filled(folder: &Folder) {
    let mut log = folder.log();
    hold(&mut log, Uuid::from_u128(7), &[(2, true)]);
    post(&mut log, 3, "a text", message(Some(9), Some(5)));
    change(&mut log, 4, Change::Enter(UserId(1), ChatId(3)));
    change(&mut log, 5, Change::Leave(UserId(1), ChatId(3)));
    keep(&mut log, 6, "a digest", &answer("an answer"));
    let gone = Change::Row(Beside::None, Some(Uuid::from_u128(8)));
    change(&mut log, 7, gone);
    change(&mut log, 8, Change::Erase(vec![7]));
    change(&mut log, 9, Change::Row(Beside::Message(2), None));
    let on = true;
    change(
        &mut log,
        10,
        Change::Row(Beside::Mark { message: 2, on }, None),
    );
    log.commit(0).expect("durable");
    log.set_store("test", "place").expect("noted");
    log.save_part(10, 0, b"a world", true).expect("saved");
}

fn database(folder: &Folder) -> std::path::PathBuf {
    sqlite::file(&folder.0)
}

fn verify(folder: &Folder) -> Vec<String> {
    let mut told = Vec::new();
    let reader = Reader::new(&folder.0);
    let count = reader.read_here(|reading| Ok(reading.verify(&mut |line| told.push(line))));
    assert!(count.expect("readable") > 0 || !told.is_empty());
    told
}

#[test]
fn every_column_of_every_table_is_under_a_checksum() {
    let folder = Folder::new();
    filled(&folder);
    assert_eq!(verify(&folder), Vec::<String>::new());
    let whole = std::fs::read(database(&folder)).expect("a file");
    for part in PARTS {
        for column in part.columns.split(", ").chain([part.sum]) {
            let connection = Connection::open(database(&folder)).expect("open");
            let sql = format!(
                "UPDATE {} SET {column} = CASE typeof({column}) WHEN 'integer' THEN {column} + 1000
                 WHEN 'text' THEN {column} || 'x' WHEN 'blob' THEN {column} || 'x' END
                 WHERE {column} IS NOT NULL",
                part.table
            );
            let changed = match connection.execute(&sql, []) {
                // A blob and a text are no blob.
                Err(_) => {
                    connection.execute(&format!("UPDATE {} SET {column} = x'00'", part.table), [])
                }
                changed => changed,
            };
            drop(connection);
            if changed.expect("changed") > 0 {
                assert_ne!(
                    verify(&folder),
                    Vec::<String>::new(),
                    "{}.{column}",
                    part.table
                );
            } else {
                // Nothing here has these.
                assert!(["addressee", "riders"].contains(&column), "{column}");
            }
            std::fs::write(database(&folder), &whole).expect("a file");
        }
    }
}

#[test]
fn a_row_in_anothers_place_is_damage() {
    let folder = Folder::new();
    filled(&folder);
    let connection = Connection::open(database(&folder)).expect("open");
    connection
        .execute_batch(
            "UPDATE messages SET id = 99 WHERE id = 2; UPDATE messages SET id = 2 WHERE id = 3;",
        )
        .expect("changed");
    drop(connection);
    let log = folder.log();
    let found = log.message(2).expect_err("damaged").to_string();
    assert!(found.contains("`messages` 2 is damaged"), "{found}");
}

#[test]
fn writing_to_a_damaged_row_hides_nothing_and_its_end_still_takes_it() {
    let folder = Folder::new();
    filled(&folder);
    let connection = Connection::open(database(&folder)).expect("open");
    connection
        .execute("UPDATE messages SET text = 'another' WHERE id = 3", [])
        .expect("changed");
    drop(connection);
    let mut log = folder.log();
    change(&mut log, 11, Change::Delivered(vec![(3, Time(8))]));
    log.commit(10).expect("durable");
    assert!(matches!(log.message(3), Err(LogError::Damaged { .. })));
    let ended = log.ended(Time(8), 10).expect("readable");
    assert_eq!(ended.iter().map(|row| row.id).collect::<Vec<_>>(), [3]);
}

#[test]
fn an_audience_that_is_not_the_facts_is_damage() {
    let folder = Folder::new();
    filled(&folder);
    let connection = Connection::open(database(&folder)).expect("open");
    connection
        .execute("INSERT INTO audience (who, pos) VALUES (-1, 3)", [])
        .expect("changed");
    drop(connection);
    let told = Reader::new(&folder.0).read_here(|reading| reading.told(UserId(1), 2, 10));
    assert!(matches!(told, Err(LogError::Damaged { .. })), "{told:?}");
}
