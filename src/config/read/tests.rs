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
         Known tables: server, server.tls, chat, log, storage, cluster, s3, features"
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
    let whole: Vec<char> =
        sample
            .lines()
            .filter(|line| !line.starts_with('#'))
            .fold(Vec::new(), |mut all, line| {
                all.extend(line.chars());
                all.push('\n');
                all
            });
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

#[test]
fn a_table_in_a_table_is_read_and_its_faults_have_their_places() {
    let text = "[server]\nname = \"x\"\n[server.tls]\ncert = \"c\"\nkey = \"k\"";
    let config = Config::parse(text, "c.toml", &[]).expect("settings");
    let file = std::path::Path::new;
    assert_eq!(config.server.name, "x");
    assert_eq!(config.tls.pair(), Some((file("c"), file("k"))));
    let config = Config::parse("server.tls.cert = \"c\"", "c.toml", &[]).expect("settings");
    assert_eq!(config.tls.pair(), Some((file("c"), file("c"))));
    assert_eq!(Config::default().tls.pair(), None);
    assert_eq!(
        said_once("[server.tls]\ncret = \"c\""),
        "2:1: server.tls.cret: there is no setting \"cret\"; did you mean \"cert\"? \
         Known in [server.tls]: cert, key"
    );
    assert_eq!(
        said_once("[server.tls]\nkey = \"k\""),
        "1:1: server.tls.cert: must name the certificate's file where `key` is set"
    );
    assert_eq!(
        said_once("[server]\ntls = true"),
        "2:7: server.tls: is a table: write [server.tls] and its settings below it"
    );
    assert_eq!(
        said_once("[server]\ntlss = 1").split("Known").next(),
        Some("2:1: server.tlss: there is no setting \"tlss\"; did you mean \"tls\"? ")
    );
}
