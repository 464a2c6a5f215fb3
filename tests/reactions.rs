//! The reactions feature: emoji on messages, counted, taken back, and gone with the message.

#![cfg(has_feature = "reactions")]

use std::time::Duration;

use serde_json::{Value, json};
use veche::testing::{Client, Event, Reply, Server, binary, encode, features, run};

/// What is gone may still be found for so long in the files of a running server.
const FORGOTTEN: Duration = Duration::from_secs(60);

fn server(settings: &str) -> Server {
    Server::only("reactions", settings)
}

fn react(client: &Client, message: &Value, emoji: &str) -> Reply {
    let body = json!({"message": message["id"], "emoji": emoji});
    client.post("/react", &body)
}

fn take_back(client: &Client, message: &Value, emoji: &str) -> Reply {
    let body = json!({"message": message["id"], "emoji": emoji, "on": false});
    client.post("/react", &body)
}

/// The emoji of a message that is shown, each with its count and whether it is one's own.
fn shown(message: &Value) -> Vec<(String, u64, bool)> {
    let all = message["reactions"].as_array().into_iter().flatten();
    all.map(|one| {
        let emoji = one["emoji"].as_str().unwrap_or_default().to_owned();
        let count = one["count"].as_u64().unwrap_or_default();
        (emoji, count, one["mine"] == true)
    })
    .collect()
}

fn seen(client: &Client, message: &Value) -> Vec<(String, u64, bool)> {
    let path = format!("/messages/{}", message["id"]);
    shown(&client.get(&path).expect(200))
}

fn one(emoji: &str, count: u64, mine: bool) -> (String, u64, bool) {
    (emoji.to_owned(), count, mine)
}

fn who(client: &Client, message: &Value, query: &str) -> (Vec<String>, bool) {
    let path = format!("/messages/{}/reactions?{query}", message["id"]);
    let page = client.get(&path).expect(200);
    let all = page["reactions"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names = all
        .iter()
        .map(|one| text(&one["user"]) + &text(&one["emoji"]));
    (names.collect(), page["more"] == true)
}

fn has(names: &[&str]) -> bool {
    let all = features(&binary());
    names.iter().all(|name| all.iter().any(|one| one == name))
}

/// This and other features, the rest off.
fn with(names: &[&str], settings: &str) -> Server {
    let all = features(&binary());
    let is_off = |name: &&String| !["reactions"].iter().chain(names).any(|on| on == name);
    let off = all.iter().filter(is_off);
    let off = off.map(|name| format!("[features.{name}]\nenabled = false\n"));
    Server::with(off.collect::<String>() + settings)
}

fn reactions(events: Vec<Event>) -> Vec<Value> {
    let events = events.into_iter();
    let events = events.filter(|event| event.event == "reaction");
    events.map(|event| event.data).collect()
}

#[test]
fn each_emoji_of_each_user_counts_once_and_shows_wherever_the_message_does() {
    let server = server("");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let message = ann.say("hello");
    assert!(message.get("reactions").is_none(), "{message}");
    for (client, emoji, count) in [(&bob, "🎉", 1), (&ann, "👍", 1), (&bob, "👍", 2)] {
        // What is read often is kept at hand: it must follow.
        ann.messages("common");
        bob.status();
        let made = react(client, &message, emoji).expect(200);
        let id = &message["id"];
        let expected = json!({"message": id, "emoji": emoji, "on": true, "count": count});
        assert_eq!(made, expected);
    }
    let hers = vec![one("🎉", 1, false), one("👍", 2, true)];
    let his = vec![one("🎉", 1, true), one("👍", 2, true)];
    for (client, expected) in [(&ann, hers), (&bob, his)] {
        assert_eq!(seen(client, &message), expected);
        assert_eq!(shown(&client.messages("common")[0]), expected);
        assert_eq!(shown(&client.history("common")[0]), expected);
        assert_eq!(shown(&client.chat("common")["last"]), expected);
        assert_eq!(shown(&client.again().welcome["history"][0]), expected);
    }
    assert_eq!(shown(&bob.unread()[0]).len(), 2);
    let eve = server.connect("eve");
    let expected = [one("🎉", 1, false), one("👍", 2, false)];
    assert_eq!(seen(&eve, &message), expected);
}

#[test]
fn the_same_again_changes_nothing_and_is_told_to_nobody() {
    let server = server("");
    let ann = server.connect("ann");
    let message = ann.say("hello");
    let mut events = ann.events();
    let cursor = ann.cursor();
    for count in [0, 1, 1] {
        if count == 0 {
            let never = take_back(&ann, &message, "👍").expect(200);
            assert_eq!((&never["on"], &never["count"]), (&json!(false), &json!(0)));
        } else {
            assert_eq!(react(&ann, &message, "👍").expect(200)["count"], 1);
        }
    }
    for _ in 0..2 {
        assert_eq!(take_back(&ann, &message, "👍").expect(200)["count"], 0);
    }
    ann.say("marker");
    let told = reactions(events.until_text("marker"));
    let told: Vec<_> = told
        .iter()
        .map(|data| (&data["on"], &data["count"]))
        .collect();
    assert_eq!(
        told,
        [(&json!(true), &json!(1)), (&json!(false), &json!(0))]
    );
    assert!(seen(&ann, &message).is_empty());
    // Two that were recorded, one that made room for the other, and the marker.
    let at = |cursor: &str| {
        cursor
            .rsplit('-')
            .next()
            .and_then(|pos| pos.parse::<u64>().ok())
    };
    let facts = at(&ann.cursor())
        .zip(at(&cursor))
        .map(|(now, then)| now - then);
    assert_eq!(facts, Some(4));
}

#[test]
fn those_who_see_the_message_are_told_on_each_of_their_clients() {
    let server = server("");
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let secret = ann.tell("bob", "psst");
    let streams = [&ann, &bob, &bob.again()].map(Client::events);
    let mut others = eve.events();
    let cursor = eve.cursor();
    react(&bob, &secret, "👀").expect(200);
    react(&ann, &secret, "👀").expect(200);
    for mut events in streams {
        let first = events.next("reaction");
        assert!(first.id.is_some());
        let place = first.data["first"].clone();
        let told = |user, count| {
            json!({"message": secret["id"], "user": user, "emoji": "👀", "on": true, "count": count,
                "first": place})
        };
        assert_eq!(first.data, told("bob", 1));
        assert_eq!(events.next("reaction").data, told("ann", 2));
    }
    ann.say("marker");
    assert!(reactions(others.until_text("marker")).is_empty());
    let mut resumed = eve.events_after(&cursor);
    assert!(reactions(resumed.until_text("marker")).is_empty());
}

#[test]
fn who_may_not_see_the_message_is_answered_as_if_there_were_none() {
    let server = server("");
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let secret = ann.tell("bob", "psst");
    react(&bob, &secret, "👀").expect(200);
    let nothing = json!({"id": 9_007_199_254_740_991_u64});
    let mut refusals = Vec::new();
    for message in [&secret, &nothing] {
        let path = format!("/messages/{}/reactions", message["id"]);
        for reply in [
            react(&eve, message, "👀"),
            take_back(&eve, message, "👀"),
            eve.get(&path),
            eve.get(&format!("{path}?emoji={}", encode("👀"))),
        ] {
            refusals.push(reply.problem(404, "not_found"));
        }
    }
    assert_eq!(refusals[..4], refusals[4..]);
    assert_eq!(seen(&ann, &secret), [one("👀", 1, false)]);
}

#[test]
fn one_emoji_has_one_spelling_and_each_skin_is_its_own() {
    let server = server("");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let message = ann.say("hello");
    for (client, written, count) in [(&ann, "❤", 1), (&bob, "❤\u{fe0f}", 2)] {
        let made = react(client, &message, written).expect(200);
        assert_eq!(made["emoji"], "❤\u{fe0f}");
        assert_eq!(made["count"], count);
    }
    assert_eq!(react(&ann, &message, "👍🏽").expect(200)["emoji"], "👍🏽");
    react(&ann, &message, "👍").expect(200);
    let expected = [
        one("❤\u{fe0f}", 2, true),
        one("👍🏽", 1, true),
        one("👍", 1, true),
    ];
    assert_eq!(seen(&ann, &message), expected);
    assert_eq!(
        who(&ann, &message, &format!("emoji={}", encode("❤")))
            .0
            .len(),
        2
    );
    for wrong in ["", "a", "👍👍", "thumbsup", "👍 ", "1"] {
        let problem = react(&ann, &message, wrong).problem(422, "invalid");
        assert_eq!(problem["field"], "emoji", "{wrong}");
    }
    let path = format!("/messages/{}/reactions?emoji=x", message["id"]);
    ann.get(&path).problem(422, "invalid");
    for body in [
        json!({"message": message["id"]}),
        json!({"emoji": "👍"}),
        json!({"message": "x", "emoji": "👍"}),
        json!({"message": message["id"], "emoji": "👍", "on": "yes"}),
    ] {
        ann.post("/react", &body).problem(422, "invalid");
    }
}

#[test]
fn a_message_has_so_many_different_emoji_and_as_many_users_of_each_as_there_are() {
    let server = server("emojis = 2");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let message = ann.say("hello");
    react(&ann, &message, "👍").expect(200);
    react(&ann, &message, "🎉").expect(200);
    react(&ann, &message, "👀").problem(409, "too_many_reactions");
    take_back(&ann, &message, "👀").expect(200);
    react(&bob, &message, "🎉").expect(200);
    take_back(&ann, &message, "🎉").expect(200);
    react(&ann, &message, "👀").problem(409, "too_many_reactions");
    take_back(&bob, &message, "🎉").expect(200);
    react(&ann, &message, "👀").expect(200);
    assert_eq!(
        seen(&ann, &message),
        [one("👍", 1, true), one("👀", 1, true)]
    );
}

#[test]
fn an_emoji_keeps_its_place_while_anybody_has_it_there() {
    let server = server("");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let message = ann.say("hello");
    react(&ann, &message, "👍").expect(200);
    react(&ann, &message, "🎉").expect(200);
    react(&bob, &message, "👍").expect(200);
    take_back(&ann, &message, "👍").expect(200);
    assert_eq!(
        seen(&bob, &message),
        [one("👍", 1, true), one("🎉", 1, false)]
    );
    take_back(&bob, &message, "👍").expect(200);
    react(&bob, &message, "👍").expect(200);
    assert_eq!(
        seen(&bob, &message),
        [one("🎉", 1, false), one("👍", 1, true)]
    );
}

#[test]
fn who_has_reacted_comes_in_pages_oldest_first() {
    let server = server("");
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let (message, other) = (ann.say("hello"), ann.say("other"));
    for (client, emoji) in [(&bob, "👍"), (&eve, "🎉"), (&ann, "👍"), (&eve, "👍")] {
        react(client, &message, emoji).expect(200);
        react(client, &other, emoji).expect(200);
    }
    take_back(&eve, &message, "👍").expect(200);
    assert_eq!(
        who(&ann, &message, ""),
        (vec!["bob👍".into(), "eve🎉".into(), "ann👍".into()], false)
    );
    assert_eq!(
        who(&ann, &message, "limit=2"),
        (vec!["bob👍".into(), "eve🎉".into()], true)
    );
    let path = format!("/messages/{}/reactions?limit=2", message["id"]);
    let last = ann.get(&path).expect(200)["reactions"][1]["id"].clone();
    assert_eq!(
        who(&ann, &message, &format!("after={last}")),
        (vec!["ann👍".into()], false)
    );
    let thumbs = format!("emoji={}", encode("👍"));
    assert_eq!(
        who(&ann, &message, &thumbs),
        (vec!["bob👍".into(), "ann👍".into()], false)
    );
    let some = format!("{thumbs}&limit=1");
    assert_eq!(who(&ann, &message, &some), (vec!["bob👍".into()], true));
    assert!(
        who(&ann, &message, &format!("emoji={}", encode("👀")))
            .0
            .is_empty()
    );
    ann.get(&format!("{path}&after=x")).problem(422, "invalid");
}

#[test]
fn a_reaction_is_no_message_and_counts_for_no_limit() {
    let server = if has(&["rate_limit"]) {
        with(&["rate_limit"], "[features.rate_limit]\nmessages = 1\n")
    } else {
        server("")
    };
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let message = ann.say("hello");
    bob.read_all();
    for emoji in ["👍", "🎉", "👀"] {
        let reply = react(&ann, &message, emoji);
        reply.expect(200);
        assert!(reply.header("ratelimit").is_none());
    }
    assert!(bob.unread().is_empty());
    assert_eq!(bob.texts("common"), ["hello"]);
}

#[test]
fn who_is_banned_may_not_react_and_may_take_back() {
    if !has(&["complaints"]) {
        return;
    }
    let server = with(&["complaints"], "[features.complaints]\nwarnings = 1\n");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let message = ann.say("hello");
    react(&bob, &message, "👍").expect(200);
    ann.post("/complaints", &json!({"user": "bob"})).expect(201);
    react(&bob, &message, "🎉").problem(403, "banned");
    react(&bob, &message, "👍").problem(403, "banned");
    assert_eq!(take_back(&bob, &message, "👍").expect(200)["count"], 0);
}

#[test]
fn a_repeat_with_its_key_is_answered_again_until_the_message_is_gone() {
    if !has(&["edits"]) {
        return;
    }
    let server = with(&["edits"], "");
    let ann = server.connect("ann");
    let message = ann.say("hello");
    let body = json!({"message": message["id"], "emoji": "👍"});
    let first = ann.post_once("k", "/react", &body).expect(200);
    take_back(&ann, &message, "👍").expect(200);
    let again = ann.post_once("k", "/react", &body);
    assert_eq!(again.expect(200), first);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert!(seen(&ann, &message).is_empty(), "nothing was done twice");
    let edit = json!({"message": message["id"], "text": "another"});
    ann.post("/edit", &edit).expect(200);
    assert_eq!(ann.post_once("k", "/react", &body).expect(200), first);
    ann.post("/remove", &json!({"message": message["id"]}))
        .expect(204);
    ann.post_once("k", "/react", &body).problem(410, "gone");
}

#[test]
fn an_edit_leaves_them_and_its_answer_shows_them() {
    if !has(&["edits"]) {
        return;
    }
    let server = with(&["edits"], "");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let message = ann.say("helo");
    react(&bob, &message, "👍").expect(200);
    react(&ann, &message, "👀").expect(200);
    let expected = [one("👍", 1, false), one("👀", 1, true)];
    for _ in 0..2 {
        let edit = json!({"message": message["id"], "text": "hello"});
        assert_eq!(shown(&ann.post("/edit", &edit).expect(200)), expected);
    }
    assert_eq!(seen(&ann, &message), expected);
}

#[test]
fn they_go_with_their_message_from_every_file() {
    if !has(&["ttl"]) {
        return;
    }
    let mut server = with(&["ttl"], "[features.ttl]\nafter = \"2s\"\n");
    let ann = server.connect("ann");
    let cursor = ann.cursor();
    let mut events = ann.events();
    let message = ann.say("hello");
    // Emoji that stand nowhere else.
    react(&ann, &message, "🫎").expect(200);
    react(&ann, &message, "🪿").expect(200);
    take_back(&ann, &message, "🪿").expect(200);
    let body = json!({"message": message["id"], "emoji": "🪼"});
    ann.post_once("k", "/react", &body).expect(200);
    events.next("removed");
    for emoji in ["🫎", "🪿", "🪼"] {
        server.forgets(FORGOTTEN, emoji);
    }
    let path = format!("/messages/{}/reactions", message["id"]);
    ann.get(&path).problem(404, "not_found");
    react(&ann, &message, "👍").problem(404, "not_found");
    ann.say("marker");
    let mut resumed = ann.events_after(&cursor);
    assert!(reactions(resumed.until_text("marker")).is_empty());
    server.stop();
    for emoji in ["🫎", "🪿", "🪼"] {
        assert!(server.holding(emoji).is_empty(), "{emoji}");
    }
}

#[test]
fn they_and_their_events_are_kept_over_a_stop_and_a_crash() {
    let mut server = server("");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let cursor = bob.cursor();
    let message = ann.say("hello");
    react(&ann, &message, "👍").expect(200);
    react(&ann, &message, "🎉").expect(200);
    server.restart();
    react(&bob, &message, "👍").expect(200);
    take_back(&ann, &message, "👍").expect(200);
    server.kill();
    server.restart();
    assert_eq!(
        seen(&bob, &message),
        [one("👍", 1, true), one("🎉", 1, false)]
    );
    assert_eq!(who(&ann, &message, "").0, ["ann🎉", "bob👍"]);
    ann.say("marker");
    // What was taken back is told as that alone; the last of each emoji says how many there are.
    let told = reactions(bob.events_after(&cursor).until_text("marker"));
    let told = told.iter().map(|data| {
        let text = |name: &str| data[name].to_string();
        [text("user"), text("emoji"), text("on"), text("count")].join(" ")
    });
    let expected = [
        "\"ann\" \"🎉\" true 1",
        "\"bob\" \"👍\" true 2",
        "\"ann\" \"👍\" false 1",
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let arguments = ["verify".as_ref(), "--data".as_ref()];
    server.stop();
    let data = server.data();
    let found = run(
        server.folder().path(),
        [arguments[0], arguments[1], data.as_os_str()],
    );
    assert!(found.status.success(), "{found:?}");
}

#[test]
fn they_are_kept_where_the_log_was_trimmed_behind_a_snapshot() {
    let mut server = Server::builder()
        .only("reactions", "")
        .config("[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 1\n")
        .start();
    let ann = server.connect("ann");
    let message = ann.say("hello");
    react(&ann, &message, "👍").expect(200);
    for number in 0..50 {
        ann.tell("ann", &format!("m{number}"));
    }
    for count in 1..4 {
        if count == 2 {
            server.kill();
        }
        server.restart();
        assert_eq!(seen(&ann, &message), [one("👍", count, true)]);
        let other = server.connect(&format!("user{count}"));
        react(&other, &message, "👍").expect(200);
    }
}

#[test]
fn switched_off_its_paths_say_so_and_its_field_is_gone_and_switched_on_again_all_is_there() {
    let mut server = server("");
    let ann = server.connect("ann");
    let message = ann.say("hello");
    react(&ann, &message, "👍").expect(200);
    let on = server.config().to_owned();
    server.configure("[features.reactions]\nenabled = false\n");
    server.restart();
    let path = format!("/messages/{}/reactions", message["id"]);
    for reply in [ann.get(&path), react(&ann, &message, "👍")] {
        let problem = reply.problem(404, "feature_off");
        assert!(problem.to_string().contains("reactions"), "{problem}");
    }
    assert!(ann.messages("common")[0].get("reactions").is_none());
    server.configure(on);
    server.restart();
    assert_eq!(seen(&ann, &message), [one("👍", 1, true)]);
}

#[test]
fn in_a_room_those_see_them_who_see_the_message() {
    if !has(&["rooms"]) {
        return;
    }
    let server = with(&["rooms"], "");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let room = ann.post("/rooms", &json!({"title": "Kitchen"})).expect(201);
    let address = room["room"].as_str().unwrap_or_default().to_owned();
    let path = format!("/rooms/{}", address.trim_start_matches("room:"));
    let early = ann.send(&address, "early").expect(201);
    ann.post(&format!("{path}/invites"), &json!({"user": "bob"}))
        .expect(201);
    bob.post(&format!("{path}/join"), &json!({})).expect(200);
    let late = ann.send(&address, "late").expect(201);
    let mut his = bob.events();
    react(&ann, &early, "👍").expect(200);
    react(&ann, &late, "🎉").expect(200);
    react(&bob, &early, "👍").problem(404, "not_found");
    assert_eq!(his.next("reaction").data["emoji"], "🎉");
    react(&bob, &late, "🎉").expect(200);
    bob.post(&format!("{path}/leave"), &json!({})).expect(204);
    take_back(&bob, &late, "🎉").problem(404, "not_found");
    // Who has gone has said what they said.
    assert_eq!(seen(&ann, &late), [one("🎉", 2, true)]);
}
