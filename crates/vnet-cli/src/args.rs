//! The grammar of the command line, apart from each command's own options.

use clap::{Args, Parser, Subcommand, ValueEnum};
use vnet::{Direction, OnFault, Plugin};

use crate::command::{capture, demo, doctor, exec, graph, ls, plugin, replay, run, tap, top, wire};
use crate::plugin_arg;

/// Real network devices whose packets WebAssembly plugins filter and rewrite.
#[derive(Debug, Parser)]
#[command(name = "vnet", version = vnet::VERSION, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Say more on standard error; repeat for more still
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a TAP device and run plugins on its packets, until Ctrl-C or until CMD ends
    Tap(tap::Options),
    /// Forward between two interfaces through plugins, until Ctrl-C or until CMD ends
    Wire(wire::Options),
    /// Build the network of a lab file, until Ctrl-C or until CMD ends
    Run(run::Options),
    /// Run a command in a node of a lab that runs
    Exec(exec::Options),
    /// List the labs that run
    Ls(ls::Options),
    /// Show links, queues and plugins at work, of a lab or of devices, over and over
    Top(top::Options),
    /// Capture frames of a lab that runs: to a file, to Wireshark, or as a line for each packet
    Capture(capture::Options),
    /// Draw the network of a lab file; needs no privilege
    Graph(graph::Options),
    /// Run plugins over a capture file; needs no privilege
    Replay(replay::Options),
    /// Show on real devices what a plugin does to a ping
    Demo(demo::Options),
    /// Say what works on this machine, why the rest does not, and what fixes it
    Doctor(doctor::Options),
    /// Work on plugin files
    #[command(subcommand)]
    Plugin(plugin::Command),
}

/// Which plugins a command runs, and how.
#[derive(Args, Debug)]
pub(crate) struct PluginOptions {
    /// Plugin to run: a file, or the bare name of one that ships with vnet; repeated, they run in this order.
    /// Options follow the first `:` that stands before a `key=`, separated by commas
    #[arg(long = "plugin", value_name = "FILE[:key=val,...]", value_parser = plugin_arg::parse)]
    pub plugins: Vec<Plugin>,
    /// What happens to packets while a plugin cannot run [default: the plugin's own choice, else closed]
    #[arg(long, value_enum, value_name = "POLICY")]
    pub on_fault: Option<Policy>,
    /// Capability the plugins get where they ask for it; repeated for more
    #[arg(long = "grant", value_name = "CAPABILITY")]
    pub grants: Vec<Grant>,
    #[command(flatten)]
    pub cap: ModuleCap,
}

/// `--module-cap`
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct ModuleCap {
    /// Largest module accepted: 4MiB, or bytes [default: 1MiB; 4MiB for a project in Go]
    #[arg(long = "module-cap", value_name = "SIZE", value_parser = module_cap)]
    pub bytes: Option<usize>,
}

fn module_cap(text: &str) -> Result<usize, String> {
    vnet::size(text)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| format!("{text:?} is no size up to 1 GiB: write 4MiB"))
}

/// `--grant`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Grant {
    /// Random numbers
    Random,
    /// Frames of their own
    Inject,
    /// Calls at a time
    Timer,
}

/// Returns capabilities by the names plugins have for them.
pub(crate) fn granted(grants: &[Grant]) -> Vec<String> {
    let name = |grant: &Grant| match grant {
        Grant::Random => "random",
        Grant::Inject => "inject",
        Grant::Timer => "timer",
    };
    grants.iter().map(|grant| name(grant).to_owned()).collect()
}

/// `--on-fault`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Policy {
    /// Drop them
    Closed,
    /// Pass them
    Open,
}

impl From<Policy> for OnFault {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Closed => OnFault::Closed,
            Policy::Open => OnFault::Open,
        }
    }
}

impl PluginOptions {
    /// Returns the plugins in their order, with the options that hold for all.
    pub fn plugins(&self) -> impl Iterator<Item = Plugin> + '_ {
        let on_fault = self.on_fault.map(OnFault::from);
        self.plugins.iter().map(move |plugin| Plugin {
            on_fault,
            grants: granted(&self.grants),
            module_cap: self.cap.bytes,
            ..plugin.clone()
        })
    }
}

/// Reads `--direction`.
pub(crate) fn direction(text: &str) -> Result<Direction, String> {
    text.parse().map_err(|e: vnet::Error| e.to_string())
}
