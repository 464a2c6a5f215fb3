//! The commands of the console client, and what each is told by flags and by the environment.

use std::error::Error;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};

use crate::bus::causes;
use crate::client::{self, Look, Who};
use crate::settings::Period;

/// What the pages of all these commands end with.
const SAID: &str = "Flags come before the environment (VECHE_SERVER, VECHE_NAME, VECHE_PASSWORD_FILE, VECHE_CA, VECHE_WAIT), \
    and that before the lines of ~/.config/veche/client.toml (server, name, password_file, ca, wait; \
    plain = true and bell = false for veche chat, as --plain and --bell off).\n\
    Exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 the server cannot be reached, or \
    wants it later; 4 no session: the name or the password is missing or wrong.";

/// The commands of people and of their scripts.
#[derive(Subcommand)]
pub enum Command {
    /// Chats from the console: full-screen on a terminal, line by line in a pipe
    Chat(Chat),
    /// Posts TEXT, or what stands on standard input; prints the message's number
    Send(Send),
    /// Prints what is unread, and then messages as they come, one a line
    Listen(Listen),
    /// Uploads FILE, and posts it where TO is given; prints its id, or the message's number
    Upload(Upload),
    /// Downloads what a message has attached, by number, id or URL; prints where it lies
    Download(Download),
}

#[derive(Args)]
struct Identity {
    /// The server [default: http://127.0.0.1:8000]
    #[arg(long, value_name = "URL", env = "VECHE_SERVER")]
    server: Option<String>,
    /// Who to be
    #[arg(id = "who", long = "name", value_name = "NAME", env = "VECHE_NAME")]
    name: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE", env = "VECHE_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// Who vouches for a server at https://, in PEM, instead of this system's authorities
    #[arg(long, value_name = "FILE", env = "VECHE_CA")]
    ca: Option<PathBuf>,
    /// How long a server is waited for that cannot be reached, like 30s; 0s gives up at once
    /// [default: 2m]
    #[arg(long, value_name = "TIME", env = "VECHE_WAIT")]
    wait: Option<Period>,
}

impl From<Identity> for Who {
    fn from(identity: Identity) -> Who {
        Who {
            server: identity.server,
            name: identity.name,
            password_file: identity.password_file,
            ca: identity.ca,
            wait: identity.wait,
        }
    }
}

#[derive(Args)]
#[command(after_help = SAID)]
pub struct Chat {
    /// Who to be; without it --name, VECHE_NAME or `name` in client.toml
    name: Option<String>,
    #[command(flatten)]
    identity: Identity,
    /// Prints one event a line, as JSON, and reads plain lines, also from a terminal
    #[arg(long)]
    json: bool,
    /// Reads line by line instead of taking the whole screen
    #[arg(long, env = "VECHE_PLAIN", value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_parser = BoolishValueParser::new())]
    plain: Option<bool>,
    /// Whether a mention of your name and a private message ring the bell [default: on]
    #[arg(long, env = "VECHE_BELL", value_name = "on|off", value_parser = BoolishValueParser::new())]
    bell: Option<bool>,
}

#[derive(Args)]
#[command(after_help = SAID)]
pub struct Send {
    /// Where to: common, @NAME, a room's title or address
    to: String,
    /// What to say; without it standard input is read to its end
    text: Option<String>,
    #[command(flatten)]
    identity: Identity,
}

#[derive(Args)]
#[command(after_help = SAID)]
pub struct Listen {
    /// Prints each event as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    identity: Identity,
}

#[derive(Args)]
#[command(after_help = SAID)]
pub struct Upload {
    /// What to upload
    file: String,
    /// Where to post it; without it the upload waits to be attached
    to: Option<String>,
    #[command(flatten)]
    identity: Identity,
}

#[derive(Args)]
#[command(after_help = SAID)]
pub struct Download {
    /// A message's number, an upload's id, or the URL of either
    #[arg(value_name = "ID|URL")]
    which: String,
    /// A folder or a path, `-` for standard output; without it the working folder and the sender's
    /// name for it
    file: Option<String>,
    #[command(flatten)]
    identity: Identity,
}

/// Does it; the error's exit status is for [`status`].
pub fn run(command: Command) -> Result<(), Box<dyn Error>> {
    let done = match command {
        Command::Chat(mut chat) => {
            chat.identity.name = chat.name.or(chat.identity.name);
            let look = Look {
                json: chat.json,
                plain: chat.plain,
                bell: chat.bell,
            };
            client::chat(chat.identity.into(), look)
        }
        Command::Send(send) => client::send(send.identity.into(), &send.to, send.text),
        Command::Listen(listen) => client::listen(listen.identity.into(), listen.json),
        Command::Upload(upload) => {
            client::upload(upload.identity.into(), &upload.file, upload.to.as_deref())
        }
        Command::Download(download) => client::download(
            download.identity.into(),
            &download.which,
            download.file.as_deref(),
        ),
    };
    Ok(done?)
}

/// An error and its causes in one line.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref::<client::Error>() {
        Some(error) => error.explain(),
        None => causes(error),
    }
}

/// The exit status of an error, where it is the client's.
pub fn status(error: &(dyn Error + 'static)) -> Option<u8> {
    error
        .downcast_ref::<client::Error>()
        .map(client::Error::status)
}
