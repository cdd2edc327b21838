//! Labs where the kernel grants less: covered parts of /proc and /sys as in a container,
//! limits on namespaces, and what the helper itself gives up.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::process::Command as StdCommand;
use std::time::{Duration, Instant};

use support::{Copies, LONG, child_of, each_user, node, open, pair, plain, private, shell};
use vnet_sandbox::{Command, Lab, LabOptions, SandboxError, Space, Stdio};

/// Names the part of this file a second process runs.
const ROLE: &str = "VNET_TEST_ROLE";

/// Runs the part `role` of this file below a shell line that root has run first.
fn run_part(role: &str, line: impl Fn(&str) -> String) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not looked at: only root can become the user whose limits are set");
        return;
    }
    vnet_sandbox::set_helper_path(env!("CARGO_BIN_EXE_vnet-helper").into());
    let copies = Copies::make();
    let part = format!("{} --exact part --nocapture", copies.test.display());
    let output = StdCommand::new("sh")
        .args(["-ec", &line(&part)])
        .env("VNET_HELPER", &copies.helper)
        .env(ROLE, role)
        .current_dir("/")
        .output()
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Becomes an ordinary user.
const USER: &str = "setpriv --reuid 12345 --regid 12345 --clear-groups --";

/// Sets limits in a user namespace of the ordinary user's own, which leaves the machine's
/// alone and holds for all below, and runs the part there.
fn limited(part: &str, limit: &str) -> String {
    format!("exec {USER} unshare --user --map-root-user sh -ec '{limit}; exec {part}'")
}

#[test]
fn part() {
    match std::env::var(ROLE).as_deref() {
        Ok("masked") => masked(),
        Ok("in a chroot") => in_a_chroot(),
        Ok("no user namespaces") => no_user_namespaces(),
        Ok("three network namespaces") => three_network_namespaces(),
        Ok("root of a user namespace") => root_of_a_user_namespace(),
        Ok("out of descriptors") => out_of_descriptors(),
        _ => {}
    }
}

#[test]
fn a_lab_works_where_proc_and_sys_are_covered() {
    run_part("masked", |part| {
        let cover = "mount --bind /dev/null /proc/version; mount -t tmpfs none /sys/kernel; \
                     mount --bind -o ro /proc/sys /proc/sys";
        format!("exec unshare --mount --propagation private sh -ec '{cover}; exec {USER} {part}'")
    });
}

fn masked() {
    let lab = pair(private);
    let info = lab.info();
    assert!(info.rootless && !info.fresh_proc && !info.fresh_sysfs, "{info:?}");
    assert!(info.own_hosts);
    shell(&lab, 1, "ping -c1 -W5 10.0.0.2");
    lab.set_hosts("10.0.0.2 b\n").unwrap();
    assert_eq!(
        shell(&lab, 1, "cat /etc/hosts; hostname; ls -A /tmp"),
        "10.0.0.2 b\na\n"
    );
    // The machine's /sys is the one that shows, whole.
    assert_eq!(shell(&lab, 1, "ls /sys"), ls("/sys"));
    lab.apply(&[vnet_sandbox::Step::DropNode { space: 2 }]).unwrap();
    lab.close(LONG).unwrap();
}

fn ls(dir: &str) -> String {
    let output = StdCommand::new("ls").arg(dir).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_machine_without_user_namespaces_is_told_from_others() {
    run_part("no user namespaces", |part| {
        limited(part, "echo 0 > /proc/sys/user/max_user_namespaces")
    });
}

fn no_user_namespaces() {
    let start = Instant::now();
    let error = Lab::open(&options()).unwrap_err();
    let SandboxError::Isolation {
        stage,
        errno,
        cause,
        fix,
        node: None,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((stage.as_str(), *errno), ("make a user namespace", 28), "{error}");
    assert!(cause.contains("user.max_user_namespaces is 0"), "{error}");
    assert!(fix.contains("user.max_user_namespaces"), "{error}");
    assert!(error.is_privilege());
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "nothing is waited for in vain"
    );
}

#[test]
fn namespaces_of_a_closed_lab_are_waited_for() {
    run_part("three network namespaces", |part| {
        limited(part, "echo 3 > /proc/sys/user/max_net_namespaces")
    });
}

fn three_network_namespaces() {
    for _ in 0..20 {
        let lab = Lab::open(&options()).unwrap();
        // The lab's own and two nodes: as many as there may be.
        lab.apply(&[node(1, private("a")), node(2, private("b"))])
            .unwrap();
        lab.close(LONG).unwrap();
    }
    let lab = open();
    lab.apply(&[node(1, private("a")), node(2, private("b"))])
        .unwrap();
    let error = Lab::open(&options()).unwrap_err();
    assert!(
        matches!(&error, SandboxError::Isolation { stage, .. } if stage == "make a network namespace"),
        "{error}"
    );
    assert!(error.to_string().contains("user.max_net_namespaces"), "{error}");
    let error = lab.apply(&[node(3, private("c"))]).unwrap_err();
    assert_eq!(error.error.errno(), 28, "{error}");
    assert!(
        matches!(&error.error, SandboxError::Isolation { node: Some(node), .. } if node == "c"),
        "{error:?}"
    );
    for word in ["for node c", "user.max_net_namespaces is 3"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    shell(&lab, 1, "true");
}

#[test]
fn a_lab_does_not_lead_out_of_a_chroot() {
    run_part("in a chroot", |part| {
        let root = "/tmp/vnet-test-root";
        let fill = "for entry in /*; do if [ -L $entry ]; then cp -a $entry $root; \
                    elif [ -d $entry ]; then mkdir $root$entry; mount --rbind $entry $root$entry; fi; done";
        format!(
            "mkdir -p {root}; exec unshare --mount --propagation private sh -ec \
             'root={root}; mount -t tmpfs none $root; {fill}; exec chroot $root {part}'"
        )
    });
    // The mount over it is gone.
    fs::remove_dir("/tmp/vnet-test-root").ok();
}

fn in_a_chroot() {
    for rootless in [false, true] {
        let options = LabOptions {
            rootless: Some(rootless),
            ..options()
        };
        let error = Lab::open(&options).unwrap_err();
        assert!(error.is_privilege(), "{error}");
        // The kernel itself refuses a user namespace there.
        assert!(
            rootless || error.to_string().contains("runs in a chroot"),
            "{error}"
        );
    }
}

/// In a user namespace below the limited one.
fn options() -> LabOptions {
    LabOptions {
        name: "test".into(),
        rootless: Some(true),
    }
}

#[test]
fn the_helper_gives_up_what_it_does_not_need() {
    each_user("the_helper_gives_up_what_it_does_not_need", || {
        let lab = open();
        let field = |pid: u32, name: &str| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let line = status
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap()
                .to_owned();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        let guard = lab.info().helper;
        let inside = child_of(guard).unwrap();
        for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
            assert_eq!(field(guard, set), "0000000000000000", "{set}");
        }
        assert_eq!(field(guard, "NoNewPrivs"), "1");
        for pid in [guard, inside] {
            assert_eq!(field(pid, "Threads"), "1");
            let memory: u64 = field(pid, "VmRSS").parse().unwrap();
            assert!(memory < 8 << 10, "{memory} KiB");
        }
        // SYS_MODULE, SYS_RAWIO, SYS_BOOT, SYS_TIME.
        let machine = (1 << 16) | (1 << 17) | (1 << 22) | (1 << 25);
        for set in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            let bits = u64::from_str_radix(&field(inside, set), 16).unwrap();
            assert_eq!(bits & machine, 0, "{set}");
        }
        // Neither may hold what only the client should.
        let command = lab.spawn(Space::LAB, Command::new(["sleep", "1000"])).unwrap();
        let held = || {
            fs::read_dir(format!("/proc/{}/fd", command.pid()))
                .unwrap()
                .count()
        };
        // While it is loaded it holds one library after another.
        let deadline = Instant::now() + LONG;
        while held() != 3 {
            assert!(Instant::now() < deadline, "it holds {} descriptors", held());
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

#[test]
fn root_of_a_user_namespace_in_the_machine_s_network_makes_labs() {
    run_part("root of a user namespace", |part| {
        format!("exec {USER} unshare --user --map-root-user {part}")
    });
}

fn root_of_a_user_namespace() {
    let lab = pair(private);
    assert!(!lab.info().rootless, "it needs no user namespace more");
    shell(&lab, 1, "ping -c 1 -W 5 10.0.0.2 || true; test $(id -u) = 0");
    lab.close(LONG).unwrap();
}

#[test]
fn a_process_out_of_descriptors_keeps_its_lab() {
    run_part("out of descriptors", |part| format!("exec {USER} {part}"));
}

fn out_of_descriptors() {
    let lab = pair(plain);
    let mut held = Vec::new();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit {
            current: Some(64),
            ..limit
        },
    )
    .unwrap();
    while let Ok(file) = fs::File::open("/dev/null") {
        held.push(file);
    }
    let error = lab.netns(Space(1)).unwrap_err();
    assert_eq!(error.errno(), 24, "{error}");
    for word in ["RLIMIT_NOFILE is 64", "ulimit -n", "this process"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    // Room for what starting a command needs, but not for what comes back.
    held.truncate(held.len() - 2);
    let command = || Command {
        stdin: Stdio::Null,
        stdout: Stdio::Null,
        stderr: Stdio::Null,
        ..Command::new(["sleep", "1000"])
    };
    let mut room = 0;
    let error = loop {
        match lab.spawn(Space(1), command()) {
            Err(error) if error.to_string().contains("ulimit -n") => break error,
            Err(_) => {
                held.pop();
                room += 1;
                assert!(room < 20);
            }
            Ok(_) => {
                held.push(fs::File::open("/dev/null").unwrap());
                panic!("it had room");
            }
        }
    };
    assert_eq!(error.errno(), 24, "{error}");
    held.clear();
    let entry = vnet_sandbox::labs()
        .into_iter()
        .find(|entry| entry.pid == lab.info().helper)
        .unwrap();
    assert!(
        support::soon(LONG, || entry.describe().unwrap().nodes[0].commands == 0),
        "what nobody holds was killed"
    );
    shell(&lab, 1, "true");
}
