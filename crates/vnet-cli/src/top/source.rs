//! Whose numbers are meant, and how they are asked for.

use std::env;
use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::pipe::{PipeFlags, pipe_with};
use vnet::{ExecRequest, LabEntry, NumbersEntry, Row, Stdio};

use crate::failure::Failure;
use crate::labs;

/// A process that owns what is looked at.
pub(crate) enum Source {
    /// It answers itself; its lab is asked where it does not.
    Owner(NumbersEntry, Option<LabEntry>),
    /// It does not: its nodes' kernels are asked through its helper.
    Kernels(LabEntry),
}

impl Source {
    /// Finds what was named: a lab, or the devices of `vnet tap` and `vnet wire`.
    pub fn find(wanted: Option<&str>) -> Result<Self, Failure> {
        let variable = env::var(labs::VARIABLE).ok().filter(|name| !name.is_empty());
        let wanted = wanted.map(str::to_owned).or(variable);
        let mut labs = vnet::labs();
        let owner = |entry: NumbersEntry| {
            let at = labs.iter().position(|lab| entry == NumbersEntry::from(lab));
            Source::Owner(entry, at.map(|at| labs.remove(at)))
        };
        let mut all: Vec<Source> = vnet::numbers_entries().into_iter().map(owner).collect();
        all.extend(labs.into_iter().map(Source::Kernels));
        let mut found: Vec<Source> = Vec::new();
        let mut names = Vec::new();
        for source in all {
            let (name, pid) = source.names();
            names.push(format!("{name}@{pid}"));
            let is_meant = |wanted: &str| {
                [name.to_owned(), pid.to_string(), format!("{name}@{pid}")]
                    .iter()
                    .any(|n| n == wanted)
            };
            if wanted.as_deref().is_none_or(is_meant) {
                found.push(source);
            }
        }
        match (found.len(), names.is_empty()) {
            (1, _) => Ok(found.remove(0)),
            (_, true) => Err(Failure::not_found(
                "nothing of yours is running here that could be looked at",
                "start a lab (vnet run lab.toml), or a device: vnet tap tap0",
            )),
            (0, false) => Err(Failure::not_found(
                format!("nothing that runs is called {:?}", wanted.unwrap_or_default()),
                format!("these run: {}", names.join(", ")),
            )),
            _ => Err(Failure::not_found(
                "several are running, and which one is meant is not said",
                format!("name one: vnet top {}", names.join(", or ")),
            )),
        }
    }

    fn names(&self) -> (&str, u32) {
        match self {
            Source::Owner(entry, _) => (&entry.name, entry.pid),
            Source::Kernels(lab) => (&lab.name, lab.pid),
        }
    }

    /// Returns what to write above its numbers.
    pub fn name(&self) -> String {
        let (name, pid) = self.names();
        match self {
            Source::Owner(..) => format!("{name}@{pid}"),
            Source::Kernels(_) => {
                format!("{name}@{pid} (its process tells no numbers: these are its nodes' own)")
            }
        }
    }

    /// Asks for one look.
    pub fn rows(&mut self) -> Result<Vec<Row>, Failure> {
        match self {
            Source::Kernels(lab) => of_kernels(lab),
            Source::Owner(entry, lab) => match (entry.rows(), lab) {
                (Ok(rows), _) => Ok(rows),
                // It may be stopped, or have no room for one more descriptor, while its lab goes on.
                (Err(error), Some(lab)) => {
                    let rows = of_kernels(lab).map_err(|_| error)?;
                    *self = Source::Kernels(lab.clone());
                    Ok(rows)
                }
                (Err(error), None) => Err(error.into()),
            },
        }
    }
}

fn of_kernels(lab: &LabEntry) -> Result<Vec<Row>, Failure> {
    let description = lab.describe().map_err(vnet::Error::from)?;
    let mut rows = Vec::new();
    for node in &description.nodes {
        let text = in_node(lab, &node.name)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ns = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        rows.extend(text.lines().filter_map(counters).flatten().map(|row| Row {
            time_ns,
            node: Some(node.name.clone()),
            ..row
        }));
    }
    Ok(rows)
}

/// Reads the counters of a node's interfaces there.
fn in_node(lab: &LabEntry, node: &str) -> Result<String, Failure> {
    let os = |errno: rustix::io::Errno| Failure::Os {
        what: "make a pipe",
        source: errno.into(),
    };
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(os)?;
    let request = ExecRequest {
        argv: vec!["cat".into(), "/proc/net/dev".into()],
        stdin: Stdio::Null,
        stdout: Stdio::Fd(theirs),
        stderr: Stdio::Null,
        ..ExecRequest::default()
    };
    let child = lab
        .exec(node, request)
        .map_err(|error| Failure::not_run(error.into()))?;
    let mut text = String::new();
    let read = std::fs::File::from(ours).read_to_string(&mut text);
    read.map_err(|source| Failure::Os {
        what: "read a node's counters",
        source,
    })?;
    child.wait(None).map_err(vnet::Error::from)?;
    Ok(text)
}

/// Reads a line of /proc/net/dev: a name, eight numbers of what came, eight of what went.
fn counters(line: &str) -> Option<[Row; 2]> {
    let (name, numbers) = line.split_once(':')?;
    let name = name.trim();
    let numbers: Vec<u64> = numbers
        .split_ascii_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    if name == "lo" || numbers.len() < 16 {
        return None;
    }
    let row = |direction: &str, numbers: &[u64]| Row {
        kind: "port".into(),
        interface: Some(name.to_owned()),
        direction: Some(direction.into()),
        frames: numbers[1],
        bytes: numbers[0],
        drops: numbers[2] + numbers[3],
        ..Row::default()
    };
    Some([row("rx", &numbers[..8]), row("tx", &numbers[8..16])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_two_rows() {
        let line = "  eth0:    1234      10    1    2    0     0          0         0     5678      20    0    3    0     0       0          0";
        let [rx, tx] = counters(line).expect("two rows");
        assert_eq!((rx.frames, rx.bytes, rx.drops), (10, 1234, 3));
        assert_eq!((tx.frames, tx.bytes, tx.drops), (20, 5678, 3));
        assert!(counters("Inter-|   Receive").is_none());
        assert!(counters("    lo:       0       0    0").is_none());
    }
}
