//! The keeper: a helper that makes what does not die with a descriptor, and deletes exactly that when the process it
//! makes it for dies.
//!
//! A process has at most one, started with the first veth pair or bridge that is not persistent.

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::Access;
use rustix::thread::CapabilitySet;
use vnet_sys::process::{self, Process, Spawn};
use vnet_sys::{NetNs, SysError, seqpacket};

use super::local::Answer;
use super::request::{DeviceReply, DeviceRequest};
use crate::lab::message::VERSION;
use crate::lab::packets::{self, Inbox};
use crate::lab::{greet, greeted};
use crate::{SandboxError, helper, helper_path};

static KEEPER: Mutex<Option<Keeper>> = Mutex::new(None);

thread_local! {
    /// The lock on the keeper, held by a thread that is about to fork or has just done so.
    static HELD: RefCell<Option<MutexGuard<'static, Option<Keeper>>>> = const { RefCell::new(None) };
}

/// The client's end.
#[derive(Debug)]
pub(super) struct Keeper {
    socket: OwnedFd,
    inbox: Inbox,
    process: Process,
    starter: u32,
}

/// Keeps all other threads from asking the keeper until [`after_fork`]: a child then finds no lock in the hands of a
/// thread that does not exist there. The thread that is about to fork calls it.
pub fn before_fork() {
    HELD.with_borrow_mut(|held| {
        if held.is_none() {
            *held = Some(lock());
        }
    });
}

/// Ends [`before_fork`], in the parent and in the child.
pub fn after_fork() {
    HELD.take();
}

fn lock() -> MutexGuard<'static, Option<Keeper>> {
    KEEPER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets `work` have the keeper's place, also in the thread that holds it over a fork.
fn with_place<T>(work: impl FnOnce(&mut Option<Keeper>) -> T) -> T {
    HELD.with_borrow_mut(|held| match held {
        Some(place) => work(place),
        None => work(&mut lock()),
    })
}

impl Keeper {
    /// Has the keeper carry out a request in the first of `spaces`, and starts it where this process has none.
    pub(super) fn ask(request: &DeviceRequest, spaces: &[&NetNs]) -> Result<Answer, SandboxError> {
        with_place(|place| {
            let starter = std::process::id();
            if let Some(keeper) = place.as_mut().filter(|keeper| keeper.starter == starter)
                && let Some(answer) = keeper.exchange(request, spaces)
            {
                return answer;
            }
            // There is none, it is the parent's, or it was killed.
            let keeper = place.insert(Self::start()?);
            keeper.exchange(request, spaces).unwrap_or_else(|| {
                Err(SandboxError::HelperDied {
                    command: "the keeper of devices".to_owned(),
                })
            })
        })
    }

    /// Has the keeper delete what it made; nothing when this process has none any more.
    pub(super) fn release(request: &DeviceRequest, space: &NetNs) -> Option<Result<Answer, SandboxError>> {
        with_place(|place| {
            let starter = std::process::id();
            place
                .as_mut()
                .filter(|keeper| keeper.starter == starter)?
                .exchange(request, &[space])
        })
    }

    /// Returns nothing when the keeper is gone.
    fn exchange(
        &mut self,
        request: &DeviceRequest,
        spaces: &[&NetNs],
    ) -> Option<Result<Answer, SandboxError>> {
        let fds: Vec<_> = spaces.iter().map(AsFd::as_fd).collect();
        packets::send(self.socket.as_fd(), request, &fds).ok()?;
        match self.inbox.next::<DeviceReply>(self.socket.as_fd()) {
            Ok(Some((DeviceReply::Failed(fault), _))) => Some(Err(fault.into())),
            Ok(Some((reply, Ok(fds)))) => Some(Ok((reply, fds))),
            Ok(Some((_, Err(no_room)))) => Some(Err(no_room.of("this process"))),
            Ok(None) | Err(_) => None,
        }
    }

    fn start() -> Result<Self, SandboxError> {
        let program = helper_path();
        rustix::fs::access(&program, Access::EXEC_OK).map_err(|e| SandboxError::NoHelper {
            path: program.clone(),
            source: e.into(),
        })?;
        let (ours, theirs) = seqpacket::pair().map_err(|source| SysError::Os {
            what: "cannot make a socket pair".to_owned(),
            source,
        })?;
        let starter = std::process::id();
        let parent = process::open(starter)?;
        let spawn = || {
            process::spawn(&Spawn {
                program: &program,
                args: &helper::keep_arguments(),
                env: None,
                fds: &[
                    (theirs.as_fd(), helper::CONTROL),
                    (parent.as_fd(), helper::PARENT),
                ],
                new_session: true,
            })
        };
        // What a program got from a file or a service manager is lost at exec, unless it is made ambient.
        let process = if rustix::process::geteuid().is_root() {
            spawn()
        } else {
            with_ambient(spawn)
        }
        .map_err(|error| match error {
            SysError::Os { source, .. } => SandboxError::NoHelper {
                path: program.clone(),
                source,
            },
            other => other.into(),
        })?;
        // The keeper's end is the keeper's alone from here on: its death is then seen.
        drop(theirs);
        let agreed = greet(ours.as_fd()).and_then(|()| greeted(ours.as_fd()));
        if !matches!(agreed, Ok(Some(VERSION))) {
            return Err(SandboxError::HelperDied {
                command: "the keeper of devices".to_owned(),
            });
        }
        Ok(Self {
            socket: ours,
            inbox: Inbox::default(),
            process,
            starter,
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.starter == std::process::id() {
            // It is dropped only when it was found dead.
            drop(self.process.wait(Some(std::time::Duration::ZERO)));
        }
    }
}

/// Runs `spawn` on a thread whose capabilities a program it starts keeps.
fn with_ambient<T: Send>(spawn: impl FnOnce() -> T + Send) -> T {
    const KEPT: [CapabilitySet; 3] = [
        CapabilitySet::NET_ADMIN,
        CapabilitySet::NET_RAW,
        CapabilitySet::SYS_ADMIN,
    ];
    let work = move || {
        if let Ok(mut sets) = rustix::thread::capabilities(None) {
            for capability in KEPT {
                sets.inheritable |= sets.permitted & capability;
            }
            // Where this is not allowed the helper says what it lacks.
            if rustix::thread::set_capabilities(None, sets).is_ok() {
                for capability in KEPT {
                    let _ = rustix::thread::configure_capability_in_ambient_set(capability, true);
                }
            }
        }
        spawn()
    };
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
