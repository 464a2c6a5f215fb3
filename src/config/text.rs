//! Settings as people read them: in force, as a sample file, and as a list of features.

use std::fmt::Write;

use super::{Config, FeatureTable};
use crate::settings::Field;

/// How wide the sample file's comments are.
const FILE_WIDTH: usize = 88;

/// How wide a terminal is assumed to be.
const TERMINAL_WIDTH: usize = 80;

const HEAD: &str = "The settings of veche. Each stands here at its default, so a line that is \
    deleted changes nothing. Lengths of time are written like \"500ms\", \"90s\", \"10m\", \
    \"4h\" or \"7d\", sizes like \"256KiB\" or \"5MiB\". `veche check` prints what is in force; \
    docs/configuration.md says more.";

/// How `enabled` is documented in every feature's table.
const ENABLED: &str = "Whether the feature is on.";

/// Writes a table without comments.
pub(super) fn table(
    out: &mut String,
    header: &str,
    enabled: Option<bool>,
    fields: &[Field],
    values: &toml::Table,
) {
    if !out.is_empty() {
        out.push('\n');
    }
    line(out, format_args!("[{header}]"));
    if let Some(enabled) = enabled {
        line(out, format_args!("enabled = {enabled}"));
    }
    for field in fields {
        if let Some(value) = values.get(field.name) {
            line(out, format_args!("{} = {value}", key(field.name)));
        }
    }
}

/// The sample file.
pub(super) fn sample(core: &[FeatureTable], features: &[FeatureTable]) -> String {
    let mut out = String::new();
    wrapped(&mut out, HEAD, "# ", FILE_WIDTH);
    for info in core {
        documented(&mut out, info.name, info, false);
    }
    for info in by_name(features) {
        documented(&mut out, &feature_header(info.name), info, true);
    }
    out
}

fn documented(out: &mut String, header: &str, info: &FeatureTable, can_be_off: bool) {
    out.push('\n');
    wrapped(out, info.about, "# ", FILE_WIDTH);
    line(out, format_args!("[{header}]"));
    if can_be_off {
        wrapped(out, ENABLED, "# ", FILE_WIDTH);
        line(out, format_args!("enabled = {}", info.on));
    }
    let defaults = info.defaults();
    for (index, field) in info.fields.iter().enumerate() {
        if can_be_off || index > 0 {
            out.push('\n');
        }
        wrapped(out, field.about, "# ", FILE_WIDTH);
        match defaults.get(field.name) {
            Some(value) => line(out, format_args!("{} = {value}", key(field.name))),
            None => line(out, format_args!("# {} is not set", key(field.name))),
        }
    }
}

/// The list of features for a terminal.
pub(super) fn describe(features: &[FeatureTable], config: &Config) -> String {
    let mut out = String::new();
    for info in by_name(features) {
        if !out.is_empty() {
            out.push('\n');
        }
        let state = if config.enabled(info.name) {
            "on"
        } else {
            "off"
        };
        line(&mut out, format_args!("{} ({state})", info.name));
        wrapped(&mut out, info.about, "  ", TERMINAL_WIDTH);
        if info.fields.is_empty() {
            line(&mut out, format_args!("    no settings"));
        }
        let defaults = info.defaults();
        for field in info.fields {
            let default = match defaults.get(field.name) {
                Some(value) => value.to_string(),
                None => "not set".to_owned(),
            };
            let in_force = match config.table(info.name) {
                Some(table) => table
                    .get(field.name)
                    .map_or_else(|| "not set".to_owned(), ToString::to_string),
                None => default.clone(),
            };
            let note = if in_force == default {
                String::new()
            } else {
                format!("  (default: {default})")
            };
            line(
                &mut out,
                format_args!("    {} = {in_force}{note}", key(field.name)),
            );
            wrapped(&mut out, field.about, "        ", TERMINAL_WIDTH);
        }
    }
    if out.is_empty() {
        out.push_str("No features are compiled in.\n");
    }
    out
}

fn by_name(features: &[FeatureTable]) -> Vec<&FeatureTable> {
    let mut sorted: Vec<_> = features.iter().collect();
    sorted.sort_by_key(|info| info.name);
    sorted
}

/// How a feature's table is opened.
pub(super) fn feature_header(name: &str) -> String {
    format!("features.{}", key(name))
}

/// A key, quoted where TOML needs it.
fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        toml::Value::from(name).to_string()
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}

/// Writes a paragraph in lines of at most `width` characters; a longer word has its own.
fn wrapped(out: &mut String, paragraph: &str, indent: &str, width: usize) {
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(indent);
            column = indent.chars().count();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    if column > 0 {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_wrapped_between_words() {
        let mut out = String::new();
        wrapped(&mut out, "one two three\nfour abcdefghijklmno", "# ", 9);
        assert_eq!(out, "# one two\n# three\n# four\n# abcdefghijklmno\n");
        let mut out = String::new();
        wrapped(&mut out, " \n ", "# ", 9);
        assert_eq!(out, "");
    }

    #[test]
    fn a_key_is_quoted_where_toml_needs_it() {
        assert_eq!(key("trusted_proxies"), "trusted_proxies");
        assert_eq!(key("a.b"), "\"a.b\"");
    }
}
