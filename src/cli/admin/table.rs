//! JSON as people read it: a list of objects is a table, all else a line each.

use std::fmt::Write;

use serde_json::{Map, Value};
use unicode_segmentation::UnicodeSegmentation;

use crate::inert::steers;

/// An answer in lines. What pages it goes on with is not shown.
pub(super) fn show(answer: &Value) -> String {
    let Some(fields) = answer.as_object() else {
        return format!("{}\n", cell(answer));
    };
    let mut text = String::new();
    for (name, value) in fields.iter().filter(|(name, _)| *name != "next") {
        match value.as_array().map(Vec::as_slice) {
            Some([]) => line(name, &"none".into(), &mut text),
            Some(rows) if rows.iter().all(Value::is_object) => table(rows, &mut text),
            _ => line(name, value, &mut text),
        }
    }
    text
}

fn line(name: &str, value: &Value, text: &mut String) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "{name}: {}", cell(value));
}

/// Rows under the names of all fields that any of them has, in the order in which they come.
fn table(rows: &[Value], text: &mut String) {
    let rows: Vec<&Map<String, Value>> = rows.iter().filter_map(Value::as_object).collect();
    let mut names: Vec<&String> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let head = names.iter().map(|name| (*name).clone()).collect();
    let body = rows.iter().map(|row| {
        let cells = names
            .iter()
            .map(|name| row.get(*name).map_or_else(String::new, cell));
        cells.collect()
    });
    let lines: Vec<Vec<String>> = [head].into_iter().chain(body).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| long(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    for line in &lines {
        let mut written = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            written.push_str(cell);
            written.extend(std::iter::repeat_n(' ', width - long(cell) + 2));
        }
        text.push_str(written.trim_end());
        text.push('\n');
    }
}

/// How many characters a text has, as people see them.
fn long(text: &str) -> usize {
    text.graphemes(true).count()
}

/// A value in one line, in which nothing steers a terminal.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        // In a column of its own each field would make a wide table, and mostly an empty one.
        Value::Object(fields) => {
            let field = |(name, value)| format!("{name}={}", cell(value));
            fields.iter().map(field).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    let mut inert = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            inert.extend(c.escape_unicode());
        } else {
            inert.push(c);
        }
    }
    inert
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_of_objects_is_a_table_whose_columns_stand_in_line() {
        let users = json!([
            {"name": "ann", "online": true, "case": {"warnings": 2, "limit": 3}},
            {"name": "Żółć\u{1b}[2J", "online": false, "seen": null},
        ]);
        let shown = show(&json!({"users": users, "next": "x"}));
        let expected = "\
name             online  case                  seen
ann              true    warnings=2 limit=3
Żółć\\u{1b}[2J  false                         -
";
        let squeeze = |text: &str| -> Vec<String> {
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            text.lines().map(words).collect()
        };
        assert_eq!(squeeze(&shown), squeeze(expected));
        let columns: Vec<_> = shown
            .lines()
            .take(2)
            .map(|line| line.find("tru").or(line.find("onl")))
            .collect();
        assert_eq!(columns[0], columns[1]);
    }

    #[test]
    fn all_else_is_a_line_each() {
        let shown = show(&json!({"name": "veche", "features": ["a", "b"], "none": []}));
        assert_eq!(shown, "name: veche\nfeatures: a, b\nnone: none\n");
    }
}
