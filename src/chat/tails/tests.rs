use super::*;
use crate::log::{Riders, UserId};
use crate::time::Time;

const CHAT: ChatId = ChatId(9);

fn row(id: Id, text: &str) -> Kept {
    let row = MessageRow {
        id,
        chat: CHAT,
        author: UserId(1),
        addressee: None,
        at: Time(0),
        ends: None,
        fuse: None,
        riders: Riders::new(),
        counts: Default::default(),
        marks: Vec::new(),
        held: Vec::new(),
        text: text.to_owned(),
        reworded: None,
    };
    let written = Written::default();
    Kept { row, written }
}

fn stamp(last: Id, altered: Pos) -> Stamp {
    Stamp { last, altered }
}

fn ids(part: &Part) -> Vec<Id> {
    part.rows().iter().map(|kept| kept.row.id).collect()
}

#[test]
fn a_part_is_the_newest_beyond_the_floor_and_says_whether_there_are_more() {
    let tails = Tails::default();
    let rows = (1..=4).map(|id| row(id * 10, "hello")).collect();
    let part = tails.put(CHAT, stamp(40, 0), rows, 0, 2);
    assert_eq!((ids(&part), part.more), (vec![30, 40], true));
    let get = |floor, limit| {
        let part = tails.get(CHAT, stamp(40, 0), floor, limit).expect("a tail");
        (ids(&part), part.more)
    };
    assert_eq!(get(0, 4), (vec![10, 20, 30, 40], false));
    assert_eq!(get(10, 3), (vec![20, 30, 40], false));
    assert_eq!(get(10, 2), (vec![30, 40], true));
    assert_eq!(get(25, 4), (vec![30, 40], false));
    assert_eq!(get(40, 4), (vec![], false));
}

#[test]
fn a_page_as_it_is_asked_for_by_default_is_within_reach() {
    assert!(Tails::reach(50));
    assert!(!Tails::reach(Tails::ROWS));
}

#[test]
fn what_was_posted_or_altered_since_makes_a_tail_another() {
    let tails = Tails::default();
    tails.put(CHAT, stamp(10, 3), vec![row(10, "hello")], 0, 5);
    assert!(tails.get(CHAT, stamp(10, 3), 0, 5).is_some());
    assert!(tails.get(CHAT, stamp(11, 3), 0, 5).is_none());
    assert!(tails.get(CHAT, stamp(10, 12), 0, 5).is_none());
    assert!(tails.get(ChatId(8), stamp(10, 3), 0, 5).is_none());
}

#[test]
fn once_something_was_altered_no_older_tail_stays() {
    let tails = Tails::default();
    tails.put(CHAT, stamp(10, 3), vec![row(10, "hello")], 0, 5);
    tails.put(ChatId(8), stamp(11, 12), vec![row(11, "hello")], 0, 5);
    assert!(tails.get(CHAT, stamp(10, 3), 0, 5).is_none());
    assert!(tails.get(ChatId(8), stamp(11, 12), 0, 5).is_some());
}

#[test]
fn the_chat_that_was_read_the_longest_ago_makes_room() {
    let tails = Tails::default();
    let put = |chat| tails.put(ChatId(chat), stamp(1, 0), vec![row(1, "hello")], 0, 5);
    let is_there = |chat| tails.get(ChatId(chat), stamp(1, 0), 0, 5).is_some();
    for chat in 0..CHATS as u64 {
        put(chat);
    }
    assert!(is_there(0));
    put(CHATS as u64);
    assert!(is_there(0));
    assert!(!is_there(1));
    assert!(is_there(CHATS as u64));
}

#[test]
fn a_tail_that_is_too_long_is_given_and_not_kept() {
    let tails = Tails::default();
    let long = "x".repeat(BYTES + 1);
    let part = tails.put(CHAT, stamp(1, 0), vec![row(1, &long)], 0, 5);
    assert_eq!(ids(&part), [1]);
    assert!(tails.get(CHAT, stamp(1, 0), 0, 5).is_none());
}
