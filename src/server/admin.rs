//! The socket of `veche admin`: commands of core and features, for whoever may connect to it. Who
//! that is, the file system says; none of it can be reached over TCP.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ALLOW, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixSocket};
use tokio::sync::watch;

use super::start::DRAIN;
use super::{Core, harden, off, respond};
use crate::bus::{Answer, Decide, Tx};
use crate::chat;
use crate::feature::{Command, Duty, Usage, form, given};
use crate::http::{
    Found, Limits, Problem, Request, Response, RouteError, Router, Service, serve_local,
};

/// Where all of it begins.
const PATH: &str = "/admin";

/// Connections at once: some administrators and their scripts.
const CONNECTIONS: usize = 16;

/// How a command's arguments come.
const KIND: &str = "application/x-www-form-urlencoded";

/// How long a command's arguments may be.
const FORM: usize = 64 * 1024;

/// The longest path that a Unix socket can have on every system that is served.
const LONGEST: usize = 103;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// Its path is too long for the system.
    #[error("it is longer than {LONGEST} bytes: name a shorter one, or \"\" for none")]
    TooLong,
    /// Somebody answers there.
    #[error("another server listens there")]
    InUse,
    /// Something else lies there.
    #[error("there is something that is no socket")]
    NoSocket,
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// The socket as it lies in the file system. Dropping it takes it away.
pub(super) struct Socket {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Socket {
    /// Listens at `path`, which is its owner's alone. One that a killed server left is replaced.
    pub(super) fn open(path: PathBuf) -> Result<Self, SocketError> {
        if path.as_os_str().len() > LONGEST {
            return Err(SocketError::TooLong);
        }
        clear(&path)?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(&path)?;
        let mut socket_file = Self {
            path,
            listener: None,
        };
        // Before it listens, so that nobody else comes in between.
        fs::set_permissions(&socket_file.path, Permissions::from_mode(0o600))?;
        let backlog = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        socket_file.listener = Some(socket.listen(backlog)?);
        Ok(socket_file)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Whoever took it away has done so already.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes away a socket at which nobody listens.
fn clear(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(SocketError::NoSocket),
        Ok(_) if UnixStream::connect(path).is_ok() => Err(SocketError::InUse),
        Ok(_) => Ok(fs::remove_file(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The commands of the core and of features, each with its owner.
pub(super) struct Commands {
    pub(super) on: Vec<(&'static str, Command)>,
    /// Those of features that are off.
    pub(super) off: Vec<(&'static str, Command)>,
}

/// All that can be asked for at the socket.
pub(super) struct Board {
    router: Router<Target>,
    list: Value,
}

/// Who answers at the socket.
pub(super) struct Desk {
    core: Arc<Core>,
}

/// What is to be decided of a command, wherever that is.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    /// The command's name.
    name: String,
    /// Its arguments.
    form: String,
    /// The number of the system's user who gave it.
    by: u32,
    /// For one that looks at something: what came of it, which is all that is to be recorded.
    looked: Option<u16>,
}

/// What a command leads to.
struct Target {
    usage: Usage,
    duty: Duty,
    /// The feature that is off, whose command this is.
    off: Option<&'static str>,
}

impl Board {
    /// These commands.
    pub(super) fn new(commands: Commands) -> Result<Self, RouteError> {
        let Commands { on, off } = commands;
        let mut router = Router::new();
        let mut list: Vec<Value> = Vec::new();
        let on = on
            .into_iter()
            .map(|(owner, command)| (owner, command, None));
        let off = off
            .into_iter()
            .map(|(owner, command)| (owner, command, Some(owner)));
        for (owner, command, off) in on.chain(off) {
            let method = command.run.method();
            let usage = Usage::read(command.usage).map_err(|reason| RouteError::Invalid {
                method: method.clone(),
                path: command.usage.to_owned(),
                reason,
            })?;
            if off.is_none() {
                list.push(usage.describe(&command, owner));
            }
            let path = format!("{PATH}/{}", usage.name);
            let duty = command.run;
            router.add(method, &path, Target { usage, duty, off })?;
        }
        list.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
        let list = json!({ "commands": list });
        Ok(Self { router, list })
    }

    /// The decision that an order asks for, with the record of what came of it in the same batch;
    /// none where there is no such command.
    pub(super) fn prepare(&self, order: &Order) -> Option<Decide> {
        let Order {
            name,
            form,
            by,
            looked,
        } = order;
        let (name, by, arguments) = (name.clone(), *by, given(form));
        if let Some(status) = *looked {
            return Some(Box::new(move |tx: &mut Tx<'_>| {
                chat::record(tx, by, &name, &arguments, status)?;
                Ok(Answer::no_content())
            }));
        }
        let path = format!("{PATH}/{name}");
        let Found::Target { target, .. } = self.router.find(&Method::POST, &path) else {
            return None;
        };
        let Duty::Write(prepare) = &target.duty else {
            return None;
        };
        let decide = (target.off.is_none()).then(|| prepare(form))?;
        Some(Box::new(move |tx: &mut Tx<'_>| {
            let work = |tx: &mut Tx<'_>| match &decide {
                Ok(decide) => decide(tx),
                Err(problem) => Err(problem.clone()),
            };
            let record = |tx: &mut Tx<'_>, status| chat::record(tx, by, &name, &arguments, status);
            tx.administer(work, record)
        }))
    }
}

impl Desk {
    /// A desk for a server's commands.
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Serves at a socket, if there is one, until `shutdown` turns true; then it is taken away.
    pub(super) async fn serve(
        self: Arc<Self>,
        socket: Option<Socket>,
        shutdown: watch::Receiver<bool>,
    ) {
        let Some(mut socket) = socket else {
            return;
        };
        let Some(listener) = socket.listener.take() else {
            return;
        };
        let limits = Limits {
            connections: CONNECTIONS,
            drain_timeout: DRAIN,
            body_timeout: Duration::from_secs(10),
            ..Limits::default()
        };
        let of = |from: UCred| Clerk {
            desk: Arc::clone(&self),
            by: from.uid(),
        };
        serve_local(listener, of, limits, shutdown).await;
    }

    async fn answer(&self, mut request: Request, by: u32) -> Result<Answer, Problem> {
        let path = request.uri().path();
        if path == PATH && request.method() == Method::GET {
            return Ok(Answer::ok(self.core.board.list.clone()));
        }
        let target = match self.core.board.router.find(request.method(), path) {
            Found::Target { target, .. } => target,
            Found::NotFound => {
                return Err(chat::not_found("there is no such command"));
            }
            Found::MethodNotAllowed { allow } => {
                let detail = format!("this command takes {}", allow.to_str().unwrap_or_default());
                let status = StatusCode::METHOD_NOT_ALLOWED;
                return Err(Problem::new(status, "method_not_allowed", detail).header(ALLOW, allow));
            }
        };
        if let Some(feature) = target.off {
            return Err(off(feature));
        }
        let name = &target.usage.name;
        let (answer, form) = match &target.duty {
            Duty::Write(_) => {
                let body = request.body_mut().bytes(FORM).await?;
                if !body.is_empty() {
                    check_type(request.headers())?;
                }
                let form = form(&body)?.to_owned();
                let order = Order {
                    name: name.clone(),
                    form: form.clone(),
                    by,
                    looked: None,
                };
                (self.core.order(order).await, form)
            }
            Duty::Read(report) => {
                let form = request.uri().query().unwrap_or_default();
                let answer = report(Arc::clone(&self.core), form).await;
                self.note(name, form, by, status(&answer)).await;
                (answer, form.to_owned())
            }
        };
        let (status, what) = (status(&answer), target.usage.subject(&form));
        tracing::info!(
            uid = by,
            command = name,
            what,
            status,
            "an administrator's command"
        );
        answer
    }

    /// Records that something was looked at. That is shown all the same where nothing can be written.
    async fn note(&self, name: &str, form: &str, by: u32, status: u16) {
        let order = Order {
            name: name.to_owned(),
            form: form.to_owned(),
            by,
            looked: Some(status),
        };
        if let Err(problem) = self.core.order(order).await {
            tracing::warn!(%problem, command = name, "a command is not in the record");
        }
    }
}

/// Whether arguments come as a form's fields, and say so.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    if let (Some(kind), None) = (kinds.next(), kinds.next())
        && !headers.contains_key(CONTENT_ENCODING)
        && let Some(kind) = kind.to_str().ok().and_then(|kind| kind.split(';').next())
        && kind.trim().eq_ignore_ascii_case(KIND)
    {
        return Ok(());
    }
    let detail = format!("the arguments are the fields of a form: one `Content-Type: {KIND}`");
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Err(Problem::new(status, "unsupported_type", detail)
        .header(ACCEPT, HeaderValue::from_static(KIND)))
}

fn status(answer: &Result<Answer, Problem>) -> u16 {
    let status = match answer {
        Ok(answer) => answer.status,
        Err(problem) => problem.status,
    };
    status.as_u16()
}

/// Who answers one connection.
struct Clerk {
    desk: Arc<Desk>,
    /// The number of the user at its other end.
    by: u32,
}

impl Service for Clerk {
    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send + '_>> {
        Box::pin(async move {
            let answered = self.desk.answer(request, self.by).await;
            let mut response = match answered {
                Ok(answer) => respond(answer),
                Err(problem) => problem.into_response(),
            };
            harden(response.headers_mut());
            response
        })
    }
}
