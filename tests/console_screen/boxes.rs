//! What opens over a chat, also on a narrow or a low screen.

use serde_json::json;
use veche::testing::{Folder, Server, wait_until};

use crate::screen::{Screen, has};

#[test]
fn a_new_hooks_address_is_copied_whole_from_a_narrow_screen_and_hooks_are_reached_by_keys() {
    if !has(&["webhooks"]) {
        return;
    }
    let server = Server::only("webhooks", "");
    let other = server.client(&json!({"name": "ann", "password": "secret"}));
    let home = Folder::new();
    home.write("password", "secret\n");
    let ann = Screen::with(&server, "ann", home, "VECHE_PASSWORD_FILE=password");
    ann.tmux(&["resize-window", "-x", "40", "-y", "16"]);
    ann.keys(&["F9"]);
    ann.sees("you have no hooks, by which programs");
    ann.keys(&["n"]);
    ann.sees("common> /hook");
    ann.says("alerts");
    ann.sees("a new hook");
    // It comes while one types, and does not go with the next letter.
    ann.types("typed on");
    let seen = ann.sees("common> typed on");
    assert!(seen.contains("a new hook"), "{seen}");
    let address = wait_until("the address in one line", || {
        // What the terminal itself has broken it gives as one.
        let copied = ann.tmux(&["capture-pane", "-p", "-J"]);
        let mut lines = copied.lines().map(str::trim);
        let whole = lines.find(|line| line.starts_with(&server.url()))?;
        (whole.len() > 50).then(|| whole.to_owned())
    });
    let path = address.trim_start_matches(&server.url());
    server
        .guest()
        .post(path, &json!({"text": "the disk is full"}))
        .expect(200);
    ann.keys(&["Escape"]);
    let seen = ann.sees("alerts (program): the disk is full");
    assert!(!seen.contains("/hooks/"), "{seen}");
    ann.sees("common> typed on");
    ann.keys(&["C-c", "F9"]);
    ann.sees("alerts to common, since ");
    let body = json!({"name": "ci", "to": "@me"});
    other.post("/hooks", &body).expect(201);
    ann.sees("ci to you alone, since ");
    ann.keys(&["Down", "d"]);
    ann.sees("common> /unhook ci");
    ann.keys(&["Enter", "F9"]);
    let left = wait_until("the hook to be gone", || {
        let listed = other.get("/hooks").expect(200);
        let hooks = listed["hooks"].as_array().cloned().unwrap_or_default();
        (hooks.len() == 1).then(|| hooks[0].clone())
    });
    assert_eq!(left["name"], "alerts");
    ann.until("one hook", |shown| !shown.contains("ci to you alone"));
    other.delete(&format!("/hooks/{}", left["id"])).expect(204);
    ann.sees("you have no hooks, by which programs");
}

/// The line of the screen that begins so, with what the terminal itself has broken as one.
fn whole(screen: &Screen, beginning: &str) -> String {
    wait_until("it in one line", || {
        let copied = screen.tmux(&["capture-pane", "-p", "-J"]);
        let mut lines = copied.lines().map(str::trim);
        let whole = lines.find(|line| line.starts_with(beginning))?;
        (whole.len() > 40).then(|| whole.to_owned())
    })
}

#[test]
fn a_new_link_is_copied_whole_from_a_narrow_screen() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "");
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    ann.tmux(&["resize-window", "-x", "40", "-y", "10"]);
    ann.says("/room Garden");
    ann.sees("Garden");
    ann.says("/link 7d 3");
    ann.sees("a new link");
    let link = whole(&ann, &server.url());
    let path = link.trim_start_matches(&server.url());
    assert_eq!(path.len(), "/join/".len() + 32, "{link}");
    bob.post(path, &json!({})).expect(202);
    // What it is for has no room beside it, and the border says so.
    let seen = ann.sees("↓ ");
    assert!(!seen.contains("for 3"), "{seen}");
    ann.keys(&["PageDown"]);
    ann.sees("for 3");
    ann.keys(&["Escape"]);
    ann.until("the box to be gone", |shown| !shown.contains("a new link"));
}

#[test]
fn on_a_small_screen_boxes_tell_what_is_out_of_sight_and_show_it() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "");
    let ann = Screen::start(&server, "ann");
    ann.tmux(&["resize-window", "-x", "40", "-y", "10"]);
    ann.says("/room A garden with a long name, as some have");
    ann.sees("garden");
    let rooms = server.client(&json!({"name": "eve"}));
    ann.says("/link");
    let link = whole(&ann, &server.url());
    ann.keys(&["Escape"]);
    let path = link.trim_start_matches(&server.url());
    let askers: Vec<_> = (1..=5)
        .map(|number| server.connect(&format!("somebody{number}")))
        .collect();
    for asker in &askers {
        asker.post(path, &json!({})).expect(202);
    }
    rooms.post(path, &json!({})).expect(202);
    ann.sees("6 ask to come in");
    ann.keys(&["F1"]);
    let help = ann.sees("↓ ");
    assert!(help.contains("Esc closes"), "{help}");
    ann.keys(&["PageDown"]);
    ann.sees("↑ 10 more");
    ann.keys(&["Escape"]);
    ann.until("the help to be gone", |shown| !shown.contains("Esc closes"));
    ann.keys(&["F3"]);
    let asks = ann.sees("somebody1 asks");
    assert!(
        asks.contains("a yes, r no") && asks.contains("↓ "),
        "{asks}"
    );
    // A line that is longer than the screen is wide goes on in the next row.
    assert!(asks.contains("some have"), "{asks}");
    for _ in 0..6 {
        ann.keys(&["Down"]);
    }
    let last = ann.until("the last", |shown| !shown.contains("↓ "));
    assert!(last.contains("↑ ") && last.contains(" asks"), "{last}");
    ann.keys(&["Escape"]);
    ann.types("/approve some");
    ann.keys(&["Tab"]);
    // What Tab has taken is in sight, and how many there are.
    for number in [1, 2, 3, 4, 5] {
        let seen = ann.sees(&format!("[somebody{number}]"));
        assert!(seen.contains(&format!("({number} of 5)")), "{seen}");
        ann.keys(&["Tab"]);
    }
}

#[test]
fn a_subscriptions_secret_is_copied_whole_and_the_list_begins_lines() {
    if !has(&["subscriptions"]) {
        return;
    }
    let server = Server::only("subscriptions", "");
    let ann = Screen::start(&server, "ann");
    ann.tmux(&["resize-window", "-x", "40", "-y", "16"]);
    ann.says("/subscriptions");
    ann.sees("you have no subscriptions");
    ann.keys(&["n"]);
    ann.sees("common> /subscribe");
    ann.says("https://hooks.example/said");
    ann.sees("a new subscription's secret");
    let secret = whole(&ann, "whsec_");
    assert_eq!(secret.len(), "whsec_".len() + 44, "{secret}");
    ann.keys(&["Escape"]);
    ann.says("/subscriptions");
    let listed = ann.sees("common to");
    assert!(listed.contains("n new, d ends, o again"), "{listed}");
    ann.keys(&["o"]);
    ann.sees("common> /resubscribe #");
    ann.keys(&["Enter"]);
    ann.sees("is tried again now");
    ann.says("/subscriptions");
    ann.sees("common to");
    ann.keys(&["d"]);
    ann.sees("common> /unsubscribe #");
    ann.keys(&["Enter"]);
    ann.sees("is no more");
}
