//! The process between vnet and a command it runs: when vnet dies, by whatever
//! cause, the command and all its descendants are killed within a second.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    vnet_sandbox::helper::main(std::env::args_os().skip(1))
}
