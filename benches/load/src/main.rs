//! Puts a load on a server, veche or one that people would pick instead, and tells in one line of
//! JSON what the load took: CPU time of the server, times, memory, and what was lost or doubled.
//!
//! The server runs already; `--pid` is its process, or those of its nodes. Each load is bounded in count and time.

mod growth;
mod loads;
mod mark;
mod process;
mod protocol;
mod publisher;
mod streams;
mod times;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What went wrong, in words.
type Problem = Box<dyn std::error::Error + Send + Sync>;

/// The command line.
#[derive(Parser)]
#[command(
    version,
    about = "Puts a load on a server and tells what it took, in one line of JSON"
)]
struct Arguments {
    /// The kind of server
    #[arg(long, value_enum)]
    server: protocol::Kind,
    /// Where it listens; several nodes have several, and publishers go to each in turn
    #[arg(long, required = true, value_delimiter = ',')]
    addr: Vec<SocketAddr>,
    /// Where streams are opened, in turn, if not there
    #[arg(long, value_delimiter = ',')]
    streams_at: Vec<SocketAddr>,
    /// Its processes, whose children count as well
    #[arg(long, required = true, value_delimiter = ',')]
    pid: Vec<u32>,
    /// The load
    #[command(subcommand)]
    load: Command,
}

/// The loads: those for every kind of server, and those for veche's growth.
#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Any(loads::Load),
    #[command(flatten)]
    Growth(growth::Growth),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, Problem> {
    let streams_at = if arguments.streams_at.is_empty() {
        &arguments.addr
    } else {
        &arguments.streams_at
    };
    let target = loads::Target {
        kind: arguments.server,
        addr: arguments.addr[0],
        // For as long as the program runs.
        addrs: arguments.addr.clone().leak(),
        streams_at: streams_at.clone().leak(),
        pids: arguments.pid.clone().leak(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match &arguments.load {
        Command::Any(load) => {
            process::raise_open_files(load.connections() + 100)?;
            let report = runtime.block_on(loads::run(load, target))?;
            Ok(serde_json::to_string(&report)?)
        }
        Command::Growth(load) => {
            process::raise_open_files(load.connections() + 100)?;
            let report = runtime.block_on(growth::run(load, target))?;
            Ok(serde_json::to_string(&report)?)
        }
    }
}
