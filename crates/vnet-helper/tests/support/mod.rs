//! Labs for tests, as root and as an ordinary user.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its part of this; a test may unwrap"
)]

use std::ffi::OsString;
use std::fs;
use std::io::{Read, pipe};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command as StdCommand;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use vnet_netlink::{Change, LinkSet, PeerEnd};
use vnet_sandbox::{Child, Command, Lab, LabOptions, NodeSetup, Space, Stdio, Step, set_helper_path};
use vnet_sys::process::{self, Exit};

/// More than anything here takes on a loaded machine.
pub const LONG: Duration = Duration::from_secs(20);

/// An ordinary user, and the one that users without a number look like in a user
/// namespace.
const USERS: [&str; 2] = ["12345", "65534"];
/// Set in a process that is an ordinary user's.
const AS_USER: &str = "VNET_TEST_AS_USER";

/// Runs the body of the test `name` as root and as two ordinary users, or as the user who
/// runs it when that is not root.
pub fn each_user(name: &str, body: impl FnOnce()) {
    set_helper_path(PathBuf::from(env!("CARGO_BIN_EXE_vnet-helper")));
    body();
    if std::env::var_os(AS_USER).is_some() || !rustix::process::geteuid().is_root() {
        return;
    }
    let copies = Copies::make();
    for user in USERS {
        let status = StdCommand::new("setpriv")
            .args(["--reuid", user, "--regid", user, "--clear-groups", "--"])
            .arg(&copies.test)
            .args(["--exact", name, "--nocapture"])
            .env("VNET_HELPER", &copies.helper)
            .env(AS_USER, "1")
            .current_dir("/")
            .status()
            .unwrap();
        assert!(status.success(), "{name} failed as user {user}");
    }
}

/// Copies of this test and of the helper that every user may run, for as long as the value
/// lives.
#[derive(Debug)]
pub struct Copies {
    dir: PathBuf,
    /// The test.
    pub test: PathBuf,
    /// The helper.
    pub helper: PathBuf,
}

impl Copies {
    /// Makes them in a directory of their own.
    pub fn make() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = Path::new("/tmp").join(format!("vnet-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let copy = |from: &Path, name: &str| {
            let to = dir.join(name);
            // By another process: what tests beside this one start would inherit the descriptor that is written to, and the kernel
            // executes no file that somebody writes.
            let copied = std::process::Command::new("install")
                .arg("-m755")
                .args([from, &to])
                .status();
            assert!(copied.unwrap().success());
            to
        };
        Self {
            test: copy(&std::env::current_exe().unwrap(), "test"),
            helper: copy(&vnet_sandbox::helper_path(), "vnet-helper"),
            dir,
        }
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        // What cannot be removed is in /tmp.
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// Opens a lab called `test`.
pub fn open() -> Lab {
    Lab::open(&LabOptions {
        name: "test".into(),
        rootless: None,
    })
    .unwrap()
}

/// Describes a node that shares the machine's files.
pub fn plain(name: &str) -> NodeSetup {
    NodeSetup {
        name: name.into(),
        hostname: name.into(),
        ..NodeSetup::default()
    }
}

/// Describes a node with a private /tmp and the lab's /etc/hosts.
pub fn private(name: &str) -> NodeSetup {
    NodeSetup {
        private_dirs: vec!["/tmp".into()],
        hosts: true,
        ..plain(name)
    }
}

/// A step that makes a node.
pub fn node(space: u32, spec: NodeSetup) -> Step {
    Step::Node { space, spec }
}

/// A step that changes a space's network.
pub fn net(space: u32, change: Change) -> Step {
    Step::Net { space, change }
}

/// A step that sets an interface up.
pub fn up(space: u32, index: u32) -> Step {
    net(
        space,
        Change::Link {
            index,
            set: LinkSet {
                up: Some(true),
                ..LinkSet::default()
            },
        },
    )
}

/// Interface number of eth0 in a node.
pub const ETH0: u32 = 16;

/// Returns the steps that give node `space` an eth0 with the address 10.0.0.`space` (on from 10.0.1.0 at 250), whose
/// lab end has the number 4096 + `space`.
pub fn plug(space: u32) -> Vec<Step> {
    let end = 4096 + space;
    vec![
        net(
            0,
            Change::Veth {
                index: end,
                name: format!("v{end}"),
                mac: None,
                mtu: None,
                peer: PeerEnd {
                    space,
                    index: ETH0,
                    name: "eth0".into(),
                    mac: None,
                },
            },
        ),
        net(
            0,
            Change::Link {
                index: end,
                set: LinkSet {
                    up: Some(true),
                    noarp: Some(true),
                    addrgen: Some(false),
                    ..LinkSet::default()
                },
            },
        ),
        net(0, Change::IngressQdisc { index: end }),
        net(
            space,
            Change::AddAddress {
                index: ETH0,
                address: format!("10.0.{}.{}/16", space / 250, space % 250)
                    .parse()
                    .unwrap(),
            },
        ),
        up(space, ETH0),
    ]
}

/// Returns the steps that patch the lab ends of two nodes to each other.
pub fn patch(a: u32, b: u32) -> Vec<Step> {
    let redirect = |from: u32, to: u32| {
        net(
            0,
            Change::Redirect {
                index: 4096 + from,
                prio: 2,
                to: 4096 + to,
                into: vnet_netlink::Into::Egress,
            },
        )
    };
    vec![redirect(a, b), redirect(b, a)]
}

/// Opens a lab with two nodes, 1 called `a` and 2 called `b`, joined by a cable.
pub fn pair(setup: impl Fn(&str) -> NodeSetup) -> Lab {
    let lab = open();
    let mut steps = vec![node(1, setup("a")), node(2, setup("b"))];
    steps.extend(plug(1));
    steps.extend(plug(2));
    steps.extend(patch(1, 2));
    lab.apply(&steps).unwrap();
    for space in [1, 2] {
        lab.wait_ready(Space(space), &[ETH0], LONG).unwrap();
    }
    lab
}

/// Waits for a command's end.
pub fn ends(child: &Child) -> Exit {
    child.wait(Some(LONG)).unwrap().expect("the command ends in time")
}

/// Runs a command in a space and returns how it ended and what it wrote to both streams.
pub fn output(lab: &Lab, space: u32, mut command: Command) -> (Exit, String) {
    let (mut reader, writer) = pipe().unwrap();
    command.stderr = Stdio::Fd(writer.try_clone().unwrap().into());
    command.stdout = Stdio::Fd(writer.into());
    command.stdin = Stdio::Null;
    let child = lab.spawn(Space(space), command).unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    (ends(&child), text)
}

/// Runs a shell line in a space and returns what it wrote; it must succeed.
///
/// It starts in `/`: a directory of the caller's below a private /tmp would show in the node.
pub fn shell(lab: &Lab, space: u32, line: impl Into<OsString>) -> String {
    let line = line.into();
    let mut command = Command::shell(line.clone());
    command.cwd = Some("/".into());
    let (exit, text) = output(lab, space, command);
    assert!(exit.success(), "{}: {exit:?}: {text}", line.display());
    text
}

/// Waits until a condition holds, and tells whether it did in time.
pub fn soon(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Returns the process id of a process's first child.
pub fn child_of(pid: u32) -> Option<u32> {
    process::all()
        .into_iter()
        .find(|stat| stat.ppid == pid)
        .map(|stat| stat.pid)
}
