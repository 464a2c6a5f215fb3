//! config.toml: the core's tables and a table a feature, read with every mistake named, and
//! printed back.
//!
//! The core knows no feature. It is given a [`FeatureTable`] for each, and keeps the features'
//! tables as TOML until a feature asks for its own, typed, with [`Config::settings`].

mod error;
mod read;
mod tables;
mod text;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::settings::{Field, Problem, Table};

pub use error::{ConfigError, Fault};
pub(crate) use tables::listen;
pub use tables::{Chat, Cluster, Format, LogOutput, S3, Server, Storage, Tls};

/// The file that is read where none is named.
const FILE: &str = "config.toml";

/// How much of a file is read: far more than any configuration has, far less than memory.
const LONGEST: u64 = 1 << 20;

/// Every setting in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[server.tls]`
    pub tls: Tls,
    /// `[chat]`
    pub chat: Chat,
    /// `[log]`
    pub log: LogOutput,
    /// `[storage]`
    pub storage: Storage,
    /// `[cluster]`
    pub cluster: Cluster,
    /// `[s3]`
    pub s3: S3,
    features: BTreeMap<&'static str, FeatureSettings>,
}

#[derive(Clone, Debug, PartialEq)]
struct FeatureSettings {
    enabled: bool,
    fields: &'static [Field],
    table: toml::Table,
}

/// What the configuration must know of a feature: its table, `[features.NAME]`. The core's own
/// tables are described in the same way.
#[derive(Clone, Copy, Debug)]
pub struct FeatureTable {
    /// The feature's name.
    pub name: &'static str,
    /// What it does, one line.
    pub about: &'static str,
    /// Whether it is on where the file does not say. The core's own always are.
    pub on: bool,
    /// Its settings, without `enabled`, which every feature has.
    pub fields: &'static [Field],
    /// Reads a table without `enabled`, checks it, and gives it back with all that it did not
    /// mention. A problem's key is empty where it cannot be told which setting is wrong.
    pub read: fn(toml::Table) -> Result<toml::Table, Vec<Problem>>,
}

impl FeatureTable {
    /// Describes a feature by the type of its settings.
    #[must_use]
    pub const fn of<S: Table>(name: &'static str, about: &'static str) -> FeatureTable {
        FeatureTable {
            name,
            about,
            on: true,
            fields: S::FIELDS,
            read: filled::<S>,
        }
    }

    /// Every setting at its default, as far as it has one.
    #[must_use]
    pub fn defaults(&self) -> toml::Table {
        (self.read)(toml::Table::new()).unwrap_or_default()
    }
}

fn filled<S: Table>(table: toml::Table) -> Result<toml::Table, Vec<Problem>> {
    let unplaced = |message: String| {
        vec![Problem {
            key: String::new(),
            message,
        }]
    };
    let settings = S::from_table(table).map_err(|wrong| unplaced(error::plain(wrong.message())))?;
    let problems = settings.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    settings
        .to_table()
        .map_err(|wrong| unplaced(format!("cannot be written as TOML: {wrong}")))
}

const CORE: [FeatureTable; 7] = [
    FeatureTable::of::<Server>("server", Server::ABOUT),
    FeatureTable {
        read: tables::read_tls,
        ..FeatureTable::of::<Tls>("server.tls", Tls::ABOUT)
    },
    FeatureTable::of::<Chat>("chat", Chat::ABOUT),
    FeatureTable::of::<LogOutput>("log", LogOutput::ABOUT),
    FeatureTable::of::<Storage>("storage", Storage::ABOUT),
    FeatureTable::of::<Cluster>("cluster", Cluster::ABOUT),
    FeatureTable::of::<S3>("s3", S3::ABOUT),
];

impl Config {
    /// Reads a file, or config.toml of the working folder where none is named; where that does
    /// not exist, the defaults hold.
    ///
    /// # Errors
    /// A named file that is missing, one that cannot be read or is longer than 1 MiB, and all
    /// that [`Config::parse`] refuses.
    pub fn load(path: Option<&Path>, features: &[FeatureTable]) -> Result<Config, ConfigError> {
        let file = path.unwrap_or(Path::new(FILE)).display().to_string();
        let bytes = match read_file(path.unwrap_or(Path::new(FILE))) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match path {
                    Some(_) => Err(ConfigError::Missing { file }),
                    None => Config::parse("", &file, features),
                };
            }
            Err(source) => return Err(ConfigError::Unreadable { file, source }),
        };
        if bytes.len() as u64 > LONGEST {
            return Err(ConfigError::TooLong {
                file,
                limit: LONGEST,
            });
        }
        let text = str::from_utf8(&bytes).map_err(|wrong| {
            let (line, column) = error::position(&bytes, wrong.valid_up_to());
            ConfigError::Invalid(vec![Fault {
                file: file.clone(),
                line,
                column,
                key: String::new(),
                message: "is not UTF-8: save the file in that encoding".to_owned(),
            }])
        })?;
        Config::parse(text, &file, features)
    }

    /// Reads the text of a file, whose name is for the errors. What the text does not mention
    /// has its default.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], with every fault that was found: text that is not TOML, an
    /// unknown table, feature or setting, a value that is not allowed.
    pub fn parse(
        text: &str,
        file_name: &str,
        features: &[FeatureTable],
    ) -> Result<Config, ConfigError> {
        let mut tables =
            read::read(text, file_name, &CORE, features).map_err(ConfigError::Invalid)?;
        Ok(Config {
            server: typed("server", tables.core.remove("server"))?,
            tls: typed("server.tls", tables.core.remove("server.tls"))?,
            chat: typed("chat", tables.core.remove("chat"))?,
            log: typed("log", tables.core.remove("log"))?,
            storage: typed("storage", tables.core.remove("storage"))?,
            cluster: typed("cluster", tables.core.remove("cluster"))?,
            s3: typed("s3", tables.core.remove("s3"))?,
            features: features
                .iter()
                .filter_map(|info| {
                    let (enabled, table) = tables.features.remove(info.name)?;
                    let settings = FeatureSettings {
                        enabled,
                        fields: info.fields,
                        table,
                    };
                    Some((info.name, settings))
                })
                .collect(),
        })
    }

    /// Whether a feature is on. One that this configuration was not told of is, as one that
    /// the file does not mention.
    #[must_use]
    pub fn enabled(&self, feature: &str) -> bool {
        self.features
            .get(feature)
            .is_none_or(|settings| settings.enabled)
    }

    /// Switches a feature on or off; does nothing for one that this configuration was not told
    /// of.
    pub fn enable(&mut self, feature: &str, on: bool) {
        if let Some(settings) = self.features.get_mut(feature) {
            settings.enabled = on;
        }
    }

    /// A feature's settings; the defaults for one that this configuration was not told of.
    ///
    /// # Errors
    /// [`ConfigError::Mismatch`] where the feature's table was described with another type.
    pub fn settings<S: Table>(&self, feature: &str) -> Result<S, ConfigError> {
        typed(&text::feature_header(feature), self.table(feature).cloned())
    }

    fn table(&self, feature: &str) -> Option<&toml::Table> {
        self.features.get(feature).map(|settings| &settings.table)
    }

    /// Every setting in force as TOML, which [`Config::parse`] reads back to the same.
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = String::new();
        print_table(&mut out, "server", &self.server);
        print_table(&mut out, "server.tls", &self.tls);
        print_table(&mut out, "chat", &self.chat);
        print_table(&mut out, "log", &self.log);
        print_table(&mut out, "storage", &self.storage);
        print_table(&mut out, "cluster", &self.cluster);
        print_table(&mut out, "s3", &self.s3);
        for (name, settings) in &self.features {
            text::table(
                &mut out,
                &text::feature_header(name),
                Some(settings.enabled),
                settings.fields,
                &settings.table,
            );
        }
        out
    }
}

fn print_table<T: Table>(out: &mut String, name: &str, table: &T) {
    match table.to_table() {
        Ok(values) => text::table(out, name, None, T::FIELDS, &values),
        // Only what was set from outside the file can have no form in TOML.
        Err(wrong) => out.push_str(&format!(
            "\n# [{name}] cannot be written as TOML: {wrong}\n"
        )),
    }
}

fn typed<S: Table>(name: &str, table: Option<toml::Table>) -> Result<S, ConfigError> {
    let Some(table) = table else {
        return Ok(S::default());
    };
    S::from_table(table).map_err(|wrong| ConfigError::Mismatch {
        table: name.to_owned(),
        reason: error::plain(wrong.message()),
    })
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A commented config.toml, in which each setting stands at its default below its
/// documentation. The repository's config.toml is this text.
#[must_use]
pub fn sample(features: &[FeatureTable]) -> String {
    text::sample(&CORE, features)
}

/// The features for a terminal: each with what it does, whether it is on, and its settings in
/// force, with the default beside those that differ from it.
#[must_use]
pub fn describe(features: &[FeatureTable], config: &Config) -> String {
    text::describe(features, config)
}

/// The core's tables, in the order in which they are shown.
#[must_use]
pub fn core_tables() -> &'static [FeatureTable] {
    &CORE
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::settings::{Period, Size};

    crate::settings! {
        /// A lamp.
        pub struct Lamp {
            /// How long it burns, at least 1s.
            pub after: Period = Period::hours(1) => Period::secs(1)..,
            /// What it says.
            pub words: Vec<String> = vec!["fiat lux".to_owned()],
            /// Who owns it.
            pub owner: Option<String> = None,
            /// How bright it is.
            pub level: f64 = 0.5,
        }
    }

    fn features() -> [FeatureTable; 2] {
        [
            FeatureTable::of::<Lamp>("lamp", "Gives light."),
            FeatureTable::of::<()>("echo", "Answers."),
        ]
    }

    fn parse(text: &str) -> Config {
        match Config::parse(text, "c.toml", &features()) {
            Ok(config) => config,
            Err(error) => panic!("{error}\n{text}"),
        }
    }

    #[test]
    fn an_empty_file_gives_the_defaults_and_every_feature_is_on() {
        let config = parse("");
        assert_eq!(config.server, Server::default());
        assert_eq!(config.chat, Chat::default());
        assert!(config.enabled("lamp") && config.enabled("echo"));
        assert_eq!(config.settings::<Lamp>("lamp").unwrap(), Lamp::default());
        config.settings::<()>("echo").unwrap();
    }

    #[test]
    fn a_feature_may_be_off_until_the_file_says_otherwise() {
        let features = [FeatureTable {
            on: false,
            ..FeatureTable::of::<Lamp>("lamp", "Gives light.")
        }];
        let enabled = |text: &str| {
            let config = Config::parse(text, "c.toml", &features).unwrap();
            config.enabled("lamp")
        };
        assert!(!enabled("") && !enabled("[features.lamp]\nlevel = 0.1"));
        assert!(enabled("[features.lamp]\nenabled = true"));
        assert!(
            sample(&features)
                .contains("[features.lamp]\n# Whether the feature is on.\nenabled = false")
        );
    }

    #[test]
    fn the_defaults_are_those_that_are_promised() {
        let config = parse("");
        assert_eq!(config.server.listen, "127.0.0.1:8000");
        assert_eq!(config.server.data, Path::new("data"));
        assert_eq!(config.server.body, Size::kib(256));
        assert_eq!(config.server.body_timeout, Period::secs(60));
        assert_eq!(config.chat.history, 20);
        assert_eq!(config.chat.text, 4000);
        assert_eq!(config.log.format, Format::Text);
        assert_eq!(config.storage.keep, Period::hours(24));
    }

    #[test]
    fn what_a_file_says_holds_and_the_rest_stays_at_its_default() {
        let config = parse(
            "[server]\nlisten = \"[::1]:0\"\nhead = 16384\n[log]\nformat = \"json\"\n\
             [features.lamp]\nafter = \"90m\"\nowner = \"ann\"\n\
             [features.echo]\nenabled = false",
        );
        assert_eq!(config.server.listen, "[::1]:0");
        assert_eq!(config.server.head, Size::kib(16));
        assert_eq!(config.server.queue, 1024);
        assert_eq!(config.log.format, Format::Json);
        let lamp: Lamp = config.settings("lamp").unwrap();
        let expected = Lamp {
            after: Period::mins(90),
            owner: Some("ann".to_owned()),
            ..Lamp::default()
        };
        assert_eq!(lamp, expected);
        assert!(config.enabled("lamp") && !config.enabled("echo"));
    }

    #[test]
    fn a_feature_that_the_configuration_was_not_told_of_has_its_defaults() {
        let config = Config::default();
        assert!(config.enabled("lamp"));
        assert_eq!(config.settings::<Lamp>("lamp").unwrap(), Lamp::default());
        let mut config = parse("");
        config.enable("lamp", false);
        config.enable("other", false);
        assert!(!config.enabled("lamp") && config.enabled("other"));
    }

    #[test]
    fn settings_asked_for_as_another_type_are_refused() {
        let error = parse("").settings::<Chat>("lamp").unwrap_err().to_string();
        assert!(error.starts_with("[features.lamp] is not read"), "{error}");
    }

    #[test]
    fn a_default_that_is_not_allowed_is_found_at_once() {
        crate::settings! {
            /// Wrong from the start.
            struct Broken {
                /// A number below 5.
                n: u8 = 9 => 0..=5,
                /// Another number.
                m: u8 = 1,
            }
        }
        let features = [FeatureTable::of::<Broken>("broken", "Is broken.")];
        for text in ["", "[features.broken]\nm = 2"] {
            let error = Config::parse(text, "c.toml", &features).unwrap_err();
            let error = error.to_string();
            assert!(
                error.ends_with("features.broken.n: must be from 0 to 5, not 9"),
                "{error}"
            );
        }
    }

    /// A fixed sequence of numbers (SplitMix64).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % n
        }

        fn text(&mut self) -> String {
            const LETTERS: [&str; 12] = [
                "a", "\"", "\\", "'", "\n", "\u{0}", "é", "😀", "#", "]", "\"\"\"", "\u{202e}",
            ];
            let length = 1 + self.below(8);
            (0..length)
                .map(|_| LETTERS[self.below(12) as usize])
                .collect()
        }
    }

    #[test]
    fn what_is_printed_is_read_back_to_the_same() {
        let mut dice = Dice(3);
        for _ in 0..500 {
            let mut config = parse("");
            config.server.name = format!("é{}\"\\'#", dice.below(1000));
            config.server.data = PathBuf::from(dice.text().replace('\0', "0"));
            config.server.connections = 1 + dice.below(1_000_000) as usize;
            config.server.head = Size::b(16_384 + dice.below(1 << 19));
            config.server.idle_timeout = Period::ms(1 + dice.below(86_400_000));
            config.server.trusted_proxies = vec![format!("10.0.0.0/{}", dice.below(33))];
            config.server.cors = vec!["*".to_owned(); dice.below(3) as usize];
            config.storage.keep_facts = dice.below(1_000_000_000_000);
            let lamp = Lamp {
                after: Period::ms(1000 + dice.below(1 << 40)),
                words: (0..dice.below(4)).map(|_| dice.text()).collect(),
                owner: (dice.below(2) == 0).then(|| dice.text()),
                level: dice.below(1 << 53) as f64 / 1000.0,
            };
            config.enable("echo", dice.below(2) == 0);
            if let Some(settings) = config.features.get_mut("lamp") {
                settings.table = lamp.to_table().unwrap();
            }
            let printed = config.print();
            let again = parse(&printed);
            assert_eq!(again, config, "{printed}");
            assert_eq!(again.print(), printed);
            assert_eq!(again.settings::<Lamp>("lamp").unwrap(), lamp);
        }
    }

    #[test]
    fn every_setting_is_printed() {
        let printed = parse("").print();
        let table: toml::Table = printed.parse().unwrap();
        for info in core_tables() {
            let mut path = info.name.split('.');
            let outer = &table[path.next().unwrap()];
            let printed = path
                .fold(outer, |outer, key| &outer[key])
                .as_table()
                .unwrap();
            for field in info.fields {
                assert!(printed.contains_key(field.name), "{}", field.name);
            }
        }
        let lamp = table["features"]["lamp"].as_table().unwrap();
        assert_eq!(lamp["enabled"].as_bool(), Some(true));
        assert_eq!(lamp["after"].as_str(), Some("1h"));
        assert_eq!(table["features"]["echo"]["enabled"].as_bool(), Some(true));
    }

    #[test]
    fn the_sample_is_the_defaults_each_below_its_documentation() {
        let sample = sample(&features());
        assert_eq!(parse(&sample), parse(""));
        for line in [
            "# How many characters a text may have, 1 to 100000.\ntext = 4000\n",
            "\n# Gives light.\n[features.lamp]\n# Whether the feature is on.\nenabled = true\n",
            "\n# How long it burns, at least 1s.\nafter = \"1h\"\n",
            "\n# Who owns it.\n# owner is not set\n",
        ] {
            assert!(sample.contains(line), "{line}\n{sample}");
        }
        let echo = sample.find("[features.echo]").unwrap();
        assert!(echo < sample.find("[features.lamp]").unwrap());
        assert!(sample.lines().all(|line| line.chars().count() <= 88));
        assert!(sample.ends_with("level = 0.5\n"));
    }

    #[test]
    fn features_are_described_with_what_differs_from_the_defaults() {
        let config = parse("[features.lamp]\nafter = \"2h\"\n[features.echo]\nenabled=false");
        let expected = "echo (off)\n  Answers.\n    no settings\n\nlamp (on)\n  Gives light.\n    \
                        after = \"2h\"  (default: \"1h\")\n        How long it burns, at least 1s.\n";
        let described = describe(&features(), &config);
        assert!(described.starts_with(expected), "{described}");
        assert!(described.contains("\n    owner = not set\n        Who owns it.\n"));
        assert_eq!(describe(&[], &config), "No features are compiled in.\n");
    }

    #[test]
    fn a_named_file_must_exist_and_be_text_of_some_length() {
        let load = |path: &str| Config::load(Some(Path::new(path)), &features());
        let missing = load("/nowhere/c.toml").unwrap_err().to_string();
        assert!(
            missing.starts_with("/nowhere/c.toml: there is no such file"),
            "{missing}"
        );
        let folder = load("/").unwrap_err().to_string();
        assert!(folder.starts_with("/: cannot be read: "), "{folder}");

        let path = std::env::temp_dir().join(format!("veche-config-{}.toml", std::process::id()));
        let written = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Config::load(Some(&path), &features())
        };
        let good = written(b"[chat]\ntext = 5");
        let broken = written(b"[chat]\n# \xc3\xbc\xff").unwrap_err().to_string();
        let long = written(&vec![b'#'; 1 + LONGEST as usize])
            .unwrap_err()
            .to_string();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(good.unwrap().chat.text, 5);
        assert!(
            broken.ends_with(":2:4: is not UTF-8: save the file in that encoding"),
            "{broken}"
        );
        assert!(long.contains("is longer than 1048576 bytes"), "{long}");
    }

    #[test]
    fn the_documentation_has_a_row_for_each_of_the_cores_settings() {
        let page = include_str!("../docs/configuration.md");
        let mut rows = page
            .lines()
            .filter(|line| line.starts_with("| `") && !line.starts_with("| `features."));
        for info in core_tables() {
            let defaults = info.defaults();
            for field in info.fields {
                let row = format!(
                    "| `{}.{}` | `{}` | {} |",
                    info.name, field.name, defaults[field.name], field.about
                );
                assert_eq!(rows.next(), Some(row.as_str()));
            }
        }
        assert_eq!(rows.next(), None);
    }

    #[test]
    fn the_documented_mistakes_are_what_is_said() {
        let page = include_str!("../docs/configuration.md");
        let (_, mistakes) = page.split_once("## Mistakes").unwrap();
        let block = |opening: &str| {
            let (_, rest) = mistakes.split_once(opening).unwrap();
            rest.split_once("\n```").unwrap().0
        };
        let error = Config::parse(block("```toml\n"), "config.toml", &[]).unwrap_err();
        assert_eq!(error.to_string(), block("```text\n"));
    }
}
