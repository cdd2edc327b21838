//! `vnet run`: the network of a lab file, for as long as a command runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use vnet::{Attachment, Command, Netns, Network, NetworkSpec, OnFault, Popen, Process, StageStats, Stream};

use crate::args::{Grant, ModuleCap, Policy, granted};
use crate::failure::Failure;
use crate::foreground;
use crate::labs;
use crate::live;
use crate::output::{self, Paint};
use crate::report;
use crate::signals::{Signals, Woken};
use crate::where_arg::{self, Place, PlacedPlugin};

/// How many nodes are listed when the lab is up.
const SHOWN: usize = 24;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Lab file: TOML, or JSON when its name ends in .json
    file: PathBuf,
    /// Plugin to put on a link, a switch, or an interface of a node (`h1`, or `r1:eth1` where there are several); repeated,
    /// those at one place run in this order, after those of the lab file
    #[arg(long = "plugin", value_name = "WHERE=FILE[:key=val,...]", value_parser = where_arg::parse)]
    plugins: Vec<PlacedPlugin>,
    /// What happens to packets while one of these plugins cannot run [default: the plugin's own choice, else closed]
    #[arg(long, value_enum, value_name = "POLICY")]
    on_fault: Option<Policy>,
    /// Capability that these plugins get where they ask for it; repeated for more
    #[arg(long = "grant", value_name = "CAPABILITY")]
    grants: Vec<Grant>,
    #[command(flatten)]
    cap: ModuleCap,
    /// Name of the lab, for `vnet exec` and `vnet ls` [default: what the file says, else the file's name]
    #[arg(long)]
    name: Option<String>,
    /// Print one JSON document at the end instead of the table
    #[arg(long)]
    json: bool,
    /// Command to run beside the lab, not in it; vnet ends with it, with its exit code. VNET_LAB tells it the lab
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<i32, Failure> {
    let mut signals = Signals::take()?;
    let mut commands = BTreeMap::new();
    let network = Network::load_with(&options.file, None, |spec| {
        name(spec, options);
        // They start once the plugins of the command line are in place.
        for node in &mut spec.nodes {
            commands.insert(node.name.clone(), std::mem::take(&mut node.run));
        }
    })?;
    let places = options
        .plugins
        .iter()
        .map(|placed| Place::find(&network, &placed.place))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(signal) = start(&network, &mut signals)? {
        return Ok(128 + signal);
    }
    let lab = Lab {
        network,
        background: RefCell::new(Vec::new()),
    };
    let outcome = lab.live(options, &places, &commands, &mut signals);
    // What ended it is the news, not what the end itself was like.
    let closed = lab.network.close();
    let code = outcome?;
    closed?;
    Ok(code)
}

/// Names the lab: by option, by its file's own word, or by its file's name.
fn name(spec: &mut NetworkSpec, options: &Options) {
    if options.name.is_some() {
        spec.name.clone_from(&options.name);
    }
    if spec.name.is_none() {
        spec.name = stem(&options.file);
    }
}

/// Makes a lab's name of a file's: what a name may not hold becomes a hyphen.
fn stem(file: &Path) -> Option<String> {
    let stem = file.file_stem()?.to_string_lossy();
    let plain = stem.chars().map(|c| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    });
    let name: String = plain
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(63)
        .collect();
    (!name.is_empty()).then_some(name)
}

/// Makes the network; returns the signal that interrupted it, after which nothing of it is left.
fn start(network: &Network, signals: &mut Signals) -> Result<Option<i32>, Failure> {
    let signals = RefCell::new(signals);
    let interrupted = RefCell::new(None);
    let cancel = || {
        if let Ok(Woken::Signal(signal)) = signals.borrow_mut().wait(None, Some(Duration::ZERO)) {
            interrupted.replace(Some(signal));
        }
        interrupted.borrow().is_some()
    };
    network.on_progress(live::progress())?;
    let started = network.start(&cancel);
    // What comes then has the terminal for itself.
    network.on_progress(None)?;
    match (started, interrupted.take()) {
        (_, Some(signal)) => {
            network.close()?;
            Ok(Some(signal))
        }
        (outcome, None) => outcome.map(|()| None).map_err(Failure::from),
    }
}

/// A network that runs, with the commands of its lab file.
struct Lab {
    network: Network,
    background: RefCell<Vec<Process>>,
}

impl Lab {
    fn live(
        &self,
        options: &Options,
        places: &[Place],
        commands: &BTreeMap<String, Vec<String>>,
        signals: &mut Signals,
    ) -> Result<i32, Failure> {
        for (placed, place) in options.plugins.iter().zip(places) {
            let mut plugin = placed.plugin.clone();
            plugin.on_fault = options.on_fault.map(OnFault::from);
            plugin.grants = granted(&options.grants);
            plugin.module_cap = options.cap.bytes;
            place.attach(&plugin)?;
        }
        let name = self.full_name()?;
        self.announce(&name, options)?;
        self.begin(commands)?;
        let mut look = || self.look_after();
        let outcome = match &options.command[..] {
            [] => foreground::until_signal(signals, &mut look),
            argv => {
                let environment = env::vars_os()
                    .filter(|(name, _)| name != labs::VARIABLE)
                    .chain([(labs::VARIABLE.into(), name.into())]);
                let command = Command::new(argv)
                    .netns(Netns::Host)
                    .env(environment.collect())
                    .inherit();
                foreground::until_end_of(command, signals, &mut look)
            }
        };
        let code = outcome?;
        self.tell_failures();
        self.show(options.json)?;
        Ok(code)
    }

    /// Returns the name that no other lab has.
    fn full_name(&self) -> Result<String, Failure> {
        let entry = self.network.entry()?;
        Ok(entry.map_or_else(|| self.network.name(), |entry| labs::full_name(&entry)))
    }

    /// Says what is up.
    fn announce(&self, name: &str, options: &Options) -> Result<(), Failure> {
        let picture = self.network.graph(vnet::GraphFormat::Text)?;
        let summary = picture.lines().next().unwrap_or_default();
        output::note(&format!("lab {name} is up: {summary}"));
        let nodes = self.network.nodes()?;
        let inhabited: Vec<_> = nodes
            .iter()
            .filter(|node| where_arg::runs_programs(node))
            .collect();
        for node in inhabited.iter().take(SHOWN) {
            output::note(&format!("  {}", node.describe()));
        }
        if let Some(more) = inhabited.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            output::note(&format!(
                "  and {more} more: vnet graph {}",
                options.file.display()
            ));
        }
        if let ([], Some(first)) = (&options.command[..], inhabited.first()) {
            output::note(&format!(
                "enter it with: vnet exec --lab {} {}; Ctrl-C ends it",
                self.network.name(),
                first.name()
            ));
        }
        Ok(())
    }

    /// Starts the commands of the lab file; what they write goes to standard error, since standard output is CMD's.
    fn begin(&self, commands: &BTreeMap<String, Vec<String>>) -> Result<(), Failure> {
        for node in self.network.nodes()? {
            for command in commands.get(node.name()).into_iter().flatten() {
                let process = node.popen(Popen {
                    stdout: stderr()?,
                    stderr: Stream::Inherit,
                    ..Popen::shell(command)
                })?;
                self.background.borrow_mut().push(process);
            }
        }
        Ok(())
    }

    /// Fails when the lab was ended by somebody else.
    fn look_after(&self) -> Result<(), Failure> {
        self.tell_failures();
        Ok(self.network.check_alive()?)
    }

    /// Tells of the commands of the lab file that have failed, of each once.
    fn tell_failures(&self) {
        self.background
            .borrow_mut()
            .retain(|process| match process.poll() {
                Ok(None) => true,
                Ok(Some(0)) => false,
                Ok(Some(status)) => {
                    output::note(&format!("{process} ended with status {status}"));
                    false
                }
                Err(error) => {
                    output::note(&format!("{process}: {error}"));
                    false
                }
            });
    }

    /// Prints what the plugins did.
    fn show(&self, json: bool) -> Result<(), Failure> {
        let stages = self.stages()?;
        if !json {
            return output::data(&report::table(&stages, Paint::stdout()));
        }
        let stats = self.network.stats()?;
        output::json(&serde_json::json!({
            "lab": self.network.name(),
            "plugins": stages,
            "links": stats.links,
            "interfaces": stats.interfaces,
        }))
    }

    /// Collects what every plugin did, those of the lab file too, under its name and place.
    fn stages(&self) -> Result<Vec<StageStats>, Failure> {
        let named = |(place, attachment): (String, Attachment)| {
            let stats = attachment.stats()?;
            Ok(StageStats {
                name: format!("{} ({place})", stats.name),
                ..stats
            })
        };
        self.network.attachments().into_iter().map(named).collect()
    }
}

fn stderr() -> Result<Stream, Failure> {
    let copy = std::io::stderr().as_fd().try_clone_to_owned();
    copy.map(Stream::Fd).map_err(|source| Failure::Os {
        what: "duplicate a descriptor",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_is_called_as_its_file_is() {
        for (file, name) in [
            ("lab.toml", Some("lab")),
            ("dir/my ring.toml", Some("my-ring")),
            ("_x.toml", Some("x")),
            ("...", None),
        ] {
            assert_eq!(stem(Path::new(file)).as_deref(), name, "{file}");
        }
    }
}
