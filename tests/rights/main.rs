//! Who may do what: every cell of the matrix in docs/security.md, asked of the real server; and what
//! one may not see is answered as what does not exist.

mod calls;
mod matrix;
mod stage;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use calls::{call, of_what_is_not};
use matrix::{ROLES, Row, rows};
use stage::{Scene, Stage};
use veche::testing::{Client, Reply};

/// How a cell of the matrix is written.
fn cell(reply: &Reply) -> String {
    match reply.body["code"].as_str().filter(|_| reply.status >= 400) {
        Some(code) => format!("{} `{code}`", reply.status),
        None => reply.status.to_string(),
    }
}

/// The calls that the server describes, each as `METHOD /path`.
fn described(guest: &Client) -> BTreeSet<String> {
    let description = guest.get("/openapi.json").expect(200);
    let paths = description["paths"].as_object().into_iter().flatten();
    let calls = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
    });
    calls.collect()
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let stage = Stage::set();
    let described = described(&stage.server.guest());
    assert!(described.len() > 10);
    let rows = rows();
    let listed: BTreeSet<String> = rows.iter().map(|row| row.call.clone()).collect();
    let missing: Vec<_> = described.difference(&listed).collect();
    assert_eq!(
        missing,
        Vec::<&String>::new(),
        "docs/security.md has no row"
    );
    // A feature whose file was taken out leaves its rows behind.
    let there = rows.iter().filter(|row| stage.has(&row.feature));
    let gone: Vec<_> = there.filter(|row| !described.contains(&row.call)).collect();
    assert!(gone.is_empty(), "{gone:?}");
}

#[test]
fn everybody_may_do_what_the_matrix_says_and_nothing_else() {
    let stage = Stage::set();
    let mut wrong = Vec::new();
    for row in rows().iter().filter(|row| stage.has(&row.feature)) {
        for (role, expected) in ROLES.iter().zip(&row.cells) {
            if *role == "banned" && !stage.has("complaints") {
                continue;
            }
            let scene = stage.scene(role, row);
            let came = cell(&call(&scene, row).send());
            if came != *expected {
                wrong.push(format!(
                    "{} ({}) as {role}: {came}, not {expected}",
                    row.call, row.about
                ));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The rows of which a stranger may see nothing.
fn hidden(stage: &Stage) -> Vec<Row> {
    let rows = rows().into_iter().filter(|row| stage.has(&row.feature));
    rows.filter(|row| row.cells[1].starts_with("404")).collect()
}

/// All of an answer but its time.
fn shape(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let headers = reply.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    // The time and the name of the request are every answer's own.
    let mut headers: Vec<_> = headers
        .filter(|(name, _)| name != "date" && name != "x-request-id")
        .collect();
    headers.sort();
    (reply.status, headers, reply.text.clone())
}

#[test]
fn what_may_not_be_seen_is_answered_as_what_does_not_exist() {
    let stage = Stage::set();
    let hidden = hidden(&stage);
    assert!(!hidden.is_empty());
    for row in hidden {
        let scene = stage.scene("stranger", &row);
        let hidden = call(&scene, &row).send();
        let unknown = call(&of_what_is_not(&scene), &row).send();
        assert_eq!(
            shape(&hidden),
            shape(&unknown),
            "{} ({})",
            row.call,
            row.about
        );
    }
}

/// How long an answer takes where nothing disturbs it: a low quantile.
fn quick(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 10).copied().unwrap_or_default()
}

/// How long it takes to be refused what is hidden, and what does not exist.
fn both(row: &Row, hidden: &Scene, nothing: &Scene) -> (Duration, Duration) {
    const TIMES: usize = 60;
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        for (scene, times) in [(hidden, &mut one), (nothing, &mut other)] {
            let request = call(scene, row);
            let begun = Instant::now();
            let reply = request.send();
            times.push(begun.elapsed());
            assert_eq!(reply.status, 404, "{reply}");
        }
    }
    (quick(one), quick(other))
}

#[test]
fn what_may_not_be_seen_takes_as_long_as_what_does_not_exist() {
    // What the machine does besides makes one round differ, and not each.
    const ROUNDS: usize = 8;
    let stage = Stage::set();
    let mut wrong = Vec::new();
    for row in hidden(&stage) {
        let scene = stage.scene("stranger", &row);
        let nothing = of_what_is_not(&scene);
        let rounds = (0..ROUNDS).map(|_| both(&row, &scene, &nothing));
        let rounds: Vec<_> = rounds
            .take_while(|(one, other)| {
                let most = *one.min(other) / 10 + Duration::from_micros(15);
                one.abs_diff(*other) > most
            })
            .collect();
        if rounds.len() == ROUNDS {
            wrong.push(format!("{} ({}): {rounds:?}", row.call, row.about));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
