//! Commands below the helper: what they inherit, how they end, and that nothing of
//! them is left when the process that started them dies.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command as StdCommand;
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, dup, fcntl_setfd};
use vnet_sandbox::{Child, Command, Namespace, SandboxError, Stdio, TapSpec, set_helper_path, spawn};
use vnet_sys::process::{self, Exit, Stat};
use vnet_sys::tun::Mode;
use vnet_sys::{NetNs, caps};

/// Everything must be gone this soon after a death.
const A_SECOND: Duration = Duration::from_secs(1);
/// More than anything here takes on a loaded machine.
const LONG: Duration = Duration::from_secs(20);
/// Names the part of this file a second process runs.
const ROLE: &str = "VNET_TEST_ROLE";

fn use_built_helper() {
    set_helper_path(PathBuf::from(env!("CARGO_BIN_EXE_vnet-helper")));
}

fn start(command: Command) -> Child {
    use_built_helper();
    spawn(command).unwrap()
}

fn ends(child: &Child) -> Exit {
    child.wait(Some(LONG)).unwrap().expect("the command ends in time")
}

/// Runs a shell line and returns how it ended and what it printed.
fn output(mut command: Command) -> (Exit, String) {
    let (mut reader, writer) = pipe().unwrap();
    command.stdout = Stdio::Fd(writer.into());
    let child = start(command);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    (ends(&child), text)
}

fn alive(known: &Stat) -> bool {
    process::start_time(known.pid) == Some(known.start)
}

fn descendants(root: u32) -> Vec<Stat> {
    let all = process::all();
    let mut found: Vec<Stat> = Vec::new();
    let mut parents = HashSet::from([root]);
    loop {
        let more: Vec<_> = all
            .iter()
            .filter(|s| parents.contains(&s.ppid) && !parents.contains(&s.pid))
            .copied()
            .collect();
        if more.is_empty() {
            return found;
        }
        parents.extend(more.iter().map(|s| s.pid));
        found.extend(more);
    }
}

/// Waits until a condition holds, and tells whether it did in time.
fn soon(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn the_exit_code_and_the_fatal_signal_come_back() {
    for (line, exit) in [
        ("true", Exit::Code(0)),
        ("exit 3", Exit::Code(3)),
        ("exit 255", Exit::Code(255)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -15 $$", Exit::Signal(15)),
    ] {
        let child = start(Command::shell(line));
        assert_eq!(ends(&child), exit, "{line}");
        assert_eq!(ends(&child), exit, "asked again");
    }
    assert_eq!(Exit::Signal(9).shell_code(), 137);
}

#[test]
fn the_three_streams_are_the_command_s_and_end_with_it() {
    let (stdin_reader, mut stdin) = pipe().unwrap();
    let (mut stdout, stdout_writer) = pipe().unwrap();
    let (mut stderr, stderr_writer) = pipe().unwrap();
    let mut command = Command::shell("cat; echo done >&2");
    command.stdin = Stdio::Fd(stdin_reader.into());
    command.stdout = Stdio::Fd(stdout_writer.into());
    command.stderr = Stdio::Fd(stderr_writer.into());
    let child = start(command);
    stdin.write_all(b"through and back").unwrap();
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    stdout.read_to_string(&mut out).unwrap();
    stderr.read_to_string(&mut err).unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("through and back", "done\n"));
    assert!(ends(&child).success());
}

#[test]
fn a_reader_sees_the_end_when_the_command_closes_its_output_and_lives_on() {
    let (mut reader, writer) = pipe().unwrap();
    let mut command = Command::shell("exec >&-; exec sleep 1000");
    command.stdout = Stdio::Fd(writer.into());
    let child = start(command);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait(Some(Duration::ZERO)).unwrap(), None);
    child.kill();
    assert_eq!(ends(&child), Exit::Signal(9));
}

#[test]
fn environment_and_directory_are_as_asked_for() {
    let mut command = Command::shell("pwd; echo $GREETING-$HOME");
    command.env = Some(vec![
        ("GREETING".into(), "moin".into()),
        ("PATH".into(), "/usr/bin:/bin".into()),
    ]);
    command.cwd = Some("/proc".into());
    let (exit, text) = output(command);
    assert_eq!((exit, text.as_str()), (Exit::Code(0), "/proc\nmoin-\n"));
}

#[test]
fn the_command_has_descriptors_0_1_2_and_no_other() {
    // A descriptor another library left inheritable.
    let stray: OwnedFd = dup(std::io::stderr()).unwrap();
    fcntl_setfd(&stray, FdFlags::empty()).unwrap();
    // 3 is the directory ls itself reads.
    let (exit, text) = output(Command::new(["ls", "/proc/self/fd"]));
    assert_eq!((exit, text.as_str()), (Exit::Code(0), "0\n1\n2\n3\n"));
}

#[test]
fn no_signal_is_blocked_in_the_command_nor_ignored_for_the_caller_s_own_reasons() {
    // The test's own runtime ignores SIGPIPE (13).
    let (_, text) = output(Command::new(["cat", "/proc/self/status"]));
    let mask = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    assert_eq!(mask("SigBlk"), 0);
    assert_eq!(mask("SigIgn") & (1 << 12), 0);
}

#[test]
fn waiting_stops_at_the_time_given() {
    let child = start(Command::new(["sleep", "1000"]));
    let before = Instant::now();
    assert_eq!(child.wait(Some(Duration::from_millis(50))).unwrap(), None);
    assert!(before.elapsed() >= Duration::from_millis(50));
    assert!(before.elapsed() < LONG);
}

#[test]
fn a_signal_reaches_the_command_itself() {
    let (mut reader, writer) = pipe().unwrap();
    let mut command = Command::shell("trap 'exit 42' TERM; echo ready; while :; do sleep 0.01; done");
    command.stdout = Stdio::Fd(writer.into());
    let child = start(command);
    reader.read_exact(&mut [0; 6]).unwrap();
    child.signal(15).unwrap();
    assert_eq!(ends(&child), Exit::Code(42));
    child.signal(15).unwrap();
    assert!(matches!(child.signal(0), Err(SandboxError::BadArgument { .. })));
}

#[test]
fn the_pid_is_the_command_s_and_its_end_is_readable() {
    let (mut reader, writer) = pipe().unwrap();
    let mut command = Command::shell("echo $$; read nothing");
    let (stdin, release) = pipe().unwrap();
    command.stdin = Stdio::Fd(stdin.into());
    command.stdout = Stdio::Fd(writer.into());
    let child = start(command);
    let mut first = [0; 16];
    let len = reader.read(&mut first).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&first[..len]).trim(),
        child.pid().to_string()
    );
    assert!(!process::readable(child.as_fd(), Some(Duration::ZERO)).unwrap());
    drop(release);
    assert!(process::readable(child.as_fd(), Some(LONG)).unwrap());
}

#[test]
fn what_cannot_be_run_says_at_which_step() {
    use_built_helper();
    let refused = |command| spawn(command).map(|child| child.pid()).unwrap_err();

    // A directory of PATH that may not be read would make it EACCES.
    let path = Some(vec![("PATH".into(), "/usr/bin:/bin".into())]);
    let error = refused(Command {
        env: path,
        ..Command::new(["no-such-program-here"])
    });
    assert_eq!(error.errno(), 2, "{error}");
    assert!(
        error
            .to_string()
            .contains("cannot run no-such-program-here: cannot execute it"),
        "{error}"
    );

    let error = refused(Command::new(["/etc/passwd"]));
    assert_eq!(error.errno(), 13, "{error}");

    let error = refused(Command {
        cwd: Some("/no/such/dir".into()),
        ..Command::new(["true"])
    });
    assert!(
        error
            .to_string()
            .contains("cannot change to directory /no/such/dir"),
        "{error}"
    );

    let error = refused(Command::default());
    assert!(matches!(error, SandboxError::BadArgument { .. }), "{error}");
}

#[test]
fn what_a_command_leaves_in_the_background_ends_with_it() {
    let (exit, text) = output(Command::shell(
        "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; exit 5",
    ));
    assert_eq!(exit, Exit::Code(5));
    for pid in text.lines() {
        assert_eq!(
            process::start_time(pid.parse().unwrap()),
            None,
            "process {pid} is left"
        );
    }
}

#[test]
fn dropping_the_child_ends_the_whole_tree() {
    let child = start(Command::shell("sleep 1000 & sleep 1000 & wait"));
    assert!(soon(LONG, || descendants(child.pid()).len() == 2));
    let mut tree = descendants(child.pid());
    tree.push(process::stat(child.pid()).unwrap());
    drop(child);
    assert!(tree.iter().all(|known| !alive(known)));
}

#[test]
fn the_command_sees_the_devices_of_its_namespace() {
    if !caps::has_sys_admin() || !Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: needs CAP_SYS_ADMIN and /dev/net/tun");
        return;
    }
    use_built_helper();
    let there = Namespace::at(NetNs::create().unwrap()).unwrap();
    let _tap = there.make_tap(&TapSpec::new("inside0", Mode::Tap)).unwrap();
    let run = |line: &str| {
        let (mut reader, writer) = pipe().unwrap();
        let mut command = Command::shell(line);
        command.stdout = Stdio::Fd(writer.into());
        let child = there.spawn(command).unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(ends(&child).success(), "{line}");
        text
    };
    assert_eq!(
        run("readlink /proc/self/ns/net").trim(),
        format!("net:[{}]", there.netns().inode())
    );
    let shown = run("ls /sys/class/net");
    assert!(shown.contains("inside0"), "{shown}");
    // And the mount stays the command's own.
    assert!(!Path::new("/sys/class/net/inside0").exists());
}

/// Runs `role` of this file in a second process.
fn second_process(role: &str) -> StdCommand {
    let mut command = StdCommand::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "second_process_body", "--ignored", "--nocapture"])
        .env(ROLE, role);
    command
}

#[test]
#[ignore = "this is what the second process of other tests runs"]
fn second_process_body() {
    match std::env::var(ROLE).as_deref() {
        Ok("tree") => {
            // A descendant in a session of its own is no escape either.
            let line = "sleep 1000 & setsid sh -c 'sleep 1000 & sleep 1000' & sleep 1000 & wait";
            let child = start(Command::shell(line));
            child.wait(None).unwrap();
        }
        Ok("stubborn") => {
            let child = start(Command::shell("trap '' HUP INT QUIT TERM TSTP; sleep 1000; true"));
            child.wait(None).unwrap();
        }
        Ok("foreground") => {
            let python = "import signal, sys, time\n\
                def interrupted(*_): print('interrupted', flush=True); sys.exit(7)\n\
                signal.signal(signal.SIGINT, interrupted)\n\
                print('asked', flush=True)\n\
                print('heard ' + input(), flush=True)\n\
                while True: time.sleep(0.01)\n";
            let child = start(Command::new(["python3", "-c", python]));
            println!("ended {:?}", child.wait(Some(LONG)).unwrap());
        }
        _ => {}
    }
}

#[test]
fn killing_the_parent_ends_the_whole_tree_within_a_second() {
    let mut parent = second_process("tree").spawn().unwrap();
    // helper, sh, sleep, setsid's sh with two sleeps, sleep
    assert!(
        soon(LONG, || descendants(parent.id()).len() >= 7),
        "{:?}",
        descendants(parent.id())
    );
    let tree = descendants(parent.id());
    parent.kill().unwrap();
    let gone = soon(A_SECOND, || !tree.iter().any(alive));
    assert!(
        gone,
        "left: {:?}",
        tree.iter().filter(|known| alive(known)).collect::<Vec<_>>()
    );
    parent.wait().unwrap();
}

#[test]
fn a_tree_that_ignores_every_signal_it_can_is_no_exception() {
    let mut parent = second_process("stubborn").spawn().unwrap();
    assert!(
        soon(LONG, || descendants(parent.id()).len() >= 3),
        "{:?}",
        descendants(parent.id())
    );
    let tree = descendants(parent.id());
    parent.kill().unwrap();
    assert!(soon(A_SECOND, || !tree.iter().any(alive)));
    parent.wait().unwrap();
}

/// Reads from a terminal until it has shown `wanted`.
fn read_until(terminal: &OwnedFd, seen: &mut String, wanted: &str) {
    let deadline = Instant::now() + LONG;
    while !seen.contains(wanted) {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(
            process::readable(terminal.as_fd(), Some(left)).unwrap(),
            "no {wanted:?} in {seen:?}"
        );
        let mut bytes = [0; 4096];
        let len = rustix::io::read(terminal, &mut bytes).unwrap_or_else(|e| panic!("{e}: {seen:?}"));
        seen.push_str(&String::from_utf8_lossy(&bytes[..len]));
    }
}

#[test]
fn a_command_in_a_terminal_s_foreground_reads_from_it_and_hears_ctrl_c() {
    for program in ["python3", "setsid"] {
        if StdCommand::new(program).arg("--version").output().is_err() {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "{program} is not installed"
            );
            eprintln!("skipped: {program} is not installed");
            return;
        }
    }
    let terminal =
        rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&terminal).unwrap();
    rustix::pty::unlockpt(&terminal).unwrap();
    let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap();
    let open = || {
        fs::File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap()
    };
    // The parent ignores Ctrl-C, as a program that ends with its command does.
    let inner = second_process("foreground");
    let mut line = String::from("trap '' INT; exec");
    for word in std::iter::once(inner.get_program()).chain(inner.get_args()) {
        line.push_str(&format!(" '{}'", word.to_str().unwrap()));
    }
    let mut session = StdCommand::new("setsid")
        .args(["--ctty", "--wait", "sh", "-c", &line])
        .env(ROLE, "foreground")
        .stdin(open())
        .stdout(open())
        .stderr(open())
        .spawn()
        .unwrap();
    let mut seen = String::new();
    read_until(&terminal, &mut seen, "asked");
    rustix::io::write(&terminal, b"hello\n").unwrap();
    read_until(&terminal, &mut seen, "heard hello");
    rustix::io::write(&terminal, b"\x1a").unwrap();
    rustix::io::write(&terminal, b"\x03").unwrap();
    read_until(&terminal, &mut seen, "interrupted");
    read_until(&terminal, &mut seen, "ended Some(Code(7))");
    session.wait().unwrap();
}

#[test]
fn alone_the_helper_says_what_it_is_for() {
    let output = StdCommand::new(env!("CARGO_BIN_EXE_vnet-helper"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: vnet-helper run"));
}

#[test]
fn the_executable_has_at_most_3_mb() {
    let size = fs::metadata(env!("CARGO_BIN_EXE_vnet-helper")).unwrap().len();
    assert!(size <= 3 << 20, "{size} bytes");
}
