//! Makes what others wrote safe to print, and times readable.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub(super) use crate::inert::steers;

/// The text with every character that could steer a terminal, or turn the order of what stands
/// around it, written as a visible escape. Line feeds are the caller's to lay out.
pub fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            c if steers(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// One line, such as a name or a title: line breaks are written as escapes, too, and so is what is not
/// drawn at all, by which one name could pass for another.
pub fn safe_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut is_flag = false;
    for c in safe(&line_breaks(text)).replace('\n', "\\n").chars() {
        // The flags of England, Scotland and Wales are spelt by tags.
        let is_tag = matches!(c, '\u{e0000}'..='\u{e007f}');
        is_flag = c == '\u{1f3f4}' || (is_flag && is_tag);
        match c {
            '\u{200b}' | '\u{3164}' | '\u{feff}' => line.extend(c.escape_unicode()),
            _ if is_tag && !is_flag => line.extend(c.escape_unicode()),
            _ => line.push(c),
        }
    }
    line
}

/// Several lines, each after the first one indented, so that no text can pass for a line of ours.
pub fn safe_indented(text: &str) -> String {
    safe(&line_breaks(text)).replace('\n', "\n      ")
}

/// Its lines, each safe.
pub fn safe_lines(text: &str) -> Vec<String> {
    safe(&line_breaks(text))
        .split('\n')
        .map(str::to_owned)
        .collect()
}

/// JSON with such characters escaped the way that JSON does. They can stand in strings only.
pub fn safe_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Every kind of line break as a line feed.
fn line_breaks(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace(['\r', '\u{85}', '\u{2028}', '\u{2029}'], "\n")
}

/// Whether a text has this name as a word of its own, whatever its case.
pub fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    !name.is_empty()
        && text.match_indices(&name).any(|(at, found)| {
            let before = text[..at].chars().next_back();
            let after = text[at + found.len()..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
}

/// The zone that times are shown in.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// The user's: what `TZ` names, else the system's, else UTC.
    pub fn local() -> Zone {
        let zone = match std::env::var("TZ") {
            Ok(name) => named(name.trim_start_matches(':')),
            Err(_) => from_file(Path::new("/etc/localtime")),
        };
        Zone(zone.unwrap_or(TimeZone::UTC))
    }

    /// UTC, for tests.
    #[cfg(any(test, fuzzing))]
    pub fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    /// The zone of a name or a rule, for tests.
    #[cfg(test)]
    pub fn named(name: &str) -> Option<Zone> {
        named(name).map(Zone)
    }

    /// What the clocks show then.
    pub fn civil(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(at)
    }

    /// When the clocks show this; none where that is beyond all times. Where they are put back it
    /// is the first time, and where they skip it, as much later.
    pub fn at(&self, civil: DateTime) -> Option<Timestamp> {
        self.0.to_timestamp(civil).ok()
    }

    /// The time of an RFC 3339 stamp, with the date unless it is today's. What is no time stays
    /// as it was written.
    pub fn show(&self, stamp: &str, now: Timestamp) -> String {
        let Ok(at) = stamp.parse::<Timestamp>() else {
            return safe_line(stamp);
        };
        let at = self.0.to_datetime(at);
        let today = self.0.to_datetime(now).date();
        let format = if at.date() == today {
            "%H:%M"
        } else {
            "%Y-%m-%d %H:%M"
        };
        at.strftime(format).to_string()
    }
}

fn named(name: &str) -> Option<TimeZone> {
    if name.is_empty() {
        return None;
    }
    if Path::new(name).is_absolute() {
        return from_file(Path::new(name));
    }
    from_file(&Path::new("/usr/share/zoneinfo").join(name)).or_else(|| TimeZone::posix(name).ok())
}

fn from_file(path: &Path) -> Option<TimeZone> {
    let data = std::fs::read(path).ok()?;
    TimeZone::tzif("local", &data).ok()
}

/// A number of seconds as people say it, in its two largest units; what is smaller is rounded up.
pub fn duration(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "day"), (3_600, "h"), (60, "min")];
    let largest = UNITS.iter().position(|(unit, _)| seconds >= *unit);
    let Some(at) = largest else {
        return format!("{seconds} s");
    };
    let (smaller, name) = UNITS.get(at + 1).copied().unwrap_or((1, "s"));
    let (unit, _) = UNITS[at];
    let rounded = seconds.div_ceil(smaller).saturating_mul(smaller);
    if at > 0 && rounded == UNITS[at - 1].0 {
        return duration(rounded);
    }
    let count = |count: u64, name: &str| match (count, name) {
        (count @ 2.., "day") => format!("{count} days"),
        (count, name) => format!("{count} {name}"),
    };
    let whole = count(rounded / unit, UNITS[at].1);
    match rounded % unit / smaller {
        0 => whole,
        rest => format!("{whole} {}", count(rest, name)),
    }
}

/// A number of bytes as people say it, with one decimal below 10; what is smaller is rounded up.
pub fn size(bytes: u64) -> String {
    scaled(bytes, u128::div_ceil)
}

/// The largest number of bytes that is taken, rounded down: no larger size reads the same.
pub fn limit(bytes: u64) -> String {
    scaled(bytes, |bytes, unit| bytes / unit)
}

fn scaled(bytes: u64, divide: fn(u128, u128) -> u128) -> String {
    let (name, unit) = match bytes {
        0..=0x3ff => return format!("{bytes} B"),
        0x400..=0xf_ffff => ("KiB", 1 << 10),
        0x10_0000..=0x3fff_ffff => ("MiB", 1 << 20),
        _ => ("GiB", 1 << 30),
    };
    let bytes = u128::from(bytes);
    if bytes >= unit * 10 {
        return format!("{} {name}", divide(bytes, unit));
    }
    let tenths = divide(bytes * 10, unit);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {name}"),
        (whole, tenth) => format!("{whole}.{tenth} {name}"),
    }
}

/// The beginning of a text in one line, to be recognised by.
pub fn excerpt(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => safe_line(&text[..end]) + "…",
        None => safe_line(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_mentioned_as_a_word_of_its_own() {
        for text in ["ann", "hi @Ann!", "ANN: look", "(ann)"] {
            assert!(mentions(text, "Ann"), "{text}");
        }
        for text in ["", "anna", "joann", "ann-marie", "an n"] {
            assert!(!mentions(text, "Ann"), "{text}");
        }
        assert!(!mentions("anything", ""));
    }

    #[test]
    fn no_control_character_survives() {
        for c in (0..=0x9f)
            .filter_map(char::from_u32)
            .filter(|c| c.is_control())
        {
            let text = format!("a{c}b");
            for shown in [safe(&text), safe_line(&text), safe_indented(&text)] {
                assert!(shown.chars().all(|c| !c.is_control() || c == '\n'), "{c:?}");
            }
            assert!(!safe_line(&text).contains('\n'));
            let json = serde_json::to_string(&text).unwrap();
            assert!(!safe_json(&json).contains(char::is_control));
        }
    }

    #[test]
    fn escape_sequences_are_shown_instead_of_obeyed() {
        assert_eq!(safe_line("\u{1b}[2Jgone\u{7}"), "\\u{1b}[2Jgone\\u{7}");
        assert_eq!(safe_line("\u{9b}2J\u{7f}"), "\\u{9b}2J\\u{7f}");
        let unseen = "a\u{200b}\u{feff}\u{3164}\u{e0061}b";
        assert_eq!(safe_line(unseen), "a\\u{200b}\\u{feff}\\u{3164}\\u{e0061}b");
        let wales = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}";
        assert_eq!(safe_line(wales), wales);
    }

    #[test]
    fn overrides_of_the_reading_direction_are_shown() {
        for c in [
            '\u{202e}', '\u{202a}', '\u{2066}', '\u{2069}', '\u{200f}', '\u{61c}',
        ] {
            assert!(!safe(&format!("a{c}b")).contains(c), "{c:?}");
        }
    }

    #[test]
    fn scripts_and_emoji_stay_as_they_are() {
        let text = "नमस्ते שלום 👩‍👩‍👧‍👦 é";
        assert_eq!(safe_line(text), text);
        assert_eq!(safe_json(text), text);
    }

    #[test]
    fn further_lines_are_indented_whatever_broke_them() {
        let lines = safe_indented("a\r\nb\rc\nd\u{2028}e\u{85}f");
        assert_eq!(lines, ["a", "b", "c", "d", "e", "f"].join("\n      "));
    }

    #[test]
    fn escaped_json_says_the_same() {
        let json = serde_json::to_string("\u{202e}\u{7f}\u{9b}\\").unwrap();
        let back: String = serde_json::from_str(&safe_json(&json)).unwrap();
        assert_eq!(back, "\u{202e}\u{7f}\u{9b}\\");
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let now = "2026-11-24T20:30:00Z".parse().unwrap();
        let zone = Zone::utc();
        assert_eq!(zone.show("2026-11-24T20:18:55.123Z", now), "20:18");
        assert_eq!(
            zone.show("2026-11-23T20:18:55.123Z", now),
            "2026-11-23 20:18"
        );
        assert_eq!(zone.show("so\u{1b}on", now), "so\\u{1b}on");
    }

    #[test]
    fn a_zone_is_known_by_its_rule() {
        let now = "2026-11-24T20:30:00Z".parse().unwrap();
        let zone = Zone(named("XYZ-5:30").unwrap());
        assert_eq!(zone.show("2026-11-24T20:18:55.123Z", now), "01:48");
    }

    #[test]
    fn a_long_text_is_cut_where_it_is_only_to_be_recognised() {
        assert_eq!(excerpt("жук\nи", 5), "жук\\nи");
        assert_eq!(excerpt("жук\nи", 4), "жук\\n…");
    }

    #[test]
    fn durations_and_sizes_are_rounded_up() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (125, "2 min 5 s"),
            (3_599, "59 min 59 s"),
            (3_600, "1 h"),
            (5_401, "1 h 31 min"),
            (86_399, "1 day"),
            (86_400, "1 day"),
            (100_000, "1 day 4 h"),
            (172_799, "2 days"),
            (2_592_000, "30 days"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
        assert_eq!(duration(u64::MAX), "213503982334601 days 7 h");
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1 KiB"),
            (1_025, "1.1 KiB"),
            (10_241, "11 KiB"),
            (5 << 20, "5 MiB"),
            ((5 << 20) + 1, "5.1 MiB"),
            ((64 << 20) - 1, "64 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "17179869184 GiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn a_size_above_a_limit_never_reads_as_the_limit() {
        assert_eq!(limit(5 << 20), "5 MiB");
        assert_eq!(limit((5 << 20) + 99), "5 MiB");
        for most in [
            1_023,
            1_024,
            10_239,
            5 << 20,
            10 << 20,
            (50 << 20) + 7,
            1 << 30,
        ] {
            assert_ne!(limit(most), size(most + 1), "{most}");
        }
    }
}
