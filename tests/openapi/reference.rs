//! `docs/reference.md`: the description, to be read by people, without a network.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;
use veche::testing::{Server, binary, features};

/// Where it is written down.
const WRITTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md");

const HEAD: &str = "\
# The API, call by call

What `GET /openapi.json` says where every feature is on, to be read. How the calls belong together, and
what the answers mean, is told in [The HTTP API](api.md). A test holds this page to the description:
`VECHE_WRITE_REFERENCE=1 cargo test --test openapi reference` writes it anew.

Any call may be refused with a [Problem](#problem). Where nothing else is said a call needs
`Authorization: Bearer TOKEN`, and a body is JSON.
";

/// A JSON object's entries, none of anything else.
fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Words for a table: in one line, with no bar that would end their cell, and no full stop.
fn cell(words: &str) -> String {
    let words = words.strip_suffix('.').unwrap_or(words);
    words.replace('\n', " ").replace('|', "\\|")
}

/// What a value is: a link to its schema, or its type with its bounds.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
    {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for choice in ["anyOf", "oneOf"] {
        let of: Vec<_> = list(&schema[choice]).iter().map(kind).collect();
        if !of.is_empty() {
            return of.join(" or ");
        }
    }
    if let Some(value) = schema.get("const") {
        return format!("`{value}`");
    }
    let names = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().map(text).collect(),
        _ => vec!["any"],
    };
    let shown = names.iter().map(|name| match *name {
        "array" => format!("list of {}", kind(&schema["items"])),
        name => format!("{name}{}", bounds(schema, name)),
    });
    shown.collect::<Vec<_>>().join(" or ")
}

/// What a value's type alone does not say: its format, or how small or large it may be.
fn bounds(schema: &Value, name: &str) -> String {
    let (least, most) = match name {
        "string" => (&schema["minLength"], &schema["maxLength"]),
        "integer" => (&schema["minimum"], &schema["maximum"]),
        _ => return String::new(),
    };
    let unit = if name == "string" { " characters" } else { "" };
    // What every number of its format is bounded by is no news.
    let widest = [
        u64::from(u8::MAX),
        u16::MAX.into(),
        u32::MAX.into(),
        u64::MAX,
    ];
    let least = least.as_u64().filter(|least| *least > 0);
    let most = most.as_u64().filter(|most| !widest.contains(most));
    match (least, most, schema["format"].as_str()) {
        (Some(least), Some(most), _) => format!(", {least} to {most}{unit}"),
        (None, Some(most), _) => format!(", at most {most}{unit}"),
        (Some(least), None, _) => format!(", at least {least}{unit}"),
        (None, None, Some(format @ ("date-time" | "uuid" | "binary"))) => format!(", {format}"),
        (None, None, _) => String::new(),
    }
}

/// A table of fields or parameters: name, what it is, whether it must be there, and what it means.
fn table<'a>(page: &mut String, fields: impl Iterator<Item = (String, &'a Value, bool, &'a str)>) {
    let mut is_begun = false;
    for (name, schema, is_required, about) in fields {
        if !is_begun {
            page.push_str("\n| name | what | required | meaning |\n|---|---|---|---|\n");
            is_begun = true;
        }
        let about = if about.is_empty() {
            text(&schema["description"])
        } else {
            about
        };
        let must = if is_required { "yes" } else { "" };
        let (what, about) = (cell(&kind(schema)), cell(about));
        let _ = writeln!(page, "| `{name}` | {what} | {must} | {about} |");
    }
}

fn call(page: &mut String, method: &str, path: &str, call: &Value) {
    let _ = write!(
        page,
        "\n### `{} {path}`\n\n{}.",
        method.to_uppercase(),
        text(&call["summary"])
    );
    if list(&call["security"]).is_empty() && call.get("security").is_some() {
        page.push_str(" No token.");
    }
    page.push('\n');
    let parameters = list(&call["parameters"]).iter();
    table(
        page,
        parameters.map(|one| {
            let name = match text(&one["in"]) {
                "query" => format!("?{}=", text(&one["name"])),
                "path" => format!("{{{}}}", text(&one["name"])),
                _ => format!("{}:", text(&one["name"])),
            };
            let is_required = one["required"] == true;
            (name, &one["schema"], is_required, text(&one["description"]))
        }),
    );
    let content = |of: &Value| {
        let kinds = entries(&of["content"]).map(|(media, content)| match media.as_str() {
            "application/json" => kind(&content["schema"]),
            "*/*" => "any bytes".to_owned(),
            media => format!("`{media}`"),
        });
        kinds.collect::<Vec<_>>().join(", or ")
    };
    let body = &call["requestBody"];
    if !body.is_null() {
        let may = if body["required"] == true {
            ""
        } else {
            ", which may be left away"
        };
        let _ = write!(page, "\nBody: {}{may}.\n", content(body));
    }
    page.push_str("\nAnswers: ");
    let answers = entries(&call["responses"]).filter(|(status, _)| *status != "default");
    let answers = answers.map(|(status, answer)| {
        let content = match content(answer) {
            content if content.is_empty() => content,
            content => format!(" ({content})"),
        };
        format!("**{status}** {}{content}", text(&answer["description"]))
    });
    page.push_str(&answers.collect::<Vec<_>>().join("; "));
    page.push_str(".\n");
}

fn schema(page: &mut String, name: &str, schema: &Value) {
    let _ = write!(page, "\n### {name}\n");
    let about = text(&schema["description"]);
    if !about.is_empty() {
        let _ = write!(page, "\n{about}\n");
    }
    if schema["type"] != "object" {
        let choices = list(&schema["oneOf"]);
        if choices.is_empty() {
            let _ = write!(page, "\nIt is: {}.\n", kind(schema));
        }
        for (place, choice) in choices.iter().enumerate() {
            let gap = if place == 0 { "\n" } else { "" };
            let about = text(&choice["description"]).replace('\n', " ");
            let _ = writeln!(page, "{gap}- {}: {about}", kind(choice));
        }
    }
    let required = list(&schema["required"]);
    table(
        page,
        entries(&schema["properties"]).map(|(name, field)| {
            let is_required = required.iter().any(|one| one == name.as_str());
            (name.clone(), field, is_required, "")
        }),
    );
}

/// The whole page, of a description.
fn page(document: &Value) -> String {
    let calls = || {
        entries(&document["paths"]).flat_map(|(path, methods)| {
            entries(methods).map(move |(method, call)| (method, path, call))
        })
    };
    let owner = |call: &Value| text(&call["tags"][0]).to_owned();
    let mut owners: Vec<String> = calls().map(|(_, _, call)| owner(call)).collect();
    owners.sort_by_key(|owner| (owner != "core", owner.clone()));
    owners.dedup();
    let mut page = HEAD.to_owned();
    for one in owners {
        match one.as_str() {
            "core" => page.push_str("\n## The core\n"),
            name => {
                let _ = write!(page, "\n## [{name}](features/{name}.md)\n");
            }
        }
        for (method, path, of) in calls().filter(|(_, _, call)| owner(call) == one) {
            call(&mut page, method, path, of);
        }
    }
    page.push_str("\n## What is sent and answered\n");
    for (name, of) in entries(&document["components"]["schemas"]) {
        schema(&mut page, name, of);
    }
    page
}

#[test]
fn the_reference_is_as_it_was_written_down() {
    let server = Server::builder().all().start();
    let now = page(&super::document(&server));
    if std::env::var_os("VECHE_WRITE_REFERENCE").is_some() {
        fs::write(WRITTEN, now).expect("a file");
        return;
    }
    let written = fs::read_to_string(WRITTEN).expect("docs/reference.md");
    // A tree that lacks a feature has another API than the page is of.
    let there = features(&binary());
    let is_whole = written
        .lines()
        .filter_map(|line| line.strip_prefix("## [")?.split(']').next())
        .all(|name| there.iter().any(|one| one == name));
    if !is_whole {
        return;
    }
    let differs = now
        .lines()
        .zip(written.lines())
        .find(|(now, written)| now != written);
    assert!(
        now == written,
        "docs/reference.md is of another API; run this test with VECHE_WRITE_REFERENCE=1. The first \
         difference: {differs:#?}"
    );
}
