//! History: pages of a chat, backwards and forwards.

use serde_json::{Value, json};
use veche::testing::{Client, Server};

/// A chat of `count` messages, and their ids.
fn filled(server: &Server, count: usize) -> (Client, Vec<u64>) {
    let ann = server.connect("ann");
    let ids = (0..count).map(|number| id(&ann.say(&format!("m{number}"))));
    let ids = ids.collect();
    (ann, ids)
}

fn id(message: &Value) -> u64 {
    message["id"].as_u64().unwrap_or_default()
}

fn page(client: &Client, query: &str) -> (Vec<u64>, bool) {
    let page = client
        .get(&format!("/messages?chat=common&{query}"))
        .expect(200);
    let ids = page["messages"].as_array().into_iter().flatten().map(id);
    (ids.collect(), page["more"] == true)
}

#[test]
fn with_neither_before_nor_after_it_is_the_newest_50_oldest_first() {
    let server = Server::core();
    let (ann, ids) = filled(&server, 60);
    let (newest, more) = page(&ann, "");
    assert_eq!(newest, ids[10..]);
    assert!(more);
    assert_eq!(page(&ann, "limit=3"), (ids[57..].to_vec(), true));
    assert_eq!(page(&ann, "limit=60"), (ids.clone(), false));
    assert_eq!(page(&ann, "limit=200"), (ids, false));
}

#[test]
fn the_newest_page_follows_each_post_to_the_chat_it_was_read_from() {
    let server = Server::core();
    let (ann, mut ids) = filled(&server, 1);
    for number in 0..3 {
        assert_eq!(page(&ann, ""), (ids.clone(), false));
        ann.tell("ann", "a note, in another chat");
        assert_eq!(page(&ann, "limit=1"), (vec![ids[number]], number > 0));
        ids.push(id(&ann.say("more")));
    }
    assert_eq!(page(&ann, ""), (ids, false));
}

#[test]
fn before_gives_the_last_ones_preceding_an_id() {
    let server = Server::core();
    let (ann, ids) = filled(&server, 10);
    let query = format!("limit=4&before={}", ids[7]);
    assert_eq!(page(&ann, &query), (ids[3..7].to_vec(), true));
    let query = format!("limit=4&before={}", ids[4]);
    assert_eq!(page(&ann, &query), (ids[..4].to_vec(), false));
    let query = format!("limit=4&before={}", ids[0]);
    assert_eq!(page(&ann, &query), (vec![], false));
    assert_eq!(page(&ann, "limit=4&before=9007199254740991").0, ids[6..]);
}

#[test]
fn after_gives_the_next_ones_following_an_id_and_0_is_the_beginning() {
    let server = Server::core();
    let (ann, ids) = filled(&server, 10);
    assert_eq!(page(&ann, "limit=4&after=0"), (ids[..4].to_vec(), true));
    let query = format!("limit=4&after={}", ids[3]);
    assert_eq!(page(&ann, &query), (ids[4..8].to_vec(), true));
    let query = format!("limit=4&after={}", ids[5]);
    assert_eq!(page(&ann, &query), (ids[6..].to_vec(), false));
    let query = format!("limit=4&after={}", ids[9]);
    assert_eq!(page(&ann, &query), (vec![], false));
}

#[test]
fn pages_in_either_direction_cover_a_chat_exactly_once() {
    let server = Server::core();
    let (ann, ids) = filled(&server, 23);
    let mut forwards: Vec<u64> = Vec::new();
    loop {
        let after = forwards.last().copied().unwrap_or(0);
        let (next, more) = page(&ann, &format!("limit=5&after={after}"));
        forwards.extend(next);
        if !more {
            break;
        }
    }
    assert_eq!(forwards, ids);
    let mut backwards: Vec<u64> = Vec::new();
    let mut query = "limit=5".to_owned();
    loop {
        let (mut next, more) = page(&ann, &query);
        next.extend(backwards);
        backwards = next;
        query = format!("limit=5&before={}", backwards[0]);
        if !more {
            break;
        }
    }
    assert_eq!(backwards, ids);
}

#[test]
fn chats_do_not_mix() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let eve = server.connect("eve");
    ann.say("all");
    ann.tell("bob", "for bob");
    bob.tell("ann", "for ann");
    ann.tell("eve", "for eve");
    ann.tell("ann", "for me");
    assert_eq!(ann.texts("common"), ["all"]);
    assert_eq!(ann.texts("@bob"), ["for bob", "for ann"]);
    assert_eq!(bob.texts("@ann"), ["for bob", "for ann"]);
    assert_eq!(eve.texts("@ann"), ["for eve"]);
    assert_eq!(ann.texts("@ann"), ["for me"]);
    assert!(eve.texts("@bob").is_empty());
    assert_eq!(ann.texts("@BOB"), ["for bob", "for ann"]);
}

#[test]
fn a_page_that_cannot_be_is_refused_with_the_fields_name() {
    let server = Server::core();
    let (ann, ids) = filled(&server, 2);
    for (field, query) in [
        ("chat", ""),
        ("limit", "chat=common&limit=x"),
        ("limit", "chat=common&limit=-1"),
        ("before", "chat=common&before=x"),
        ("after", "chat=common&after=1.5"),
        ("after", "chat=common&after=99999999999999999999999"),
    ] {
        let problem = ann
            .get(&format!("/messages?{query}"))
            .problem(422, "invalid");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(field), "{query}: {detail}");
    }
    let both = format!("/messages?chat=common&before={}&after=0", ids[1]);
    ann.get(&both).problem(422, "invalid");
    ann.get("/messages?chat=@nobody")
        .problem(404, "unknown_chat");
    ann.get("/messages?chat=room:01234567-89ab-4cde-8f01-23456789abcd")
        .problem(404, "unknown_chat");
    for chat in ["", "nobody", "%00", "@"] {
        let reply = ann.get(&format!("/messages?chat={chat}"));
        assert!(matches!(reply.status, 404 | 422), "{chat:?}: {reply}");
    }
}

#[test]
fn a_limit_is_at_most_200() {
    let server = Server::core();
    let (ann, _) = filled(&server, 210);
    let (most, more) = page(&ann, "limit=200");
    assert_eq!((most.len(), more), (200, true));
    // More is either refused or no more than that.
    let reply = ann.get("/messages?chat=common&limit=201");
    if reply.status == 200 {
        assert_eq!(reply.body["messages"].as_array().map(Vec::len), Some(200));
    } else {
        reply.problem(422, "invalid");
    }
}

#[test]
fn many_that_post_at_once_give_one_order_for_everybody() {
    let server = Server::core();
    let clients: Vec<Client> = (0..4)
        .map(|n| server.connect(&format!("user{n}")))
        .collect();
    std::thread::scope(|scope| {
        for client in &clients {
            scope.spawn(move || {
                for number in 0..25 {
                    client.say(&format!("{} {number}", client.name));
                }
            });
        }
    });
    let all = clients[0].history("common");
    assert_eq!(all.len(), 100);
    assert!(all.windows(2).all(|pair| id(&pair[0]) < id(&pair[1])));
    assert!(
        all.windows(2)
            .all(|pair| pair[0]["at"].as_str() <= pair[1]["at"].as_str())
    );
    for client in &clients {
        assert_eq!(client.history("common"), all);
        let own: Vec<&Value> = all.iter().filter(|m| m["from"] == client.name).collect();
        for (number, message) in own.iter().enumerate() {
            assert_eq!(message["text"], json!(format!("{} {number}", client.name)));
        }
    }
}
