//! The helper's side of the keeper.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use vnet_netlink::Interface;
use vnet_sys::process::{self, SignalFd, Signals};
use vnet_sys::{NetNs, SysError};

use super::local::Local;
use super::request::{DeviceReply, DeviceRequest};
use super::{Owner, serve};
use crate::SandboxError;
use crate::helper::wait_for;
use crate::lab::message::VERSION;
use crate::lab::packets::{self, Arrival, Inbox, NoRoom};
use crate::lab::{greet, greeted};

/// Signals for a group or a session are not for the keeper, whose life is the other process's: SIGHUP, SIGINT, SIGQUIT,
/// SIGUSR1, SIGUSR2, SIGPIPE, SIGTERM.
const HELD: &[i32] = &[1, 2, 3, 10, 12, 13, 15];

/// Runs the keeper until the process it keeps devices for has ended; then it deletes them.
pub(crate) fn keep() -> ExitCode {
    let Ok(mut fds) = process::take_inherited(2) else {
        return ExitCode::FAILURE;
    };
    let (Some(parent), Some(control), Ok(_held)) = (fds.pop(), fds.pop(), SignalFd::new(Signals(HELD)))
    else {
        return ExitCode::FAILURE;
    };
    // What it was started in must not be kept from being unmounted, nor its output from ending.
    drop((process::discard_stdio(), std::env::set_current_dir("/")));
    let agreed = || {
        greet(control.as_fd()).ok()?;
        wait_for(control.as_fd(), parent.as_fd())?;
        (greeted(control.as_fd()).ok()?? == VERSION).then_some(())
    };
    if agreed().is_none() {
        return ExitCode::FAILURE;
    }
    let mut keeper = Keep {
        control,
        parent,
        inbox: Inbox::default(),
        made: Vec::new(),
        spaces: Vec::new(),
    };
    while keeper.next() {}
    keeper.delete_all();
    ExitCode::SUCCESS
}

struct Keep {
    control: OwnedFd,
    parent: OwnedFd,
    inbox: Inbox,
    made: Vec<Made>,
    /// The namespaces it has made something in.
    spaces: Vec<NetNs>,
}

/// Something the keeper has made. It holds the namespace, so that the number means the same thing to the end.
struct Made {
    ns: NetNs,
    index: u32,
    owner: Owner,
}

impl Keep {
    /// Waits for something to happen and deals with it; false when the other process is gone.
    fn next(&mut self) -> bool {
        let mut fds = [
            PollFd::new(&self.parent, PollFlags::IN),
            PollFd::new(&self.control, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return true,
            Err(_) => return false,
        }
        let [parent, control] = fds.map(|fd| !fd.revents().is_empty());
        if parent {
            return false;
        }
        if !control {
            return true;
        }
        match self.inbox.take::<DeviceRequest>(self.control.as_fd(), false) {
            Ok(Arrival::Message(request, fds)) => self.answer(&request, &fds),
            Ok(Arrival::WithoutFds(_)) => {
                let failed = DeviceReply::Failed(NoRoom.of("the keeper of devices").into());
                packets::send(self.control.as_fd(), &failed, &[]).is_ok()
            }
            Ok(Arrival::Part) => true,
            Ok(Arrival::End) | Err(_) => false,
        }
    }

    fn answer(&mut self, request: &DeviceRequest, fds: &[OwnedFd]) -> bool {
        let find = |number: u32| -> Option<BorrowedFd<'_>> { Some(fds.get(number as usize)?.as_fd()) };
        let (reply, sent) = match self.space(request, fds) {
            Ok(ns) => {
                let (reply, sent) = serve(request, 0, &find);
                if let Some(ns) = ns {
                    self.note(ns, request, &reply);
                }
                (reply, sent)
            }
            // What cannot be deleted later is not made.
            Err(error) => (DeviceReply::Failed(error.into()), Vec::new()),
        };
        let sent: Vec<_> = sent.iter().map(AsFd::as_fd).collect();
        packets::send(self.control.as_fd(), &reply, &sent).is_ok()
    }

    /// Returns the namespace of a request that makes or deletes something: one descriptor for all of one namespace.
    fn space(&mut self, request: &DeviceRequest, fds: &[OwnedFd]) -> Result<Option<NetNs>, SandboxError> {
        let owner = match request {
            DeviceRequest::Veth { owner, .. }
            | DeviceRequest::Bridge { owner, .. }
            | DeviceRequest::Release { owner, .. } => *owner,
            _ => return Ok(None),
        };
        let Some(fd) = fds.first() else { return Ok(None) };
        let copy = fd
            .try_clone()
            .map_err(|error| match Errno::from_io_error(&error) {
                Some(Errno::MFILE) => NoRoom.of("the keeper of devices"),
                _ => SysError::Os {
                    what: "cannot hold a network namespace".to_owned(),
                    source: error,
                }
                .into(),
            })?;
        let ns = NetNs::from_fd(copy)?;
        if let Some(known) = self.spaces.iter().find(|known| known.same_as(&ns)) {
            return Ok(Some(known.clone()));
        }
        self.adopt(&ns, owner)?;
        self.spaces.push(ns.clone());
        Ok(Some(ns))
    }

    /// Takes over what a keeper that was killed has made in a namespace for the same process.
    fn adopt(&mut self, ns: &NetNs, owner: Owner) -> Result<(), SandboxError> {
        let alias = owner.to_string();
        for link in Local::open(ns.clone())?.netlink.links()? {
            if link.alias.as_deref() == Some(&alias) {
                self.made.push(Made {
                    ns: ns.clone(),
                    index: link.index,
                    owner,
                });
            }
        }
        Ok(())
    }

    /// Notes what is to be deleted at the end.
    fn note(&mut self, ns: NetNs, request: &DeviceRequest, reply: &DeviceReply) {
        let (index, owner) = match (request, reply) {
            (DeviceRequest::Veth { owner, .. }, DeviceReply::Pair(pair)) => (pair.0.index, *owner),
            (DeviceRequest::Bridge { owner, .. }, DeviceReply::Bridge { interface, .. }) => {
                (interface.index, *owner)
            }
            (DeviceRequest::Release { index, .. }, DeviceReply::Done) => {
                self.made
                    .retain(|made| made.index != *index || !made.ns.same_as(&ns));
                return;
            }
            _ => return,
        };
        self.made.push(Made { ns, index, owner });
    }

    /// Deletes all that was made.
    fn delete_all(&self) {
        for space in &self.spaces {
            // Nobody is there to be told, and what is in the next namespace may still go.
            drop(self.delete_in(space));
        }
    }

    /// Deletes together what was made in one namespace: the kernel waits after each deletion.
    fn delete_in(&self, space: &NetNs) -> Result<(), SandboxError> {
        let here = Local::open(space.clone())?;
        let links = here.netlink.links()?;
        let made: Vec<_> = self.made.iter().filter(|made| made.ns.same_as(space)).collect();
        for made in &made {
            let alias = made.owner.to_string();
            let is_ours =
                |link: &Interface| link.index == made.index && link.alias.as_deref() == Some(&alias);
            if links.iter().any(is_ours) {
                // One that is gone meanwhile needs nothing.
                drop(here.netlink.set_group(made.index, made.owner.group()));
            }
        }
        if let Some(first) = made.first() {
            // What is left over, if anything, goes one by one.
            drop(here.netlink.delete_group(first.owner.group()));
        }
        for made in made {
            drop(here.release(made.index, made.owner));
        }
        Ok(())
    }
}
