//! The `vnet` command line, as a library: the Python package's console script calls [`main`].
//!
//! - One file of `command` is one command; [`args`] is the grammar they share.
//! - Data goes to standard output, everything else to standard error; `--json` turns the data into one JSON document.
//! - Exit codes: 0 ok, 1 any other failure, 2 usage, 3 privilege, 4 plugin rejected, 5 a check failed. With
//!   `-- CMD`, once it ran, CMD's own code (128 + n when signal n ended it); 127 when there is no such program and 126 when
//!   it cannot be executed, as shells have it.
//! - SIGINT and SIGTERM end every command in order: its devices are released and its table is printed.
#![forbid(unsafe_code)]

mod args;
mod capture;
mod command;
mod failure;
mod foreground;
mod impair_arg;
mod labs;
mod live;
mod logs;
mod output;
mod plugin_arg;
mod report;
mod session;
mod signals;
mod terminal;
mod top;
mod where_arg;

use std::ffi::OsString;

use clap::Parser;

use args::Cli;

/// Runs one command line, program name first, and returns the exit code of the process.
///
/// It takes over SIGINT and SIGTERM, so it is meant to be the last thing a process does.
#[must_use]
pub fn main(args: Vec<OsString>) -> i32 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and version go to standard output; a closed pipe there is nobody's concern.
            let _ = usage.print();
            return usage.exit_code();
        }
    };
    // The last lines of a plugin's log come before the sentence that says how it ended: `logs` ends first.
    let outcome = logs::start(cli.verbose).and_then(|_logs| command::run(cli.command));
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            output::error(&failure);
            failure.exit_code()
        }
    }
}
