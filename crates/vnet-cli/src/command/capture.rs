//! `vnet capture`: frames of a running lab, in a file, to a program that reads along, or as lines.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use vnet::{CaptureRequest, NumbersEntry, Rotate};

use crate::capture::{Classic, Ended, Files, Lines, PATIENCE, Pump, Raw, Sink};
use crate::failure::Failure;
use crate::labs;
use crate::output;
use crate::signals::{Signals, Woken};
use crate::terminal::is_terminal;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// What to capture: a link, a node, a switch, or an interface as NODE:INTERFACE [default: the whole network]
    #[arg(value_name = "WHAT")]
    what: Option<String>,
    /// Lab: its name, its pid, or name@pid, as `vnet ls` shows them [default: VNET_LAB, else the only one that runs]
    #[arg(long, value_name = "NAME")]
    lab: Option<String>,
    /// File to write: pcapng, or pcap of one interface when the name ends in .pcap; `-` streams pcapng to standard output, as
    /// `wireshark -k -i -` reads it [default: a line for each packet on standard output]
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Which frames: the words of pcap-filter(7), in which the names of nodes stand for their addresses
    #[arg(short, long, value_name = "FILTER")]
    filter: Option<String>,
    /// Most bytes of a frame
    #[arg(short, long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    snaplen: Option<u32>,
    /// Record the frames, too, that plugins, impairments or the engine dropped, with the reason
    #[arg(long)]
    dropped: bool,
    /// Make each plugin and impairment an interface of its own, with what it decided
    #[arg(long)]
    stages: bool,
    /// Begin the next file after so much: 10MB, or 60s. Files are numbered: FILE_00001 and on
    #[arg(long, value_name = "SIZE|TIME", value_parser = rotate, requires = "write")]
    rotate: Option<Rotate>,
    /// Keep only the newest files
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "rotate")]
    keep: Option<u32>,
    /// End after so many packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(crate) fn run(options: &Options) -> Result<i32, Failure> {
    let to = options.write.as_deref();
    check(options, to)?;
    let mut signals = Signals::of(&[SIGINT, SIGTERM, SIGHUP])?;
    let lab = labs::find(options.lab.as_deref())?;
    let request = CaptureRequest {
        what: options.what.clone(),
        filter: options.filter.clone(),
        snaplen: options.snaplen,
        dropped: options.dropped,
        stages: options.stages,
    };
    let interrupted = RefCell::new(None);
    let tapping = {
        let signals = RefCell::new(&mut signals);
        let cancel = || {
            if let Ok(Woken::Signal(signal)) = signals.borrow_mut().wait(None, Some(Duration::ZERO)) {
                interrupted.replace(Some(signal));
            }
            interrupted.borrow().is_some()
        };
        NumbersEntry::from(&lab).capture(request, &cancel)
    };
    if let Some(signal) = interrupted.take() {
        return Ok(128 + signal);
    }
    let tapping = tapping?;
    // A name that is wrong has emptied no file.
    let sink: Box<dyn Sink> = match to {
        None => Box::new(Lines::default()),
        Some(path) if is_stdout(path) => Box::new(Raw),
        Some(path) if is_classic(path) => Box::new(Classic::new(path)),
        Some(path) => Box::new(Files::create(
            path,
            options.rotate,
            options.keep.map(|n| n as usize),
        )?),
    };
    let mut pump = Pump {
        tapping,
        signals: &mut signals,
        sink,
        prints: to.is_none_or(is_stdout),
        most: options.count,
        captured: 0,
        dropped: None,
        asked: None,
    };
    let name = labs::full_name(&lab);
    let what = options.what.as_deref().unwrap_or("everything");
    output::note(&format!("listening on {what} in lab {name}; Ctrl-C ends it"));
    let ended = pump.run()?;
    if ended == Ended::Lab {
        output::note(&format!("lab {name} has ended"));
    }
    let dropped = pump
        .dropped
        .map_or("an unknown number of".into(), |n| n.to_string());
    output::note(&format!(
        "{} packets captured\n{dropped} packets dropped by the recorder",
        pump.captured
    ));
    match ended {
        Ended::Left(code) => Ok(code),
        // A signal is the way such a command ends.
        Ended::Asked | Ended::Lab => Ok(0),
        Ended::Silent => Err(Failure::Vnet(vnet::Error::Timeout {
            what: format!("lab {name} does not end the capture, which lacks what came last"),
            after: PATIENCE,
            partial: None,
        })),
    }
}

fn rotate(text: &str) -> Result<Rotate, String> {
    Rotate::parse(text).ok_or_else(|| "give a size such as 10MB, or a time such as 60s".into())
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn is_classic(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pcap")
}

/// Refuses what cannot be before anybody is asked.
fn check(options: &Options, to: Option<&Path>) -> Result<(), Failure> {
    let refuse = |what: &str, hint: &str| {
        Err(Failure::Vnet(vnet::Error::Invalid {
            what: what.into(),
            hint: Some(hint.into()),
        }))
    };
    let Some(path) = to else { return Ok(()) };
    if is_stdout(path) && options.rotate.is_some() {
        return refuse("standard output has no next file", "give -w FILE with --rotate");
    }
    if is_stdout(path) && is_terminal(io::stdout()) {
        return refuse(
            "a capture is not for a terminal",
            "lead it somewhere: vnet capture -w - | wireshark -k -i -; or leave -w out to see a line for each packet",
        );
    }
    if is_classic(path) && (options.stages || options.dropped || options.rotate.is_some()) {
        return refuse(
            "a .pcap file has no place for what became of frames, and is not rotated",
            "name it .pcapng",
        );
    }
    Ok(())
}
