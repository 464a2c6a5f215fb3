//! Rooms as channels.

use serde_json::json;

use super::stage::{Irc, bare, said, server};

#[test]
fn a_room_is_made_and_entered_by_invitation_and_left() {
    let server = server("", "");
    let (mut ann, mut bob) = (Irc::plain(&server, "ann"), Irc::plain(&server, "bob"));
    ann.send("JOIN #kitchen");
    let lines = ann.until(" NOTICE ");
    let begin = lines
        .iter()
        .position(|line| line.starts_with(":ann!ann@veche JOIN #kitchen~"))
        .expect("a JOIN");
    let kitchen = lines[begin].split(' ').nth(2).unwrap();
    let expected = [
        format!(":irc.veche 470 ann #kitchen {kitchen} :That is its name"),
        format!(":ann!ann@veche JOIN {kitchen}"),
        format!(":irc.veche 332 ann {kitchen} :kitchen"),
        format!(":irc.veche 353 ann = {kitchen} :@ann"),
        format!(":irc.veche 366 ann {kitchen} :End of /NAMES list"),
    ];
    assert_eq!(lines[begin - 1..begin + 4], expected);
    assert!(lines[begin + 4].contains(&format!("{kitchen} is a new room")));
    // Who is not invited makes a room of their own, and sees nothing of this one.
    bob.send("LIST");
    assert!(
        !bob.until(" 323 ")
            .iter()
            .any(|line| line.contains("#kitchen"))
    );
    bob.send("PRIVMSG #kitchen :let me in");
    bob.line(" 403 bob #kitchen ");
    ann.send(&format!("INVITE nobody {kitchen}"));
    ann.line(" 401 ann nobody ");
    ann.send(&format!("INVITE bob {kitchen}"));
    ann.line(&format!(" 341 ann bob {kitchen}"));
    assert_eq!(
        bob.line("INVITE"),
        format!(":ann!ann@veche INVITE bob {kitchen}")
    );
    bob.send("LIST");
    assert!(
        bob.until(" 323 ")
            .iter()
            .any(|line| line.contains(&format!(" 322 bob {kitchen} 0 :kitchen (ann")))
    );
    bob.send("JOIN #KITCHEN");
    bob.line(&format!(" 353 bob = {kitchen} :@ann bob"));
    assert_eq!(
        ann.line(&format!("JOIN {kitchen}")),
        format!(":bob!bob@veche JOIN {kitchen}")
    );
    ann.send(&format!("INVITE bob {kitchen}"));
    ann.line(&format!(" 443 ann bob {kitchen} "));
    bob.send(&format!("PRIVMSG {kitchen} :hello"));
    assert_eq!(
        ann.line("hello"),
        format!(":bob!bob@veche PRIVMSG {kitchen} :hello")
    );
    bob.send(&format!("INVITE cat {kitchen}"));
    bob.line(&format!(" 482 bob {kitchen} "));
    for (line, answer) in [
        (format!("MODE {kitchen}"), format!(" 324 bob {kitchen} +in")),
        (
            format!("TOPIC {kitchen} :x"),
            format!(" 482 bob {kitchen} "),
        ),
        (
            format!("WHO {kitchen}"),
            format!(" 352 bob {kitchen} ann veche irc.veche ann H@ :0 ann"),
        ),
        (
            "WHOIS ann".to_owned(),
            format!(" 319 bob ann :#common @{kitchen}"),
        ),
        (
            format!("NAMES {kitchen}"),
            format!(" 353 bob = {kitchen} :@ann bob"),
        ),
    ] {
        bob.send(&line);
        bob.line(&answer);
    }
    // The owner leaves: the room is the other's, and the leaver's no more.
    ann.send(&format!("PART {kitchen} :bye"));
    assert_eq!(
        ann.line(&format!("PART {kitchen}")),
        format!(":ann!ann@veche PART {kitchen}")
    );
    assert_eq!(
        bob.line(&format!("PART {kitchen}")),
        format!(":ann!ann@veche PART {kitchen}")
    );
    assert_eq!(
        bob.line("MODE"),
        format!(":irc.veche MODE {kitchen} +o bob")
    );
    bob.send(&format!("PRIVMSG {kitchen} :alone"));
    bob.sync();
    ann.send(&format!("PRIVMSG {kitchen} :still there?"));
    ann.line(&format!(" 403 ann {kitchen} "));
    assert!(said(&ann.sync()).is_empty());
    // The common chat is left for this connection alone.
    ann.send("PART #common");
    ann.line("PART #common");
    bob.send("PRIVMSG #common :anyone?");
    bob.sync();
    assert!(said(&ann.sync()).is_empty());
    ann.send("JOIN #common");
    ann.line(" 366 ann #common ");
    bob.send("PRIVMSG #common :back?");
    ann.line("back?");
}

#[test]
fn only_the_owner_kicks() {
    let server = server("", "");
    let (mut ann, mut bob) = (Irc::plain(&server, "ann"), Irc::plain(&server, "bob"));
    let hall = ann.joins("#hall");
    ann.send(&format!("INVITE bob {hall}"));
    bob.line("INVITE");
    assert_eq!(bob.joins("#hall"), hall);
    bob.send(&format!("KICK {hall} ann :out"));
    bob.line(&format!(" 482 bob {hall} "));
    ann.send(&format!("KICK {hall} nobody"));
    ann.line(&format!(" 441 ann nobody {hall} "));
    ann.send(&format!("KICK {hall} ann"));
    let line = ann.line(&format!(" 482 ann {hall} "));
    assert!(line.ends_with(":One leaves one's own channel by PART"));
    ann.send(&format!("KICK {hall} bob :out"));
    let kick = format!(":ann!ann@veche KICK {hall} bob :removed");
    assert_eq!(bob.line("KICK"), kick);
    assert_eq!(ann.line("KICK"), kick);
    bob.send(&format!("PRIVMSG {hall} :hello?"));
    bob.line(&format!(" 403 bob {hall} "));
}

#[test]
fn a_title_alone_is_never_taken_for_a_room_but_by_join() {
    let server = server("", "");
    let mut ann = Irc::plain(&server, "ann");
    let (mut bob, mut eve) = (Irc::plain(&server, "bob"), Irc::plain(&server, "eve"));
    let den = ann.joins("#den");
    ann.send(&format!("INVITE bob {den}"));
    bob.line("INVITE");
    assert_eq!(bob.joins("#Den"), den);
    let trap = eve.joins("#den");
    eve.send(&format!("INVITE bob {trap}"));
    bob.line(&format!("INVITE bob {trap}"));
    // It could be either now.
    bob.send("JOIN #den");
    let line = bob.line(" 437 bob #den ");
    assert!(line.contains(&den) && line.contains(&trap), "{line}");
    assert_eq!(bob.joins(&trap), trap);
    ann.send(&format!("KICK {den} bob"));
    bob.line(&format!("KICK {den} bob"));
    // Whichever is left, it is not what the title means.
    for name in ["#den", &den] {
        for command in ["PRIVMSG", "NOTICE", "TAGMSG"] {
            bob.send(&format!("{command} {name} :secret"));
            bob.line(&format!(" 403 bob {name} "));
        }
        for command in ["TOPIC", "MODE"] {
            bob.send(&format!("{command} {name}"));
            bob.line(&format!(" 403 bob {name} "));
        }
        bob.send(&format!("PART {name}"));
        bob.line(&format!(" 442 bob {name} "));
    }
    assert!(said(&eve.sync()).is_empty() && said(&ann.sync()).is_empty());
    // By JOIN it is, under its own name, and no further room is made.
    assert_eq!(bob.joins("#den"), trap);
    bob.send("LIST");
    let lines = bob.until(" 323 ");
    assert_eq!(
        lines.iter().filter(|line| line.contains("#den")).count(),
        1,
        "{lines:#?}"
    );
}

#[test]
fn two_invitations_of_one_title_have_two_names() {
    let server = server("", "");
    let mut ann = Irc::plain(&server, "ann");
    let (mut bob, mut eve) = (Irc::plain(&server, "bob"), Irc::plain(&server, "eve"));
    let (one, other) = (bob.joins("#plan"), eve.joins("#plan"));
    bob.send(&format!("INVITE ann {one}"));
    ann.line(&format!(":bob!bob@veche INVITE ann {one}"));
    eve.send(&format!("INVITE ann {other}"));
    ann.line(&format!(":eve!eve@veche INVITE ann {other}"));
    ann.send("LIST");
    let lines = ann.until(" 323 ");
    for (name, from) in [(&one, "bob"), (&other, "eve")] {
        let row = format!(" 322 ann {name} 0 :plan ({from} invites you)");
        assert!(lines.iter().any(|line| line.contains(&row)), "{lines:#?}");
    }
    ann.send("JOIN #plan");
    ann.line(" 437 ann #plan ");
    assert_eq!(ann.joins(&other), other);
    ann.send(&format!("PRIVMSG {other} :agreed"));
    assert_eq!(
        eve.line("agreed"),
        format!(":ann!ann@veche PRIVMSG {other} :agreed")
    );
    assert!(said(&bob.sync()).is_empty());
}

#[test]
fn who_comes_is_told_of_invitations_and_requests() {
    let server = server("", "");
    let (mut ann, mut bob) = (Irc::plain(&server, "ann"), Irc::plain(&server, "bob"));
    let owner = server.client(&json!({"name": "ann", "password": super::stage::password("ann")}));
    let room = owner.post("/rooms", &json!({"title": "own"})).expect(201);
    let id = room["room"].as_str().unwrap().replace("room:", "");
    let links = format!("/rooms/{id}/links");
    let link = owner.post(&links, &json!({})).expect(201);
    ann.line(" 366 ann #own~");
    ann.quit();
    let plan = bob.joins("#plan");
    bob.send(&format!("INVITE ann {plan}"));
    bob.line(" 341 ");
    bob.send(&format!("JOIN #own {}", link["link"].as_str().unwrap()));
    bob.line("the owner has been asked");
    let mut ann = Irc::plain(&server, "ann");
    let lines = ann.sync();
    let own = format!("#own~{}", &id[..8]);
    let asked = format!("bob asks to come into {own}: INVITE bob {own} lets them in");
    assert!(
        lines.iter().any(|line| line.ends_with(&asked)),
        "{lines:#?}"
    );
    let invited = format!(":bob!bob@veche INVITE ann {plan}");
    assert!(lines.contains(&invited), "{lines:#?}");
}

#[test]
fn a_links_code_is_a_key_that_asks_and_the_owners_invite_lets_in() {
    let server = server("", "");
    let (mut ann, mut bob) = (Irc::plain(&server, "ann"), Irc::plain(&server, "bob"));
    let owner = server.client(&json!({"name": "ann", "password": super::stage::password("ann")}));
    let room = owner
        .post("/rooms", &json!({"title": "My room"}))
        .expect(201);
    let id = room["room"]
        .as_str()
        .unwrap()
        .strip_prefix("room:")
        .unwrap()
        .to_owned();
    // Made elsewhere, it is there at once, in its spelling.
    let channel = format!("#My_room~{}", &id[..8]);
    ann.line(&format!(" 332 ann {channel} :My room"));
    let link = owner
        .post(&format!("/rooms/{id}/links"), &json!({}))
        .expect(201);
    bob.send("JOIN #whatever no-such-code");
    bob.line(" 475 bob #whatever ");
    bob.send(&format!("JOIN #My_room {}", link["link"].as_str().unwrap()));
    bob.line(" NOTICE bob :#My_room: the owner has been asked");
    let notice = ann.line("asks to come into");
    let asked = format!("INVITE bob {channel} ");
    assert!(notice.contains(&asked), "{notice}");
    ann.send(&format!("INVITE bob {channel}"));
    ann.line(&format!(" 341 ann bob {channel}"));
    bob.line(&format!(" 366 bob {channel} "));
    assert_eq!(
        bare(&ann.line("JOIN #My_room")),
        format!(":bob!bob@veche JOIN {channel}")
    );
}

#[test]
fn rooms_of_one_title_are_told_apart_and_none_is_taken_for_another() {
    let server = server("", "");
    let password = super::stage::password("ann");
    let ann = server.client(&json!({"name": "ann", "password": password}));
    let make = |title: &str| {
        let room = ann.post("/rooms", &json!({"title": title})).expect(201);
        room["room"].as_str().unwrap().to_owned()
    };
    let (first, second) = (make("Twins"), make("twins"));
    let odd = make("Küche, 1st_floor");
    let mut irc = Irc::dial(&server);
    irc.send(&format!("PASS {password}"));
    irc.send("NICK ann");
    irc.send("USER a 0 * :a");
    let name = |title: &str, room: &str| format!("#{title}~{}", &room[5..13]);
    irc.until(&format!(" 366 ann {} ", name("Küche%2C_1st%5Ffloor", &odd)));
    irc.send(&format!("PRIVMSG {} :to the first", name("Twins", &first)));
    irc.send(&format!(
        "PRIVMSG {} :to the second",
        name("twins", &second)
    ));
    irc.send("PRIVMSG #twins :to which?");
    irc.line(" 403 ann #twins ");
    irc.send("JOIN #twins");
    irc.line(" 437 ann #twins ");
    irc.send(&format!(
        "PRIVMSG {} :to the odd one",
        name("küche%2c_1ST%5ffloor", &odd)
    ));
    irc.sync();
    assert_eq!(ann.texts(&first), ["to the first"]);
    assert_eq!(ann.texts(&second), ["to the second"]);
    assert_eq!(ann.texts(&odd), ["to the odd one"]);
}

#[test]
fn what_nobody_sees_in_a_title_is_spelt_and_turns_nothing_around() {
    let server = server("", "");
    let bob = server.connect("bob");
    let mut ann = Irc::plain(&server, "ann");
    let title = "kit\u{202e}chen\u{2069}";
    let room = bob.post("/rooms", &json!({"title": title})).expect(201);
    let path = format!(
        "/rooms/{}",
        room["room"].as_str().unwrap().replace("room:", "")
    );
    bob.post(&format!("{path}/invites"), &json!({"user": "ann"}))
        .expect(201);
    let line = ann.line(" INVITE ann ");
    let channel = line.split("INVITE ann ").nth(1).unwrap().to_owned();
    assert!(
        channel.starts_with("#kit%E2%80%AEchen%E2%81%A9~"),
        "{channel}"
    );
    ann.send(&format!("JOIN {channel}"));
    let lines = ann.until(" 366 ");
    let topic = lines.iter().find(|line| line.contains(" 332 ")).unwrap();
    assert!(topic.ends_with(" :kit chen "), "{topic:?}");
    // The spelling leads to the room that has the title, wherever it is typed.
    ann.send("JOIN #kit%E2%80%AEchen%E2%81%A9");
    let line = ann.line(" 470 ");
    assert!(line.contains(&format!(" {channel} ")), "{line}");
}
