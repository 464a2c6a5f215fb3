//! Rooms from the console.

use serde_json::json;
use veche::testing::{Server, wait_until};

use crate::{Console, has};

#[test]
fn a_room_is_made_entered_by_invitation_and_left() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "");
    let (mut ann, mut bob) = (
        Console::start(&server, "ann"),
        Console::start(&server, "bob"),
    );
    bob.types("/me", &["you are bob"]);
    ann.types("/rooms", &["you are in no room: /room TITLE makes one"]);
    ann.types("/invite bob", &["! common is no room"]);
    ann.write("/room --all The Garden");
    ann.write("before bob");
    ann.sees(&["you have made \"The Garden\""]);
    ann.types("/invite @BOB", &["bob is invited to \"The Garden\""]);
    bob.sees(&["ann invites you to \"The Garden\": /join The Garden"]);
    bob.write("/join the garden");
    bob.write("hello");
    ann.sees(&["[The Garden] bob: hello"]);
    bob.types("/history", &["[The Garden] ann: before bob"]);
    ann.sees(&["· bob is in \"The Garden\" now"]);
    ann.types(
        "/rooms",
        &["[The Garden] (yours, with its whole history): ann, bob"],
    );
    ann.types("/invite eve", &["! there is no such user"]);
    bob.types("/kick ann", &["! only the room's owner may do this"]);
    ann.types("/kick bob", &["· bob was removed from \"The Garden\""]);
    bob.sees(&[
        "· you were removed from \"The Garden\"; plain lines are refused until /to names a chat",
    ]);
    bob.types(
        "am I there?",
        &["! not sent: there is no chat", "am I there?"],
    );
    bob.types("/to The Garden", &["! \"The Garden\" is no chat"]);
    bob.types("lost", &["! not sent: there is no chat", "\"lost\""]);
    bob.types("/to common", &[]);
    bob.write("back");
    ann.sees(&["bob: back"]);
    ann.types(
        "/leave",
        &["· you left \"The Garden\"; plain lines are refused until /to names a chat"],
    );
    ann.types(
        "for the room",
        &["! not sent: there is no chat", "\"for the room\""],
    );
    ann.types("/history", &["! not done: there is no chat"]);
    ann.write("/to common");
    ann.write("alone");
    bob.sees(&["ann: alone"]);
    assert_eq!(server.connect("eve").texts("common"), ["back", "alone"]);
    let (ok, seen) = ann.end();
    assert!(!ok, "refused lines are told by the status");
    for told_once in ["is invited", "was removed", "you left"] {
        assert_eq!(seen.matches(told_once).count(), 1, "{told_once}: {seen}");
    }
}

#[test]
fn lines_for_a_room_that_is_only_asked_for_go_to_nobody() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "");
    let ann = server.connect("ann");
    let room = ann.post("/rooms", &json!({"title": "Zoo"})).expect(201);
    let id = room["room"].as_str().unwrap_or_default();
    let id = id.trim_start_matches("room:");
    let link = ann
        .post(&format!("/rooms/{id}/links"), &json!({}))
        .expect(201);
    let url = link["url"].as_str().unwrap_or_default().to_owned();
    let mut bob = Console::start(&server, "bob");
    bob.types(
        &format!("/join {url}"),
        &["you asked to come into \"Zoo\": its owner decides"],
    );
    bob.types(
        "for the Zoo only",
        &["! not sent: there is no chat", "\"for the Zoo only\""],
    );
    assert!(ann.texts("common").is_empty());
}

#[test]
fn a_link_lets_people_ask_and_the_owner_decide() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "cooldown = \"1h\"");
    let mut ann = Console::start(&server, "ann");
    ann.types("/room Garden", &["you have made \"Garden\""]);
    let url = ann.types("/link 7d 3", &["/join/"]);
    let url = url.trim_start_matches("· ").to_owned();
    assert!(url.starts_with(&server.url()), "{url}");
    ann.sees(&["asks to come into [Garden]", "until ", "for 3"]);
    ann.types("/to common", &[]);
    let (mut bob, mut eve) = (
        Console::start(&server, "bob"),
        Console::start(&server, "eve"),
    );
    bob.types("/join nonsense", &["! there is no such link"]);
    bob.types(
        &format!("/join {url}"),
        &["you asked to come into \"Garden\""],
    );
    ann.sees(&["bob asks to come into \"Garden\": /approve bob or /refuse bob"]);
    let code = url.rsplit('/').next().unwrap_or_default().to_owned();
    eve.types(
        &format!("/join {code}"),
        &["you asked to come into \"Garden\""],
    );
    ann.sees(&["eve asks to come into \"Garden\""]);
    ann.types("/requests", &["requests:"]);
    // From wherever she is.
    ann.types("/approve BOB", &["bob is in \"Garden\" now"]);
    bob.sees(&["you are in \"Garden\" now: /to Garden"]);
    bob.write("/to garden");
    bob.write("thanks");
    ann.sees(&["[Garden] bob: thanks"]);
    ann.types("/refuse eve", &["eve is not let into \"Garden\""]);
    eve.sees(&["you are not let into \"Garden\""]);
    eve.types(
        &format!("/join {code}"),
        &["! the request was refused; ask again in "],
    );
    ann.types(
        "/approve eve",
        &["! eve does not ask to come into a room of yours"],
    );
    ann.write("/to Garden");
    ann.types("/unlink", &["no link leads into [Garden] any more"]);
    let mut carl = Console::start(&server, "carl");
    carl.types(&format!("/join {code}"), &["! there is no such link"]);
    let (_, seen) = ann.end();
    assert_eq!(seen.matches("bob is in").count(), 1, "{seen}");
}

#[test]
fn a_room_is_named_whatever_its_title_is() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "");
    let ann = server.connect("ann");
    let mut bob = Console::start(&server, "bob");
    bob.types("/me", &["you are bob"]);
    let make = |title: &str| {
        let made = ann.post("/rooms", &json!({ "title": title })).expect(201);
        let room = made["room"].as_str().unwrap_or_default().to_owned();
        let path = format!("/rooms/{}/invites", room.trim_start_matches("room:"));
        ann.post(&path, &json!({"user": "bob"})).expect(201);
        room
    };
    let attic = make(" Attic \u{200f}");
    let short = &attic[..13];
    bob.sees(&[
        "ann invites you to \" Attic \\u{200f}\": ",
        &format!("/join {short}"),
    ]);
    bob.types("/rooms", &[&format!("{short} ann invites you to")]);
    bob.types("/join attic", &["you are in [ Attic \\u{200f}] now"]);
    let cellar = make("Cellar ");
    bob.types(
        &format!("/join {}", &cellar[..13]),
        &["you are in [Cellar ] now"],
    );
    bob.types(
        "/rooms",
        &[&format!("{short} [ Attic \\u{{200f}}] (ann's): ann, bob")],
    );
    // One that is titled like the beginning of another's address.
    let trap = make(short);
    bob.sees(&["ann invites you to", &format!("/join {}", &trap[..13])]);
    bob.types(
        &format!("/join {short}"),
        &["! ", "is a title and how an address begins", &attic, &trap],
    );
    bob.types(
        &format!("/join {trap}"),
        &[&format!("you are in [{short}] now")],
    );
    bob.types(
        &format!("/to {short}"),
        &["! ", "how an address begins: ", &attic, &trap],
    );
    bob.types("lost", &["! not sent: there is no chat", "\"lost\""]);
    bob.write(&format!("/to {attic}"));
    bob.write("up here");
    bob.write("/to cellar");
    bob.write("down here");
    bob.write(&format!("/msg {} psst", &attic[..12]));
    wait_until("what bob says", || {
        (ann.texts(&attic) == ["up here", "psst"] && ann.texts(&cellar) == ["down here"])
            .then_some(())
    });
}

#[test]
fn a_title_of_somebody_elses_steers_no_terminal() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "");
    let ann = server.connect("ann");
    let mut bob = Console::start(&server, "bob");
    bob.types("/me", &["you are bob"]);
    let title = json!({"title": "nice\u{202e}knil"});
    let made = ann.post("/rooms", &title).expect(201);
    let room = made["room"].as_str().unwrap_or_default();
    let path = format!("/rooms/{}/invites", room.trim_start_matches("room:"));
    ann.post(&path, &json!({"user": "bob"})).expect(201);
    bob.sees(&["ann invites you to \"nice\\u{202e}knil\""]);
    bob.types(
        &format!("/join {room}"),
        &["you are in [nice\\u{202e}knil] now"],
    );
    let (_, seen) = bob.end();
    assert!(!seen.contains('\u{202e}'), "{seen:?}");
}
