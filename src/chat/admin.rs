//! The core's commands of `veche admin`, and the record of all that are given.

use std::future::Future;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Fact, no_message, render};
use crate::bus::{Answer, Decide, Subject, Tx, View, internal};
use crate::feature::{Duty, Order, Report, Routes, parse_query};
use crate::http::Problem;
use crate::log::reader::Reading;
use crate::log::sqlite;
use crate::log::{Audience, Id, UserId};
use crate::server::Core;

/// The most entries of one answer.
const PAGE: usize = 200;

#[derive(Deserialize)]
struct Users {
    after: Option<String>,
}

#[derive(Deserialize)]
struct Recorded {
    after: Option<Id>,
}

#[derive(Deserialize)]
struct Remove {
    message: Id,
}

#[derive(Deserialize)]
struct Nothing {}

/// What the core can be told.
pub(super) fn commands(routes: Routes<()>) -> Routes<()> {
    routes
        .report("users [--after NAME]", "Everyone, by name", users)
        .order(
            "remove MESSAGE",
            "Removes a message for good, with all that lies beside it",
            |tx, given: &Remove| tx.remove_one(given.message),
        )
        .report("stats", "How the server is", stats)
        .report(
            "audit [--after ID]",
            "What administrators asked for, and what came of it",
            audit,
        )
}

impl Routes<()> {
    fn order<B>(
        self,
        usage: &'static str,
        about: &'static str,
        decide: fn(&mut Tx<'_>, &B) -> Result<Answer, Problem>,
    ) -> Self
    where
        B: DeserializeOwned + Send + Sync + 'static,
    {
        let order: Order = Arc::new(move |form: &str| {
            let given: B = parse_query(Some(form))?;
            Ok(Box::new(move |tx: &mut Tx<'_>| decide(tx, &given)) as Decide)
        });
        self.command(usage, about, Duty::Write(order))
    }

    fn report<Q, Fut>(
        self,
        usage: &'static str,
        about: &'static str,
        answer: fn(Arc<Core>, Q) -> Fut,
    ) -> Self
    where
        Q: DeserializeOwned + Send + 'static,
        Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let report: Report = Arc::new(move |core, form: &str| {
            let given = parse_query::<Q>(Some(form));
            Box::pin(async move { answer(core, given?).await })
        });
        self.command(usage, about, Duty::Read(report))
    }
}

impl Tx<'_> {
    fn remove_one(&mut self, id: Id) -> Result<Answer, Problem> {
        let going = self.going(id)?.ok_or_else(no_message)?;
        self.take_away(&[going])?;
        Ok(Answer::no_content())
    }
}

/// Records what an administrator asked for, with what came of it.
pub(crate) fn record(
    tx: &mut Tx<'_>,
    by: u32,
    command: &str,
    arguments: &Value,
    status: u16,
) -> Result<(), Problem> {
    let fact = Fact::Administered {
        by,
        command: command.to_owned(),
        status,
    };
    // They may say what somebody wrote: a text.
    tx.core_with(&fact, Audience::Nobody, Some(arguments.to_string()))
        .map(drop)
}

async fn users(core: Arc<Core>, given: Users) -> Result<Answer, Problem> {
    let online = core.hub.online();
    let lately = core.bus.seen_lately();
    let one = |view: &View<'_>, id: UserId, user: &super::User| {
        let seen = user.clients.iter().filter_map(|client| lately.get(client));
        let seen = seen.max().map_or(user.seen, |seen| user.seen.max(*seen));
        let mut json = Map::new();
        json.insert("name".into(), user.name.as_str().into());
        json.insert("password".into(), user.password.is_some().into());
        json.insert("since".into(), user.since.to_string().into());
        json.insert("seen".into(), seen.to_string().into());
        json.insert("online".into(), online.contains(&id).into());
        json.insert("clients".into(), user.clients.iter().count().into());
        json.extend(render::parts(view, &core.features, &Subject::User(id)));
        Value::Object(json)
    };
    let look = |view: &View<'_>| {
        let users = view.world().chat.users_after(given.after.as_deref());
        users
            .take(PAGE + 1)
            .map(|(id, user)| one(view, id, user))
            .collect::<Vec<_>>()
    };
    let mut users = core.bus.read(look).await?;
    let more = users.len() > PAGE;
    users.truncate(PAGE);
    let next = users
        .last()
        .filter(|_| more)
        .map(|last| last["name"].clone());
    Ok(Answer::ok(json!({"users": users, "next": next})))
}

async fn stats(core: Arc<Core>, _: Nothing) -> Result<Answer, Problem> {
    let failed = |error| internal("counting", &error);
    let stored = core.reader.read(Reading::stored).await.map_err(failed)?;
    let floor = core.reader.read(Reading::floor).await.map_err(failed)?;
    let file = sqlite::file(&core.config.server.data);
    // One that can't be looked at is none.
    let size = |file: &std::path::Path| file.metadata().map_or(0, |metadata| metadata.len());
    let position = core.bus.durable_pos();
    let health = core.bus.health().problem();
    Ok(Answer::ok(json!({
        "name": core.config.server.name,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": core.started.elapsed().as_secs(),
        "features": core.features.names(),
        "writes": health.map_or_else(|| "ok".to_owned(), |problem| problem.code.to_string()),
        "users": core.bus.peek(|view| view.world().chat.user_count()),
        "online": core.hub.online().len(),
        "streams": core.hub.count(),
        "messages": stored.messages,
        "rows": stored.rows,
        "objects": stored.objects,
        "position": position,
        "facts": position.saturating_sub(floor),
        "database_bytes": size(&file),
        "wal_bytes": size(&file.with_extension("db-wal")),
    })))
}

async fn audit(core: Arc<Core>, given: Recorded) -> Result<Answer, Problem> {
    let after = given.after.unwrap_or(0);
    let read = core.reader.read(move |r| r.core_rows(after, PAGE)).await;
    let (rows, more) = read.map_err(|error| internal("reading the record", &error))?;
    let next = rows.last().filter(|_| more).map(|last| last.id);
    let entries = rows.iter().filter_map(|row| {
        let fact = serde_json::from_str(row.fact.get()).ok()?;
        let Fact::Administered {
            by,
            command,
            status,
        } = fact
        else {
            return None;
        };
        let arguments = row.text.as_deref().unwrap_or("{}");
        Some(json!({
            "id": row.id,
            "at": row.at.to_string(),
            "uid": by,
            "command": command,
            "arguments": serde_json::from_str::<Value>(arguments).unwrap_or_default(),
            "status": status,
        }))
    });
    let entries: Vec<_> = entries.collect();
    Ok(Answer::ok(json!({"audit": entries, "next": next})))
}
