//! A helper whose client lies: everything is refused, and nothing is harmed.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};

use serde_json::{Value, json};
use support::{LONG, each_user};
use vnet_sys::process::{self, Process, Spawn};
use vnet_sys::seqpacket;

const GREETING: &[u8] = b"vnet lab\x01\0\0\0";

/// A helper, and this process as its client.
struct Client {
    socket: OwnedFd,
    helper: Process,
}

impl Client {
    fn start() -> Self {
        let (ours, theirs) = seqpacket::pair().unwrap();
        let own = process::open(std::process::id()).unwrap();
        let helper = process::spawn(&Spawn {
            program: &vnet_sandbox::helper_path(),
            args: &["lab".into()],
            env: Some(&[]),
            fds: &[(theirs.as_fd(), 3), (own.as_fd(), 4)],
            new_session: true,
        })
        .unwrap();
        Self { socket: ours, helper }
    }

    /// Opens a lab as the library does.
    fn opened() -> Self {
        let this = Self::start();
        this.send(GREETING);
        this.send(open("test").as_slice());
        assert_eq!(this.packet(), GREETING);
        let answer = this.answer().unwrap();
        assert!(answer["Lab"].is_object(), "{answer}");
        this
    }

    fn send(&self, packet: &[u8]) {
        seqpacket::send(self.socket.as_fd(), &[IoSlice::new(packet)], &[]).unwrap();
    }

    fn ask(&self, request: &Value) -> Option<Value> {
        self.send(&message(request));
        self.answer()
    }

    fn packet(&self) -> Vec<u8> {
        let mut buffer = vec![0; 1 << 17];
        assert!(
            process::readable(self.socket.as_fd(), Some(LONG)).unwrap(),
            "an answer comes"
        );
        let packet = seqpacket::recv(self.socket.as_fd(), &mut buffer, true).unwrap();
        buffer.truncate(packet.len);
        buffer
    }

    /// Returns the next answer, or nothing when the helper has closed its end.
    fn answer(&self) -> Option<Value> {
        let mut text = Vec::new();
        loop {
            let packet = self.packet();
            let (head, part) = packet.split_first()?;
            text.extend_from_slice(part);
            if *head == 0 {
                return Some(serde_json::from_slice(&text).unwrap());
            }
        }
    }

    /// The helper ends, having answered nothing more.
    fn is_left(&self) {
        assert_eq!(self.answer(), None);
        assert!(self.helper.wait(Some(LONG)).unwrap().is_some());
    }
}

fn message(request: &Value) -> Vec<u8> {
    let mut packet = vec![0];
    packet.extend_from_slice(request.to_string().as_bytes());
    packet
}

fn open(name: &str) -> Vec<u8> {
    let rootless = !rustix::process::geteuid().is_root();
    message(&json!({"name": name, "rootless": rootless}))
}

#[test]
fn another_version_is_told_ours_and_gets_no_lab() {
    each_user("another_version_is_told_ours_and_gets_no_lab", || {
        for greeting in [
            &b"vnet lab\x02\0\0\0"[..],
            b"vnet lab\xff\xff\xff\xff",
            b"hello",
            b"GET / HTTP/1.1",
        ] {
            let client = Client::start();
            client.send(greeting);
            assert_eq!(client.packet(), GREETING);
            client.is_left();
        }
    });
}

#[test]
fn a_lab_that_cannot_be_named_is_not_opened() {
    each_user("a_lab_that_cannot_be_named_is_not_opened", || {
        for open in [
            open(""),
            open("a/b"),
            open("../../x"),
            open("a b"),
            open(&"x".repeat(64)),
            message(&json!({"name": "x", "rootless": false, "more": 1})),
            message(&json!({"name": "x"})),
            vec![0],
            vec![9, b'{'],
        ] {
            let client = Client::start();
            client.send(GREETING);
            client.send(&open);
            assert_eq!(client.packet(), GREETING);
            client.is_left();
        }
    });
}

#[test]
fn a_client_that_is_not_understood_loses_its_lab() {
    each_user("a_client_that_is_not_understood_loses_its_lab", || {
        let long = "x".repeat(10);
        for packet in [
            message(&json!({"Format": {"disk": "/dev/vda"}})),
            message(&json!({"Links": {"space": 0, "more": long}})),
            message(&json!({"Links": {"space": -1}})),
            message(&json!({"Apply": {"steps": [{"Node": {"space": 1}}]}})),
            b"\0{\"Links\": {\"space\": 0}".to_vec(),
            b"\0".to_vec(),
            b"\x05{}".to_vec(),
            vec![0; 70_000],
        ] {
            let client = Client::opened();
            client.send(&packet);
            client.is_left();
        }
    });
}

#[test]
fn a_message_without_end_is_cut_off() {
    each_user("a_message_without_end_is_cut_off", || {
        let client = Client::opened();
        let mut part = vec![b' '; 60_000];
        part[0] = 1;
        let mut sent = 0;
        while seqpacket::send(client.socket.as_fd(), &[IoSlice::new(&part)], &[]).is_ok() {
            sent += part.len();
            assert!(sent < 64 << 20, "{sent} bytes of one message were taken");
        }
        assert!(client.helper.wait(Some(LONG)).unwrap().is_some());
    });
}

#[test]
fn bad_requests_are_refused_and_good_ones_served_after_them() {
    each_user("bad_requests_are_refused_and_good_ones_served_after_them", || {
        let name = std::fs::read("/proc/sys/kernel/hostname").unwrap();
        let client = Client::opened();
        let node = |space: i64, more: Value| {
            let mut spec = json!({"name": "a", "hostname": "a", "private_dirs": [], "resolv_conf": null, "hosts": false});
            for (key, value) in more.as_object().unwrap() {
                spec[key] = value.clone();
            }
            json!({"Apply": {"steps": [{"Node": {"space": space, "spec": spec}}]}})
        };
        let sysctl = |key: &str, value: &str| json!({"Apply": {"steps": [{"Sysctl": {"space": 0, "key": key, "value": value}}]}});
        let spawn = |space: u32| {
            json!({"Spawn": {"space": space, "command": {
                "argv": ["true"], "env": [], "directory": "/", "explicit": false, "terminal": false}}})
        };
        let bad = [
            node(0, json!({})),
            node(4_000_000_000, json!({})),
            node(1, json!({"name": ""})),
            node(1, json!({"name": "a/b"})),
            node(1, json!({"hostname": "a b"})),
            node(1, json!({"hostname": "x".repeat(64)})),
            node(1, json!({"private_dirs": ["/"]})),
            node(1, json!({"private_dirs": ["/proc"]})),
            node(1, json!({"private_dirs": ["tmp"]})),
            node(1, json!({"private_dirs": ["/tmp/../etc"]})),
            node(1, json!({"private_dirs": ["/no/such/place"]})),
            node(1, json!({"private_dirs": vec!["/tmp"; 65]})),
            node(1, json!({"resolv_conf": "x".repeat(1 << 17)})),
            sysctl("kernel.hostname", "x"),
            sysctl("net.ipv4/../../kernel/hostname", "x"),
            sysctl("net...kernel.hostname", "x"),
            sysctl("net/ipv4/ip_forward", "1"),
            sysctl("net.ipv4.ip_forward", &"1".repeat(5000)),
            sysctl("net.ipv4.ip_forward", "1\0"),
            sysctl("net.ipv4.no_such_parameter", "1"),
            json!({"Apply": {"steps": [{"DropNode": {"space": 0}}]}}),
            json!({"Apply": {"steps": [{"DropNode": {"space": 5}}]}}),
            json!({"Links": {"space": 5}}),
            json!({"Netns": {"space": 5}}),
            json!({"Sysctl": {"space": 0, "key": "../../etc/passwd"}}),
            json!({"TakePort": {"lab_end": 4_294_967_295u32, "x": 4_294_967_295u32, "rcvbuf": 1}}),
            // A command without its three streams.
            spawn(0),
            json!({"Socket": {"space": 0, "spec": {"domain": 2, "kind": 1, "protocol": 0, "bind": null, "device": "../x"}}}),
            json!({"Signal": {"pid": 1, "signal": 999}}),
        ];
        for request in &bad {
            // Some JSON numbers do not fit at all, which ends the lab; these do.
            if request.to_string().len() > 60_000 {
                continue;
            }
            let answer = client
                .ask(request)
                .unwrap_or_else(|| panic!("the helper ended at {request}"));
            let failed = answer.get("Failed").is_some() || answer.get("StepFailed").is_some();
            assert!(failed, "{request}: {answer}");
        }
        // Signals for processes that are no commands of the lab go nowhere.
        for pid in [1, std::process::id(), client.helper.pid()] {
            client.ask(&json!({"Signal": {"pid": pid, "signal": 9}})).unwrap();
        }
        assert_eq!(client.ask(&node(1, json!({}))), Some(json!("Done")));
        let again = client.ask(&node(1, json!({}))).unwrap();
        assert!(again["StepFailed"].is_object(), "a number is used once: {again}");
        assert_eq!(
            client.ask(&json!({"Links": {"space": 1}})).unwrap()["Links"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(std::fs::read("/proc/sys/kernel/hostname").unwrap(), name);
    });
}

#[test]
fn a_kernel_without_signals_for_groups_is_helped_out() {
    each_user("a_kernel_without_signals_for_groups_is_helped_out", || {
        let client = Client::opened();
        let null = std::fs::File::open("/dev/null").unwrap();
        let request = json!({"Spawn": {"space": 0, "command": {
            "argv": ["sh", "-c", "sleep 1000 & sleep 1000"], "env": [["PATH", "/usr/bin:/bin"]],
            "directory": "/", "explicit": false, "terminal": false}}});
        let streams = [null.as_fd(); 3];
        seqpacket::send(
            client.socket.as_fd(),
            &[IoSlice::new(&message(&request))],
            &streams,
        )
        .unwrap();
        let mut buffer = [0; 4096];
        let answer = seqpacket::recv(client.socket.as_fd(), &mut buffer, true).unwrap();
        let said: Value = serde_json::from_slice(&buffer[1..answer.len]).unwrap();
        let pid = &said["Spawned"]["pid"];
        let [pidfd, status] = <[OwnedFd; 2]>::try_from(answer.fds).unwrap();
        assert!(!process::readable(pidfd.as_fd(), Some(std::time::Duration::ZERO)).unwrap());
        let kill = json!({"Signal": {"pid": pid, "signal": 9}});
        assert_eq!(client.ask(&kill), Some(json!("Done")));
        assert!(process::readable(status.as_fd(), Some(LONG)).unwrap());
        let mut report = [0; 16];
        let len = rustix::io::read(&status, &mut report).unwrap();
        assert_eq!((report[0], report[1], len), (b'K', 9, 5));
        // One that has ended is no error, and no other process.
        assert_eq!(client.ask(&kill), Some(json!("Done")));
    });
}
