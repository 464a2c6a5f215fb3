//! Reading bodies and queries, with errors that name what is wrong.

use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::chat::invalid;
use crate::http::Problem;

/// How deep arrays and objects may lie in each other, those in ignored fields included.
const DEPTH: usize = 64;

/// How deep arrays and objects lie in each other at most. What is no JSON has some depth, too.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next().filter(|byte| **byte != b'"') {
                    if *byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Reads a JSON body: 400 `malformed` where it is no JSON, 422 `invalid` naming the field where
/// it is of the wrong type. Unknown fields are ignored.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "malformed", detail);
    if depth(bytes) > DEPTH {
        return Err(malformed(format!(
            "the body is nested more than {DEPTH} deep"
        )));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(malformed(format!("the body is not UTF-8: {error}")));
    }
    if !bytes.trim_ascii_start().starts_with(b"{") {
        // A list of a struct's values would pass for the struct.
        return Err(
            match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
                Ok(_) => invalid("body", "the body must be a JSON object"),
                Err(error) => malformed(format!("the body is not JSON: {error}")),
            },
        );
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer);
    match parsed {
        Ok(value) => match deserializer.end() {
            Ok(()) => Ok(value),
            Err(error) => Err(malformed(format!("the body is not JSON: {error}"))),
        },
        Err(error) => {
            // A wrong type may come before what is no JSON at all, and is at times told as that.
            match serde_json::from_slice::<serde_json::Value>(bytes) {
                Ok(_) => Err(wrong_type(&error)),
                Err(error) => Err(malformed(format!("the body is not JSON: {error}"))),
            }
        }
    }
}

/// Reads a query, or a form: 422 `invalid` naming the field where a value is of the wrong type.
pub fn parse_query<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let pairs = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        if path == "." {
            return wrong_type(&error);
        }
        // Everything is text here. What is a number is told by what its reader says.
        let said = error.inner().to_string();
        let is_number = ["digit", "number too", "parse integer"]
            .iter()
            .any(|words| said.contains(words));
        if is_number {
            return invalid(&path, format!("`{path}` must be a whole number"));
        }
        invalid(&path, format!("`{path}`: {said}"))
    })
}

fn wrong_type<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> Problem {
    let path = error.path().to_string();
    let said = error.inner().to_string();
    // The place in the text helps nobody: the field is named. Nor do the names of Rust's types.
    let said = said.split(" at line ").next().unwrap_or_default();
    // As a value that is none of a list's names is told, if it is no text.
    let said = if said == "expected value" {
        "this is no value that it can have"
    } else {
        said
    };
    let said = ["u64", "u32", "u16", "u8", "usize", "i64"]
        .iter()
        .find_map(|number| said.strip_suffix(&format!("expected {number}")))
        .map_or(said.to_owned(), |said| {
            format!("{said}expected a whole number")
        });
    if path == "." {
        // A missing field is its parent's error, with its name in the sentence.
        let field = said.split('`').nth(1).unwrap_or("body").to_owned();
        return invalid(&field, said);
    }
    invalid(&path, format!("`{path}`: {said}"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::feature::Paging;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its reading is tested")]
    struct Send {
        to: String,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        count: Option<u8>,
    }

    fn refusal(body: &[u8]) -> (u16, String) {
        let problem = parse_json::<Send>(body).expect_err("a refusal");
        (
            problem.status.as_u16(),
            problem
                .members
                .get("field")
                .map_or("-".into(), |f| f.as_str().unwrap_or("?").into()),
        )
    }

    #[test]
    fn what_is_no_json_is_400_and_a_wrong_type_is_422_with_the_field() {
        for malformed in [
            &b"{"[..],
            b"",
            b"{\"to\":\"a\"} x",
            b"{\"to\": 5, ",
            b"\xff",
            b"{\"to\":\"\\ud800\"}",
        ] {
            assert_eq!(refusal(malformed), (400, "-".into()), "{malformed:?}");
        }
        assert_eq!(refusal(br#"{"to": 5}"#), (422, "to".into()));
        assert_eq!(
            refusal(br#"{"to": "a", "count": 300}"#),
            (422, "count".into())
        );
        for kind in ["5", "true", "1.5", "[]", "{}", "\"two\""] {
            let body = format!(r#"{{"to": "a", "kind": {kind}}}"#);
            assert_eq!(refusal(body.as_bytes()), (422, "kind".into()), "{kind}");
        }
        assert_eq!(refusal(b"{}"), (422, "to".into()));
        for no_object in [&b"[]"[..], b"[\"common\", 1]", b"5", b"null", b" \"x\""] {
            assert_eq!(refusal(no_object), (422, "body".into()), "{no_object:?}");
        }
        assert!(parse_json::<Send>(br#"{"to": "a", "more": [1]}"#).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| {
            format!(
                r#"{{"to": "a\"[[", "x": {}{}}}"#,
                "[".repeat(depth),
                "]".repeat(depth)
            )
        };
        assert!(parse_json::<Send>(nested(DEPTH - 1).as_bytes()).is_ok());
        assert_eq!(refusal(nested(DEPTH).as_bytes()).0, 400);
        assert_eq!(refusal("[".repeat(100_000).as_bytes()).0, 400);
    }

    #[test]
    fn a_query_names_its_wrong_field() {
        let problem = parse_query::<Paging>(Some("after=x&other=1")).expect_err("a refusal");
        assert_eq!(problem.members["field"], "after");
        assert!(parse_query::<Paging>(Some("other=1")).is_ok());
        assert!(parse_query::<Paging>(None).is_ok());
    }
}
