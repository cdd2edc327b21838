//! `vnet plugin`: write, build, test and measure plugins. Needs no privilege.

mod bench;
mod build;
mod check;
mod inspect;
mod new;
mod subject;
mod table;
mod test;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a project: a plugin that works, its cases, and what it takes to build it
    #[command(after_help = "Example: vnet plugin new my_filter --lang c")]
    New(new::New),
    /// Build the module of a project, put the manifest into it, and check it
    #[command(after_help = "Example: vnet plugin build my_filter")]
    Build(build::Build),
    /// Load a plugin and show it thousands of hostile frames, without a device
    #[command(after_help = "Example: vnet plugin check ./my_filter.wasm:port=53 --grant timer")]
    Check(check::Check),
    /// Say what a plugin is and what it may do
    #[command(after_help = "Example: vnet plugin inspect nat")]
    Inspect(inspect::Inspect),
    /// Run a plugin's file of cases: frames in, verdicts and frames out
    #[command(after_help = "Example: vnet plugin test my_filter --cases more.toml")]
    Test(test::Test),
    /// Measure nanoseconds and instructions a packet, with frames in memory
    #[command(after_help = "Example: vnet plugin bench drop_bcast --sizes 64,1500 --batches 64")]
    Bench(bench::Bench),
}

pub(crate) fn run(command: &Command) -> Result<i32, Failure> {
    match command {
        Command::New(options) => new::run(options),
        Command::Build(options) => build::run(options),
        Command::Check(options) => check::run(options),
        Command::Inspect(options) => inspect::run(options),
        Command::Test(options) => test::run(options),
        Command::Bench(options) => bench::run(options),
    }
}
