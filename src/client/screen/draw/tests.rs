use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::super::super::answer::ChatStatus;
use super::super::super::complete::Completion;
use super::super::super::fake::{Reply, folder, serve, session};
use super::super::super::post::Post;
use super::super::super::render::Event;
use super::super::chat::Loaded;
use super::super::lines::{FAR, scroll, show_selected};
use super::super::outgoing::Stage;
use super::super::panel::{Once, Panel, Whole};
use super::super::secret::Secret;
use super::*;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::sync::Arc;

fn input(typed: &str) -> Input {
    let answer = json!({"server": {}, "user": {"name": "ann"}});
    let session = session(&serve(move |_| Reply::Json(200, answer.clone())));
    let mut input = Input::new(
        Completion::new(Arc::new(session)),
        &folder().path().join("history"),
    );
    input.set(typed);
    input
}

fn say(model: &mut Model, id: u64, from: &str, to: &str, text: &str) {
    let at = format!("2026-11-24T20:{:02}:55.123Z", id % 60);
    let data = json!({"id": id, "from": from, "to": to, "text": text, "at": at});
    model.event(&Event::message(data), None, str::to_owned);
}

fn shown(model: &mut Model, input: &mut Input, columns: u16, rows: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let zone = Zone::utc();
    // What was drawn is read, and drawn so.
    for _ in 0..2 {
        terminal
            .draw(|frame| drop(draw(frame, model, input, &zone, true)))
            .unwrap();
        model.settle();
    }
    let buffer = terminal.backend().buffer();
    (0..rows)
        .map(|y| {
            let mut line = String::new();
            let mut skip = 0;
            for x in 0..columns {
                let symbol = buffer[(x, y)].symbol();
                if skip == 0 {
                    line.push_str(symbol);
                }
                skip = width(symbol).max(skip).saturating_sub(1);
            }
            line.trim_end().to_owned()
        })
        .collect()
}

fn model() -> Model {
    let mut model = Model::new("ann", true);
    model.link(Link::Up);
    let chats: Vec<ChatStatus> = serde_json::from_value(json!([
        {"chat": "common", "unread": 0, "members": 3, "online": 2},
        {"chat": "@bob", "unread": 2},
    ]))
    .unwrap();
    model.chats(&chats, str::to_owned, false);
    (model.chat_mut().loaded, model.chat_mut().whole) = (Loaded::Yes, true);
    model
}

#[test]
fn chats_stand_at_the_side_with_what_is_unread_and_vanish_where_it_is_narrow() {
    let mut model = model();
    say(&mut model, 7, "carl", "common", "hello there");
    let wide = shown(&mut model, &mut input("typed"), 80, 8);
    assert!(wide[0].starts_with("1 common              │"), "{wide:?}");
    assert!(wide[1].starts_with("2 @bob              !2│"), "{wide:?}");
    assert!(wide[5].ends_with("20:07 #7 carl: hello there"), "{wide:?}");
    assert!(
        wide[6].contains("● connected │ new: @bob !2 │ ann │ common 2/3 here"),
        "{wide:?}"
    );
    assert_eq!(wide[7], "common> typed");
    let narrow = shown(&mut model, &mut input("typed"), 40, 8);
    assert_eq!(narrow[5], "20:07 carl: hello there");
    assert!(
        narrow[6].contains("● connected │ new: @bob !2"),
        "{narrow:?}"
    );
}

#[test]
fn the_state_of_the_connection_is_always_in_sight() {
    let mut model = model();
    for columns in [20, 40, 80, 160] {
        let again = Instant::now() + std::time::Duration::from_secs(9);
        model.link(Link::Lost(again, "nothing listens there".to_owned()));
        let lines = shown(&mut model, &mut input(""), columns, 4);
        assert!(lines[2].starts_with(" ○ offline: "), "{lines:?}");
        model.link(Link::Up);
        let lines = shown(&mut model, &mut input(""), columns, 4);
        assert!(lines[2].starts_with(" ● connected"), "{lines:?}");
    }
    let mut model = Model::new("ann", true);
    let again = Instant::now() + std::time::Duration::from_secs(9);
    model.link(Link::Lost(again, "nothing listens there".to_owned()));
    let lines = shown(&mut model, &mut input(""), 80, 4);
    let expected = " ○ connecting… nothing listens there, again in 9 s";
    assert!(lines[2].starts_with(expected), "{lines:?}");
}

#[test]
fn what_is_not_there_yet_stands_below_with_how_far_it_is() {
    let mut model = model();
    say(&mut model, 7, "carl", "common", "hello there");
    let post = Post::text("common", "and you?");
    model.stage(&post, Stage::Sending);
    let lines = shown(&mut model, &mut input(""), 90, 8);
    assert!(lines[4].ends_with("carl: hello there"), "{lines:?}");
    assert!(
        lines[5].ends_with("│… ann: and you?  sending…"),
        "{lines:?}"
    );
    model.stage(&post, Stage::Failed("there is no answer".to_owned()));
    let lines = shown(&mut model, &mut input(""), 90, 8).join("\n");
    assert!(
        lines.contains("not sent: there is no answer (Enter sends it"),
        "{lines}"
    );
    // What waits for another one says so.
    let at = Instant::now() + std::time::Duration::from_secs(60);
    model.stage(&post, Stage::Later(at));
    model.stage(&Post::text("common", "hello?"), Stage::Queued);
    let lines = shown(&mut model, &mut input(""), 90, 8).join("\n");
    assert!(lines.contains("2 to send in 1 min"), "{lines}");
    assert!(
        lines.contains("ann: hello?  sent after the one above"),
        "{lines}"
    );
    model.take_back();
    model.stage(&post, Stage::Failed("there is no answer".to_owned()));
    // Where one is elsewhere it is not in the way, and not forgotten.
    model.open(1);
    let lines = shown(&mut model, &mut input(""), 90, 8).join("\n");
    assert!(!lines.contains("Enter sends it"), "{lines}");
    assert!(lines.contains("connected │ 1 not sent"), "{lines}");
}

#[test]
fn a_panel_lies_over_the_messages_and_leaves_the_state_in_sight() {
    let mut model = model();
    say(&mut model, 7, "carl", "common", "hello there");
    let before = shown(&mut model, &mut input("typed"), 80, 8);
    for (panel, word) in [
        (
            Panel::Help("one\ntwo\nthree\nfour\nfive".to_owned(), 9),
            "five",
        ),
        (Panel::Requests(Vec::new(), 0), "nobody asks"),
    ] {
        model.panel = Some(panel);
        for columns in [12, 40, 80] {
            let lines = shown(&mut model, &mut input("typed"), columns, 8);
            assert!(lines.iter().all(|line| width(line) <= columns.into()));
        }
        let lines = shown(&mut model, &mut input("typed"), 80, 8);
        assert!(lines.join("\n").contains(word), "{lines:?}");
        assert_eq!(lines[6..], before[6..]);
    }
    model.panel = None;
    assert_eq!(shown(&mut model, &mut input("typed"), 80, 8), before);
}

#[test]
fn days_and_the_beginning_of_the_unread_are_marked() {
    let mut model = model();
    say(&mut model, 7, "carl", "common", "one");
    say(&mut model, 8, "carl", "common", "two");
    model.chat_mut().fresh = Some(8);
    let lines = shown(&mut model, &mut input(""), 60, 8);
    assert!(
        lines[2].contains("─ Tuesday, 24 November 2026 ─"),
        "{lines:?}"
    );
    assert_eq!(lines[3], "20:07 #7 carl: one");
    assert!(lines[4].contains("─ new ─"), "{lines:?}");
    assert_eq!(lines[5], "20:08 #8 carl: two");
}

#[test]
fn nothing_that_a_peer_writes_breaks_the_layout_or_steers_the_terminal() {
    let hostile =
        "\u{1b}[2J\u{9b}31m\u{202e}evil\u{7}\r\nnext\t漢字 👨‍👩‍👧‍👦🇩🇪 שלום e\u{301}\u{302}\u{303}";
    for columns in [12, 20, 40, 80, 100] {
        let mut model = model();
        say(&mut model, 7, hostile, "common", &hostile.repeat(5));
        say(&mut model, 8, "carl", "common", "after");
        model.selected = Some(7);
        let lines = shown(
            &mut model,
            &mut input(&hostile.replace('\u{202e}', "")),
            columns,
            20,
        );
        for line in &lines {
            assert!(width(line) <= usize::from(columns), "{columns}: {line:?}");
            let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}');
            assert!(!line.contains(steers), "{line:?}");
        }
        let side = lines.iter().filter(|line| line.contains('│'));
        for line in side.take(10).filter(|_| columns >= WIDE) {
            assert_eq!(
                line.find('│').map(|at| width(&line[..at])),
                Some(SIDE.into())
            );
        }
    }
}

#[test]
fn scrolling_moves_by_rows_stays_where_it_is_and_asks_for_what_is_older() {
    let mut model = model();
    for id in 1..=50 {
        say(&mut model, id, "carl", "common", &format!("line {id}"));
    }
    let zone = Zone::utc();
    let size = (60, 10);
    scroll(&mut model, &zone, size, -20);
    let before = shown(&mut model, &mut input(""), 60, 12);
    assert!(before[9].ends_with("line 30"), "{before:?}");
    say(&mut model, 51, "carl", "common", "more");
    assert_eq!(
        shown(&mut model, &mut input(""), 60, 12)[..10],
        before[..10]
    );
    scroll(&mut model, &zone, size, -FAR);
    let top = shown(&mut model, &mut input(""), 60, 12);
    assert!(top[2].ends_with("line 1"), "{top:?}");
    scroll(&mut model, &zone, size, FAR);
    assert_eq!(model.chat().bottom, None);
    model.selected = Some(5);
    show_selected(&mut model, &zone, size);
    let lines = shown(&mut model, &mut input(""), 60, 13);
    assert!(
        lines.iter().any(|line| line.ends_with("line 5")),
        "{lines:?}"
    );
    assert!(lines[10].starts_with("#5: c comment"), "{lines:?}");
}

#[test]
fn the_line_being_typed_grows_with_its_rows_up_to_a_bound() {
    let mut model = model();
    let lines = shown(&mut model, &mut input("one\ntwo"), 40, 12);
    assert_eq!(lines[10..], ["common> one", "        two"]);
    let lines = shown(&mut model, &mut input(&"x\n".repeat(30)), 40, 12);
    assert!(lines[5].starts_with(" ● connected"), "{lines:?}");
}

#[test]
fn alt_f_goes_to_the_end_of_the_word_as_in_a_shell() {
    let key = |code, modifiers| KeyEvent::new(code, modifiers);
    let forward = [
        key(KeyCode::Char('f'), KeyModifiers::ALT),
        key(KeyCode::Right, KeyModifiers::CONTROL),
    ];
    for forward in forward {
        let mut input = input("say кот-two..\n four");
        input.key(key(KeyCode::Up, KeyModifiers::NONE));
        input.key(key(KeyCode::Home, KeyModifiers::NONE));
        for _ in 0..5 {
            input.key(forward);
            input.key(key(KeyCode::Char('|'), KeyModifiers::NONE));
        }
        assert_eq!(input.text(), "say| кот|-two|..\n four||");
    }
}

#[test]
fn a_password_is_asked_for_in_place_of_the_line_and_not_shown() {
    let mut model = model();
    let mut input = input("half a tho");
    let (answer, _answered) = std::sync::mpsc::sync_channel(1);
    let mut secret = Secret::new("password for ann: ".to_owned(), answer);
    secret.put("open");
    input.secret = Some(secret);
    let lines = shown(&mut model, &mut input, 80, 8);
    assert_eq!(lines[7], "password for ann:");
    assert!(lines[6].starts_with(" ○ signed out │ "), "{lines:?}");
    assert_eq!(shown(&mut model, &mut input, 12, 8)[7], "password f…");
    input.secret = None;
    let lines = shown(&mut model, &mut input, 80, 8);
    assert_eq!(lines[7], "common> half a tho");
}

#[test]
fn an_address_begins_at_the_edge_and_is_the_terminals_to_break_where_it_fits() {
    let mut model = model();
    let address = format!("http://h:1/hooks/{}", "5f0c".repeat(8));
    let about = "whoever has it posts".to_owned();
    let mut input = input("");
    for (columns, rows, fits) in [(80, 10, true), (20, 10, true), (20, 6, false)] {
        let (text, about) = (address.clone(), about.clone());
        let once = Once {
            of: "a new hook",
            text,
            about,
        };
        model.panel = Some(Panel::Once(once, 0));
        let lines = shown(&mut model, &mut input, columns, rows);
        assert!(lines[1].starts_with("http://h:1/hooks/5f0"), "{lines:?}");
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        let mut whole = None;
        let zone = Zone::utc();
        let drawn = terminal.draw(|frame| {
            whole = draw(frame, &mut model, &mut input, &zone, true);
        });
        drawn.unwrap();
        let text = address.clone();
        assert_eq!(
            whole,
            fits.then_some(Whole { row: 1, text }),
            "{columns}x{rows}"
        );
    }
}

#[test]
fn what_of_a_panel_is_out_of_sight_is_marked_and_comes_into_it() {
    let mut model = model();
    let help: Vec<String> = (1..=20)
        .map(|number| format!("/command{number} does it"))
        .collect();
    model.panel = Some(Panel::Help(help.join("\n"), 0));
    let lines = shown(&mut model, &mut input(""), 40, 10);
    assert!(lines[0].contains(" help "), "{lines:?}");
    assert!(
        lines[7].contains("Esc closes") && lines[7].contains("↓ 14 more"),
        "{lines:?}"
    );
    model.panel = Some(Panel::Help(help.join("\n"), 3));
    let lines = shown(&mut model, &mut input(""), 40, 10);
    assert!(
        lines[0].contains("↑ 3 more") && lines[7].contains("↓ 11 more"),
        "{lines:?}"
    );
    model.panel = Some(Panel::Help(help.join("\n"), 99));
    let lines = shown(&mut model, &mut input(""), 40, 10);
    assert!(lines.iter().all(|line| !line.contains('↓')), "{lines:?}");
    assert!(lines[6].contains("/command20 does it"), "{lines:?}");
    let once = Once {
        of: "a new hook",
        text: format!("http://h:1/hooks/{}", "5f0c".repeat(8)),
        about: "it is a secret ".repeat(20),
    };
    model.panel = Some(Panel::Once(once, 0));
    let lines = shown(&mut model, &mut input(""), 40, 10);
    assert!(lines[7].contains("more"), "{lines:?}");
}
