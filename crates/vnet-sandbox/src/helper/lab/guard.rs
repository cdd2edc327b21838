use std::cell::RefCell;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, getegid, geteuid, set_parent_process_death_signal};
use vnet_sys::namespace::Kind;
use vnet_sys::process::{self, Process};
use vnet_sys::{caps, seqpacket};

use super::isolate::{self, Isolated, Stage, patiently};
use super::serve::Server;
use crate::helper::wait_for;
use crate::lab::message::{Open, Opened, VERSION};
use crate::lab::packets::{self, Inbox};
use crate::lab::{check_name, greet, greeted};

const SIGKILL: i32 = 9;

/// What stays with the guard when the lab is made.
struct Outside {
    /// To the lab: the callers of the abstract socket.
    lab: OwnedFd,
    listener: Option<OwnedFd>,
}

/// Makes a lab and guards it until it ends.
pub(in crate::helper) fn main() -> ExitCode {
    match prepare() {
        Some((lab, outside)) => guard(&lab.process, &lab.parent, &outside),
        // Nobody is there to be told.
        None => ExitCode::FAILURE,
    }
}

struct Made {
    process: Process,
    parent: OwnedFd,
}

fn prepare() -> Option<(Made, Outside)> {
    let mut fds = process::take_inherited(2).ok()?;
    let (parent, control) = (fds.pop()?, fds.pop()?);
    process::discard_stdio().ok()?;
    std::env::set_current_dir("/").ok()?;
    let open = hear(control.as_fd(), parent.as_fd())?;
    let fail = |stage: &str, errno: Errno| {
        let failed = Opened::Failed {
            stage: stage.to_owned(),
            errno: errno.raw_os_error(),
        };
        // The client may be gone.
        drop(packets::send(control.as_fd(), &failed, &[]));
    };
    // In the user namespace they will only be known once they are mapped.
    let user = (geteuid().as_raw(), getegid().as_raw());
    let name = format!("vnet/{}/{}/{}", user.0, std::process::id(), open.name);
    // Without it the lab works, but nobody else finds it; the client is told.
    let listener = seqpacket::listen_abstract(&name).ok();
    let (ours, theirs) = seqpacket::pair()
        .map_err(|_| fail("make a socket pair", Errno::MFILE))
        .ok()?;
    let outside = RefCell::new(Some(Outside { lab: ours, listener }));
    let socket = outside.borrow().as_ref()?.listener.is_some().then_some(name);

    let kinds: &[Kind] = if open.rootless {
        &[Kind::User, Kind::Pid]
    } else {
        &[Kind::Pid]
    };
    let made = patiently(kinds, || {
        process::fork(kinds, || {
            // What is the guard's must end with the guard.
            drop(outside.take());
            let fds = [control.as_fd(), parent.as_fd(), theirs.as_fd()];
            lab(&open, user, fds, socket.clone())
        })
    });
    match made {
        Ok(process) => Some((Made { process, parent }, outside.take()?)),
        Err(errno) => {
            // Which of the two the kernel refused, it does not say.
            let user = open.rootless && process::fork(&[Kind::User], || 0).is_err();
            let kind = if user { Kind::User } else { Kind::Pid };
            fail(&format!("make a {}", kind.name()), errno);
            None
        }
    }
}

/// Waits for the client's greeting and for what it wants opened.
fn hear(control: BorrowedFd<'_>, parent: BorrowedFd<'_>) -> Option<Open> {
    greet(control).ok()?;
    wait_for(control, parent)?;
    if greeted(control).ok()?? != VERSION {
        return None;
    }
    wait_for(control, parent)?;
    let (open, _) = Inbox::default().next::<Open>(control).ok()??;
    check_name("lab", &open.name).ok()?;
    Some(open)
}

/// What the lab does from its birth to its end, as process 1 of its PID namespace.
fn lab(
    open: &Open,
    user: (u32, u32),
    [control, parent, guard]: [BorrowedFd<'_>; 3],
    socket: Option<String>,
) -> u8 {
    // Without its guard nobody would end it; a client whose helper is gone sees that.
    if die_with(guard).is_err() {
        return 1;
    }
    let isolated = isolate::isolate(open, user);
    // A change of credentials may have cleared the death signal.
    if die_with(guard).is_err() {
        return 1;
    }
    match isolated {
        Ok(Isolated { mut facts, lab }) => {
            facts.exec_socket = socket;
            if packets::send(control, &Opened::Lab(facts), &[]).is_ok() {
                Server::new(open, lab, control, parent, guard).serve();
            }
            0
        }
        Err(Stage { what, errno }) => {
            let failed = Opened::Failed {
                stage: what,
                errno: errno.raw_os_error(),
            };
            // The client may be gone.
            drop(packets::send(control, &failed, &[]));
            1
        }
    }
}

/// Ends this process when the guard ends, even if that has happened already.
fn die_with(guard: BorrowedFd<'_>) -> Result<(), Errno> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut fds = [PollFd::from_borrowed_fd(guard, PollFlags::empty())];
    poll(
        &mut fds,
        Some(&rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    )?;
    // The other end is the guard's alone.
    if fds[0].revents().contains(PollFlags::HUP) {
        return Err(Errno::SRCH);
    }
    Ok(())
}

fn guard(lab: &Process, parent: &OwnedFd, outside: &Outside) -> ExitCode {
    // The worst that an uncapable process of this user can do, any other can.
    caps::drop_all().ok();
    // A lab too busy to be told of a caller must not stop the guard.
    rustix::io::ioctl_fionbio(&outside.lab, true).ok();
    let own = geteuid().as_raw();
    loop {
        let mut fds = vec![
            PollFd::new(lab, PollFlags::IN),
            PollFd::new(parent, PollFlags::IN),
        ];
        fds.extend(outside.listener.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let happened = match poll(&mut fds, None) {
            Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>(),
            Err(Errno::INTR) => continue,
            // Without poll the parent's death would go unseen.
            Err(_) => vec![false, true],
        };
        if happened[1] {
            // One that has ended needs no signal.
            drop(lab.signal(SIGKILL));
            drop(lab.wait(None));
            return ExitCode::SUCCESS;
        }
        if happened[0] {
            drop(lab.wait(None));
            return ExitCode::SUCCESS;
        }
        if let Some(listener) = &outside.listener
            && let Ok(caller) = seqpacket::accept(listener.as_fd())
            && seqpacket::peer_uid(&caller).is_ok_and(|uid| uid == Some(own) || uid == Some(0))
        {
            // Who is not let in sees the end of the connection.
            drop(seqpacket::send(
                outside.lab.as_fd(),
                &[IoSlice::new(b"caller")],
                &[caller.as_fd()],
            ));
        }
    }
}
