//! Downloading: who may, which part, and how it reaches a browser.

use std::time::Instant;

use super::*;

#[test]
fn a_file_is_seen_by_its_uploader_and_by_those_who_see_its_message() {
    let server = server();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let file = upload(&ann, "a", b"for bob");
    get(&ann, &file).expect(200);
    get(&bob, &file).problem(404, "not_found");
    send(&bob, "common", &file).problem(404, "not_found");
    send(&ann, "@bob", &file).expect(201);
    assert_eq!(get(&bob, &file).text, "for bob");
    get(&eve, &file).problem(404, "not_found");
    send(&eve, "@me", &file).problem(404, "not_found");
    // Who sees it may send it on.
    send(&bob, "@eve", &file).expect(201);
    assert_eq!(get(&eve, &file).text, "for bob");
    server.guest().get("/files/x").problem(401, "unauthorized");
}

#[test]
fn nothing_that_is_uploaded_acts_in_a_browser() {
    let server = server();
    let ann = server.connect("ann");
    for kind in [
        "text/html",
        "image/svg+xml",
        "text/html; charset=utf-7",
        "nonsense",
    ] {
        let request = ann.request("POST", "/files?name=a.html");
        let file = request
            .body("<script>alert(1)</script>", kind)
            .send()
            .expect(201);
        let reply = get(&ann, &file);
        let header = |name| reply.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("X-Content-Type-Options"), "nosniff");
        assert_eq!(
            header("Content-Security-Policy"),
            "default-src 'none'; sandbox"
        );
        assert!(header("Content-Disposition").starts_with("attachment"));
        let told = if kind == "nonsense" {
            "application/octet-stream"
        } else {
            kind
        };
        assert_eq!(header("Content-Type"), told);
    }
}

#[test]
fn a_part_is_given_and_what_one_has_is_not() {
    let server = server();
    let ann = server.connect("ann");
    let file = upload(&ann, "digits", b"0123456789");
    let url = file["url"].as_str().unwrap_or_default();
    let asked = |headers: &[(&str, &str)]| {
        let request = ann.request("GET", url);
        headers
            .iter()
            .fold(request, |request, (name, value)| {
                request.header(name, value)
            })
            .send()
    };
    let whole = asked(&[]);
    let etag = whole.header("ETag").unwrap_or_default().to_owned();
    assert_eq!(
        etag,
        format!("\"{}\"", file["sha256"].as_str().unwrap_or("?"))
    );
    assert_eq!(whole.header("Accept-Ranges"), Some("bytes"));
    assert_eq!((whole.status, &*whole.text), (200, "0123456789"));
    let part = asked(&[("Range", "bytes=2-4"), ("If-Range", &etag)]);
    assert_eq!((part.status, &*part.text), (206, "234"));
    assert_eq!(part.header("Content-Range"), Some("bytes 2-4/10"));
    assert_eq!(part.header("Content-Length"), Some("3"));
    assert_eq!(asked(&[("Range", "bytes=-3")]).text, "789");
    let other = asked(&[("Range", "bytes=2-4"), ("If-Range", "\"x\"")]);
    assert_eq!((other.status, other.text.len()), (200, 10));
    let none = asked(&[("Range", "bytes=10-")]);
    none.problem(416, "range_not_satisfiable");
    assert_eq!(none.header("Content-Range"), Some("bytes */10"));
    let known = asked(&[("If-None-Match", &etag)]);
    assert_eq!((known.status, known.text.len()), (304, 0));
    assert_eq!(known.header("ETag"), Some(&*etag));
    asked(&[("If-Match", "\"x\"")]).problem(412, "precondition_failed");
    let head = ann.head(url);
    assert_eq!(
        (head.status, head.header("Content-Length")),
        (200, Some("10"))
    );
    let empty = upload(&ann, "empty", b"");
    assert_eq!(
        (get(&ann, &empty).status, get(&ann, &empty).text.len()),
        (200, 0)
    );
}

#[test]
fn a_rooms_file_is_for_its_members() {
    if !has("rooms") {
        return;
    }
    let server = Server::start();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let room = ann.post("/rooms", &json!({"title": "Garden"})).expect(201);
    let room = room["room"].as_str().unwrap_or_default().to_owned();
    let path = format!("/rooms/{}", room.trim_start_matches("room:"));
    let before = upload(&ann, "before", b"before");
    send(&ann, &room, &before).expect(201);
    ann.post(&format!("{path}/invites"), &json!({"user": "bob"}))
        .expect(201);
    bob.post(&format!("{path}/join"), &json!({})).expect(200);
    let file = upload(&ann, "a", b"for the room");
    send(&ann, &room, &file).expect(201);
    assert_eq!(get(&bob, &file).text, "for the room");
    get(&bob, &before).problem(404, "not_found");
    get(&eve, &file).problem(404, "not_found");
    ann.delete(&format!("{path}/members/bob")).expect(204);
    get(&bob, &file).problem(404, "not_found");
    send(&bob, "common", &file).problem(404, "not_found");
    get(&ann, &file).expect(200);
}

#[test]
fn a_file_that_is_lost_is_an_error_in_the_answer_and_in_the_log() {
    let server = server();
    let ann = server.connect("ann");
    let [lost, cut] = ["lost", "cut"].map(|name| upload(&ann, name, b"0123456789"));
    let place = |file: &Value| {
        server
            .data()
            .join("files")
            .join(file["id"].as_str().unwrap_or("?"))
    };
    assert!(fs::remove_file(place(&lost)).is_ok() && fs::write(place(&cut), "012").is_ok());
    for file in [&lost, &cut] {
        get(&ann, file).problem(500, "damaged");
        let id = file["id"].as_str().unwrap_or("?");
        wait_until("the log to name it", || {
            server.log().contains(id).then_some(())
        });
    }
}

#[test]
fn whether_somebody_sees_a_file_is_known_at_once_however_many_messages_hold_it() {
    let server = server();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let file = upload(&ann, "a", b"a");
    for _ in 0..2_000 {
        send(&ann, "@bob", &file).expect(201);
    }
    let asked = |client: &Client, url: &str, status: u16| {
        let begun = Instant::now();
        assert_eq!(client.get(url).status, status);
        begun.elapsed()
    };
    let url = file["url"].as_str().unwrap_or_default();
    let nowhere = "/files/3f1c2a9e-6f0b-4c55-9d0e-4d1c8a7be2f0";
    // What else the machine does makes some of them slow, and none of them fast.
    let [mut unknown, mut unseen, mut seen] = [Duration::MAX; 3];
    for _ in 0..50 {
        unknown = unknown.min(asked(&eve, nowhere, 404));
        unseen = unseen.min(asked(&eve, url, 404));
        seen = seen.min(asked(&bob, url, 200));
    }
    println!("unknown {unknown:?}, unseen {unseen:?}, seen {seen:?}");
    assert!(
        unseen < unknown * 3 + Duration::from_millis(1),
        "{unseen:?} after {unknown:?}"
    );
}
