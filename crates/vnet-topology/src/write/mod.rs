//! From a spec to a document.

mod json;
mod link;
mod toml;
