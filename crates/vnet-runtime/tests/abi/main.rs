//! The plugin ABI, sentence by sentence, against plugins written as text.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod batch;
mod chaos;
mod check;
mod config;
mod faults;
mod grants;
mod hostile;
mod imports;
mod limits;
mod manifest;
mod maps;
mod mutated;
mod refused;
mod simple;
mod swap;
