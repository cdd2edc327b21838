//! What the crates below refuse, as this crate's error.

use std::io;

use vnet_datapath::EngineError;
use vnet_lab::LabError;
use vnet_netlink::NetlinkError;
use vnet_runtime::{MapError, PluginError};
use vnet_sandbox::SandboxError;
use vnet_sys::SysError;
use vnet_topology::TopologyError;

use crate::error::Error;

impl Error {
    /// Makes an error of a failed system call on a file or descriptor.
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        Error::System {
            what: format!("{what}: {error}"),
            errno: error.raw_os_error(),
            hint: None,
        }
    }

    /// Says which part of a network it happened to.
    pub(crate) fn of(mut self, part: &str) -> Self {
        if let Error::Invalid { what, .. }
        | Error::Privilege { what, .. }
        | Error::NotFound { what, .. }
        | Error::Unsupported { what, .. }
        | Error::System { what, .. } = &mut self
        {
            *what = format!("{part}: {what}");
        }
        self
    }
}

fn invalid(error: &impl ToString) -> Error {
    Error::Invalid {
        what: error.to_string(),
        hint: None,
    }
}

fn privilege(what: String, needs: &str, fix: String) -> Error {
    Error::Privilege {
        what,
        reason: format!("this needs {needs}"),
        fix,
    }
}

impl From<MapError> for Error {
    fn from(error: MapError) -> Self {
        let what = error.to_string();
        let (plugin, hint) = match error {
            MapError::Size { .. } => return Error::Invalid { what, hint: None },
            MapError::Unknown { plugin, .. } => return Error::NoSuchMap { plugin, what },
            MapError::Broken { plugin, .. } => (
                plugin,
                "the plugin overwrote it: look for a write outside its own tables",
            ),
            MapError::Full { plugin, .. } => {
                (plugin, "take keys out first, or give the plugin a larger table")
            }
            MapError::OutOfService { plugin, .. } => (
                plugin,
                "wait for its restart: `stats.state` says \"running\" then",
            ),
        };
        Error::Map {
            plugin,
            what,
            hint: Some(hint.into()),
        }
    }
}

impl From<SysError> for Error {
    fn from(error: SysError) -> Self {
        match error {
            SysError::Privilege { what, needs, fix, .. } => privilege(what, &needs, fix),
            SysError::Busy { name, owner } => Error::Busy { name, owner },
            SysError::BadName { .. } => Error::Invalid {
                what: error.to_string(),
                hint: Some("interface names have 1 to 15 bytes, without spaces and slashes".into()),
            },
            SysError::WrongKind {
                ref name, ref found, ..
            } => Error::Busy {
                name: name.clone(),
                owner: Some(format!("an interface of that name ({found})")),
            },
            SysError::MissingDevice {
                ref path,
                ref reason,
                ref fix,
                ..
            } => Error::Unsupported {
                what: format!(
                    "{} cannot be opened, so no TUN or TAP can be made: {reason}",
                    path.display()
                ),
                hint: Some(fix.clone()),
            },
            SysError::NotANamespace { what, fix } => Error::Invalid {
                what: format!("{what} is not a network namespace"),
                hint: Some(fix),
            },
            SysError::Os { what, source } => Error::io(&what, &source),
            other => Error::System {
                what: other.to_string(),
                errno: Some(other.errno()),
                hint: None,
            },
        }
    }
}

impl From<NetlinkError> for Error {
    fn from(error: NetlinkError) -> Self {
        let (errno, text) = (error.errno(), error.to_string());
        match error {
            NetlinkError::NoSuchInterface { name } => Error::NotFound {
                what: format!("interface {name} does not exist"),
                hint: Some("see `ip link show`".into()),
            },
            NetlinkError::Exists { name, .. } => Error::Busy { name, owner: None },
            NetlinkError::Privilege { what, needs, fix, .. } => privilege(what, &needs, fix),
            NetlinkError::BadMtu { .. } | NetlinkError::BadMac { .. } | NetlinkError::BadAddress { .. } => {
                invalid(&text)
            }
            NetlinkError::Sys(error) => error.into(),
            _ => Error::System {
                what: text,
                errno: Some(errno),
                hint: None,
            },
        }
    }
}

impl From<SandboxError> for Error {
    fn from(error: SandboxError) -> Self {
        let (errno, text) = (error.errno(), error.to_string());
        match error {
            SandboxError::Busy { name, owner } => Error::Busy { name, owner },
            SandboxError::BadArgument { what, fix } => Error::Invalid {
                what,
                hint: Some(fix),
            },
            SandboxError::NoHelper { path, source } => Error::System {
                what: format!(
                    "the helper executable {} cannot be used: {source}",
                    path.display()
                ),
                errno: source.raw_os_error(),
                hint: Some("name it in the environment variable VNET_HELPER, or install vnet again".into()),
            },
            SandboxError::Isolation {
                stage,
                cause,
                fix,
                node,
                ..
            } => Error::Privilege {
                what: match node {
                    None => format!("no sandbox can be made: cannot {stage}"),
                    Some(_) => format!("the node cannot be set up: cannot {stage}"),
                },
                reason: cause,
                fix,
            },
            SandboxError::LabClosed { lab } => Error::Closed {
                what: format!("lab {lab}"),
            },
            SandboxError::NoSuchNode { .. } => Error::NotFound {
                what: text,
                hint: None,
            },
            SandboxError::StillRunning { lab, seconds, .. } => Error::Timeout {
                what: format!("lab {lab} still runs: one of its processes hangs in the kernel"),
                after: std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default(),
                partial: None,
            },
            SandboxError::NotStarted {
                command,
                stage,
                source,
            } if source.kind() == io::ErrorKind::NotFound => Error::NotFound {
                what: format!("cannot run {command}: {stage}: {source}"),
                hint: None,
            },
            SandboxError::Netlink(error) => error.into(),
            SandboxError::Sys(error) => error.into(),
            _ => Error::System {
                what: text,
                errno: Some(errno),
                hint: None,
            },
        }
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::Gone { port } => Error::Gone { name: port },
            EngineError::Ended { port } => Error::Closed {
                what: format!("the pipeline of {port}"),
            },
            EngineError::LayersDiffer { .. }
            | EngineError::NotEthernet { .. }
            | EngineError::NotASwitch { .. }
            | EngineError::TooManyPorts { .. }
            | EngineError::BadFrame { .. }
            | EngineError::NoSuchPlace { .. } => invalid(&text),
            EngineError::QueueFull { waited_ms, .. } => Error::Timeout {
                what: text,
                after: std::time::Duration::from_millis(waited_ms),
                partial: None,
            },
            EngineError::NoSuchStage { port } => Error::Closed {
                what: format!("the plugin on {port}"),
            },
            EngineError::PluginTooSmall {
                plugin,
                port,
                max,
                need,
            } => Error::PluginRejected {
                plugin,
                reason: format!(
                    "it takes frames of at most {max} bytes, and {port} carries {need} (MTU and headers)"
                ),
                hint: Some("lower the MTU, or give the plugin larger buffers".into()),
            },
            EngineError::Plugin(error) => error.into(),
            EngineError::Os { source, .. } => Error::System {
                what: text,
                errno: source.raw_os_error(),
                hint: None,
            },
            EngineError::Capture { .. } => Error::System {
                what: text,
                errno: None,
                hint: None,
            },
        }
    }
}

impl From<PluginError> for Error {
    fn from(error: PluginError) -> Self {
        let hint = error.hint().map(str::to_owned);
        match error {
            PluginError::Rejected { plugin, reason, .. } => Error::PluginRejected { plugin, reason, hint },
            PluginError::Trap {
                plugin,
                message,
                backtrace,
            } => Error::PluginTrap {
                plugin,
                message,
                backtrace,
            },
            PluginError::Timeout { plugin, step, budget } => Error::PluginTimeout {
                plugin,
                message: format!("{step} did not end within {} ms of CPU time", budget.as_millis()),
            },
            other => Error::PluginRejected {
                plugin: other.plugin().to_owned(),
                reason: other.to_string(),
                hint,
            },
        }
    }
}

impl From<TopologyError> for Error {
    fn from(error: TopologyError) -> Self {
        let what = error.to_string();
        match &error.place().file {
            Some((file, line, _)) => Error::LabFile {
                what,
                file: file.clone(),
                line: *line,
                key: error.place().key.clone(),
            },
            None => Error::Invalid { what, hint: None },
        }
    }
}

impl From<LabError> for Error {
    fn from(error: LabError) -> Self {
        let text = error.to_string();
        match error {
            LabError::Topology(error) => (*error).into(),
            LabError::Sandbox(error) => error.into(),
            LabError::Engine(error) => error.into(),
            LabError::Refused { of, source } => Error::from(*source).of(&of),
            LabError::Unknown { what, hint } => Error::NotFound {
                what: format!("there is no {what} in this network"),
                hint: Some(hint),
            },
            LabError::BadArgument { what, fix } => Error::Invalid {
                what,
                hint: Some(fix),
            },
            LabError::Closed { what } => Error::Closed { what },
            LabError::Cancelled { .. } => Error::System {
                what: text,
                errno: Some(rustix::io::Errno::INTR.raw_os_error()),
                hint: None,
            },
            LabError::Os { what, source } => Error::io(&what, &source),
            _ => Error::System {
                what: text,
                errno: None,
                hint: None,
            },
        }
    }
}
