//! The page, as a browser and as a program get it.
#![cfg(has_feature = "web")]

use std::io::Read;

use veche::prelude::json;
use veche::testing::{Reply, Server};

/// All that a browser fetches for the page, in bytes; it is what the binary holds of it, too. It may be
/// 60 KiB, and is to stay well below.
const MOST: usize = 54_500;

/// The names of the page's parts: the files that lie beside the feature.
fn parts() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/features/web");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = files
        .filter_map(|file| file.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.header(name).unwrap_or_default()
}

/// The addresses of everything that the page serves, without `/join/…`.
fn addresses() -> Vec<String> {
    let inner = parts().into_iter().filter(|name| name != "index.html");
    let inner = inner.map(|name| format!("/web/{name}"));
    ["/".to_owned()].into_iter().chain(inner).collect()
}

#[test]
fn the_page_and_its_parts_come_with_their_types_to_whoever_asks() {
    let server = Server::only("web", "");
    for address in addresses() {
        let kind = match address.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        let reply = server.guest().get(&address);
        assert_eq!(reply.status, 200, "{address}");
        assert_eq!(header(&reply, "content-type"), kind, "{address}");
        assert_eq!(header(&reply, "x-content-type-options"), "nosniff");
        assert_eq!(header(&reply, "cache-control"), "no-cache");
        assert_eq!(header(&reply, "referrer-policy"), "no-referrer");
    }
    server
        .guest()
        .get("/web/nothing.js")
        .problem(404, "not_found");
    server
        .guest()
        .get("/web/index.html")
        .problem(404, "not_found");
    server
        .guest()
        .post("/", &json!({}))
        .problem(405, "method_not_allowed");
}

#[test]
fn what_is_kept_is_asked_for_by_its_etag_and_comes_only_when_it_is_another() {
    let server = Server::only("web", "");
    let guest = server.guest();
    let ask = |address: &str, etag: &str| {
        let request = guest.request("GET", address);
        request.header("If-None-Match", etag).send()
    };
    let mut seen = std::collections::BTreeSet::new();
    for address in addresses() {
        let reply = guest.get(&address);
        let etag = header(&reply, "etag").to_owned();
        assert!(etag.starts_with('"') && etag.len() > 20, "{etag}");
        let same = ask(&address, &etag);
        assert_eq!((same.status, same.text.len()), (304, 0), "{address}");
        assert_eq!(header(&same, "etag"), etag);
        assert_eq!(ask(&address, "\"another\"").status, 200);
        assert!(seen.insert(etag), "{address} has another's");
    }
}

#[test]
fn head_says_what_get_would_and_a_range_is_answered_with_the_whole() {
    let server = Server::only("web", "");
    let guest = server.guest();
    let (get, head) = (guest.get("/"), guest.head("/"));
    assert_eq!(head.status, 200);
    assert!(head.text.is_empty());
    for name in ["content-length", "content-type", "etag"] {
        assert_eq!(header(&head, name), header(&get, name), "{name}");
    }
    let part = guest
        .request("GET", "/")
        .header("Range", "bytes=0-3")
        .send();
    assert_eq!((part.status, part.text), (200, get.text));
}

#[test]
fn nothing_inline_and_nothing_of_others_runs_in_the_page() {
    let server = Server::only("web", "");
    for address in addresses().iter().map(String::as_str).chain(["/join/x"]) {
        let reply = server.guest().get(address);
        let policy = header(&reply, "content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ] {
            let mut rules = policy.split(';').map(str::trim);
            assert!(
                rules.any(|one| one == rule),
                "{address}: {rule} in {policy}"
            );
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!policy.contains("http"), "{policy}");
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!reply.text.contains(sink), "{address} has {sink}");
        }
    }
}

#[test]
fn it_is_small() {
    let server = Server::only("web", "");
    let fetched = addresses().into_iter().map(|address| {
        let request = server.guest().request("GET", &address);
        let reply = request.header("Accept-Encoding", "gzip, br").send();
        let length = header(&reply, "content-length").parse().ok();
        length.unwrap_or(MOST)
    });
    let all: usize = fetched.sum();
    assert!(
        all > 0 && all <= MOST,
        "{all} bytes, and {MOST} are allowed"
    );
}

/// What lies beside the feature under a name.
fn source(name: &str) -> String {
    let file = format!("{}/features/web/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn no_text_goes_over_lines_whose_indentation_is_left_out() {
    for name in parts().iter().filter(|name| name.ends_with(".js")) {
        for line in source(name).lines() {
            let marks = line.matches('`').count() - line.matches("\"`\"").count();
            let is_comment = line.trim_start().starts_with(['/', '*']);
            assert!(is_comment || marks.is_multiple_of(2), "{name}: {line}");
        }
    }
}

#[test]
fn packed_or_not_it_is_what_lies_beside_the_feature_without_comments_and_indentation() {
    let server = Server::only("web", "");
    for name in parts() {
        let written = source(&name);
        let mut pieces = written.split("/**");
        let mut code = pieces.next().unwrap_or_default().to_owned();
        code.extend(pieces.filter_map(|piece| Some(piece.split_once("*/")?.1)));
        let lines = code.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
        let written: String = lines.flat_map(|line| [line, "\n"]).collect();
        let path = match name.as_str() {
            "index.html" => "/".to_owned(),
            name => format!("/web/{name}"),
        };
        assert_eq!(server.guest().get(&path).text, written, "{name}");
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        );
        let answer = server.raw(ask);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = answer.split_at(end.unwrap_or_default() + 4);
        let head = String::from_utf8_lossy(head).to_lowercase();
        assert!(head.contains("\r\ncontent-encoding: gzip\r\n"), "{head}");
        assert!(head.contains("\r\nvary: accept-encoding\r\n"), "{head}");
        let mut unpacked = String::new();
        let read = flate2::read::GzDecoder::new(body).read_to_string(&mut unpacked);
        assert!(read.is_ok(), "{name}: {read:?}");
        assert_eq!(unpacked, written, "{name}");
    }
}

#[test]
fn the_address_of_a_link_is_the_page_in_a_browser_and_a_call_for_a_program() {
    let server = Server::start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let page = server.guest().get("/");
    let browser = server.guest().request("GET", "/join/AbC-123");
    let browser = browser.header("Accept", "text/html,*/*;q=0.8").send();
    assert_eq!((browser.status, browser.text), (200, page.text));
    if !cfg!(has_feature = "rooms") {
        return;
    }
    let room = ann.post("/rooms", &json!({"title": "Kitchen"})).expect(201);
    let room = room["room"]
        .as_str()
        .and_then(|room| room.split(':').nth(1));
    let links = format!("/rooms/{}/links", room.unwrap_or_default());
    let link = ann.post(&links, &json!({})).expect(201);
    let url = link["url"].as_str().unwrap_or_default();
    // Looking at it asks for nothing.
    assert_eq!(bob.get(url).status, 200);
    assert_eq!(bob.post(url, &json!({})).expect(202)["state"], "pending");
}

#[test]
fn switched_off_it_is_not_there() {
    let server = Server::with("[features.web]\nenabled = false\n");
    for address in ["/", "/join/x", "/web/app.js"] {
        let problem = server.guest().get(address).problem(404, "feature_off");
        assert_eq!(problem["feature"], "web");
    }
}
