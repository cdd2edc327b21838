//! From a spec to a document.

mod json;
mod toml;
