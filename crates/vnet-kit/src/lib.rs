//! Tools for the authors of plugins: projects in every language, their builds, cases, and measurements.
//!
//! - [`create`] makes a [`Project`] in a [`Language`]; [`build()`] compiles it and puts the manifest into the module.
//! - [`inspect()`] says what a module is and may do.
//! - [`test()`] runs a file of cases: frames in, verdicts and frames out, and a diff of headers where they differ.
//! - [`bench()`] measures nanoseconds and instructions a packet.
//!
//! Nothing here opens a device or needs a privilege.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bench;
mod build;
mod capture;
mod cases;
mod create;
mod diff;
mod error;
mod fields;
mod files;
mod frame;
mod inspect;
mod language;
mod native;
mod project;
mod section;
mod trial;

pub use bench::{BenchOptions, BenchReport, BenchRow, bench};
pub use build::{Built, build};
pub use cases::{CaseReport, Failure, TestReport, run as test};
pub use create::{create, sdk_files};
pub use diff::Difference;
pub use error::KitError;
pub use inspect::{ConfigKey, Inspection, inspect};
pub use language::Language;
pub use project::{PROJECT_FILE, Project};
pub use section::MANIFEST_SECTION;
