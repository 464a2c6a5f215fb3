//! Leaving a room, and being removed from one.

use super::*;

#[test]
fn the_owners_leaving_hands_the_room_on_and_the_last_ones_ends_it() {
    let mut server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let (cat, dan) = (server.connect("cat"), server.connect("dan"));
    let room = make(&ann);
    room.bring(&ann, &cat);
    room.bring(&ann, &bob);
    let code = room.link(&ann, &json!({}));
    ask(&dan, &code).expect(202);
    room.say(&ann, "unforgettable");
    let mut hers = cat.events();
    let removing = ann.delete(&room.at("members/ann"));
    removing.problem(409, "is_owner");
    room.leave(&ann).expect(204);
    let left = hers.next("left").data;
    assert_eq!(
        (&left["user"], &left["owner"]),
        (&json!("ann"), &json!("cat"))
    );
    assert_eq!(hers.next("room").data["requests"][0]["user"], "dan");
    room.leave(&ann).problem(404, "not_found");
    server.kill();
    server.restart();
    assert_eq!(cat.get(&room.path).expect(200)["owner"], "cat");
    assert_eq!(room.members(&cat), json!(["cat", "bob"]));
    room.leave(&bob).expect(204);
    let mut his = dan.events();
    let mut last = cat.events();
    room.leave(&cat).expect(204);
    assert_eq!(last.next("left").data["room"], room.address.as_str());
    assert_eq!(his.next("refused").data["title"], "Kitchen");
    ask(&dan, &code).problem(404, "unknown_link");
    cat.get(&room.path).problem(404, "not_found");
    server.forgets(std::time::Duration::from_secs(30), "unforgettable");
    server.restart();
    cat.send(&room.address, "?").problem(404, "unknown_chat");
}

#[test]
fn a_removal_voids_what_the_removed_had() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let cat = server.connect("cat");
    // Bob was the owner, made a link and invited cat.
    let room = make(&bob);
    room.bring(&bob, &ann);
    let code = room.link(&bob, &json!({}));
    room.invite(&bob, "cat");
    room.leave(&bob).expect(204);
    room.bring(&ann, &bob);
    room.remove(&ann, "bob");
    room.join(&bob).problem(404, "not_found");
    room.join(&cat).problem(404, "not_found");
    ask(&bob, &code).problem(404, "unknown_link");
    assert_eq!(cat.get("/rooms").expect(200)["invites"], json!([]));
    // A new invitation lets him in, and one taken back doesn't.
    room.invite(&ann, "bob");
    let mut his = bob.events();
    ann.delete(&room.at("invites/bob")).expect(204);
    assert_eq!(his.next("refused").data["user"], "bob");
    ann.delete(&room.at("invites/bob"))
        .problem(404, "not_found");
    room.join(&bob).problem(404, "not_found");
    room.bring(&ann, &bob);
    assert_eq!(room.members(&ann), json!(["ann", "bob"]));
    let body = json!({"user": "bob"});
    ann.post(&room.at("invites"), &body)
        .problem(409, "already_member");
    let body = json!({"user": "nobody"});
    ann.post(&room.at("invites"), &body)
        .problem(404, "not_found");
}
