//! Coming into a running lab by its abstract socket.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, pipe};
use std::process::Command as StdCommand;

use support::{Copies, LONG, each_user, ends, open, pair, plain, shell, soon};
use vnet_sandbox::{Command, ExecRequest, Lab, LabEntry, LabOptions, SandboxError, Space, Stdio, labs};
use vnet_sys::process::{self, Exit};

/// Names the part of this file a second process runs, with the lab it is to go to.
const SOCKET: &str = "VNET_TEST_SOCKET";
/// Names the socket that a second process listens at.
const FORGED: &str = "VNET_TEST_FORGED";

fn entry(lab: &Lab) -> LabEntry {
    labs()
        .into_iter()
        .find(|entry| entry.pid == lab.info().helper)
        .unwrap()
}

fn request(argv: &[&str]) -> (ExecRequest, std::io::PipeReader) {
    let (reader, writer) = pipe().unwrap();
    let request = ExecRequest {
        argv: argv.iter().map(Into::into).collect(),
        stdin: Stdio::Null,
        stdout: Stdio::Fd(writer.into()),
        ..ExecRequest::default()
    };
    (request, reader)
}

#[test]
fn a_running_lab_is_found_described_and_entered() {
    each_user("a_running_lab_is_found_described_and_entered", || {
        let lab = pair(plain);
        let entry = entry(&lab);
        assert_eq!(entry.name, "test");
        assert_eq!(lab.info().exec_socket.as_deref(), Some(entry.socket.as_str()));
        let description = entry.describe().unwrap();
        assert_eq!(
            (description.name.as_str(), description.rootless),
            ("test", lab.info().rootless)
        );
        let names: Vec<_> = description
            .nodes
            .iter()
            .map(|n| (n.name.as_str(), n.space))
            .collect();
        assert_eq!(names, [("a", 1), ("b", 2)]);

        let (request, mut reader) = self::request(&["sh", "-c", "hostname; exit 3"]);
        let child = entry.exec("b", request).unwrap();
        assert_eq!(ends(&child), Exit::Code(3));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "b\n");

        let error = entry.exec("c", self::request(&["true"]).0).unwrap_err();
        assert!(
            matches!(&error, SandboxError::NoSuchNode { known, .. } if known == &["a", "b"]),
            "{error}"
        );
        let error = entry
            .exec("a", self::request(&["no-such-program"]).0)
            .unwrap_err();
        assert_eq!(error.errno(), 2, "{error}");

        lab.close(LONG).unwrap();
        assert!(labs().iter().all(|other| other.pid != entry.pid));
        let error = entry.describe().unwrap_err();
        assert!(matches!(error, SandboxError::LabClosed { .. }), "{error}");
    });
}

#[test]
fn what_a_caller_started_ends_with_the_caller() {
    each_user("what_a_caller_started_ends_with_the_caller", || {
        let lab = pair(plain);
        let entry = entry(&lab);
        let (request, mut reader) = self::request(&["sh", "-c", "echo up; sleep 1000"]);
        let child = entry.exec("a", request).unwrap();
        let mut byte = [0; 3];
        reader.read_exact(&mut byte).unwrap();
        assert_eq!(entry.describe().unwrap().nodes[0].commands, 1);
        drop(child);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(soon(LONG, || entry.describe().unwrap().nodes[0].commands == 0));

        // A caller that is killed cannot say so.
        let (mut reader, writer) = pipe().unwrap();
        let mut caller = StdCommand::new(std::env::current_exe().unwrap())
            .args(["--exact", "part_that_calls_a_lab", "--nocapture"])
            .env(SOCKET, &entry.socket)
            .stdout(writer)
            .spawn()
            .unwrap();
        assert!(soon(LONG, || entry.describe().unwrap().nodes[0].commands == 1));
        caller.kill().unwrap();
        caller.wait().unwrap();
        reader.read_to_string(&mut rest).unwrap();
        assert!(soon(LONG, || entry.describe().unwrap().nodes[0].commands == 0));
        shell(&lab, 1, "true");
    });
}

#[test]
fn part_that_calls_a_lab() {
    let Ok(socket) = std::env::var(SOCKET) else { return };
    let entry = LabEntry {
        name: "test".into(),
        pid: 0,
        socket,
    };
    let request = ExecRequest {
        argv: vec!["sleep".into(), "1000".into()],
        ..ExecRequest::default()
    };
    match entry.exec("a", request) {
        Ok(child) => drop(child.wait(None)),
        Err(error) => println!("refused: {error}"),
    }
}

#[test]
fn another_user_is_not_let_in() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not looked at: only root can become another user");
        return;
    }
    vnet_sandbox::set_helper_path(env!("CARGO_BIN_EXE_vnet-helper").into());
    let lab = pair(plain);
    let copies = Copies::make();
    // The user whom unmapped users look like, and another.
    for uid in ["65534", "1234"] {
        let output = StdCommand::new("setpriv")
            .args(["--reuid", uid, "--regid", uid, "--clear-groups", "--"])
            .arg(&copies.test)
            .args(["--exact", "part_that_calls_a_lab", "--nocapture"])
            .env(SOCKET, entry(&lab).socket)
            .current_dir("/")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("refused: the lab test has ended"), "{uid}: {text}");
    }
    shell(&lab, 1, "true");
}

#[test]
fn a_lab_can_be_in_a_user_namespace_of_root_s_too() {
    each_user("a_lab_can_be_in_a_user_namespace_of_root_s_too", || {
        let lab = Lab::open(&LabOptions {
            name: "of-a-user".into(),
            rootless: Some(true),
        })
        .unwrap();
        lab.apply(&[support::node(1, plain("a"))]).unwrap();
        let (request, mut reader) = self::request(&["id", "-u"]);
        let child = entry(&lab).exec("a", request).unwrap();
        assert_eq!(ends(&child), Exit::Code(0));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("{}\n", rustix::process::getuid().as_raw()));
    });
}

#[test]
fn a_caller_that_says_nonsense_harms_nobody() {
    each_user("a_caller_that_says_nonsense_harms_nobody", || {
        use std::io::IoSlice;
        use std::os::fd::AsFd;
        use vnet_sys::seqpacket;
        let lab = open();
        lab.apply(&[support::node(1, plain("a"))]).unwrap();
        let socket = entry(&lab).socket;
        for packets in [
            vec![&b"hello"[..]],
            vec![b"vnet lab\x02\0\0\0"],
            vec![b"vnet lab\x01\0\0\0", b"\0{\"Describe\""],
            vec![b"vnet lab\x01\0\0\0", b"\0{\"Netns\":{\"space\":0}}"],
            vec![b"vnet lab\x01\0\0\0", b"\x07"],
        ] {
            let caller = seqpacket::connect_abstract(&socket).unwrap();
            for packet in packets {
                seqpacket::send(caller.as_fd(), &[IoSlice::new(packet)], &[]).unwrap();
            }
            let mut buffer = [0; 4096];
            // The greeting, and then the end.
            let greeting = seqpacket::recv(caller.as_fd(), &mut buffer, true).unwrap();
            assert_eq!(&buffer[..greeting.len], b"vnet lab\x01\0\0\0");
            assert!(process::readable(caller.as_fd(), Some(LONG)).unwrap());
            assert_eq!(seqpacket::recv(caller.as_fd(), &mut buffer, true).unwrap().len, 0);
        }
        // Callers that say nothing at all.
        let silent: Vec<_> = (0..100).map(|_| seqpacket::connect_abstract(&socket)).collect();
        shell(&lab, 1, "true");
        drop(silent);
        assert!(soon(LONG, || entry(&lab).describe().is_ok()));
        let child = lab.spawn(Space(1), Command::new(["true"])).unwrap();
        assert_eq!(ends(&child), Exit::Code(0));
    });
}

#[test]
fn a_caller_that_does_not_read_does_not_stop_the_lab() {
    each_user("a_caller_that_does_not_read_does_not_stop_the_lab", || {
        use std::io::IoSlice;
        use std::os::fd::AsFd;
        use vnet_sys::seqpacket;
        let lab = open();
        let nodes: Vec<_> = (1..=200)
            .map(|n| support::node(n, plain(&format!("{}{n}", "n".repeat(50)))))
            .collect();
        lab.apply(&nodes).unwrap();
        let caller = seqpacket::connect_abstract(&entry(&lab).socket).unwrap();
        seqpacket::send(caller.as_fd(), &[IoSlice::new(b"vnet lab\x01\0\0\0")], &[]).unwrap();
        rustix::io::ioctl_fionbio(&caller, true).unwrap();
        // Its answers fill the socket's buffer, and at last its connection ends.
        let ended = soon(LONG, || {
            let asked = seqpacket::send(caller.as_fd(), &[IoSlice::new(b"\0\"Describe\"")], &[]);
            asked.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
        });
        assert!(ended);
        shell(&lab, 1, "true");
        assert_eq!(entry(&lab).describe().unwrap().nodes.len(), 200);
    });
}

#[test]
fn a_name_that_another_user_has_taken_is_no_lab() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not looked at: only root can become another user");
        return;
    }
    vnet_sandbox::set_helper_path(env!("CARGO_BIN_EXE_vnet-helper").into());
    let copies = Copies::make();
    let socket = format!("vnet/0/{}/forged", std::process::id());
    let mut other = StdCommand::new("setpriv")
        .args(["--reuid", "1234", "--regid", "1234", "--clear-groups", "--"])
        .arg(&copies.test)
        .args(["--exact", "part_that_forges_a_lab", "--nocapture"])
        .env(FORGED, &socket)
        .stdin(std::process::Stdio::piped())
        .current_dir("/")
        .spawn()
        .unwrap();
    let listens = || {
        std::fs::read_to_string("/proc/net/unix")
            .unwrap()
            .contains(&socket)
    };
    assert!(soon(LONG, listens));
    assert!(labs().iter().all(|entry| entry.socket != socket));
    let forged = LabEntry {
        name: "forged".into(),
        pid: std::process::id(),
        socket,
    };
    let error = forged.exec("a", request(&["true"]).0).unwrap_err();
    assert!(matches!(error, SandboxError::LabClosed { .. }), "{error}");
    drop(other.stdin.take());
    // It has received no byte.
    assert!(other.wait().unwrap().success());
}

#[test]
fn part_that_forges_a_lab() {
    use std::os::fd::AsFd;
    use vnet_sys::seqpacket;
    let Ok(socket) = std::env::var(FORGED) else { return };
    let listener = seqpacket::listen_abstract(&socket).unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    while let Ok(caller) = seqpacket::accept(listener.as_fd()) {
        let heard = seqpacket::recv(caller.as_fd(), &mut [0; 64], true).unwrap();
        assert_eq!(heard.len, 0);
    }
}
