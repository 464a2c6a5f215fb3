//! Commands of `veche admin`: how a feature (and the core) declares them, and how they are written.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::routes::{Boxed, Routes, decide_on};
use super::{Feature, Visit, parse_query};
use crate::bus::{Answer, Decide, Tx};
use crate::chat::invalid;
use crate::http::Problem;
use crate::server::Core;

/// Makes a decision of a command's arguments.
pub(crate) type Order = Arc<dyn Fn(&str) -> Result<Decide, Problem> + Send + Sync>;

/// Answers a command from what is durable.
pub(crate) type Report =
    Arc<dyn Fn(Arc<Core>, &str) -> Boxed<Result<Answer, Problem>> + Send + Sync>;

/// One command, as it was declared.
pub(crate) struct Command {
    pub(crate) usage: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: Duty,
}

/// What a command does. Its arguments come as a form's fields do.
#[derive(Clone)]
pub(crate) enum Duty {
    /// It has the writer decide.
    Write(Order),
    /// It is answered beside the writer.
    Read(Report),
}

impl Duty {
    /// By which method it is asked for.
    pub(crate) fn method(&self) -> Method {
        match self {
            Self::Write(_) => Method::POST,
            Self::Read(_) => Method::GET,
        }
    }
}

/// A command's name and arguments, read from how it is used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Argument>,
}

/// One argument of a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    /// The form's field: of `--for TIME` it is `for`, of `USER` it is `user`.
    pub(crate) field: String,
    /// What stands for its value.
    pub(crate) value: String,
    /// Whether it is given as `--FIELD VALUE`.
    pub(crate) is_flag: bool,
    /// Whether it may be left away.
    pub(crate) is_optional: bool,
}

impl Usage {
    /// Reads `ban USER [--for TIME]`: a name, then arguments, of which those in brackets may be
    /// left away; in words, what is wrong with it.
    pub(crate) fn read(usage: &str) -> Result<Self, String> {
        let (name, mut rest) = usage.split_once(' ').unwrap_or((usage, ""));
        if !is_name(name) {
            return Err("it begins with a name of lower-case letters and dashes".to_owned());
        }
        let mut arguments: Vec<Argument> = Vec::new();
        while !rest.is_empty() {
            let (one, after) = match rest.strip_prefix('[') {
                Some(inner) => inner
                    .split_once(']')
                    .ok_or_else(|| "a bracket is not closed".to_owned())?,
                None => rest.split_once(' ').unwrap_or((rest, "")),
            };
            let is_optional = rest.starts_with('[');
            rest = after.trim_start();
            let argument = match one.strip_prefix("--") {
                None => Argument {
                    field: one.to_lowercase().replace('-', "_"),
                    value: one.to_owned(),
                    is_flag: false,
                    is_optional,
                },
                Some(flag) => {
                    let (field, value) = flag.split_once(' ').unwrap_or((flag, ""));
                    if !is_name(field) || value.is_empty() || !is_optional {
                        return Err(format!("--{field} is not written as [--{field} VALUE]"));
                    }
                    Argument {
                        field: field.replace('-', "_"),
                        value: value.to_owned(),
                        is_flag: true,
                        is_optional,
                    }
                }
            };
            if argument.field.is_empty() || arguments.iter().any(|one| one.field == argument.field)
            {
                return Err(format!("`{one}` stands there twice, or is nothing"));
            }
            arguments.push(argument);
        }
        let name = name.to_owned();
        Ok(Self { name, arguments })
    }

    /// What a command is about, for the log: what stands behind its name, without what flags say,
    /// which may be a text.
    pub(crate) fn subject(&self, form: &str) -> String {
        let pairs: Vec<_> = form_urlencoded::parse(form.as_bytes()).collect();
        let arguments = self.arguments.iter().filter(|argument| !argument.is_flag);
        let given = arguments.filter_map(|argument| {
            let (_, value) = pairs.iter().find(|(field, _)| *field == argument.field)?;
            Some(cut(value))
        });
        given.collect::<Vec<_>>().join(" ")
    }

    /// What a client must know to ask for it.
    pub(crate) fn describe(&self, command: &Command, owner: &str) -> Value {
        let arguments = self.arguments.iter().map(|argument| {
            json!({
                "field": argument.field,
                "value": argument.value,
                "flag": argument.is_flag,
                "optional": argument.is_optional,
                "help": argument.help(),
            })
        });
        json!({
            "name": self.name,
            "usage": command.usage,
            "about": command.about,
            "feature": owner,
            "method": command.run.method().as_str(),
            "arguments": arguments.collect::<Vec<_>>(),
        })
    }
}

impl Argument {
    /// What is to stand there, where the value's name is one of the usual ones.
    fn help(&self) -> Option<&'static str> {
        match (self.field.as_str(), self.value.as_str()) {
            ("after", _) => Some("Shows only what comes behind this one"),
            (_, "USER") => Some("A user's name"),
            (_, "MESSAGE") => Some("A message's id"),
            (_, "ROOM") => Some("A room's address, such as #kitchen"),
            (_, "ID-or-USER") => Some("The id of one, or a user's name for all about them"),
            (_, "TIME") => Some("How long, such as 30m, 4h or 7d"),
            (_, "TEXT") => Some("Words that are shown with it"),
            _ => None,
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    !name.is_empty() && name.bytes().all(is_part) && !name.starts_with('-')
}

/// How much of each argument, and of each one's name, is recorded and logged. What is refused is on
/// record, too, and that is kept for good; a reason that counts is kept whole with what it is for.
const RECORDED: usize = 1000;

/// So many arguments are recorded: more than any command takes.
const ARGUMENTS: usize = 16;

/// The arguments of a command as they were given, for the record.
pub(crate) fn given(form: &str) -> Value {
    let pairs = form_urlencoded::parse(form.as_bytes());
    pairs
        .take(ARGUMENTS)
        .map(|(field, value)| (cut(&field), Value::from(cut(&value))))
        .collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(RECORDED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A form's text.
pub(crate) fn form(bytes: &Bytes) -> Result<&str, Problem> {
    str::from_utf8(bytes)
        .map_err(|error| invalid("body", format!("the form is not UTF-8: {error}")))
}

impl<F> Routes<F> {
    pub(crate) fn command(mut self, usage: &'static str, about: &'static str, run: Duty) -> Self {
        self.commands.push(Command { usage, about, run });
        self
    }
}

impl<F: Feature> Routes<F> {
    /// A command of `veche admin`, decided on the writer: whoever may connect to the server's socket
    /// asks for it. `usage` is how it is written, such as `ban USER [--for TIME]`; its arguments are
    /// the fields of `B` in lower case, `user` and `for`, and what stands in brackets may be left away.
    /// The answer's JSON is shown as a table. What was asked for and what came of it is recorded with it.
    #[must_use]
    pub fn admin<B>(
        self,
        usage: &'static str,
        about: &'static str,
        decide: impl Fn(&F, &mut Tx<'_>, &B) -> Result<Answer, Problem> + Send + Sync + 'static,
    ) -> Self
    where
        B: DeserializeOwned + Send + Sync + 'static,
    {
        let decide = Arc::new(decide);
        let order: Order = Arc::new(move |form: &str| {
            let given: B = parse_query(Some(form))?;
            let decide = Arc::clone(&decide);
            Ok(decide_on(move |feature, tx| decide(feature, tx, &given)))
        });
        self.command(usage, about, Duty::Write(order))
    }

    /// The same, answered beside the writer from what is durable. Where there is more than one answer
    /// holds, its field `next` is what `--after` takes it up from.
    #[must_use]
    pub fn admin_get<Q, Fut>(
        self,
        usage: &'static str,
        about: &'static str,
        answer: impl Fn(Visit<F>, Q) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        Q: DeserializeOwned + Send + 'static,
        Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let report: Report = Arc::new(move |core, form: &str| {
            let given = parse_query::<Q>(Some(form));
            let answer = Arc::clone(&answer);
            Box::pin(async move { answer(Visit::within(core), given?).await })
        });
        self.command(usage, about, Duty::Read(report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_cut_at_a_bound() {
        let long = "ü".repeat(2000);
        let fields: String = (0..99).map(|n| format!("&f{n}={long}")).collect();
        let recorded = given(&format!("{long}=1{fields}"));
        let recorded = recorded.as_object().expect("an object");
        assert_eq!(recorded.len(), ARGUMENTS);
        let short = format!("{}…", "ü".repeat(RECORDED));
        assert_eq!(recorded[&short], "1");
        assert_eq!(recorded["f0"], short);
        let usage = Usage::read("ban F0").expect("a usage");
        assert_eq!(usage.subject(&fields), short);
    }

    #[test]
    fn a_usage_is_a_name_with_what_must_be_and_what_may_be_there() {
        let usage = Usage::read("dismiss ID-or-USER [ROOM] [--for TIME]").expect("a usage");
        assert_eq!(usage.name, "dismiss");
        let read = usage.arguments.iter().map(|one| {
            let Argument {
                field,
                value,
                is_flag,
                is_optional,
            } = one;
            (field.as_str(), value.as_str(), *is_flag, *is_optional)
        });
        assert_eq!(
            read.collect::<Vec<_>>(),
            [
                ("id_or_user", "ID-or-USER", false, false),
                ("room", "ROOM", false, true),
                ("for", "TIME", true, true),
            ]
        );
        assert_eq!(Usage::read("stats").expect("a usage").arguments, []);
        for wrong in [
            "",
            "Ban",
            "ban [USER",
            "ban --for TIME",
            "ban [--for]",
            "ban A A",
            "-x",
        ] {
            assert!(Usage::read(wrong).is_err(), "{wrong}");
        }
    }
}
