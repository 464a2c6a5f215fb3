//! What administrators do.

use serde_json::json;

use crate::rooms::make_room;
use crate::stage::Stage;

#[test]
fn what_administrators_do_is_the_same_on_every_client() {
    let mut stage = Stage::new(&[]);
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    let cat = stage.join_quietly("cat");
    let gone = ann.say("it will be gone");
    let private = bob.tell("ann", "this, too");
    stage.check("some messages");
    for message in [gone, private] {
        stage.server.told(&["remove", &message["id"].to_string()]);
        stage.check("removing a message");
    }
    if stage.has("complaints") {
        for who in [&ann, &cat] {
            let body = json!({"user": "bob"});
            who.post("/complaints", &body).expect(201);
        }
        stage.check("complaining");
        stage.server.told(&["dismiss", "bob"]);
        stage.check("dismissing complaints");
        stage.server.told(&["ban", "bob", "--for", "1h"]);
        stage.check("banning");
        stage.server.told(&["ban", "bob", "--for", "2h"]);
        stage.check("banning for longer");
        stage.server.told(&["unban", "bob"]);
        stage.check("lifting a ban");
    }
    if stage.has("rooms") {
        let room = make_room(&ann, "Garden", "joined");
        room.bring(&ann, &bob);
        room.bring(&ann, &cat);
        stage.join("dan");
        room.invite(&ann, &stage.join_quietly("eve"));
        stage.check("a room");
        for owner in ["bob", "cat", "ann"] {
            stage.server.told(&["rename-owner", &room.address, owner]);
            stage.check("another owner");
        }
    }
}
