//! The helper's side of the keeper.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use vnet_sys::NetNs;
use vnet_sys::process::{self, SignalFd, Signals};

use super::local::Local;
use super::request::{DeviceReply, DeviceRequest};
use super::{Owner, serve};
use crate::lab::message::VERSION;
use crate::lab::packets::{self, Arrival, Inbox};
use crate::lab::{greet, greeted};

/// Signals for a group or a session are not for the keeper, whose life is the other process's: SIGHUP, SIGINT, SIGQUIT,
/// SIGUSR1, SIGUSR2, SIGPIPE, SIGTERM.
const HELD: &[i32] = &[1, 2, 3, 10, 12, 13, 15];

/// Runs the keeper until the process it keeps devices for has ended; then it deletes them.
pub(crate) fn keep() -> ExitCode {
    let Ok(mut fds) = process::take_inherited(2) else {
        return ExitCode::FAILURE;
    };
    let (Some(parent), Some(control), Ok(_held)) = (fds.pop(), fds.pop(), SignalFd::new(Signals(HELD))) else {
        return ExitCode::FAILURE;
    };
    // What it was started in must not be kept from being unmounted, nor its output from ending.
    drop((process::discard_stdio(), std::env::set_current_dir("/")));
    if greet(control.as_fd()).is_err() || !matches!(greeted(control.as_fd()), Ok(Some(VERSION))) {
        return ExitCode::FAILURE;
    }
    let mut keeper = Keep {
        control,
        parent,
        inbox: Inbox::default(),
        made: Vec::new(),
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
            Ok(Arrival::Part) => true,
            Ok(Arrival::End) | Err(_) => false,
        }
    }

    fn answer(&mut self, request: &DeviceRequest, fds: &[OwnedFd]) -> bool {
        let find = |number: u32| -> Option<BorrowedFd<'_>> { Some(fds.get(number as usize)?.as_fd()) };
        let (reply, sent) = serve(request, 0, &find);
        match (request, &reply) {
            (DeviceRequest::Veth { owner, .. }, DeviceReply::Pair(pair)) => {
                self.remember(fds.first(), pair.0.index, *owner);
            }
            (DeviceRequest::Bridge { owner, .. }, DeviceReply::Bridge { interface, .. }) => {
                self.remember(fds.first(), interface.index, *owner);
            }
            (DeviceRequest::Release { index, .. }, DeviceReply::Done) => self.forget(fds.first(), *index),
            _ => {}
        }
        let sent: Vec<_> = sent.iter().map(AsFd::as_fd).collect();
        packets::send(self.control.as_fd(), &reply, &sent).is_ok()
    }

    fn remember(&mut self, ns: Option<&OwnedFd>, index: u32, owner: Owner) {
        if let Some(ns) = ns.and_then(open) {
            self.made.push(Made { ns, index, owner });
        }
    }

    fn forget(&mut self, ns: Option<&OwnedFd>, index: u32) {
        let Some(ns) = ns.and_then(open) else { return };
        self.made.retain(|made| made.index != index || !made.ns.same_as(&ns));
    }

    fn delete_all(&self) {
        for made in &self.made {
            // Nobody is there to be told, and the next one may still go.
            drop(Local::open(made.ns.clone()).map(|local| local.release(made.index, made.owner)));
        }
    }
}

fn open(fd: &OwnedFd) -> Option<NetNs> {
    NetNs::from_fd(fd.try_clone().ok()?).ok()
}
