//! A private network in namespaces of its own, below a helper process.

mod apply;
mod cause;
mod connection;
mod entry;
mod in_lab;
pub(crate) mod message;
mod open;
pub(crate) mod packets;
mod ports;
mod query;
mod socket;
mod spawn;
mod step;

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use vnet_sys::process::{self, Process};

use crate::SandboxError;
use crate::device::{DeviceReply, DeviceRequest};
pub(crate) use cause::isolation_error;
pub(crate) use connection::{Connection, greet, greeted};
pub use entry::{ExecRequest, LabDescription, LabEntry, LabNode, labs};
pub(crate) use in_lab::InLab;
use message::Reply;
pub(crate) use open::check_name;
pub use open::{LabInfo, LabOptions};
pub use socket::{SocketSpec, TakenPort};
pub use step::{ApplyError, NodeSetup, Space, Step};

/// How long a dropped lab may take to end before it is left to its helper.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// How long a killed lab may take to be gone.
const KILLED: Duration = Duration::from_secs(1);

/// A private network: namespaces below a helper process that ends with this value, or
/// with this process by whatever cause, and leaves nothing.
///
/// All methods may be called from several threads; the helper answers one request at a
/// time. A process forked from this one must not use the value; dropping it there
/// leaves the lab alone.
#[derive(Debug)]
pub struct Lab {
    info: LabInfo,
    connection: Arc<Connection>,
    helper: Process,
    starter: u32,
}

impl Lab {
    /// Returns what the lab is and what the kernel granted it.
    #[must_use]
    pub fn info(&self) -> &LabInfo {
        &self.info
    }

    /// Hands a request about devices to the helper.
    ///
    /// # Errors
    /// [`SandboxError::LabClosed`].
    pub(crate) fn device(
        &self,
        space: Space,
        request: &DeviceRequest,
    ) -> Result<(DeviceReply, Vec<OwnedFd>), SandboxError> {
        let space = space.0;
        match self
            .connection
            .ask(&message::DeviceAsk::Device { space, request }, &[])?
        {
            (Reply::Device(reply), fds) => Ok((reply, fds)),
            _ => Err(self.connection.confused()),
        }
    }

    /// Returns the numbers of all descriptors of this lab, for a forked child to close.
    /// Those of commands and sockets that were handed out are not among them.
    #[must_use]
    pub fn descriptors(&self) -> Vec<RawFd> {
        vec![
            self.connection.as_fd().as_raw_fd(),
            self.helper.as_fd().as_raw_fd(),
        ]
    }

    /// Tells whether the helper has ended, and all of the lab with it.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        process::readable(self.helper.as_fd(), Some(Duration::ZERO)).unwrap_or(true)
    }

    /// Ends the lab and waits, at most `timeout`, until all its processes are gone. When
    /// the time is over the helper is killed, which is given another second. A lab that has
    /// ended is no error.
    ///
    /// # Errors
    /// [`SandboxError::StillRunning`] when a process hangs
    /// in the kernel; it ends when the kernel lets go of it.
    pub fn close(&self, timeout: Duration) -> Result<(), SandboxError> {
        self.connection.end();
        if process::readable(self.helper.as_fd(), Some(timeout))? || self.kill()? {
            // Reaping is all this is for, and an embedding program may have reaped all its children.
            drop(self.helper.wait(Some(Duration::ZERO)));
            return Ok(());
        }
        Err(SandboxError::StillRunning {
            lab: self.info.name.clone(),
            helper: self.info.helper,
            seconds: timeout.as_secs_f64(),
        })
    }
}

impl Lab {
    /// Kills the helper, and so the lab; tells whether both are gone.
    fn kill(&self) -> Result<bool, SandboxError> {
        let inside: Vec<OwnedFd> = process::all()
            .into_iter()
            .filter(|stat| stat.ppid == self.info.helper)
            .filter_map(|stat| process::open(stat.pid).ok())
            .collect();
        self.helper.signal(9)?;
        let deadline = Instant::now() + KILLED;
        for process in std::iter::once(self.helper.as_fd()).chain(inside.iter().map(AsFd::as_fd)) {
            let left = deadline.saturating_duration_since(Instant::now());
            if !process::readable(process, Some(left))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.starter != std::process::id() {
            return;
        }
        drop(self.close(LAST_WAIT));
    }
}

/// It is handed from thread to thread.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Lab>();
};
