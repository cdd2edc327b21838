//! Other people's bridges: a process between the two namespaces.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use vnet_sys::NetNs;

use crate::lab::Result;

/// Where the peers and what they need are.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The repository's `plugins`.
    pub plugins: PathBuf,
    /// The programs in `tests/bench/peers`.
    pub programs: PathBuf,
    /// A Python that has their packages.
    pub python: PathBuf,
}

/// A running peer. Dropping it ends it and everything it started.
pub struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Peer {
    /// Starts a program of `tests/bench/peers` in `ns` and waits until it carries frames.
    pub fn start(places: &Places, ns: &NetNs, program: &str, args: &[&str]) -> Result<Self> {
        let spawn = || {
            // As the first of its process namespace: whatever ends it ends what it started.
            Command::new("unshare")
                .args(["--mount", "--pid", "--fork", "--kill-child"])
                .arg(&places.python)
                .arg(places.programs.join(program))
                .args(args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
        };
        let mut child = ns.run(spawn)??;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let peer = Self { child, stdin };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if line.trim() == "ready" {
            Ok(peer)
        } else {
            Err(format!(
                "{program} did not start: it says what it lacks above, and `make setup-bench` installs it"
            )
            .into())
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Its end of input tells it to go.
        self.stdin.take();
        let _ = self.child.wait();
    }
}

/// Lets the kernel finish every frame that leaves `end` of `ns`: for a hop that knows no partial checksums.
pub fn without_offloads(ns: &NetNs) -> Result<()> {
    let run = || {
        Command::new("ethtool")
            .args(["-K", "end", "tx", "off"])
            .stdout(Stdio::null())
            .status()
    };
    let status = ns.run(run)?.map_err(|e| format!("cannot run ethtool: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("ethtool refused to turn the offloads off".into())
    }
}
