use super::super::lines::{self, FAR};
use super::super::model::tests::{effects, label, look, model, newest, page, say};
use super::*;
use crate::client::Link;
use crate::client::text::Zone;

fn load(part: Part) -> Effect {
    Effect::Load("common".to_owned(), part)
}

fn looked(upto: u64) -> Effect {
    Effect::Looked("common".to_owned(), upto)
}

fn comes(model: &mut Model, part: Part, page: Page) {
    let fetched = Fetched {
        page,
        ..Fetched::default()
    };
    model.page("common", part, Ok(fetched));
}

/// The reader scrolls by so many rows of a pane that has ten.
fn scroll(model: &mut Model, by: isize) {
    lines::scroll(model, &Zone::utc(), (60, 10), by);
    draw(model);
}

/// The chat is drawn, and what is drawn is read.
fn draw(model: &mut Model) {
    look(model, 10);
    let page = lines::Page {
        me: &model.me,
        zone: &Zone::utc(),
        columns: 60,
        selected: None,
    };
    let sight = page.sight(model.chat(), 10).1;
    model.saw(sight);
}

/// The rows in sight of a pane that has ten.
fn rows(model: &Model) -> Vec<String> {
    let page = lines::Page {
        me: &model.me,
        zone: &Zone::utc(),
        columns: 60,
        selected: None,
    };
    let rows = page.sight(model.chat(), 10).0;
    let trim = |row: String| row.trim_matches(['─', ' ']).to_owned();
    rows.iter().map(|row| trim(row.to_string())).collect()
}

/// Of 1300 unread messages, from 1 on, the last hundred are there, and the first.
fn long_away() -> Model {
    let mut model = model();
    model.chat_mut().unread = 1_300;
    let fetched = Fetched {
        page: page(1_201..=1_300, true),
        first: Some(1),
        begin: Some(page(1..=100, true)),
    };
    model.page("common", Part::Newest, Ok(fetched));
    effects(&mut model);
    draw(&mut model);
    model
}

#[test]
fn after_long_absence_the_line_stands_where_the_unread_begins_and_nothing_else_is_read() {
    let mut model = long_away();
    assert_eq!(model.chat().fresh, Some(1));
    assert_eq!(rows(&model)[1], "new");
    assert_eq!(model.chat().unread, 1_292);
    assert_eq!(effects(&mut model), [looked(8)]);
    // What one goes over is not read, neither there nor on the way back.
    scroll(&mut model, FAR);
    assert!(rows(&model)[9].ends_with("#1300 bob: x"));
    assert_eq!(model.chat().unread, 1_292);
    assert!(model.leaves_out());
    model.go_to_unread();
    draw(&mut model);
    assert_eq!(model.chat().fresh, Some(9));
    assert_eq!(rows(&model)[0], "new");
}

#[test]
fn a_gap_says_how_much_is_missing_and_is_filled_as_it_is_come_to() {
    let mut model = long_away();
    effects(&mut model);
    for _ in 0..15 {
        scroll(&mut model, 8);
    }
    let seen = rows(&model);
    assert_eq!(seen[9], "1100 more", "{seen:?}");
    assert!(seen[8].ends_with("#100 bob: x"), "{seen:?}");
    assert_eq!(model.chat().unread, 1_200);
    assert_eq!(effects(&mut model).pop(), Some(load(Part::After(100))));
    comes(&mut model, Part::After(100), page(101..=200, true));
    scroll(&mut model, 0);
    assert!(model.chat().read > 100, "what was owed is scrolled");
    assert!(model.chat().read < 110, "and no more");
    // From below it is filled backwards, and what is in sight stays there.
    scroll(&mut model, FAR);
    for _ in 0..15 {
        scroll(&mut model, -8);
    }
    let seen = rows(&model);
    assert_eq!(seen[0], "1000 more", "{seen:?}");
    effects(&mut model);
    comes(&mut model, Part::Before(1_201), page(1_101..=1_200, true));
    let before = model.chat().bottom;
    draw(&mut model);
    assert_eq!(model.chat().bottom, before);
    assert!(rows(&model)[9].ends_with("#1209 bob: x"));
    // Where both ends meet nothing is missing.
    let read = model.chat().read;
    comes(&mut model, Part::After(200), page(201..=1_101, true));
    assert!(model.chat().gaps.is_empty());
    assert_eq!((model.chat().read, model.chat().lines.len()), (read, 1_300));
}

#[test]
fn the_beginning_is_come_to_at_once_and_what_is_scrolled_meanwhile_is_done_then() {
    let mut model = model();
    newest(&mut model, page(901..=1_000, true), None);
    draw(&mut model);
    effects(&mut model);
    scroll(&mut model, -FAR);
    assert_eq!(effects(&mut model), [load(Part::After(0))]);
    comes(&mut model, Part::After(0), page(1..=100, true));
    scroll(&mut model, 0);
    assert!(rows(&model)[1].ends_with("#1 bob: x"), "{:?}", rows(&model));
    assert_eq!(model.chat().owed, 0);
    // Three pages up from where only one is there yet.
    let mut model = self::model();
    newest(&mut model, page(91..=100, true), None);
    draw(&mut model);
    for _ in 0..3 {
        scroll(&mut model, -8);
    }
    comes(&mut model, Part::Before(91), page(1..=90, false));
    scroll(&mut model, 0);
    assert!(
        rows(&model)[9].ends_with("#76 bob: x"),
        "{:?}",
        rows(&model)
    );
}

#[test]
fn older_pages_are_asked_for_once_and_until_the_beginning() {
    let mut model = model();
    newest(&mut model, page(51..=60, true), None);
    effects(&mut model);
    model.want_older();
    model.want_older();
    assert_eq!(effects(&mut model), [load(Part::Before(51))]);
    comes(&mut model, Part::Before(51), page(1..=50, false));
    assert_eq!(model.chat().lines.len(), 60);
    model.want_older();
    assert!(effects(&mut model).is_empty());
}

#[test]
fn what_is_said_below_what_is_in_sight_is_read_when_the_reader_comes_back() {
    let mut model = model();
    newest(&mut model, page(1..=10, true), None);
    look(&mut model, 20);
    effects(&mut model);
    model.chat_mut().bottom = Some(((5, 0), 0));
    say(&mut model, 11, "carl", "common", "hello");
    look(&mut model, 20);
    assert_eq!(model.chat().unread, 1);
    assert!(effects(&mut model).is_empty());
    model.chat_mut().go_to_end();
    look(&mut model, 20);
    assert_eq!(effects(&mut model), [looked(11)]);
    assert_eq!(model.chat().unread, 0);
}

#[test]
fn what_comes_faster_than_it_is_drawn_is_not_read_by_that() {
    let mut model = model();
    newest(&mut model, page(1..=10, true), None);
    draw(&mut model);
    for id in 11..=60 {
        say(&mut model, id, "carl", "common", "x");
    }
    draw(&mut model);
    assert_eq!((model.chat().unread, model.chat().fresh), (50, Some(11)));
    model.go_to_unread();
    for _ in 0..9 {
        draw(&mut model);
        scroll(&mut model, 8);
    }
    assert_eq!((model.chat().unread, model.chat().bottom), (0, None));
}

#[test]
fn a_page_that_fails_is_told_until_it_is_there_and_not_asked_for_without_end() {
    let mut model = model();
    effects(&mut model);
    let fails = |model: &mut Model, part| {
        model.page("common", part, Err("no answer".to_owned()));
    };
    fails(&mut model, Part::Newest);
    assert!(effects(&mut model).is_empty());
    assert_eq!(model.chat().lines.len(), 1);
    model.link(Link::Up);
    assert_eq!(effects(&mut model), [load(Part::Newest)]);
    newest(&mut model, page(51..=60, true), None);
    assert_eq!(model.chat().lines.len(), 10, "that is over");
    model.want_older();
    effects(&mut model);
    fails(&mut model, Part::Before(51));
    model.want_older();
    assert!(effects(&mut model).is_empty());
    model.link(Link::Up);
    model.want_older();
    assert_eq!(effects(&mut model), [load(Part::Before(51))]);
}

#[test]
fn what_calls_stands_until_that_very_message_is_read() {
    let mut model = model();
    model.chat_mut().calls.extend([38, 40]);
    newest(&mut model, page(1..=40, false), Some(2));
    draw(&mut model);
    assert!(model.chat().is_called(), "{}", model.chat().unread);
    model.chats[0].read_up_to(39, "ann");
    assert!(model.chat().is_called());
    model.chats[0].read_up_to(40, "ann");
    assert!(!model.chat().is_called());
    // In private every message does.
    assert!(model.chats[1].is_called());
    // A server that tells whom a message calls is believed.
    model.knows_calls = true;
    say(&mut model, 41, "carl", "room:7", "where is ann?");
    assert!(!model.chats[2].is_called());
    let data = serde_json::json!({"id": 42, "from": "carl", "to": "room:7", "text": "@ann", "mentions": ["ann"], "at": "2026-11-24T20:18:55.123Z"});
    model.message(&data, label, true);
    assert!(model.chats[2].is_called());
}
