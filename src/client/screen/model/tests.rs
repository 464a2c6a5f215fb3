use serde_json::{Value, json};

use super::super::super::answer::Page;
use super::super::super::render::Event;
use super::super::super::text::Zone;
use super::super::lines::{self, arrive};
use super::super::reading::Fetched;
use super::*;

pub fn label(chat: &str) -> String {
    chat.to_owned()
}

fn message(id: u64, from: &str, to: &str, text: &str) -> Value {
    json!({"id": id, "from": from, "to": to, "text": text, "at": "2026-11-24T20:18:55.123Z"})
}

fn status(chats: Value) -> Vec<ChatStatus> {
    serde_json::from_value(chats).unwrap()
}

/// A page of what bob has said.
pub fn page(ids: impl Iterator<Item = u64>, more: bool) -> Page {
    let messages: Vec<Value> = ids.map(|id| message(id, "bob", "common", "x")).collect();
    serde_json::from_value(json!({"messages": messages, "more": more})).unwrap()
}

/// The newest of common come, of which those from `first` on are not read.
pub fn newest(model: &mut Model, page: Page, first: Option<u64>) {
    let fetched = Fetched {
        page,
        first,
        begin: None,
    };
    model.page("common", Part::Newest, Ok(fetched));
}

pub fn say(model: &mut Model, id: u64, from: &str, to: &str, text: &str) {
    model.event(&Event::message(message(id, from, to, text)), None, label);
}

/// Ann's chats at the beginning: three of common's are new to her, and one of bob's.
pub fn model() -> Model {
    let mut model = Model::new("ann", true);
    let chats = json!([
        {"chat": "@bob", "kind": "private", "unread": 1},
        {"chat": "common", "kind": "common", "unread": 3, "members": 4, "online": 2},
        {"chat": "room:7", "kind": "room", "title": "Garden", "unread": 0},
    ]);
    model.chats(&status(chats), label, false);
    model
}

pub fn effects(model: &mut Model) -> Vec<Effect> {
    model.effects.drain(..).collect()
}

/// The reader looks at what is there, on a pane of so many rows.
pub fn look(model: &mut Model, rows: usize) {
    arrive(model, &Zone::utc(), (60, rows));
    let page = lines::Page {
        me: &model.me,
        zone: &Zone::utc(),
        columns: 60,
        selected: None,
    };
    model.sight = Some(page.sight(model.chat(), rows).1);
    model.settle();
}

#[test]
fn the_common_chat_stands_first_and_is_fetched_and_read_as_it_is_shown() {
    let mut model = model();
    let order: Vec<&str> = model
        .chats
        .iter()
        .map(|chat| chat.address.as_str())
        .collect();
    assert_eq!(order, ["common", "@bob", "room:7"]);
    let load = Effect::Load("common".to_owned(), Part::Newest);
    assert_eq!(effects(&mut model), [load]);
    newest(&mut model, page(1..=10, false), Some(8));
    look(&mut model, 20);
    // The three last ones are new, and they are read now.
    assert_eq!(model.chat().fresh, Some(8));
    assert_eq!(model.chat().unread, 0);
    assert_eq!(
        effects(&mut model),
        [Effect::Looked("common".to_owned(), 10)]
    );
}

#[test]
fn what_is_said_elsewhere_counts_and_what_is_said_here_is_read() {
    let mut model = model();
    newest(&mut model, page(1..=10, true), Some(8));
    look(&mut model, 20);
    effects(&mut model);
    say(&mut model, 11, "carl", "common", "hello");
    look(&mut model, 20);
    assert_eq!(
        effects(&mut model),
        [Effect::Looked("common".to_owned(), 11)]
    );
    say(&mut model, 12, "carl", "room:7", "hello");
    say(&mut model, 12, "carl", "room:7", "hello");
    assert_eq!(model.chats[2].unread, 1, "one that comes twice counts once");
    assert!(effects(&mut model).is_empty());
    say(
        &mut model,
        13,
        "ann",
        "room:7",
        "from another client of hers",
    );
    assert_eq!(model.chats[2].unread, 1);
    model.open(2);
    assert_eq!(
        effects(&mut model),
        [Effect::Load("room:7".to_owned(), Part::Newest)]
    );
    let fetched = Fetched {
        first: Some(12),
        ..Fetched::default()
    };
    model.page("room:7", Part::Newest, Ok(fetched));
    look(&mut model, 20);
    assert_eq!(model.chat().unread, 0);
    assert_eq!(model.chat().fresh, Some(12));
}

#[test]
fn a_mention_and_a_private_message_ring_unless_the_bell_is_off() {
    let mut model = model();
    effects(&mut model);
    say(&mut model, 11, "carl", "room:7", "where is Ann?");
    assert_eq!(effects(&mut model), [Effect::Ring]);
    assert!(model.chats[2].is_called());
    say(&mut model, 12, "bob", "@ann", "psst");
    assert_eq!(effects(&mut model), [Effect::Ring]);
    assert_eq!(model.chats[1].unread, 2);
    model.bell = false;
    say(&mut model, 13, "carl", "room:7", "ann!");
    assert!(effects(&mut model).is_empty());
    say(&mut model, 14, "carl", "room:7", "anna");
    // Those that call come first, and then in turn.
    assert_eq!(model.next_unread(), Some(1));
    model.chats[1].unread = 0;
    assert_eq!(model.next_unread(), Some(2));
}

#[test]
fn what_called_while_nobody_was_here_stands_out_until_it_is_read() {
    let mut model = model();
    let stands = |unread: u64, mentions: Value| {
        let room = json!({"chat": "room:7", "unread": unread, "mentions": mentions});
        status(json!([{"chat": "common"}, {"chat": "@bob"}, room]))
    };
    let label = |address: &str| address.to_owned();
    model.chats(&stands(3, json!({"unread": [12]})), label, true);
    assert!(model.chats[2].is_called());
    model.chats(&stands(0, Value::Null), label, true);
    assert!(!model.chats[2].is_called());
}

#[test]
fn what_another_client_reads_and_what_is_removed_counts_no_more() {
    let mut model = model();
    for id in 20..25 {
        say(&mut model, id, "carl", "room:7", "x");
    }
    let read = |upto: u64| Event::new("read", json!({"chat": "room:7", "upto": upto}));
    model.event(&read(21), None, label);
    assert_eq!(model.chats[2].unread, 3);
    let removed = Event::new("removed", json!({"to": "room:7", "ids": [24]}));
    model.event(&removed, None, label);
    assert_eq!(model.chats[2].unread, 2);
    assert_eq!(model.chats[2].lines.len(), 4);
    model.event(&read(24), None, label);
    assert_eq!(model.chats[2].unread, 0);
}

#[test]
fn a_comment_stands_in_the_chat_of_its_message_and_is_counted_once() {
    let mut model = model();
    say(&mut model, 20, "carl", "room:7", "x");
    let comment = json!({"id": 21, "message": 20, "from": "bob", "text": "y", "at": "2026-11-24T20:18:55.123Z"});
    model.event(&Event::new("comment", comment.clone()), None, label);
    model.sent(&comment, label);
    let Some(Entry::Message(message)) = model.chats[2].lines.get(&(20, 0)) else {
        unreachable!("it was said")
    };
    assert_eq!(message.comments, 1);
    assert_eq!(model.chats[2].lines.len(), 2);
}

#[test]
fn a_room_comes_and_goes_with_its_member_who_then_is_in_the_common_chat() {
    let mut model = model();
    let event = |kind: &str, user: &str| Event::new(kind, json!({"room": "room:8", "user": user}));
    model.event(&event("joined", "carl"), None, label);
    assert_eq!(model.chats.len(), 3);
    model.event(&event("joined", "ann"), None, label);
    model.open(3);
    model.event(
        &event("left", "carl"),
        Some("· carl left".to_owned()),
        label,
    );
    assert_eq!(model.chat().address, "room:8");
    assert_eq!(model.chat().lines.len(), 1);
    model.event(&event("left", "ann"), Some("· you left".to_owned()), label);
    assert_eq!(
        (model.chat().address.as_str(), model.chats.len()),
        ("common", 3)
    );
    let last = model.chat().lines.last_key_value().map(|(_, entry)| entry);
    assert!(matches!(last, Some(Entry::Note { text, bad: false }) if text == "you left"));
}

#[test]
fn who_is_removed_from_the_room_they_are_in_is_told_so_in_sight_and_has_read_nothing_more() {
    let mut model = model();
    newest(&mut model, page(1..=100, false), Some(40));
    model.open(2);
    effects(&mut model);
    let event = Event::new("left", json!({"room": "room:7", "user": "ann"}));
    model.event(&event, Some("· you were removed".to_owned()), label);
    assert_eq!(model.chat().address, "common");
    assert!(
        model.chat().bottom.is_none() && !model.chat().arriving,
        "its end"
    );
    let last = model.chat().lines.last_key_value().map(|(_, entry)| entry);
    assert!(matches!(last, Some(Entry::Note { text, .. }) if text == "you were removed"));
    look(&mut model, 10);
    assert!(
        effects(&mut model).is_empty(),
        "what lies above was not looked at"
    );
}

#[test]
fn after_a_gap_all_is_fetched_anew_and_the_reader_stays_where_they_were() {
    let mut model = model();
    newest(&mut model, page(1..=10, true), Some(8));
    model.open(2);
    effects(&mut model);
    let chats = json!([
        {"chat": "common", "kind": "common", "unread": 5},
        {"chat": "room:7", "kind": "room", "unread": 0},
    ]);
    model.chats(&status(chats), label, true);
    assert_eq!(model.chat().address, "room:7");
    assert_eq!(
        effects(&mut model),
        [Effect::Load("room:7".to_owned(), Part::Newest)]
    );
    assert!(model.chats[0].lines.is_empty());
    assert_eq!(model.chats[0].unread, 5);
}

#[test]
fn who_is_let_into_a_room_is_told_so_where_they_are_and_how_to_get_there() {
    let mut model = model();
    let joined = |user: &str| Event::new("joined", json!({"room": "room:8", "user": user}));
    let notes = |chat: &super::Chat| -> Vec<String> {
        let notes = chat.lines.values().filter_map(|entry| match entry {
            Entry::Note { text, .. } => Some(text.clone()),
            _ => None,
        });
        notes.collect()
    };
    let told = Some("· you are in \"Attic\" now: /to Attic".to_owned());
    model.event(&joined("ann"), told, label);
    assert_eq!(model.chats[3].address, "room:8");
    assert_eq!(
        notes(model.chat()),
        ["you are in \"Attic\" now: /to Attic or Alt+4"]
    );
    // Of others one is told there.
    model.event(&joined("bob"), Some("· bob is in".to_owned()), label);
    assert_eq!(notes(&model.chats[3]), ["bob is in"]);
}

#[test]
fn what_is_told_of_a_room_stands_there_and_else_where_one_is() {
    let mut model = model();
    model.note_in("room:7", "made".to_owned());
    model.note_in("room:9", "gone".to_owned());
    let note = |chat: &Chat| match chat.lines.last_key_value() {
        Some((_, Entry::Note { text, .. })) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(note(&model.chats[2]), "made");
    assert_eq!(note(model.chat()), "gone");
}

#[test]
fn messages_are_selected_upwards_and_down_to_none() {
    let mut model = model();
    newest(&mut model, page(1..=3, false), None);
    model.note("between".to_owned(), false);
    say(&mut model, 5, "carl", "common", "x");
    let mut select = |up| {
        model.select(up);
        model.selected
    };
    assert_eq!(select(true), Some(5));
    assert_eq!(select(true), Some(3));
    assert_eq!(select(false), Some(5));
    assert_eq!(select(false), None);
}

fn react(model: &mut Model, message: u64, emoji: &str, count: u64) {
    let mut data =
        json!({"message": message, "user": "bob", "emoji": emoji, "on": count > 0, "count": count});
    if count > 0 {
        data["first"] = json!(message + 100);
    }
    model.event(&Event::new("reaction", data), None, label);
}

/// The emoji on a message of the chat that is shown.
fn emoji_on(model: &Model, id: u64) -> String {
    match model.chat().lines.get(&(id, 0)) {
        Some(Entry::Message(message)) => {
            super::super::super::commands::reaction_line(&message.reactions)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn emoji_that_come_before_an_older_page_or_answer_stay() {
    let mut model = model();
    // The newest page is on its way.
    model.open(0);
    react(&mut model, 7, "👍", 1);
    newest(&mut model, page(1..=9, true), None);
    assert_eq!(emoji_on(&model, 7), "👍 1");
    react(&mut model, 7, "👍", 0);
    assert_eq!(emoji_on(&model, 7), "");
    say(&mut model, 10, "ann", "common", "hello");
    react(&mut model, 10, "🎉", 1);
    model.sent(&message(10, "ann", "common", "hello"), label);
    assert_eq!(emoji_on(&model, 10), "🎉 1");
    assert!(model.late.is_empty());
}

#[test]
fn what_answers_the_reader_amid_the_unread_stands_where_they_look_and_reads_nothing() {
    let mut model = model();
    newest(&mut model, page(1..=50, false), Some(21));
    look(&mut model, 10);
    effects(&mut model);
    let Some(((bottom, _), _)) = model.chat().bottom else {
        unreachable!("the end is not in sight")
    };
    model.note("online (1): ann".to_owned(), false);
    model.note("and more".to_owned(), false);
    let comment = json!({"id": 51, "message": bottom, "from": "ann", "text": "y", "at": "2026-11-24T20:18:55.123Z"});
    model.sent(&comment, label);
    react(&mut model, bottom, "👍", 1);
    model.settle();
    assert_eq!(model.chat().bottom, Some(((bottom, 2), 0)));
    assert_eq!(model.chat().unread, 50 - bottom);
    assert!(effects(&mut model).is_empty());
    // Where one says something oneself one goes, and what is left out on the way is not read.
    model.sent(&message(52, "ann", "common", "hello"), label);
    look(&mut model, 10);
    assert_eq!(
        (model.chat().bottom, model.chat().unread),
        (None, 50 - bottom)
    );
}
