//! Messages: one state for IRC and HTTP, long ones, names, what else happens to them, refusals.

use serde_json::{Value, json};

use super::stage::{Irc, bare, password, said, server, tag};

#[test]
fn two_irc_clients_and_one_over_http_see_one_chat() {
    let server = server("", "");
    let (mut ann, mut bob) = (Irc::modern(&server, "ann"), Irc::plain(&server, "bob"));
    let cat = server.connect("cat");
    let mut events = cat.events();
    ann.send("@label=x PRIVMSG #common :hello all");
    let echo = ann.line("hello all");
    assert_eq!(tag(&echo, "label"), Some("x"));
    assert_eq!(
        bob.line("hello all"),
        ":ann!ann@veche PRIVMSG #common :hello all"
    );
    let event = events.next("message").data;
    assert_eq!(
        (&event["from"], &event["text"]),
        (&json!("ann"), &json!("hello all"))
    );
    assert_eq!(tag(&echo, "msgid"), Some(event["id"].to_string().as_str()));
    assert_eq!(tag(&echo, "time"), event["at"].as_str());
    let said = cat.say("hello both");
    let line = ann.line("hello both");
    assert_eq!(tag(&line, "msgid"), Some(said["id"].to_string().as_str()));
    assert_eq!(tag(&line, "account"), Some("cat"));
    assert_eq!(
        bob.line("hello both"),
        ":cat!cat@veche PRIVMSG #common :hello both"
    );
    // In private, both ways, and to oneself; the others hear nothing.
    bob.send("NOTICE cat :psst");
    let event = events
        .until(|event| event.data["text"] == "psst")
        .pop()
        .expect("it")
        .data;
    assert_eq!(
        (&event["to"], &event["text"]),
        (&json!("@cat"), &json!("psst"))
    );
    cat.post("/send", &json!({"to": "@bob", "text": "yes?"}))
        .expect(201);
    assert_eq!(bob.line("yes?"), ":cat!cat@veche PRIVMSG bob :yes?");
    ann.send("PRIVMSG ann,bob :two at once");
    assert_eq!(
        bare(&ann.line("at once")),
        ":ann!ann@veche PRIVMSG ann :two at once"
    );
    bob.line("PRIVMSG bob :two at once");
    assert!(!ann.sync().iter().any(|line| line.contains("psst")));
    bob.send("PRIVMSG bob :a note");
    assert_eq!(bob.line("a note"), ":bob!bob@veche PRIVMSG bob :a note");
    ann.send("NOTICE #common :by the way");
    assert_eq!(
        bare(&ann.line("by the way")),
        ":ann!ann@veche NOTICE #common :by the way"
    );
    // What another client of one's own posts is seen, and says who it was.
    let other = server.client(&json!({"name": "bob", "password": password("bob")}));
    other
        .post("/send", &json!({"to": "@ann", "text": "from the phone"}))
        .expect(201);
    assert_eq!(
        bob.line("from the phone"),
        ":bob!bob@veche PRIVMSG ann :from the phone"
    );
}

#[test]
fn long_texts_are_split_and_lines_kept_both_ways() {
    let server = server("", "");
    let mut ann = Irc::modern(&server, "ann");
    let bob = server.connect("bob");
    let words = vec!["wörter"; 200].join(" ");
    let said = bob.say(&format!("first\n\nthird {words} end"));
    let id = said["id"].to_string();
    let lines = ann.until(" end");
    let texts = self::said(&lines);
    assert_eq!(&texts[..2], ["first", " "]);
    assert_eq!(texts[2..].join(" "), format!("third {words} end"));
    assert!(
        texts.len() > 5 && lines.iter().all(|line| bare(line).len() <= 510),
        "{lines:#?}"
    );
    // One message has one id; its further lines have their places behind it.
    assert_eq!(tag(&lines[0], "msgid"), Some(id.as_str()));
    assert_eq!(tag(&lines[2], "msgid"), Some(format!("{id}.2").as_str()));
    // It is removed in all of its lines.
    #[cfg(has_feature = "edits")]
    {
        bob.post("/remove", &json!({"message": said["id"]}))
            .expect(204);
        for line in lines.iter().filter(|line| line.contains(" PRIVMSG ")) {
            let expected = format!(":irc.veche REDACT #common {}", tag(line, "msgid").unwrap());
            assert_eq!(bare(&ann.line("REDACT")), expected);
        }
    }
    // The longest line is one message; a longer one is none.
    let mut events = bob.events();
    let before = "PRIVMSG #common :";
    let longest = "y".repeat(510 - before.len());
    ann.send(&format!("{before}{longest}"));
    assert_eq!(events.next("message").data["text"], longest.as_str());
    ann.until("yyy");
    ann.send(&format!("{before}{longest}y"));
    ann.line(" 417 ann ");
}

#[test]
fn of_very_many_lines_the_last_one_says_how_many_there_are_and_where() {
    let server = server("url = \"https://chat.example.org\"", "");
    let mut ann = Irc::modern(&server, "ann");
    let bob = server.connect("bob");
    let text = |count: usize| {
        let lines: Vec<_> = (0..count).map(|number| format!("line {number}")).collect();
        lines.join("\n")
    };
    bob.say(&text(50));
    let whole = said(&ann.until("line 49"));
    assert_eq!(whole.len(), 50);
    bob.say(&text(300));
    let lines = ann.until("more lines");
    let texts = said(&lines);
    assert_eq!(texts[..50], whole[..]);
    assert_eq!(
        texts[50..],
        [
            "… 250 more lines: all of it is in the page (https://chat.example.org) and in the console client"
        ]
    );
    bob.say("and now?");
    assert_eq!(said(&ann.until("and now?")), ["and now?"]);
}

#[test]
fn names_that_irc_can_not_spell_have_a_spelling() {
    let server = server("", "");
    let mut ann = Irc::plain(&server, "ann^b");
    let odd = server.connect("3.com");
    let alien = server.connect("Владимир");
    odd.say("one");
    assert_eq!(ann.line("one"), ":|3^com!|3^com@veche PRIVMSG #common :one");
    alien
        .post("/send", &json!({"to": "@ann.b", "text": "two"}))
        .expect(201);
    let line = ann.line("two");
    assert_eq!(line, ":Владимир!Владимир@veche PRIVMSG ann^b :two");
    let mut events = odd.events();
    ann.send("PRIVMSG |3^com :three");
    assert_eq!(events.next("message").data["from"], "ann.b");
    ann.send("PRIVMSG владимир :four");
    ann.send("WHOIS |3^COM");
    let lines = ann.until(" 318 ");
    assert!(
        lines
            .iter()
            .any(|line| line.contains(" 330 ann^b |3^com 3.com ")),
        "{lines:#?}"
    );
    let inbox = alien.get("/unread").expect(200);
    assert_eq!(
        inbox["messages"].as_array().unwrap().last().unwrap()["text"],
        "four"
    );
}

#[test]
fn what_clients_put_into_texts_is_not_posted_and_actions_are() {
    let server = server("", "");
    let (mut ann, bob) = (Irc::plain(&server, "ann"), server.connect("bob"));
    let mut events = bob.events();
    ann.send("PRIVMSG #common :\u{2}bold\u{2} and \u{3}04,01red\u{f}");
    assert_eq!(events.next("message").data["text"], "bold and red");
    // Programs' questions are not passed on, people's blanks neither, and only they are told.
    ann.send("PRIVMSG bob :\u{1}VERSION\u{1}");
    ann.send("NOTICE bob :\u{1}VERSION some client\u{1}");
    let told = |ann: &mut Irc| {
        let lines = ann.sync().into_iter();
        let numerics = lines.filter(|line| line.starts_with(":irc.veche "));
        numerics.collect::<Vec<_>>()
    };
    assert!(told(&mut ann).is_empty());
    for blank in ["   ", "\u{2}\u{3}4 \u{f}", "\u{1}ACTION  \u{1}"] {
        ann.send(&format!("PRIVMSG #common :{blank}"));
        assert_eq!(told(&mut ann), [":irc.veche 412 ann :No text to send"]);
    }
    ann.send("PRIVMSG #common :\u{1}ACTION waves\u{1}");
    assert_eq!(events.next("message").data["text"], "/me waves");
    bob.say("/me waves back\r\nQUIT");
    assert_eq!(
        bare(&ann.line("waves back")),
        ":bob!bob@veche PRIVMSG #common :\u{1}ACTION waves back\u{1}"
    );
    assert_eq!(
        bare(&ann.line("QUIT")),
        ":bob!bob@veche PRIVMSG #common :\u{1}ACTION QUIT\u{1}"
    );
}

#[cfg(all(
    has_feature = "comments",
    has_feature = "reactions",
    has_feature = "edits"
))]
#[test]
fn comments_reactions_edits_and_removals_are_shown_and_made() {
    let server = server("url = \"https://chat.example.org\"", "");
    let (mut ann, mut old) = (Irc::modern(&server, "ann"), Irc::plain(&server, "old"));
    let bob = server.connect("bob");
    let mut events = bob.events();
    let id = bob.say("lunch at noon?")["id"].as_u64().unwrap();
    ann.line("lunch");
    bob.post(
        &format!("/messages/{id}/comments"),
        &json!({"text": "or at one"}),
    )
    .expect(201);
    let comment = ann.line("or at one");
    assert_eq!(tag(&comment, "+draft/reply"), Some(id.to_string().as_str()));
    assert_eq!(
        old.line("or at one"),
        ":bob!bob@veche PRIVMSG #common :re “lunch at noon?”: or at one"
    );
    ann.send(&format!("@+draft/reply={id} PRIVMSG #common :at one"));
    let own = ann.line("at one");
    assert_eq!(events.next("comment").data["text"], "or at one");
    assert_eq!(events.next("comment").data["text"], "at one");
    ann.send(&format!(
        "@+draft/reply={id};+draft/react=👍 TAGMSG #common"
    ));
    let reaction = events.next("reaction").data;
    assert_eq!(
        (&reaction["emoji"], &reaction["on"]),
        (&json!("👍"), &json!(true))
    );
    bob.post("/react", &json!({"message": id, "emoji": "🎉"}))
        .expect(200);
    let line = ann.line("🎉");
    assert_eq!(bare(&line), ":bob!bob@veche TAGMSG #common");
    assert_eq!(tag(&line, "+draft/reply"), Some(id.to_string().as_str()));
    bob.post("/edit", &json!({"message": id, "text": "dinner?"}))
        .expect(200);
    assert_eq!(
        old.line("dinner"),
        ":bob!bob@veche PRIVMSG #common :* edited: dinner?"
    );
    // What belongs to it goes with it, line by line.
    let edit = ann.line("dinner");
    let long = format!("{} {}", "a".repeat(400), "b".repeat(400));
    let body = json!({"message": id, "text": format!("one\ntwo {long}")});
    bob.post("/edit", &body).expect(200);
    let mut shown = vec![comment, own, edit];
    shown.extend(ann.until("bbbb"));
    bob.post("/remove", &json!({"message": id})).expect(204);
    let redact = |id: &str| format!(":irc.veche REDACT #common {id}");
    let ids: Vec<_> = shown.iter().filter_map(|line| tag(line, "msgid")).collect();
    assert!(ids.len() >= 6, "{shown:#?}");
    assert_eq!(bare(&ann.line("REDACT")), redact(&id.to_string()));
    for id in ids {
        assert_eq!(bare(&ann.line("REDACT")), redact(id));
    }
    // Another's message stays, one's own goes.
    let theirs = bob.say("mine")["id"].as_u64().unwrap();
    ann.send(&format!("REDACT #common {theirs}"));
    ann.line("FAIL REDACT REDACT_FORBIDDEN");
    ann.send("PRIVMSG #common :oops");
    let own = ann.line("oops");
    ann.send(&format!("REDACT #common {}", tag(&own, "msgid").unwrap()));
    assert_eq!(events.next("removed").data["ids"], json!([id]));
    events.next("removed");
}

#[cfg(has_feature = "files")]
#[test]
fn a_file_is_a_line_with_its_name_size_and_link() {
    let server = server("url = \"https://chat.example.org\"", "");
    let (mut ann, bob) = (Irc::plain(&server, "ann"), server.connect("bob"));
    let upload = bob.request("POST", "/files?name=cat.txt");
    let file: Value = upload
        .body(vec![b'x'; 2048], "text/plain")
        .send()
        .expect(201);
    bob.post(
        "/send",
        &json!({"to": "common", "file": file["id"], "text": "see"}),
    )
    .expect(201);
    ann.line(" :see");
    let url = file["url"].as_str().unwrap();
    let expected =
        format!(":bob!bob@veche PRIVMSG #common :cat.txt (2 KiB) https://chat.example.org{url}");
    assert_eq!(ann.line("cat.txt"), expected);
}

#[cfg(has_feature = "complaints")]
#[test]
fn a_ban_holds_and_says_so() {
    let server = server("", "[features.complaints]\nwarnings = 1\n");
    let mut ann = Irc::plain(&server, "ann");
    let bob = server.connect("bob");
    bob.post("/complaints", &json!({"user": "ann"})).expect(201);
    let notice = ann.line(" NOTICE ann :You may not post until 2");
    let words = notice.split(" ann :").nth(1).unwrap();
    assert!(words.ends_with(" UTC; you can read"), "{notice}");
    ann.send("PRIVMSG #common :may I?");
    let refused = ann.line(" 404 ann #common ");
    assert!(
        refused.contains(&format!(":{words} (again in ")),
        "{refused}"
    );
    ann.send("PRIVMSG bob :may I?");
    ann.line(" 404 ann bob ");
    // Whoever comes meanwhile is told, too.
    ann.quit();
    Irc::plain(&server, "ann").line(&notice);
}

#[cfg(has_feature = "rate_limit")]
#[test]
fn the_rate_limit_holds_and_says_when_it_goes_on() {
    let server = server("", "[features.rate_limit]\nmessages = 2\n");
    let mut ann = Irc::plain(&server, "ann");
    for _ in 0..3 {
        ann.send("PRIVMSG #common :hello");
    }
    let line = ann.line(" 404 ann #common ");
    assert!(
        line.contains("(again in 59m") || line.contains("(again in 1h"),
        "{line}"
    );
    ann.send("PRIVMSG ann :private ones are not counted");
    assert!(!ann.line("private ones").contains(" 404 "));
}

#[test]
fn refusals_are_numerics() {
    let server = server("", "[chat]\ntext = 100\n");
    let mut ann = Irc::plain(&server, "ann");
    for (line, answer) in [
        ("PRIVMSG nobody :hello", " 401 ann nobody :"),
        ("PRIVMSG #nowhere :hello", " 403 ann #nowhere :"),
        ("PRIVMSG a,b,c,d,e :hello", " 407 "),
        ("PART #nowhere", " 442 ann #nowhere "),
        ("KICK #common bob", " 482 ann #common "),
        ("INVITE bob #nowhere", " 403 ann #nowhere "),
        ("KICK #nowhere bob", " 403 ann #nowhere "),
        ("MODE #common +m", " 482 ann #common "),
        ("MODE #common b", " 368 ann #common "),
        ("MODE #common", " 324 ann #common +n"),
        ("TOPIC #common :x", " 482 ann #common "),
        ("TOPIC #common", " 331 ann #common "),
        ("JOIN kitchen", " 403 ann kitchen "),
        ("CHATHISTORY LATEST #nowhere * 10", "CHATHISTORY failed: "),
    ] {
        ann.send(line);
        ann.line(answer);
    }
    ann.send(&format!("PRIVMSG #common :{}", "x".repeat(101)));
    ann.line(" 404 ann #common ");
    assert!(said(&ann.sync()).is_empty());
}
