//! Rooms: whatever their owners, members, those who are invited and those who ask do.

use serde_json::{Value, json};
use veche::testing::{Client, wait_until};

use crate::stage::Stage;
use crate::{comment, in_state, schedule, text};

pub fn make_room(owner: &Client, title: &str, history: &str) -> Room {
    let body = json!({"title": title, "history": history});
    let made = owner.post("/rooms", &body).expect(201);
    let address = text(&made["room"]);
    let path = format!("/rooms/{}", &address["room:".len()..]);
    Room { address, path }
}

/// A room by its address and its path.
pub struct Room {
    pub address: String,
    path: String,
}

impl Room {
    fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.path)
    }

    pub fn invite(&self, owner: &Client, who: &Client) {
        let body = json!({"user": who.name});
        owner.post(&self.at("invites"), &body).expect(201);
    }

    fn join(&self, client: &Client) {
        client.post(&self.at("join"), &json!({})).expect(200);
    }

    pub fn bring(&self, owner: &Client, who: &Client) {
        self.invite(owner, who);
        self.join(who);
    }

    fn leave(&self, client: &Client) {
        client.post(&self.at("leave"), &json!({})).expect(204);
    }

    fn remove(&self, owner: &Client, who: &Client) {
        let path = self.at(&format!("members/{}", who.name));
        owner.delete(&path).expect(204);
    }

    fn link(&self, owner: &Client, body: &Value) -> String {
        text(&owner.post(&self.at("links"), body).expect(201)["link"])
    }

    fn decide(&self, owner: &Client, who: &Client, approve: bool) {
        let path = self.at(&format!("requests/{}", who.name));
        owner
            .post(&path, &json!({ "approve": approve }))
            .expect(204);
    }

    pub fn say(&self, client: &Client, text: &str) -> Value {
        client.send(&self.address, text).expect(201)
    }
}

fn ask(client: &Client, code: &str) {
    client
        .post(&format!("/join/{code}"), &json!({}))
        .expect(202);
}

#[test]
fn rooms_by_invitation_are_the_same_on_every_client() {
    let mut stage = Stage::new(&[]);
    if !stage.has("rooms") {
        return;
    }
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    let eve = stage.join_quietly("eve");
    let dan = stage.join("dan");
    // Somebody whom none of this is for.
    stage.join("out");
    let kitchen = make_room(&ann, "Kitchen", "joined");
    let hall = make_room(&ann, "Hall", "all");
    stage.check("making rooms");
    kitchen.say(&ann, "before");
    let early = hall.say(&ann, "before");
    if stage.has("comments") {
        comment(&ann, &early, "indeed");
    }
    for who in [&bob, &eve, &dan] {
        kitchen.invite(&ann, who);
        hall.invite(&ann, who);
    }
    kitchen.invite(&ann, &bob);
    stage.check("inviting");
    ann.delete(&kitchen.at("invites/dan")).expect(204);
    stage.check("taking an invitation back");
    for who in [&bob, &eve] {
        kitchen.join(who);
        hall.join(who);
    }
    stage.check("joining");
    let hello = kitchen.say(&bob, "hello");
    hall.say(&eve, "hello");
    if stage.has("comments") {
        comment(&eve, &hello, "indeed");
        comment(&bob, &early, "indeed");
    }
    stage.check("talking in rooms");
    bob.read(&hall.address, &json!(u32::MAX));
    kitchen.leave(&bob);
    stage.check("leaving");
    kitchen.bring(&ann, &bob);
    kitchen.say(&ann, "again");
    stage.check("coming again");
    if stage.has("schedule") {
        schedule(&bob, &kitchen.address, "sent", "100ms");
        in_state(&bob, "sent", 1);
        schedule(&bob, &kitchen.address, "too late", "1s");
    }
    kitchen.remove(&ann, &bob);
    hall.remove(&ann, &eve);
    if stage.has("schedule") {
        in_state(&bob, "failed", 1);
    }
    hall.say(&ann, "among us");
    stage.check("being removed");
    hall.bring(&ann, &eve);
    stage.check("coming back to a room that shows its past");
    stage.restart();
    kitchen.invite(&ann, &dan);
    kitchen.bring(&ann, &bob);
    kitchen.leave(&ann);
    stage.check("the owner's leaving");
    // Eve owns it now.
    kitchen.leave(&bob);
    kitchen.bring(&eve, &ann);
    stage.check("the old owner's coming back");
    kitchen.remove(&eve, &ann);
    stage.check("the old owner's being removed, and what they invited");
    kitchen.invite(&eve, &dan);
    kitchen.leave(&eve);
    stage.check("the last one's leaving");
    stage.finish();
}

#[test]
fn rooms_by_links_are_the_same_on_every_client() {
    let mut stage = Stage::new(&[("rooms", "cooldown = \"0s\"")]);
    if !stage.has("rooms") {
        return;
    }
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    let eve = stage.join_quietly("eve");
    let kitchen = make_room(&ann, "Kitchen", "joined");
    let other = make_room(&ann, "Kitchen", "all");
    let code = kitchen.link(&ann, &json!({"expires": "7d", "uses": 2}));
    let others = other.link(&ann, &json!({}));
    let dead = other.link(&ann, &json!({"uses": 9}));
    kitchen.link(&ann, &json!({"expires": "1s"}));
    stage.check("making links");
    ask(&bob, &code);
    ask(&bob, &code);
    ask(&eve, &code);
    stage.check("asking");
    ask(&eve, &others);
    stage.check("asking for another room of that name");
    kitchen.decide(&ann, &bob, true);
    stage.check("an approval");
    other.decide(&ann, &eve, false);
    stage.check("a refusal, of one of two rooms of one name");
    ask(&eve, &dead);
    other.invite(&ann, &eve);
    stage.check("asking and being invited");
    other.decide(&ann, &eve, false);
    stage.check("a refusal of one who is invited");
    ask(&eve, &dead);
    ann.delete(&other.at("invites/eve")).expect(204);
    stage.check("taking back the invitation of one who asks");
    other.invite(&ann, &eve);
    other.join(&eve);
    stage.check("joining by invitation while asking");
    kitchen.decide(&ann, &eve, true);
    stage.check("an approval that spends the link");
    ann.delete(&other.at(&format!("links/{dead}"))).expect(204);
    stage.check("revoking a link");
    kitchen.link(&ann, &json!({}));
    wait_until("a link's end", || {
        let room = ann.get(&kitchen.path).expect(200);
        (room["links"].as_array()?.len() == 1).then_some(())
    });
    stage.check("a link's end");
    ann.delete(&kitchen.at("links")).expect(204);
    stage.check("revoking all links");
    let dan = stage.join("dan");
    ask(&dan, &others);
    other.invite(&ann, &bob);
    other.leave(&ann);
    stage.check("handing over a room with a request and an invitation");
    // Eve owns it now, and removes the one who had invited and made links.
    other.bring(&eve, &ann);
    other.remove(&eve, &ann);
    stage.check("removing the one who made links and invited");
    let code = other.link(&eve, &json!({}));
    ask(&bob, &code);
    other.invite(&eve, &bob);
    other.leave(&eve);
    stage.check("ending a room with requests and invitations");
    stage.finish();
}
