//! Commands in the nodes of a lab, as root and as an ordinary user.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use support::{LONG, each_user, ends, node, open, output, pair, plain, private, shell, soon};
use vnet_sandbox::{Command, NodeSetup, SandboxError, Space, Stdio, Step};
use vnet_sys::process::{self, Exit};

#[test]
fn two_nodes_reach_each_other_over_a_patched_cable() {
    each_user("two_nodes_reach_each_other_over_a_patched_cable", || {
        let lab = pair(plain);
        let text = shell(&lab, 1, "ping -c2 -i0.2 -W5 10.0.0.2");
        assert!(text.contains("2 received"), "{text}");
        let (exit, text) = output(&lab, 0, Command::shell("ping -c1 -W1 10.0.0.2"));
        assert!(!exit.success(), "the lab's own space is on no cable: {text}");
        lab.close(LONG).unwrap();
    });
}

#[test]
fn tcpdump_writes_what_passes_a_node() {
    each_user("tcpdump_writes_what_passes_a_node", || {
        let lab = pair(plain);
        let dir = std::env::temp_dir().join(format!("vnet-dump-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("a.pcap");
        let mut command = Command::new(["tcpdump", "-i", "eth0", "-U", "-c", "2", "-w"]);
        command.argv.push(file.clone().into());
        let (mut reader, writer) = std::io::pipe().unwrap();
        command.stderr = Stdio::Fd(writer.into());
        command.stdout = Stdio::Null;
        let dump = lab.spawn(Space(1), command).unwrap();
        let mut said = String::new();
        while !said.contains("listening on eth0") {
            let mut some = [0; 256];
            let len = reader.read(&mut some).unwrap();
            assert!(len > 0, "tcpdump ended: {said}");
            said.push_str(&String::from_utf8_lossy(&some[..len]));
        }
        shell(&lab, 2, "ping -c2 -i0.2 -W5 10.0.0.1");
        assert_eq!(ends(&dump), Exit::Code(0), "{said}");
        assert!(fs::metadata(&file).unwrap().len() > 100);
        fs::remove_dir_all(&dir).unwrap();
    });
}

#[test]
fn a_command_is_the_user_who_opened_the_lab() {
    each_user("a_command_is_the_user_who_opened_the_lab", || {
        let lab = pair(plain);
        let user = rustix::process::getuid().as_raw();
        assert_eq!(shell(&lab, 1, "id -u"), format!("{user}\n"));
        let info = lab.info();
        assert_eq!(info.rootless, user != 0);
        // It may configure its node, and only that.
        let status = shell(&lab, 1, "grep CapEff /proc/self/status");
        let caps = u64::from_str_radix(status.split_whitespace().nth(1).unwrap(), 16).unwrap();
        for (name, number) in [("NET_ADMIN", 12), ("NET_RAW", 13), ("SYS_ADMIN", 21)] {
            assert!(caps & (1 << number) != 0, "has no CAP_{name}: {status}");
        }
        for (name, number) in [
            ("SYS_MODULE", 16),
            ("SYS_RAWIO", 17),
            ("SYS_BOOT", 22),
            ("SYS_TIME", 25),
        ] {
            assert!(caps & (1 << number) == 0, "has CAP_{name}: {status}");
        }
    });
}

#[test]
fn each_node_has_its_own_name_hosts_and_tmp() {
    each_user("each_node_has_its_own_name_hosts_and_tmp", || {
        let lab = pair(private);
        assert_eq!(shell(&lab, 1, "hostname"), "a\n");
        assert_eq!(shell(&lab, 2, "hostname"), "b\n");
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(shell(&lab, 0, "hostname"), host);

        assert!(lab.info().own_hosts);
        let before = fs::read_to_string("/etc/hosts").unwrap();
        lab.set_hosts("127.0.0.1 localhost\n10.0.0.1 a\n10.0.0.2 b\n")
            .unwrap();
        for space in [1, 2] {
            let text = shell(&lab, space, "cat /etc/hosts");
            assert!(text.ends_with("10.0.0.2 b\n"), "{text}");
        }
        shell(&lab, 1, "ping -c1 -W5 b");
        // A later text shows in mounts made before, whole.
        lab.set_hosts("10.0.0.9 c\n").unwrap();
        assert_eq!(shell(&lab, 1, "cat /etc/hosts"), "10.0.0.9 c\n");
        assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), before);

        shell(&lab, 1, "echo one > /tmp/file");
        assert_eq!(
            shell(&lab, 1, "cat /tmp/file"),
            "one\n",
            "it stays between commands"
        );
        assert_eq!(shell(&lab, 2, "ls -A /tmp"), "");
        assert!(!std::path::Path::new("/tmp/file").exists());
        assert_eq!(shell(&lab, 1, "stat -c %a /tmp"), "1777\n");
    });
}

#[test]
fn resolv_conf_and_private_directories_are_the_node_s() {
    each_user("resolv_conf_and_private_directories_are_the_node_s", || {
        let lab = open();
        let setup = NodeSetup {
            private_dirs: vec!["/tmp".into(), "/run".into()],
            resolv_conf: Some("nameserver 10.0.0.53\n".into()),
            ..plain("a")
        };
        lab.apply(&[node(7, setup), node(8, plain("b"))]).unwrap();
        assert_eq!(shell(&lab, 7, "cat /etc/resolv.conf"), "nameserver 10.0.0.53\n");
        assert_eq!(shell(&lab, 7, "ls -A /run"), "");
        assert_eq!(
            shell(&lab, 7, "stat -c '%a %u' /run"),
            format!("755 {}\n", rustix::process::getuid().as_raw())
        );
        let machine = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        assert_eq!(
            shell(&lab, 8, "cat /etc/resolv.conf 2>/dev/null || true"),
            machine
        );
    });
}

#[test]
fn sys_and_proc_show_the_node_and_the_lab() {
    each_user("sys_and_proc_show_the_node_and_the_lab", || {
        let lab = pair(plain);
        let info = lab.info();
        if !info.fresh_proc || !info.fresh_sysfs {
            eprintln!("not looked at: this kernel forbids a fresh /proc or /sys here: {info:?}");
            return;
        }
        let mut names: Vec<_> = shell(&lab, 1, "ls /sys/class/net")
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        names.sort();
        assert_eq!(names, ["eth0", "lo"]);
        assert_eq!(shell(&lab, 1, "cat /proc/1/comm"), "vnet-helper\n");
    });
}

#[test]
fn the_directory_is_kept_below_a_private_one() {
    each_user("the_directory_is_kept_below_a_private_one", || {
        let lab = pair(private);
        let dir = std::path::Path::new("/tmp").join(format!("vnet-cwd-{}/deep", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("file"), "kept\n").unwrap();
        for space in [1, 0] {
            let mut command = Command::shell("cat file; pwd; python3 -c 'import os; print(os.getcwd())'");
            command.cwd = Some(dir.clone());
            let (exit, text) = output(&lab, space, command);
            let path = dir.display();
            assert_eq!((exit, text), (Exit::Code(0), format!("kept\n{path}\n{path}\n")));
        }
        // The rest of the machine's /tmp stays out of sight.
        let first = dir.parent().unwrap().file_name().unwrap().to_str().unwrap();
        assert_eq!(shell(&lab, 1, "ls -A /tmp"), format!("{first}\n"));
        // A directory of the node's own, which the machine has not.
        shell(&lab, 2, "mkdir /tmp/own; echo own > /tmp/own/file");
        let mut command = Command::shell("cat file");
        command.cwd = Some("/tmp/own".into());
        assert_eq!(output(&lab, 2, command).1, "own\n");
        // The private directory itself, as the place where the caller happens to be.
        let before = std::env::current_dir().unwrap();
        std::env::set_current_dir("/tmp").unwrap();
        let (_, text) = output(&lab, 2, Command::shell(format!("pwd; cat {first}/deep/file")));
        std::env::set_current_dir(before).unwrap();
        assert_eq!(text, "/tmp/.outside\nkept\n");
        let mut command = Command::shell("true");
        command.cwd = Some("/no/such/directory".into());
        let error = lab.spawn(Space(1), command).unwrap_err();
        assert!(
            matches!(&error, SandboxError::NotStarted { stage, .. } if stage.contains("/no/such/directory")),
            "{error}"
        );
        assert_eq!(error.errno(), 2);
        fs::remove_dir_all(dir.parent().unwrap()).unwrap();
    });
}

#[test]
fn what_cannot_be_started_says_so() {
    each_user("what_cannot_be_started_says_so", || {
        let lab = pair(plain);
        let error = lab
            .spawn(Space(1), Command::new(["no-such-program-at-all"]))
            .unwrap_err();
        assert!(
            matches!(&error, SandboxError::NotStarted { command, .. } if command == "no-such-program-at-all"),
            "{error}"
        );
        assert_eq!(error.errno(), 2);
        let error = lab.spawn(Space(1), Command::new(["/etc/passwd"])).unwrap_err();
        assert_eq!(error.errno(), 13, "{error}");
        let error = lab.spawn(Space(9), Command::new(["true"])).unwrap_err();
        assert!(
            error.to_string().contains("no space with the number 9"),
            "{error}"
        );
        let error = lab.spawn(Space(1), Command::default()).unwrap_err();
        assert_eq!(error.errno(), 22, "{error}");
        shell(&lab, 1, "true");
    });
}

#[test]
fn exit_codes_signals_and_kills_come_back() {
    each_user("exit_codes_signals_and_kills_come_back", || {
        let lab = pair(plain);
        for (line, exit) in [
            ("exit 3", Exit::Code(3)),
            ("kill -9 $$", Exit::Signal(9)),
            ("kill -15 $$", Exit::Signal(15)),
        ] {
            let child = lab.spawn(Space(1), Command::shell(line)).unwrap();
            assert_eq!(ends(&child), exit, "{line}");
            assert_eq!(ends(&child), exit, "asked again");
        }
        let child = lab.spawn(Space(1), Command::new(["sleep", "1000"])).unwrap();
        assert_eq!(child.wait(Some(Duration::ZERO)).unwrap(), None);
        assert_eq!(
            process::stat(child.pid()).unwrap().pid,
            child.pid(),
            "its number is ours"
        );
        child.signal(15).unwrap();
        assert_eq!(ends(&child), Exit::Signal(15));

        // The whole process group goes with the command.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::shell("sleep 1000 & sleep 1000 & echo $!; wait");
        command.stdout = Stdio::Fd(writer.into());
        let child = lab.spawn(Space(1), command).unwrap();
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        child.kill();
        assert_eq!(ends(&child), Exit::Signal(9));
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
    });
}

#[test]
fn a_background_process_lives_on_and_ends_with_the_lab() {
    each_user("a_background_process_lives_on_and_ends_with_the_lab", || {
        let lab = pair(plain);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::shell("sleep 1000 & exit 0");
        command.stdout = Stdio::Fd(writer.into());
        let child = lab.spawn(Space(1), command).unwrap();
        assert_eq!(ends(&child), Exit::Code(0));
        drop(child);
        assert!(!process::readable(reader.as_fd(), Some(Duration::from_millis(200))).unwrap());
        let open = lab.spawn(Space(2), Command::new(["sleep", "1000"])).unwrap();
        lab.close(LONG).unwrap();
        assert!(lab.is_dead());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(
            ends(&open),
            Exit::Signal(9),
            "the end of a command is told at the end of the lab"
        );
        let error = lab.spawn(Space(1), Command::new(["true"])).unwrap_err();
        assert!(matches!(error, SandboxError::LabClosed { .. }), "{error}");
    });
}

#[test]
fn a_forgotten_node_takes_its_processes_with_it() {
    each_user("a_forgotten_node_takes_its_processes_with_it", || {
        let lab = pair(private);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::shell("setsid sleep 1000 & sleep 1000");
        command.stdout = Stdio::Fd(writer.into());
        let child = lab.spawn(Space(1), command).unwrap();
        lab.apply(&[Step::DropNode { space: 1 }]).unwrap();
        assert_eq!(ends(&child), Exit::Signal(9));
        if lab.info().fresh_proc {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
        }
        // The kernel takes the node's interface, and so the lab end, in the background.
        assert!(soon(LONG, || lab
            .links(Space::LAB)
            .unwrap()
            .iter()
            .all(|link| link.index != 4097)));
        let error = lab.apply(&[Step::DropNode { space: 1 }]).unwrap_err();
        assert_eq!(error.at, 0);
        lab.apply(&[node(1, private("a"))]).unwrap();
        assert_eq!(shell(&lab, 1, "hostname"), "a\n");
    });
}

#[test]
fn a_command_starts_clean() {
    each_user("a_command_starts_clean", || {
        let lab = pair(plain);
        // 3 is the directory ls itself reads.
        assert_eq!(shell(&lab, 1, "exec ls /proc/self/fd"), "0\n1\n2\n3\n");
        let status = shell(&lab, 1, "grep -E '^Sig(Blk|Ign)' /proc/self/status");
        assert!(
            status
                .split_whitespace()
                .all(|w| w.starts_with("Sig") || w.bytes().all(|b| b == b'0')),
            "{status}"
        );
        let own = rustix::process::getrlimit(rustix::process::Resource::Nofile)
            .current
            .unwrap();
        assert_eq!(shell(&lab, 1, "ulimit -n"), format!("{own}\n"));
        let mut command = Command::shell("echo $GREETING; ps -o sid= -p $$; echo $$");
        command.env = Some(vec![
            ("GREETING".into(), "moin".into()),
            ("PATH".into(), "/usr/bin:/bin".into()),
        ]);
        let (_, text) = output(&lab, 1, command);
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words[0], "moin");
        assert_eq!(words[1], words[2], "it leads a session");
    });
}

#[test]
fn a_terminal_controls_the_command_that_asks_for_it() {
    each_user("a_terminal_controls_the_command_that_asks_for_it", || {
        use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
        let lab = pair(plain);
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let screen = openpt(flags).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let terminal = || -> OwnedFd { ioctl_tiocgptpeer(&screen, flags).unwrap() };
        let mut command = Command::shell(": < /dev/tty && exec tr a-z A-Z");
        command.stdin = Stdio::Fd(terminal());
        command.stdout = Stdio::Fd(terminal());
        command.stderr = Stdio::Fd(terminal());
        let child = lab.spawn_on_terminal(Space(1), command).unwrap();
        let mut said = String::new();
        rustix::io::write(&screen, b"hello\n").unwrap();
        while !said.contains("hello") {
            let mut some = [0; 256];
            let len = rustix::io::read(&screen, &mut some).unwrap();
            said.push_str(&String::from_utf8_lossy(&some[..len]));
        }
        // Ctrl-C is for the program, not for the shell it is started by.
        let comm = format!("/proc/{}/comm", child.pid());
        assert!(soon(LONG, || fs::read_to_string(&comm)
            .is_ok_and(|name| name == "tr\n")));
        rustix::io::write(&screen, b"\x03").unwrap();
        assert_eq!(ends(&child), Exit::Signal(2), "Ctrl-C reaches it");
    });
}

#[test]
fn opening_and_running_are_quick() {
    each_user("opening_and_running_are_quick", || {
        let median = |mut times: Vec<Duration>| {
            times.sort();
            times[times.len() / 2]
        };
        let opens = (0..9).map(|_| {
            let start = Instant::now();
            let lab = open();
            let time = start.elapsed();
            lab.close(LONG).unwrap();
            time
        });
        let open_time = median(opens.collect());
        let lab = pair(private);
        shell(&lab, 1, "true");
        let spawns = (0..21).map(|_| {
            let start = Instant::now();
            let child = lab.spawn(Space(1), Command::new(["/bin/true"])).unwrap();
            ends(&child);
            start.elapsed()
        });
        let spawn_time = median(spawns.collect());
        eprintln!("Lab::open {open_time:?}, Lab::spawn with its end {spawn_time:?}");
        // Hundreds of times what it takes on an idle machine: a thread or a timeout waited for would show.
        assert!(open_time < Duration::from_secs(1), "{open_time:?}");
        assert!(spawn_time < Duration::from_secs(1), "{spawn_time:?}");
    });
}
