//! The console client on the whole terminal, in tmux: keys go in by `send-keys`, and what is looked
//! at is what stands on the screen then.
//!
//! - `screen.rs`: a client in a tmux of its own, and what stands on its screen.
//! - `chatting.rs`: reading and writing.
//! - `moving.rs`: commands that lead to another chat, and what is typed behind them.
//! - `outages.rs`: starts, outages, and what is kept over them.
//! - `waiting.rs`: what a limit, a ban or an outage holds up.
//! - `boxes.rs`: what opens over a chat.
//! - `of_features.rs`: what the features bring to the screen.

#![cfg(unix)]

mod boxes;
mod chatting;
mod moving;
mod of_features;
mod outages;
mod screen;
mod waiting;
