//! Callers of the lab's abstract socket. The guard has checked who they are.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::command::Caller;
use super::serve::{HELPER, Server};
use crate::SandboxError;
use crate::lab::message::{DoorRequest, Reply, VERSION};
use crate::lab::packets::{self, Arrival, Inbox, NoRoom};
use crate::lab::{greet, greeted};

/// The most callers at a time.
const MOST: usize = 64;

/// How long the lab waits for a caller to read what it asked for.
const PATIENCE: Duration = Duration::from_millis(100);

/// A caller.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) socket: OwnedFd,
    number: Caller,
    greeted: bool,
    inbox: Inbox,
}

/// The callers that are connected.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    pub(super) here: Vec<Visitor>,
    last: Caller,
}

impl Visitors {
    /// Lets a caller in; one too many sees the end of its connection.
    pub(super) fn admit(&mut self, socket: OwnedFd) {
        let not_waited_for = rustix::io::ioctl_fionbio(&socket, true).is_ok();
        if self.here.len() < MOST && not_waited_for && greet(socket.as_fd()).is_ok() {
            self.last += 1;
            self.here.push(Visitor {
                socket,
                number: self.last,
                greeted: false,
                inbox: Inbox::default(),
            });
        }
    }
}

impl Server<'_> {
    /// Deals with what a caller has sent.
    pub(super) fn attend(&mut self, number: Caller) {
        let Some(at) = self
            .visitors
            .here
            .iter()
            .position(|visitor| visitor.number == number)
        else {
            return;
        };
        if self.hear_visitor(at).is_err() {
            self.visitors.here.remove(at);
            self.commands.kill_caller(number);
        }
    }

    /// An error means that the caller is gone or not understood.
    fn hear_visitor(&mut self, at: usize) -> io::Result<()> {
        let visitor = &mut self.visitors.here[at];
        let number = visitor.number;
        if !visitor.greeted {
            visitor.greeted = greeted(visitor.socket.as_fd())? == Some(VERSION);
            return if visitor.greeted {
                Ok(())
            } else {
                Err(io::ErrorKind::InvalidData.into())
            };
        }
        match visitor.inbox.take::<DoorRequest>(visitor.socket.as_fd(), false)? {
            Arrival::End => Err(io::ErrorKind::UnexpectedEof.into()),
            Arrival::Part => Ok(()),
            Arrival::Message(request, fds) => {
                let (reply, fds) = self
                    .answer_visitor(number, request, &fds)
                    .unwrap_or_else(|error| (Reply::Failed(error.into()), Vec::new()));
                self.tell_visitor(at, &reply, &fds)
            }
            Arrival::WithoutFds(_) => self.tell_visitor(at, &Reply::Failed(NoRoom.of(HELPER).into()), &[]),
        }
    }

    /// A caller that does not read must not stop the lab.
    fn tell_visitor(&self, at: usize, reply: &Reply, fds: &[OwnedFd]) -> io::Result<()> {
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        packets::send_within(self.visitors.here[at].socket.as_fd(), reply, &fds, PATIENCE)
    }

    fn answer_visitor(
        &mut self,
        number: Caller,
        request: DoorRequest,
        fds: &[OwnedFd],
    ) -> Result<(Reply, Vec<OwnedFd>), SandboxError> {
        match request {
            DoorRequest::Describe => Ok((Reply::Description(self.describe()), Vec::new())),
            DoorRequest::Exec { node, command } => {
                let space = self.nodes.find(&node).ok_or_else(|| SandboxError::NoSuchNode {
                    lab: self.open.name.clone(),
                    node,
                    known: self.describe().nodes.into_iter().map(|node| node.name).collect(),
                })?;
                self.spawn(space, number, command, fds)
            }
            DoorRequest::Signal(request) => {
                self.commands.signal(number, request.pid, request.signal)?;
                Ok((Reply::Done, Vec::new()))
            }
        }
    }
}

impl Visitor {
    pub(super) fn number(&self) -> Caller {
        self.number
    }
}
