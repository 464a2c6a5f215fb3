//! The documentation tells the truth: its examples run, its answers are the server's, its feature
//! compiles and passes its test, its tables list what is there.
//!
//! - `pages.rs`: pages, and their fenced blocks.
//! - `examples.rs`: examples are run, and their answers compared.
//! - `tables.rs`: tables list what is there, and nothing else.
//! - `guide.rs`: the guide to a feature of one's own, followed to the letter.

mod examples;
mod guide;
mod pages;
mod tables;
