use std::fmt;
use std::os::linux::fs::MetadataExt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use vnet_sys::process;

/// The process that made an interface, as the interface's alias names it:
/// `vnet pid=<pid> start=<ticks since boot> uid=<uid> pidns=<inode>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot: a pid is used again, this pair
    /// is not.
    pub start: u64,
    /// The user it ran as.
    pub uid: u32,
    /// The PID namespace that `pid` counts in, by inode number.
    pub pidns: u64,
}

/// What is known of an owner's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Dead,
    /// Its PID namespace is another: its number means nothing here.
    Unknown,
}

impl Owner {
    /// Returns this process as an owner.
    #[must_use]
    pub fn this_process() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            start: process::start_time(pid).unwrap_or(0),
            uid: rustix::process::getuid().as_raw(),
            pidns: pid_namespace(),
        }
    }

    /// Returns the number of a group of interfaces that are this process's to delete. Nobody puts any other interface into
    /// it, and those of two processes with one number only while both are dead.
    pub(crate) fn group(&self) -> u32 {
        // Groups below that are for people.
        let start = (self.start & u64::from(u32::MAX)) as u32;
        (self.pid.rotate_left(16) ^ start) | 0x4000_0000
    }

    pub(crate) fn life(&self) -> Life {
        if self.pidns != pid_namespace() {
            return Life::Unknown;
        }
        if process::start_time(self.pid) == Some(self.start) {
            Life::Alive
        } else {
            Life::Dead
        }
    }

    /// Names the process for a message.
    pub(crate) fn describe(&self) -> String {
        match self.life() {
            Life::Unknown => format!("process {} of another container", self.pid),
            Life::Dead => format!("process {}, which has ended,", self.pid),
            Life::Alive => {
                let comm = std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
                let own = if self.pid == std::process::id() {
                    "this process"
                } else {
                    "process"
                };
                format!("{own} {} ({})", self.pid, comm.trim_end())
            }
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "vnet pid={} start={} uid={} pidns={}",
            self.pid, self.start, self.uid, self.pidns
        )
    }
}

impl FromStr for Owner {
    type Err = ();

    fn from_str(alias: &str) -> Result<Self, ()> {
        let mut words = alias.split(' ');
        if words.next() != Some("vnet") {
            return Err(());
        }
        let mut field = |name: &str| {
            words
                .next()
                .and_then(|word| word.strip_prefix(name)?.strip_prefix('='))
                .ok_or(())
        };
        let owner = Self {
            pid: field("pid")?.parse().map_err(drop)?,
            start: field("start")?.parse().map_err(drop)?,
            uid: field("uid")?.parse().map_err(drop)?,
            pidns: field("pidns")?.parse().map_err(drop)?,
        };
        if words.next().is_some() {
            Err(())
        } else {
            Ok(owner)
        }
    }
}

fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |file| file.st_ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alias_is_read_back_and_a_foreign_one_is_not() {
        let own = Owner::this_process();
        assert_eq!(own.to_string().parse(), Ok(own));
        for text in [
            "",
            "vnet",
            "uplink to core",
            "vnet pid=1 start=x uid=0 pidns=1",
            &format!("{own} more"),
        ] {
            assert_eq!(text.parse::<Owner>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let own = Owner::this_process();
        assert_eq!(own.life(), Life::Alive);
        assert_eq!(
            Owner {
                start: own.start - 1,
                ..own
            }
            .life(),
            Life::Dead
        );
        assert_eq!(Owner { pid: u32::MAX, ..own }.life(), Life::Dead);
        assert_eq!(Owner { pidns: 1, ..own }.life(), Life::Unknown);
    }
}
