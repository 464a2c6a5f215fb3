//! From the text of a file to tables in which every setting is known, allowed and filled in.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::FeatureTable;
use super::error::{Fault, cut, plain, position, shown_key};
use crate::settings::{Field, quoted};

/// What a file says, checked, with the defaults for what it does not say.
pub(super) struct Tables {
    /// The core's tables.
    pub core: BTreeMap<&'static str, toml::Table>,
    /// The features' tables, without `enabled`.
    pub features: BTreeMap<&'static str, (bool, toml::Table)>,
}

/// Reads a file; on failure says every fault that was found, in the file's order.
pub(super) fn read(
    text: &str,
    file: &str,
    core: &[FeatureTable],
    features: &[FeatureTable],
) -> Result<Tables, Vec<Fault>> {
    let mut reader = Reader {
        text,
        file,
        faults: Vec::new(),
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        reader.not_toml(&errors);
        return Err(reader.faults);
    }
    let tables = reader.document(document, core, features);
    if reader.faults.is_empty() {
        return Ok(tables);
    }
    let mut faults = reader.faults;
    faults.sort_by_key(|fault| (fault.line, fault.column));
    Err(faults)
}

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn fault(&mut self, at: Range<usize>, key: &str, message: String) {
        let (line, column) = position(self.text.as_bytes(), at.start);
        self.faults.push(Fault {
            file: self.file.to_owned(),
            line,
            column,
            key: key.to_owned(),
            message: cut(message),
        });
    }

    /// One broken character often breaks what follows on its line, so a line is named once.
    fn not_toml(&mut self, errors: &[toml::de::Error]) {
        for error in errors {
            let at = error.span().unwrap_or(self.text.len()..self.text.len());
            let what = self.text.get(at.clone()).unwrap_or_default().trim();
            let (key, message) = if error.message().starts_with("duplicate key") {
                let message = "stands here a second time; a key and a table stand once";
                (shown_key(what), message.to_owned())
            } else if what.is_empty() && error.message().starts_with("string values") {
                let message = "is not TOML: a value is missing after the =";
                (String::new(), message.to_owned())
            } else {
                (String::new(), format!("is not TOML: {}", error.message()))
            };
            self.fault(at, &key, message);
        }
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        self.faults.dedup_by_key(|fault| fault.line);
    }

    fn document(
        &mut self,
        document: Spanned<DeTable<'a>>,
        core: &[FeatureTable],
        features: &[FeatureTable],
    ) -> Tables {
        let mut given_core = BTreeMap::new();
        let mut given_features = BTreeMap::new();
        for (key, value) in document.into_inner() {
            let name: &str = key.get_ref();
            if let Some(info) = core.iter().find(|info| info.name == name) {
                if let Some(table) = self.table(info.name, name, value) {
                    given_core.insert(info.name, table);
                }
            } else if name == "features" {
                if let Some(table) = self.table("features", "features.NAME", value) {
                    given_features = self.known_features(table.into_inner(), features);
                }
            } else {
                let message = unknown_table(name, core, features);
                self.fault(key.span(), &shown_key(name), message);
            }
        }
        Tables {
            core: core
                .iter()
                .map(|info| {
                    let given = given_core.remove(info.name);
                    (info.name, self.settings(info.name, info, given, &[]))
                })
                .collect(),
            features: features
                .iter()
                .map(|info| {
                    let given = given_features.remove(info.name);
                    (info.name, self.feature(info, given))
                })
                .collect(),
        }
    }

    /// The table that a key must hold, `header` being how it is opened.
    fn table(
        &mut self,
        path: &str,
        header: &str,
        value: Spanned<DeValue<'a>>,
    ) -> Option<Spanned<DeTable<'a>>> {
        let at = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Spanned::new(at, table)),
            DeValue::Array(items) if items.iter().all(|item| item.get_ref().is_table()) => {
                let message = format!("is one table: write [{header}], not [[{header}]]");
                self.fault(at, path, message);
                None
            }
            _ => {
                let message = format!("is a table: write [{header}] and its settings below it");
                self.fault(at, path, message);
                None
            }
        }
    }

    fn known_features(
        &mut self,
        tables: DeTable<'a>,
        features: &[FeatureTable],
    ) -> BTreeMap<&'static str, Spanned<DeTable<'a>>> {
        let mut known = BTreeMap::new();
        for (key, value) in tables {
            let name: &str = key.get_ref();
            let path = format!("features.{}", shown_key(name));
            match features.iter().find(|info| info.name == name) {
                Some(info) => {
                    if let Some(table) = self.table(&path, &path, value) {
                        known.insert(info.name, table);
                    }
                }
                None => {
                    let mut names: Vec<_> = features.iter().map(|info| info.name).collect();
                    names.sort_unstable();
                    let message = unknown("feature", name, &names, "Known features");
                    self.fault(key.span(), &path, message);
                }
            }
        }
        known
    }

    /// A feature's table, of which the core takes `enabled` for itself.
    fn feature(
        &mut self,
        info: &FeatureTable,
        given: Option<Spanned<DeTable<'a>>>,
    ) -> (bool, toml::Table) {
        let path = format!("features.{}", info.name);
        let mut enabled = true;
        let given = given.map(|mut table| {
            if let Some(value) = table.get_mut().remove("enabled") {
                match value.get_ref().as_bool() {
                    Some(told) => enabled = told,
                    None => self.fault(
                        value.span(),
                        &format!("{path}.enabled"),
                        "must be true or false".to_owned(),
                    ),
                }
            }
            table
        });
        (enabled, self.settings(&path, info, given, &["enabled"]))
    }

    /// Reads a table key by key, so that every fault has its place, then as a whole.
    fn settings(
        &mut self,
        path: &str,
        info: &FeatureTable,
        given: Option<Spanned<DeTable<'a>>>,
        also_known: &[&'static str],
    ) -> toml::Table {
        let mut good = toml::Table::new();
        let mut places = BTreeMap::new();
        let mut at = 0..0;
        if let Some(table) = given {
            at = table.span();
            for (key, value) in table.into_inner() {
                let name: &str = key.get_ref();
                let Some(field) = info.fields.iter().find(|field| field.name == name) else {
                    let names: Vec<_> = also_known
                        .iter()
                        .copied()
                        .chain(info.fields.iter().map(|field| field.name))
                        .collect();
                    let message = unknown("setting", name, &names, &format!("Known in [{path}]"));
                    self.fault(key.span(), &format!("{path}.{}", shown_key(name)), message);
                    continue;
                };
                let place = value.span();
                if let Some(value) = self.setting(path, info, field, value) {
                    good.insert(name.to_owned(), value);
                    places.insert(name.to_owned(), place);
                }
            }
        }
        (info.read)(good).unwrap_or_else(|problems| {
            for problem in problems {
                let place = places.get(&problem.key).unwrap_or(&at).clone();
                let key = match problem.key.as_str() {
                    "" => path.to_owned(),
                    key => format!("{path}.{key}"),
                };
                self.fault(place, &key, problem.message);
            }
            toml::Table::new()
        })
    }

    fn setting(
        &mut self,
        path: &str,
        info: &FeatureTable,
        field: &Field,
        value: Spanned<DeValue<'a>>,
    ) -> Option<toml::Value> {
        let at = value.span();
        let key = format!("{path}.{}", field.name);
        let value = match toml::Value::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => value,
            Err(error) => {
                self.fault(at, &key, plain(error.message()));
                return None;
            }
        };
        let alone = toml::Table::from_iter([(field.name.to_owned(), value.clone())]);
        let Err(problems) = (info.read)(alone) else {
            return Some(value);
        };
        let mut wrong: Vec<_> = problems
            .into_iter()
            .filter(|problem| problem.key == field.name || problem.key.is_empty())
            .collect();
        if wrong.is_empty() {
            // What is wrong lies in another setting's default; reading the whole says so.
            return Some(value);
        }
        for problem in &mut wrong {
            if let Some(default) = info.defaults().get(field.name) {
                let default = cut(default.to_string());
                problem.message = format!("{} (the default is {default})", problem.message);
            }
            self.fault(at.clone(), &key, std::mem::take(&mut problem.message));
        }
        None
    }
}

/// Says that nothing has this name, which has the nearest, and which there are.
fn unknown(kind: &str, name: &str, known: &[&str], heading: &str) -> String {
    let mut message = format!("there is no {kind} {}", quoted(name));
    if let Some(nearest) = nearest(name, known) {
        message.push_str(&format!("; did you mean \"{nearest}\"?"));
    } else {
        message.push('.');
    }
    let list = match known {
        [] => "none".to_owned(),
        known => known.join(", "),
    };
    format!("{message} {heading}: {list}")
}

/// A table of the top that nobody knows: perhaps a slip of the pen, or a setting or a feature
/// in the wrong place.
fn unknown_table(name: &str, core: &[FeatureTable], features: &[FeatureTable]) -> String {
    if features.iter().any(|info| info.name == name) {
        return format!("is a feature: write [features.{name}]");
    }
    let holder = core
        .iter()
        .find(|info| info.fields.iter().any(|field| field.name == name));
    if let Some(info) = holder {
        let table = info.name;
        return format!("is a setting of [{table}]: write it below that line");
    }
    let mut known: Vec<_> = core.iter().map(|info| info.name).collect();
    known.push("features");
    unknown("table", name, &known, "Known tables")
}

fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    // Below this, names have little more than a letter in common.
    const ALIKE: f64 = 0.7;
    if name.len() > 100 {
        return None;
    }
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), *known))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError, FeatureTable};
    use crate::settings::Period;

    crate::settings! {
        /// A lamp.
        struct Lamp {
            /// How long it burns.
            after: Period = Period::hours(1) => Period::secs(1)..,
            /// How bright it is.
            level: u8 = 3 => 1..=9,
            /// Nested.
            inner: Inner = Inner::default(),
        }

        /// Inside a lamp.
        struct Inner {
            /// A number.
            n: i32 = 1,
        }
    }

    fn features() -> [FeatureTable; 2] {
        [
            FeatureTable::of::<Lamp>("lamp", "Gives light."),
            FeatureTable::of::<()>("echo", "Answers."),
        ]
    }

    /// The lines of what is said about a text, without the file's name.
    fn said(text: &str) -> Vec<String> {
        match Config::parse(text, "c.toml", &features()) {
            Ok(_) => Vec::new(),
            Err(error) => error
                .to_string()
                .lines()
                .map(|line| line.strip_prefix("c.toml:").unwrap().to_owned())
                .collect(),
        }
    }

    fn said_once(text: &str) -> String {
        let mut lines = said(text);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.remove(0)
    }

    #[test]
    fn an_unknown_setting_names_the_nearest_and_all_known_ones() {
        assert_eq!(
            said_once("[chat]\nhistroy = 5"),
            "2:1: chat.histroy: there is no setting \"histroy\"; did you mean \"history\"? \
             Known in [chat]: history, text"
        );
        assert_eq!(
            said_once("[features.lamp]\nlevle = 5"),
            "2:1: features.lamp.levle: there is no setting \"levle\"; did you mean \"level\"? \
             Known in [features.lamp]: enabled, after, level, inner"
        );
        assert_eq!(
            said_once("[features.echo]\nxyz = 5"),
            "2:1: features.echo.xyz: there is no setting \"xyz\". \
             Known in [features.echo]: enabled"
        );
        assert_eq!(
            said_once("[features.lamp]\nenabeld = false"),
            "2:1: features.lamp.enabeld: there is no setting \"enabeld\"; \
             did you mean \"enabled\"? Known in [features.lamp]: enabled, after, level, inner"
        );
    }

    #[test]
    fn an_unknown_feature_or_table_names_the_nearest_and_all_known_ones() {
        assert_eq!(
            said_once("[features.lapm]\nenabled = true"),
            "1:11: features.lapm: there is no feature \"lapm\"; did you mean \"lamp\"? \
             Known features: echo, lamp"
        );
        assert_eq!(
            said_once("\n[sever]"),
            "2:2: sever: there is no table \"sever\"; did you mean \"server\"? \
             Known tables: server, chat, log, storage, features"
        );
        let alone = Config::parse("[features.lamp]", "c.toml", &[]).unwrap_err();
        assert_eq!(
            alone.to_string(),
            "c.toml:1:11: features.lamp: there is no feature \"lamp\". Known features: none"
        );
    }

    #[test]
    fn a_key_in_the_wrong_place_is_told_its_own() {
        assert_eq!(
            said_once("listen = \"127.0.0.1:1\""),
            "1:1: listen: is a setting of [server]: write it below that line"
        );
        assert_eq!(
            said_once("[lamp]\nlevel = 2"),
            "1:2: lamp: is a feature: write [features.lamp]"
        );
        assert!(said_once("server = 5").contains("write [server] and its settings"));
        assert!(said_once("[[chat]]\n[[chat]]").contains("write [chat], not [[chat]]"));
        assert!(said_once("[[features]]").contains("write [features.NAME]"));
        assert_eq!(
            said_once("[features]\nlamp = false"),
            "2:8: features.lamp: is a table: write [features.lamp] and its settings below it"
        );
    }

    #[test]
    fn a_value_that_is_not_allowed_says_what_is() {
        for (text, expected) in [
            (
                "[chat]\nhistory = 201",
                "2:11: chat.history: must be from 0 to 200, not 201 (the default is 20)",
            ),
            (
                "[chat]\ntext = 0",
                "2:8: chat.text: must be from 1 to 100000, not 0 (the default is 4000)",
            ),
            (
                "[chat]\nhistory = -1",
                "2:11: chat.history: invalid value: integer `-1`, expected a whole number, 0 or \
                 more (the default is 20)",
            ),
            (
                "[server]\nidle_timeout = 60",
                "2:16: server.idle_timeout: invalid type: integer `60`, expected a length of \
                 time in quotes, such as \"90s\", \"10m\" or \"7d\" (the default is \"1m\")",
            ),
            (
                "[server]\nwrite_timeout = \"0s\"",
                "2:17: server.write_timeout: must be from 1ms to 1d, not 0s \
                 (the default is \"1m\")",
            ),
            (
                "[log]\nformat = \"jsn\"",
                "2:10: log.format: unknown value `jsn`, expected `text` or `json` \
                 (the default is \"text\")",
            ),
            (
                "[features.lamp]\nlevel = 300",
                "2:9: features.lamp.level: invalid value: integer `300`, expected a whole number \
                 from 0 to 255 (the default is 3)",
            ),
            (
                "[features.lamp]\nafter = \"0s\"",
                "2:9: features.lamp.after: must be at least 1s, not 0s (the default is \"1h\")",
            ),
            (
                "[features.lamp]\nenabled = \"yes\"",
                "2:11: features.lamp.enabled: must be true or false",
            ),
            (
                "[chat]\ntext = 999999999999999999999",
                "2:8: chat.text: invalid type: integer `999999999999999999999`, expected whole \
                 numbers of 64 bits at most",
            ),
        ] {
            assert_eq!(said_once(text), expected);
        }
        let nested = said_once("[features.lamp]\ninner = { m = 1 }");
        assert!(
            nested.starts_with("2:9: features.lamp.inner: unknown field `m`"),
            "{nested}"
        );
    }

    #[test]
    fn every_fault_is_reported_in_the_order_of_the_file() {
        let lines = said(
            "[features.lamp]\nlevel = 0\nafter = 5\n[sever]\n[server]\nlisten = 1\n\
             queue = 0\n[chat]\nhistory = 7\nx = 1",
        );
        let places: Vec<_> = lines
            .iter()
            .map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            places,
            [
                "2:9 features.lamp.level",
                "3:9 features.lamp.after",
                "4:2 sever",
                "6:10 server.listen",
                "7:9 server.queue",
                "10:1 chat.x",
            ]
        );
    }

    #[test]
    fn what_is_not_toml_names_its_line() {
        assert_eq!(
            said_once("[chat]\nhistory = "),
            "2:11: is not TOML: a value is missing after the ="
        );
        assert!(said_once("[chat\n").starts_with("1:6: is not TOML: "));
        assert!(said_once("\n\n= 5").starts_with("3:1: is not TOML: "));
        assert!(said_once("[server]\nname = \"a").starts_with("2:"));
        assert!(said_once("\u{0}").starts_with("1:1: is not TOML: "));
    }

    #[test]
    fn what_stands_twice_names_its_second_place() {
        assert_eq!(
            said_once("[chat]\nhistory = 1\nhistory = 2"),
            "3:1: history: stands here a second time; a key and a table stand once"
        );
        assert_eq!(
            said_once("[chat]\n[log]\n[chat]\n"),
            "3:2: chat: stands here a second time; a key and a table stand once"
        );
        let lines = said("[features.lamp]\nlevel = 1\nlevel = 2\n[features.lamp]\n");
        assert_eq!(lines.len(), 2, "{lines:#?}");
    }

    #[test]
    fn other_ways_to_write_the_same_are_read() {
        for text in [
            "chat.history = 5",
            "chat = { history = 5 }",
            "\"chat\".'history' = 0x5",
            "\u{feff}[chat]\r\nhistory = 5\r\n",
            "[ chat ] # the chat\nhistory=+5",
        ] {
            let config = Config::parse(text, "c.toml", &features()).expect(text);
            assert_eq!(config.chat.history, 5, "{text}");
        }
    }

    #[test]
    fn what_is_long_or_unprintable_is_cut_and_escaped() {
        let key = said_once(&format!("{} = 1", "k".repeat(500_000)));
        assert!(key.len() < 300, "{}", key.len());
        let value = said_once(&format!("[chat]\ntext = \"{}\"", "v".repeat(500_000)));
        assert!(value.len() < 1000, "{}", value.len());
        let odd = said_once("\"\\u001b[31m\\n\" = 1");
        assert!(!odd.contains('\u{1b}'), "{odd}");
        let deep = said_once(&format!("a = {}", "[".repeat(100_000)));
        assert!(deep.starts_with("1:"), "{deep}");
    }

    /// Whatever is done to a file: it is read and printed back to the same, or every line of
    /// the error names a place in it.
    #[test]
    fn a_file_that_was_damaged_anywhere_is_read_or_refused_with_places() {
        let sample = crate::config::sample(&features());
        let whole: Vec<char> = sample.lines().filter(|line| !line.starts_with('#')).fold(
            Vec::new(),
            |mut all, line| {
                all.extend(line.chars());
                all.push('\n');
                all
            },
        );
        let strange = [
            '"', '=', '[', ']', '.', '-', '9', 'x', '\n', 'é', '\u{0}', '{',
        ];
        let (mut read, mut refused) = (0, 0);
        for at in 0..whole.len() {
            let mut shorter = whole.clone();
            shorter.remove(at);
            let mut changed = whole.clone();
            changed[at] = strange[at % strange.len()];
            let mut longer = whole.clone();
            longer.insert(at, strange[at / 3 % strange.len()]);
            let half = whole[..at].to_vec();
            for characters in [shorter, changed, longer, half] {
                let text: String = characters.into_iter().collect();
                match Config::parse(&text, "c.toml", &features()) {
                    Ok(config) => {
                        read += 1;
                        let printed = config.print();
                        let again = Config::parse(&printed, "p.toml", &features());
                        assert_eq!(again.unwrap(), config, "{text}");
                    }
                    Err(ConfigError::Invalid(faults)) => {
                        refused += 1;
                        assert!(!faults.is_empty());
                        let lines = text.split('\n').count();
                        for fault in faults {
                            assert!((1..=lines).contains(&fault.line), "{fault}\n{text}");
                            assert!(!fault.message.is_empty());
                        }
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
        assert!(
            read > 100 && refused > 1000,
            "{read} read, {refused} refused"
        );
    }
}
