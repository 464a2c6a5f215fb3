//! What one would write first in Rust: server-sent events with axum, on tokio's broadcast channel.
//!
//!     axum-peer PORT

use std::convert::Infallible;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use futures_util::{Stream, StreamExt, future};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

/// How many texts a stream may be behind; more are lost to it.
const CAPACITY: usize = 1024;

type Hub = broadcast::Sender<String>;

async fn events(State(hub): State<Hub>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let texts = BroadcastStream::new(hub.subscribe());
    let events = texts.filter_map(|text| future::ready(text.ok()));
    Sse::new(events.map(|text| Ok(Event::default().data(text)))).keep_alive(KeepAlive::default())
}

async fn send(State(hub): State<Hub>, text: String) -> StatusCode {
    // Nobody may be listening.
    let _ = hub.send(text);
    StatusCode::NO_CONTENT
}

async fn aside(_text: String) -> StatusCode {
    StatusCode::NO_CONTENT
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("axum-peer PORT")?.parse()?;
    let app = Router::new()
        .route("/events", get(events))
        .route("/send", post(send))
        .route("/aside", post(aside))
        .with_state(Hub::new(CAPACITY));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
