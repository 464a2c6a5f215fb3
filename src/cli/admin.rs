//! `veche admin`: asks a running server for what it offers to administrators, and shows it.

mod call;
mod table;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Deserialize;
use serde_json::Value;

use call::{Asked, CallError, ask};

/// What a server can be told, as it says itself.
#[derive(Deserialize)]
struct Offer {
    commands: Vec<Offered>,
}

#[derive(Deserialize)]
struct Offered {
    name: String,
    usage: String,
    about: String,
    method: String,
    arguments: Vec<Argument>,
}

#[derive(Deserialize)]
struct Argument {
    field: String,
    value: String,
    flag: bool,
    optional: bool,
    help: Option<String>,
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    /// The server can't be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It refused.
    #[error("{0}")]
    Refused(String),
    /// Nobody hears what it said.
    #[error("what the server said can't be written")]
    Output(#[from] io::Error),
}

/// Gives a command to the server at `socket`; without one, lists what there is.
pub(super) fn run(socket: &Path, words: &[OsString], json: bool) -> Result<(), AdminError> {
    let offer: Offer = ask(socket, "GET", "/admin", &[])?.read()?;
    let mut command = describe(&offer);
    if words.is_empty() {
        command.print_help()?;
        return Ok(());
    }
    let name = OsString::from("veche admin");
    let given = command
        .try_get_matches_from_mut([&name].into_iter().chain(words))
        // It ends here, with its own words and status, as of any other command.
        .unwrap_or_else(|wrong| wrong.exit());
    let Some((name, given)) = given.subcommand() else {
        command.print_help()?;
        return Ok(());
    };
    let Some(offered) = offer.commands.iter().find(|offered| offered.name == name) else {
        return Ok(());
    };
    give(socket, offered, given, json || given.get_flag("json"))
}

/// The command line, as the server's commands make it.
fn describe(offer: &Offer) -> Command {
    let json = Arg::new("json")
        .long("json")
        .global(true)
        .action(ArgAction::SetTrue)
        .help("Prints what the server answers, as JSON");
    let commands = offer.commands.iter().map(|offered| {
        let arguments = offered.arguments.iter().map(|argument| {
            let arg = Arg::new(argument.field.clone())
                .value_name(argument.value.clone())
                .help(argument.help.clone().unwrap_or_default())
                .required(!argument.optional);
            match argument.flag {
                true => arg.long(argument.field.replace('_', "-")),
                false => arg,
            }
        });
        Command::new(offered.name.clone())
            .about(offered.about.clone())
            .override_usage(format!("veche admin {} [--json]", offered.usage))
            .args(arguments)
    });
    Command::new("veche admin")
        .bin_name("veche admin")
        .about("Administers a running server: these are the commands that it offers")
        .disable_help_subcommand(true)
        .arg(json)
        .subcommands(commands)
}

/// Gives one command, and shows the answer, page after page where there are more.
fn give(
    socket: &Path,
    offered: &Offered,
    given: &ArgMatches,
    json: bool,
) -> Result<(), AdminError> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for argument in &offered.arguments {
        if let Some(value) = given.get_one::<String>(&argument.field) {
            fields.push((&argument.field, value.clone()));
        }
    }
    let path = format!("/admin/{}", offered.name);
    let mut out = io::stdout().lock();
    loop {
        let answer = ask(socket, &offered.method, &path, &fields)?;
        let said = answered(answer)?;
        let shown = match json {
            _ if said.is_null() => String::new(),
            true => format!("{said}\n"),
            false => table::show(&said),
        };
        out.write_all(shown.as_bytes())?;
        let next = match &said["next"] {
            Value::String(next) => next.clone(),
            Value::Number(next) => next.to_string(),
            _ => break,
        };
        fields.retain(|(field, _)| *field != "after");
        fields.push(("after", next));
    }
    Ok(out.flush()?)
}

/// What the server said; null where it only did it.
fn answered(answer: Asked) -> Result<Value, AdminError> {
    let status = answer.status;
    if status == 204 {
        return Ok(Value::Null);
    }
    let said: Value = answer.read()?;
    if status < 400 {
        return Ok(said);
    }
    let word = |name: &str| said[name].as_str().unwrap_or_default();
    let (code, detail) = (word("code"), word("detail"));
    Err(AdminError::Refused(format!("{detail} ({status} {code})")))
}
