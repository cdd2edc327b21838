use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use vnet_sys::process::{SignalFd, Signals};
use vnet_sys::seqpacket;

use super::command::{Caller, Commands};
use super::door::Visitors;
use super::isolate::Own;
use super::node::Nodes;
use crate::SandboxError;
use crate::lab::message::{Open, Reply, Request, SpawnRequest};
use crate::lab::packets::{self, Arrival, Inbox, NoRoom};

const SIGCHLD: i32 = 17;

/// This process, in a sentence.
pub(super) const HELPER: &str = "the helper of the lab";

/// The lab's client, among the callers.
const CLIENT: Caller = 0;

/// The process that is the lab.
pub(super) struct Server<'a> {
    pub(super) open: &'a Open,
    control: BorrowedFd<'a>,
    parent: BorrowedFd<'a>,
    guard: BorrowedFd<'a>,
    inbox: Inbox,
    pub(super) nodes: Nodes,
    pub(super) commands: Commands,
    pub(super) visitors: Visitors,
}

/// The client or the guard is gone, or the client is not understood.
struct End;

/// What is asked for is answered by a reply and descriptors.
type Answer = Result<(Reply, Vec<OwnedFd>), SandboxError>;

impl<'a> Server<'a> {
    pub(super) fn new(
        open: &'a Open,
        lab: Own,
        control: BorrowedFd<'a>,
        parent: BorrowedFd<'a>,
        guard: BorrowedFd<'a>,
    ) -> Self {
        Self {
            open,
            control,
            parent,
            guard,
            inbox: Inbox::default(),
            nodes: Nodes::new(lab),
            commands: Commands::default(),
            visitors: Visitors::default(),
        }
    }

    /// Serves until the client or the guard is gone; then nothing of the lab runs.
    pub(super) fn serve(mut self) {
        if let Ok(signals) = SignalFd::new(Signals(&[SIGCHLD])) {
            while self.turn(&signals).is_ok() {}
        }
        self.commands.end();
    }

    /// Waits for something to happen and deals with it.
    fn turn(&mut self, signals: &SignalFd) -> Result<(), End> {
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.control, PollFlags::IN),
            PollFd::from_borrowed_fd(self.parent, PollFlags::IN),
            PollFd::from_borrowed_fd(self.guard, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        let own = fds.len();
        fds.extend(
            self.visitors
                .here
                .iter()
                .map(|v| PollFd::new(&v.socket, PollFlags::IN)),
        );
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            // Without poll the client's death would go unseen.
            Err(_) => return Err(End),
        }
        let happened: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let callers: Vec<Caller> = self
            .visitors
            .here
            .iter()
            .zip(&happened[own..])
            .filter(|(_, happened)| **happened)
            .map(|(visitor, _)| visitor.number())
            .collect();
        if happened[1] {
            return Err(End);
        }
        if happened[3] {
            while signals.next().is_some() {}
            self.commands.reap();
        }
        if happened[2] {
            self.hear_guard()?;
        }
        if happened[0] {
            self.hear_client()?;
        }
        for caller in callers {
            self.attend(caller);
        }
        Ok(())
    }

    /// The guard hands over a caller, or is gone.
    fn hear_guard(&mut self) -> Result<(), End> {
        let mut packet = [0; 16];
        let packet = seqpacket::recv(self.guard, &mut packet, false).map_err(|_| End)?;
        if packet.len == 0 {
            return Err(End);
        }
        for socket in packet.fds {
            self.visitors.admit(socket);
        }
        Ok(())
    }

    fn hear_client(&mut self) -> Result<(), End> {
        let (request, fds) = match self.inbox.take::<Request>(self.control, false) {
            Ok(Arrival::Message(request, fds)) => (request, fds),
            Ok(Arrival::WithoutFds(_)) => {
                let failed = Reply::Failed(NoRoom.of(HELPER).into());
                return packets::send(self.control, &failed, &[]).map_err(|_| End);
            }
            Ok(Arrival::Part) => return Ok(()),
            // Closed, or nothing it says could be trusted to be understood.
            Ok(Arrival::End) | Err(_) => return Err(End),
        };
        let (reply, fds) = self
            .answer(request, &fds)
            .unwrap_or_else(|error| (Reply::Failed(error.into()), Vec::new()));
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        packets::send(self.control, &reply, &fds).map_err(|_| End)
    }

    fn answer(&mut self, request: Request, fds: &[OwnedFd]) -> Answer {
        let reply = match request {
            Request::Apply { steps } => self.apply(steps),
            Request::SetHosts { text } => {
                self.set_hosts(&text)?;
                Reply::Done
            }
            Request::Links { space } => self.links(space)?,
            Request::Routes { space } => self.routes(space)?,
            Request::Neighbours { space } => self.neighbours(space)?,
            Request::Fdb { bridge } => self.fdb(bridge)?,
            Request::Sysctl { space, key } => self.sysctl(space, &key)?,
            Request::Spawn { space, command } => return self.spawn(space, CLIENT, command, fds),
            Request::Signal(request) => {
                self.commands.signal(CLIENT, request.pid, request.signal)?;
                Reply::Done
            }
            Request::Socket { space, spec } => return Ok((Reply::Done, vec![self.socket(space, &spec)?])),
            Request::Packet {
                space,
                index,
                options,
            } => return Ok((Reply::Done, vec![self.packet(space, index, options)?])),
            Request::TakePort { lab_end, x, rcvbuf } => {
                return Ok((Reply::Done, self.take_port(lab_end, x, rcvbuf)?.into()));
            }
            Request::DropPort { x } => {
                self.drop_port(x)?;
                Reply::Done
            }
            Request::Netns { space } => return Ok((Reply::Done, vec![self.netns(space)?])),
            Request::Device { space, request } => {
                let nodes = &self.nodes;
                let (reply, fds) = crate::device::serve(&request, space, &|space| nodes.net(space));
                return Ok((Reply::Device(reply), fds));
            }
        };
        Ok((reply, Vec::new()))
    }

    /// Starts a command for a caller.
    pub(super) fn spawn(
        &mut self,
        space: u32,
        caller: Caller,
        command: SpawnRequest,
        fds: &[OwnedFd],
    ) -> Answer {
        let started = self
            .commands
            .start(&mut self.nodes, space, caller, command, fds)?;
        Ok((
            Reply::Spawned { pid: started.pid },
            vec![started.pidfd, started.status],
        ))
    }
}
