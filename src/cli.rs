//! The command line.

mod admin;
mod backup;
mod client;
mod copy;
mod export;
mod import;
mod new_feature;
mod verify;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::config::{self, Config, ConfigError, FeatureTable};
use crate::feature::{Features, registry};
use crate::settings::Table;
use crate::{logging, memory, server};

/// A self-hosted chat server in one binary.
#[derive(Parser)]
#[command(name = "veche", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server (also without a command)
    Serve(Serve),
    /// Prints every setting in force, as TOML
    Check(Check),
    /// Lists the features: what each does, whether it is on, its settings
    Features(Settings),
    #[command(flatten)]
    Client(client::Command),
    /// Administers the running server; without a command, lists those that it offers
    #[command(disable_help_flag = true)]
    Admin(Admin),
    /// Writes a consistent copy of the data to FILE, as a tar; the server may be running
    Backup(Backup),
    /// Writes everything to FILE, as lines of JSON; the server may be running
    Export(Backup),
    /// Makes an empty data folder what FILE, an export, says
    Import(Import),
    /// Reads all the data through and names what is damaged; the server may be running
    Verify(Verify),
    /// Writes the files of a new feature here: into veche's own tree, or as a crate of its own
    NewFeature {
        /// Its name: lower-case letters, digits and `_`
        name: String,
    },
    /// Prints what makes a shell complete the commands and flags of this program
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Prints the manual page, for `man -l -`
    Man {
        /// The command whose page it is; without it the program's
        command: Option<String>,
    },
}

#[derive(Args)]
struct Settings {
    /// The settings' file; without it config.toml of the working folder, if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct Check {
    #[command(flatten)]
    settings: Settings,
    /// Prints a config.toml to start from instead: every setting at its default, explained
    #[arg(long, conflicts_with = "config")]
    sample: bool,
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    settings: Settings,
    /// Listens there instead of where the settings say; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Keeps the data there instead of where the settings say
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Args)]
struct Admin {
    #[command(flatten)]
    settings: Settings,
    /// The data folder, if not the settings'
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Prints what the server answers, as JSON
    #[arg(long)]
    json: bool,
    /// A command and its arguments, or --help
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    words: Vec<OsString>,
}

#[derive(Args)]
struct Backup {
    /// Where to; `-` is the standard output
    file: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// The data folder, if not the settings'
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Args)]
struct Import {
    /// Where from; `-` is the standard input
    file: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// The data folder, if not the settings'
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Args)]
struct Verify {
    #[command(flatten)]
    settings: Settings,
    /// The data folder, if not the settings'
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The whole program. A server with features of its own is a `main` that links their crates and
/// returns this.
pub fn main() -> ExitCode {
    ignore_file_limit();
    let cli = Cli::parse();
    if cli.command.as_ref().is_none_or(Command::writes_data) {
        keep_private();
    }
    let done = match cli.command {
        None => serve(cli.serve),
        Some(Command::Serve(arguments)) => serve(arguments),
        Some(Command::Check(arguments)) => check(&arguments),
        Some(Command::Features(settings)) => features(&settings),
        Some(Command::Client(command)) => client::run(command),
        Some(Command::Admin(arguments)) => administer(arguments),
        Some(Command::Backup(arguments)) => back_up(arguments),
        Some(Command::Export(arguments)) => export(arguments),
        Some(Command::Import(arguments)) => import(arguments),
        Some(Command::Verify(arguments)) => verify(arguments),
        Some(Command::NewFeature { name }) => {
            new_feature::write(Path::new(""), &name).map_err(Into::into)
        }
        Some(Command::Completions { shell }) => completions(shell),
        Some(Command::Man { command }) => man(command.as_deref()),
    };
    let status = match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has seen enough, unless it wanted all of it.
        Err(error) if is_broken_pipe(&*error) && !wants_all(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            logging::complain(&client::explain(&*error));
            client::status(&*error).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    };
    logging::drain();
    status
}

impl Command {
    /// Whether it writes what lies in a data folder, there or elsewhere.
    fn writes_data(&self) -> bool {
        match self {
            Self::Serve(_)
            | Self::Backup(_)
            | Self::Export(_)
            | Self::Import(_)
            | Self::Verify(_) => true,
            Self::Check(_)
            | Self::Features(_)
            | Self::Client(_)
            | Self::Admin(_)
            | Self::NewFeature { .. }
            | Self::Completions { .. }
            | Self::Man { .. } => false,
        }
    }
}

/// Makes every file and folder that this process creates its user's alone: private messages lie in
/// them. No place that opens one has to remember it.
fn keep_private() {
    use nix::sys::stat::{Mode, umask};
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}

/// Lets a write beyond the limit of a file's size (`ulimit -f`) fail as one to a full disk does: left
/// alone, the system ends the process.
fn ignore_file_limit() {
    // SAFETY: nothing is called when the signal comes, and there are no other threads yet.
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code)]
    let ignored = unsafe {
        use nix::sys::signal::{SigHandler, Signal, signal};
        signal(Signal::SIGXFSZ, SigHandler::SigIgn)
    };
    #[cfg(target_os = "linux")]
    if let Err(error) = ignored {
        eprintln!("veche: the limit of a file's size may end this: {error}");
    }
}

/// Whether an error is of what is worth nothing in part.
fn wants_all(error: &(dyn Error + 'static)) -> bool {
    error.is::<copy::CopyError>() || error.is::<verify::VerifyError>()
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::BrokenPipe;
        }
        cause = error.source();
    }
    false
}

fn tables() -> Vec<FeatureTable> {
    registry()
        .iter()
        .map(|registration| (registration.table)())
        .collect()
}

fn load(settings: &Settings) -> Result<Config, ConfigError> {
    Config::load(settings.config.as_deref(), &tables())
}

/// Threads for what blocks: reads of the log, pieces of objects, password hashes. Each is short, and
/// bounded where it is asked for; every thread costs memory of its own.
const BLOCKING: usize = 16;

fn serve(arguments: Serve) -> Result<(), Box<dyn Error>> {
    let mut config = load(&arguments.settings)?;
    config.server.listen = arguments.listen.unwrap_or(config.server.listen);
    config.server.data = arguments.data.unwrap_or(config.server.data);
    if let Some(problem) = config.server.problems().first() {
        return Err(format!("{}: {}", problem.key, problem.message).into());
    }
    // Before there is any other thread: it changes the environment.
    let handed = server::listener().map_err(server::ServeError::Activation)?;
    logging::start(config.log.format)?;
    memory::without_huge_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING)
        .enable_all()
        .build()?;
    Ok(runtime.block_on(server::serve(config, handed))?)
}

fn check(arguments: &Check) -> Result<(), Box<dyn Error>> {
    let text = if arguments.sample {
        config::sample(&tables())
    } else {
        let config = load(&arguments.settings)?;
        server::check_tls(&config)?;
        server::check_cluster(&config)?;
        let features = Features::build(&config).map_err(server::ServeError::Feature)?;
        server::check_doors(&config, &features)?;
        server::check_stores(&config, &features)?;
        config.print()
    };
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn features(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let text = config::describe(&tables(), &load(settings)?);
    Ok(io::stdout().write_all(text.as_bytes())?)
}

/// Hands what makes it to standard output at once: a reader that has seen enough is no panic then.
fn print(make: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<(), Box<dyn Error>> {
    let mut text = Vec::new();
    make(&mut text)?;
    Ok(io::stdout().write_all(&text)?)
}

fn completions(shell: Shell) -> Result<(), Box<dyn Error>> {
    print(|text| {
        clap_complete::generate(shell, &mut Cli::command(), "veche", text);
        Ok(())
    })
}

fn man(command: Option<&str>) -> Result<(), Box<dyn Error>> {
    let mut page = Cli::command();
    page.build();
    if let Some(name) = command {
        let known = page.find_subcommand(name);
        let found =
            known.ok_or_else(|| format!("{name} is no command: veche --help lists them"))?;
        page = found.clone();
    }
    print(|text| Man::new(page).render(text))
}

/// Whether a word of a command is a flag that says which server is meant.
fn is_own_flag(word: &OsString) -> bool {
    let flag = word.to_string_lossy();
    let flag = flag.split_once('=').map_or(&*flag, |(flag, _)| flag);
    ["--data", "--config"].contains(&flag)
}

fn administer(arguments: Admin) -> Result<(), Box<dyn Error>> {
    if let Some(late) = arguments.words.iter().find(|word| is_own_flag(word)) {
        let late = late.to_string_lossy();
        return Err(
            format!("{late} is for `veche admin` itself: it stands before the command").into(),
        );
    }
    let mut config = load(&arguments.settings)?;
    config.server.data = arguments.data.unwrap_or(config.server.data);
    let socket = config.server.admin_socket();
    let socket = socket.ok_or("the settings want no socket: server.admin is empty")?;
    let done = admin::run(&socket, &arguments.words, arguments.json);
    let asks_for_help = arguments
        .words
        .first()
        .is_some_and(|word| word == "--help" || word == "-h");
    if let (Err(admin::AdminError::Call(_)), true) = (&done, asks_for_help) {
        // What the server offers is not known; what is said here holds for any.
        let mut all = Cli::command();
        all.build();
        if let Some(page) = all.find_subcommand_mut("admin") {
            page.print_help()?;
        }
    }
    Ok(done?)
}

fn back_up(arguments: Backup) -> Result<(), Box<dyn Error>> {
    let config = load(&arguments.settings)?;
    let data = arguments.data.unwrap_or(config.server.data);
    Ok(backup::write(&data, &config.s3, &arguments.file)?)
}

fn export(arguments: Backup) -> Result<(), Box<dyn Error>> {
    let config = load(&arguments.settings)?;
    let data = arguments.data.unwrap_or(config.server.data);
    Ok(export::write(&data, &config.s3, &arguments.file)?)
}

fn import(arguments: Import) -> Result<(), Box<dyn Error>> {
    let config = load(&arguments.settings)?;
    let data = arguments.data.unwrap_or(config.server.data);
    Ok(import::read(&arguments.file, &data)?)
}

fn verify(arguments: Verify) -> Result<(), Box<dyn Error>> {
    let config = load(&arguments.settings)?;
    let data = arguments.data.unwrap_or(config.server.data);
    Ok(verify::run(&data, &config.s3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made again by `cargo run -- check --sample > config.toml`.
    #[test]
    fn config_toml_has_every_table_as_the_code_says_it() {
        let config = include_str!("../config.toml");
        // A feature that is deleted takes its table along by hand, so more may stand there.
        for part in config::sample(&tables()).split("\n\n") {
            assert!(
                config.contains(part.trim_end()),
                "config.toml is without\n{part}"
            );
        }
    }
}
