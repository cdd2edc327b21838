//! The commands, one file each.

pub(crate) mod capture;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod graph;
pub(crate) mod ls;
pub(crate) mod plugin;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod tap;
pub(crate) mod top;
pub(crate) mod wire;

use crate::args::Command;
use crate::failure::Failure;

/// Runs a command and returns the exit code of the process.
pub(crate) fn run(command: Command) -> Result<i32, Failure> {
    match command {
        Command::Tap(options) => tap::run(&options),
        Command::Wire(options) => wire::run(&options),
        Command::Run(options) => run::run(&options),
        Command::Exec(options) => exec::run(&options),
        Command::Ls(options) => ls::run(&options),
        Command::Top(options) => top::run(&options),
        Command::Capture(options) => capture::run(&options),
        Command::Graph(options) => graph::run(&options),
        Command::Replay(options) => replay::run(options),
        Command::Demo(options) => demo::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Plugin(command) => plugin::run(&command),
    }
}
