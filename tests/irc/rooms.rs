//! Rooms as channels.

use serde_json::json;

use super::stage::{Irc, bare, said, server};

#[test]
fn a_room_is_made_and_entered_by_invitation_and_left() {
    let server = server("", "");
    let (mut ann, mut bob) = (Irc::plain(&server, "ann"), Irc::plain(&server, "bob"));
    ann.send("JOIN #kitchen");
    let lines = ann.until(" NOTICE ");
    let expected = [
        ":ann!ann@veche JOIN #kitchen",
        ":irc.veche 332 ann #kitchen :kitchen",
        ":irc.veche 353 ann = #kitchen :@ann",
        ":irc.veche 366 ann #kitchen :End of /NAMES list",
    ];
    let begin = lines
        .iter()
        .position(|line| line == expected[0])
        .expect("a JOIN");
    assert_eq!(lines[begin..begin + 4], expected);
    // Who is not invited makes a room of their own, and sees nothing of this one.
    bob.send("LIST");
    assert!(
        !bob.until(" 323 ")
            .iter()
            .any(|line| line.contains("#kitchen"))
    );
    bob.send("PRIVMSG #kitchen :let me in");
    bob.line(" 403 bob #kitchen ");
    ann.send("INVITE nobody #kitchen");
    ann.line(" 401 ann nobody ");
    ann.send("INVITE bob #kitchen");
    ann.line(" 341 ann bob #kitchen");
    assert_eq!(bob.line("INVITE"), ":ann!ann@veche INVITE bob #kitchen");
    bob.send("LIST");
    assert!(
        bob.until(" 323 ")
            .iter()
            .any(|line| line.contains(" 322 bob #kitchen 0 :kitchen (ann"))
    );
    bob.send("JOIN #KITCHEN");
    bob.line(" 353 bob = #kitchen :@ann bob");
    assert_eq!(ann.line("JOIN #kitchen"), ":bob!bob@veche JOIN #kitchen");
    ann.send("INVITE bob #kitchen");
    ann.line(" 443 ann bob #kitchen ");
    bob.send("PRIVMSG #kitchen :hello");
    assert_eq!(ann.line("hello"), ":bob!bob@veche PRIVMSG #kitchen :hello");
    bob.send("INVITE cat #kitchen");
    bob.line(" 482 bob #kitchen ");
    for (line, answer) in [
        ("MODE #kitchen", " 324 bob #kitchen +in"),
        ("TOPIC #kitchen :x", " 482 bob #kitchen "),
        (
            "WHO #kitchen",
            " 352 bob #kitchen ann veche irc.veche ann H@ :0 ann",
        ),
        ("WHOIS ann", " 319 bob ann :#common @#kitchen"),
        ("NAMES #kitchen", " 353 bob = #kitchen :@ann bob"),
    ] {
        bob.send(line);
        bob.line(answer);
    }
    // The owner leaves: the room is the other's, and the leaver's no more.
    ann.send("PART #kitchen :bye");
    assert_eq!(ann.line("PART #kitchen"), ":ann!ann@veche PART #kitchen");
    assert_eq!(bob.line("PART #kitchen"), ":ann!ann@veche PART #kitchen");
    assert_eq!(bob.line("MODE"), ":irc.veche MODE #kitchen +o bob");
    bob.send("PRIVMSG #kitchen :alone");
    bob.sync();
    ann.send("PRIVMSG #kitchen :still there?");
    ann.line(" 403 ann #kitchen ");
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
    ann.send("JOIN #hall");
    ann.line(" 366 ann #hall ");
    ann.send("INVITE bob #hall");
    bob.line("INVITE");
    bob.send("JOIN #hall");
    bob.line(" 366 bob #hall ");
    bob.send("KICK #hall ann :out");
    bob.line(" 482 bob #hall ");
    ann.send("KICK #hall nobody");
    ann.line(" 441 ann nobody #hall ");
    ann.send("KICK #hall bob :out");
    assert_eq!(bob.line("KICK"), ":ann!ann@veche KICK #hall bob :removed");
    assert_eq!(ann.line("KICK"), ":ann!ann@veche KICK #hall bob :removed");
    bob.send("PRIVMSG #hall :hello?");
    bob.line(" 403 bob #hall ");
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
    ann.line(" 332 ann #My_room :My room");
    let link = owner
        .post(&format!("/rooms/{id}/links"), &json!({}))
        .expect(201);
    bob.send("JOIN #whatever no-such-code");
    bob.line(" 475 bob #whatever ");
    bob.send(&format!("JOIN #My_room {}", link["link"].as_str().unwrap()));
    bob.line(" NOTICE bob :#My_room: the owner has been asked");
    let notice = ann.line("asks to come into");
    assert!(notice.contains("INVITE bob #My_room"), "{notice}");
    ann.send("INVITE bob #My_room");
    ann.line(" 341 ann bob #My_room");
    bob.line(" 366 bob #My_room ");
    assert_eq!(
        bare(&ann.line("JOIN #My_room")),
        ":bob!bob@veche JOIN #My_room"
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
    irc.until(" 366 ann #Küche%2C_1st%5Ffloor ");
    let name = |title: &str, room: &str| format!("#{title}~{}", &room[5..13]);
    irc.send(&format!("PRIVMSG {} :to the first", name("Twins", &first)));
    irc.send(&format!(
        "PRIVMSG {} :to the second",
        name("twins", &second)
    ));
    irc.send("PRIVMSG #twins :to which?");
    irc.line(" 403 ann #twins ");
    irc.send("JOIN #twins");
    irc.line(" 437 ann #twins ");
    irc.send("PRIVMSG #küche%2c_1ST%5ffloor :to the odd one");
    irc.sync();
    assert_eq!(ann.texts(&first), ["to the first"]);
    assert_eq!(ann.texts(&second), ["to the second"]);
    assert_eq!(ann.texts(&odd), ["to the odd one"]);
}
