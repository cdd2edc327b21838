//! The one error type, its kinds, and what each kind means to a shell.

use std::time::Duration;

use crate::command::Completed;

/// Says what went wrong, with which thing, and (see [`Error::hint`]) what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name, address, size or option that cannot be right.
    #[error("{what}")]
    Invalid {
        /// Sentence that names the value and what was expected.
        what: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// A lab file, or another declaration of a network, that cannot be right.
    #[error("{what}")]
    LabFile {
        /// Sentence that names the place and what was expected there.
        what: String,
        /// The file, as it was named.
        file: String,
        /// Line in it, from 1.
        line: usize,
        /// The key there, such as `hosts.h1.ip`; empty for the file as a whole.
        key: String,
    },
    /// The process lacks a right it needs.
    #[error("{what}: {reason}")]
    Privilege {
        /// What was asked for.
        what: String,
        /// Why it was refused.
        reason: String,
        /// The command or step that gives the right.
        fix: String,
    },
    /// The name is taken, or somebody else holds the device.
    #[error("device {name} is busy: {}", .owner.as_ref().map_or("the name is taken".into(), |o| format!("{o} holds it")))]
    Busy {
        /// Name of the device.
        name: String,
        /// Process that holds it, where that can be known.
        owner: Option<String>,
    },
    /// No such interface, namespace, file or plugin.
    #[error("{what}")]
    NotFound {
        /// Sentence that names the thing and where it was looked for.
        what: String,
        /// How to get it.
        hint: Option<String>,
    },
    /// The device vanished from the kernel while it was in use.
    #[error("device {name} is gone: it was removed by someone else")]
    Gone {
        /// Name of the device.
        name: String,
    },
    /// The handle was closed, or belongs to the process this one was forked from.
    #[error("{what} is closed")]
    Closed {
        /// The thing that is closed.
        what: String,
    },
    /// Nothing happened within the time allowed.
    #[error("{what} after {:.3} s", .after.as_secs_f64())]
    Timeout {
        /// What did not happen.
        what: String,
        /// The time allowed.
        after: Duration,
        /// What a command had written by then.
        partial: Option<Box<Completed>>,
    },
    /// A command ended with a status other than 0.
    #[error("{0}")]
    CommandFailed(Box<Completed>),
    /// A plugin was refused before it saw a packet.
    #[error("plugin {plugin} was rejected: {reason}")]
    PluginRejected {
        /// Name of the plugin.
        plugin: String,
        /// The reason in words.
        reason: String,
        /// What to change.
        hint: Option<String>,
    },
    /// A plugin trapped while it was started or asked something.
    #[error("plugin {plugin} trapped: {message}")]
    PluginTrap {
        /// Name of the plugin.
        plugin: String,
        /// What the guest did.
        message: String,
        /// Guest backtrace, one frame a line, may be empty.
        backtrace: String,
    },
    /// A plugin used up its time while it was started or asked something.
    #[error("plugin {plugin} timed out: {message}")]
    PluginTimeout {
        /// Name of the plugin.
        plugin: String,
        /// Which step, and the time it had.
        message: String,
    },
    /// A plugin has no map of that name.
    #[error("{what}")]
    NoSuchMap {
        /// Name of the plugin.
        plugin: String,
        /// Sentence that names the map and those there are.
        what: String,
    },
    /// A plugin's map is full, broken, or not there while the plugin is out of service.
    #[error("{what}")]
    Map {
        /// Name of the plugin.
        plugin: String,
        /// Sentence that names the map and what is wrong.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// This version of vnet, or this kernel, cannot do it.
    #[error("{what}")]
    Unsupported {
        /// What cannot be done.
        what: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// The kernel refused for another reason, or a file could not be read or written.
    #[error("{what}")]
    System {
        /// What was tried, with the kernel's own text.
        what: String,
        /// The kernel's error number.
        errno: Option<i32>,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// Names the kinds of [`Error`]; one for each Python exception class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// `vnet.InvalidValue`
    Invalid,
    /// `vnet.LabFileError`
    LabFile,
    /// `vnet.PrivilegeError`
    Privilege,
    /// `vnet.DeviceBusy`
    Busy,
    /// `vnet.NotFound`
    NotFound,
    /// `vnet.Gone`
    Gone,
    /// `vnet.Closed`
    Closed,
    /// `vnet.TimeoutError`
    Timeout,
    /// `vnet.CommandFailed`
    CommandFailed,
    /// `vnet.PluginRejected`
    PluginRejected,
    /// `vnet.PluginTrap`
    PluginTrap,
    /// `vnet.PluginTimeout`
    PluginTimeout,
    /// `vnet.NoSuchMap`
    NoSuchMap,
    /// `vnet.MapError`
    Map,
    /// `vnet.Unsupported`
    Unsupported,
    /// `vnet.SystemFailure`
    System,
}

impl Error {
    /// Returns the kind, which decides the Python class and the exit code.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Invalid { .. } => ErrorKind::Invalid,
            Error::LabFile { .. } => ErrorKind::LabFile,
            Error::Privilege { .. } => ErrorKind::Privilege,
            Error::Busy { .. } => ErrorKind::Busy,
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::Gone { .. } => ErrorKind::Gone,
            Error::Closed { .. } => ErrorKind::Closed,
            Error::Timeout { .. } => ErrorKind::Timeout,
            Error::CommandFailed(_) => ErrorKind::CommandFailed,
            Error::PluginRejected { .. } => ErrorKind::PluginRejected,
            Error::PluginTrap { .. } => ErrorKind::PluginTrap,
            Error::PluginTimeout { .. } => ErrorKind::PluginTimeout,
            Error::NoSuchMap { .. } => ErrorKind::NoSuchMap,
            Error::Map { .. } => ErrorKind::Map,
            Error::Unsupported { .. } => ErrorKind::Unsupported,
            Error::System { .. } => ErrorKind::System,
        }
    }

    /// Returns what to do about it, as one sentence or one command.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::Privilege { fix, .. } => Some(fix),
            Error::Invalid { hint, .. }
            | Error::NotFound { hint, .. }
            | Error::PluginRejected { hint, .. }
            | Error::Map { hint, .. }
            | Error::Unsupported { hint, .. }
            | Error::System { hint, .. } => hint.as_deref(),
            Error::Busy { owner: Some(_), .. } => Some("end that process, or choose another name"),
            Error::Busy { owner: None, .. } => {
                Some("choose another name, or remove the interface that has it")
            }
            _ => None,
        }
    }

    /// Returns the kernel's error number where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::System { errno, .. } => *errno,
            Error::Busy { .. } => Some(16),
            Error::Privilege { .. } => Some(1),
            Error::Gone { .. } => Some(19),
            _ => None,
        }
    }

    /// Returns the exit code of a command line that ends with this error: 2 usage, 3 privilege, 4 plugin rejected, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.kind().exit_code()
    }
}

impl ErrorKind {
    /// Returns the exit code for this kind: 2 usage, 3 privilege, 4 plugin rejected, 5 a check failed, else 1.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Invalid | ErrorKind::LabFile | ErrorKind::NotFound => 2,
            ErrorKind::Privilege => 3,
            ErrorKind::PluginRejected => 4,
            ErrorKind::PluginTrap | ErrorKind::PluginTimeout => 5,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_usage_privilege_and_plugins_apart() {
        let codes = [
            (ErrorKind::Invalid, 2),
            (ErrorKind::LabFile, 2),
            (ErrorKind::NotFound, 2),
            (ErrorKind::Privilege, 3),
            (ErrorKind::PluginRejected, 4),
            (ErrorKind::PluginTrap, 5),
            (ErrorKind::PluginTimeout, 5),
            (ErrorKind::Busy, 1),
            (ErrorKind::System, 1),
        ];
        for (kind, code) in codes {
            assert_eq!(kind.exit_code(), code, "{kind:?}");
        }
    }

    #[test]
    fn every_sentence_names_its_thing() {
        let busy = Error::Busy {
            name: "tap0".into(),
            owner: Some("process 7 (qemu)".into()),
        };
        assert_eq!(busy.to_string(), "device tap0 is busy: process 7 (qemu) holds it");
        assert!(busy.hint().unwrap().contains("end that process"));
        let late = Error::Timeout {
            what: "command \"x\" did not end".into(),
            after: Duration::from_millis(250),
            partial: None,
        };
        assert_eq!(late.to_string(), "command \"x\" did not end after 0.250 s");
    }
}
