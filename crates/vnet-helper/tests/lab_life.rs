//! The life of a lab: nothing of it is left, whoever dies and whenever.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child as StdChild, Command as StdCommand, Stdio as StdStdio};
use std::time::{Duration, Instant};

use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use support::{Copies, ETH0, LONG, child_of, each_user, node, open, output, pair, private, shell, soon};
use vnet_sandbox::{Command, Lab, LabOptions, Space, Step};
use vnet_sys::process::{self, Exit};

/// Names the part of this file a second process runs.
const ROLE: &str = "VNET_TEST_ROLE";

/// Set to the number of the testing process in the workers it starts, and so in the
/// commands of their labs.
const MARK: &str = "VNET_TEST_MARK";

/// The processes that the workers of this process have started: the helpers, which are
/// copies of its own, and the commands.
fn of_workers(helper: &Path) -> BTreeSet<u32> {
    let cmdline = [helper.as_os_str().as_bytes(), b"\0lab\0"].concat();
    let mark = format!("{MARK}={}", std::process::id());
    let read = |pid: u32, file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    process::all()
        .into_iter()
        .filter(|stat| stat.state != 'Z')
        .map(|stat| stat.pid)
        .filter(|pid| {
            read(*pid, "cmdline") == cmdline
                || read(*pid, "environ")
                    .split(|b| *b == 0)
                    .any(|word| word == mark.as_bytes())
        })
        .collect()
}

/// Everything must be gone this soon after a death, on a machine that is busy.
const GONE: Duration = Duration::from_secs(5);

/// Opens a lab and works in it for as long as it lives; it prints a line at each stage.
fn work() {
    let lab = Lab::open(&LabOptions {
        name: "life".into(),
        rootless: None,
    })
    .unwrap();
    let fds: Vec<_> = lab.descriptors().iter().map(i32::to_string).collect();
    println!("helper {}", lab.info().helper);
    println!("descriptors {}", fds.join(" "));
    let mut steps = vec![node(1, private("a")), node(2, private("b"))];
    steps.extend(support::plug(1));
    steps.extend(support::plug(2));
    steps.extend(support::patch(1, 2));
    lab.apply(&steps).unwrap();
    let background = lab
        .spawn(Space(1), Command::shell("setsid sleep 1000 & sleep 1000"))
        .unwrap();
    println!("busy");
    loop {
        let child = lab.spawn(Space(2), Command::new(["true"])).unwrap();
        child.wait(None).unwrap();
        lab.apply(&[node(3, private("c"))]).unwrap();
        lab.apply(&support::plug(3)).unwrap();
        lab.wait_ready(Space(3), &[ETH0], LONG).unwrap();
        lab.apply(&[Step::DropNode { space: 3 }]).unwrap();
        assert_eq!(background.wait(Some(Duration::ZERO)).unwrap(), None);
    }
}

/// Starts a second process of this test that works in a lab of its own.
fn worker(helper: &Path) -> StdChild {
    StdCommand::new(std::env::current_exe().unwrap())
        .args(["--exact", "part_that_works_in_a_lab", "--nocapture"])
        .env(ROLE, "work")
        .env("VNET_HELPER", helper)
        .env(MARK, std::process::id().to_string())
        .stdout(StdStdio::piped())
        .stderr(StdStdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

#[test]
fn part_that_works_in_a_lab() {
    if std::env::var(ROLE).as_deref() == Ok("work") {
        work();
    }
}

/// Whom to kill.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Client,
    Guard,
    Lab,
    Group,
}

fn kill(pid: u32, signal: i32) {
    if let Ok(pidfd) = process::open(pid) {
        process::send(pidfd.as_fd(), signal).unwrap();
    }
}

#[test]
fn no_death_at_any_instant_leaves_anything() {
    each_user("no_death_at_any_instant_leaves_anything", || {
        let mounts = || fs::read_to_string("/proc/self/mounts").unwrap();
        let before = mounts();
        // A copy of the helper of this test's own tells its processes from all others.
        let copies = Copies::make();
        let helper = &copies.helper;
        let mut worst = Duration::ZERO;
        // A generator that every run repeats.
        let mut state: u64 = 7;
        for round in 0..48 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let mut client = worker(helper);
            let victim = [Victim::Client, Victim::Guard, Victim::Lab, Victim::Group][round % 4];
            // The first instants are those of the set-up; later ones are at work.
            let wait = Duration::from_micros((state >> 33) % 40_000);
            let start = Instant::now();
            let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
            let guard = match victim {
                Victim::Client | Victim::Group => None,
                _ => lines
                    .by_ref()
                    .map_while(Result::ok)
                    .find_map(|line| line.split_once("helper ")?.1.parse::<u32>().ok()),
            };
            while start.elapsed() < wait {
                std::thread::yield_now();
            }
            match (victim, guard) {
                (Victim::Guard, Some(guard)) => kill(guard, 9),
                (Victim::Lab, Some(guard)) => kill(child_of(guard).unwrap_or(guard), 9),
                (Victim::Group, _) => {
                    // As a terminal's Ctrl-C.
                    rustix::process::kill_process_group(
                        rustix::process::Pid::from_raw(client.id().cast_signed()).unwrap(),
                        rustix::process::Signal::INT,
                    )
                    .unwrap();
                }
                _ => client.kill().unwrap(),
            }
            let death = Instant::now();
            // One whose helper died fails by itself.
            client.wait().unwrap();
            let mut left = BTreeSet::new();
            let gone = soon(GONE, || {
                left = of_workers(helper);
                left.is_empty()
            });
            assert!(
                gone,
                "round {round}, {victim:?} after {wait:?}: {left:?} are left"
            );
            worst = worst.max(death.elapsed());
        }
        assert_eq!(mounts(), before);
        assert!(vnet_sandbox::labs().iter().all(|lab| lab.name != "life"));
        for name in ["v4097", "v4098", "v4099"] {
            assert!(!Path::new("/sys/class/net").join(name).exists(), "{name}");
        }
        eprintln!("48 deaths, the slowest clean-up took {worst:?}");
        assert!(worst < Duration::from_secs(2), "{worst:?}");
    });
}

#[test]
fn two_labs_of_one_name_do_not_see_each_other() {
    each_user("two_labs_of_one_name_do_not_see_each_other", || {
        let (one, two) = (pair(private), pair(private));
        shell(&one, 1, "echo one > /tmp/file; sleep 1000 > /dev/null 2>&1 &");
        assert_eq!(shell(&two, 1, "ls -A /tmp"), "");
        shell(&two, 1, "ping -c1 -W5 10.0.0.2");
        if two.info().fresh_proc {
            let (exit, text) = output(&two, 1, Command::new(["pgrep", "-x", "sleep"]));
            assert_eq!((exit, text.as_str()), (Exit::Code(1), ""));
        }
        assert_ne!(one.netns(Space(1)).unwrap(), two.netns(Space(1)).unwrap());
    });
}

#[test]
fn a_thousand_nodes_come_and_go() {
    each_user("a_thousand_nodes_come_and_go", || {
        let lab = open();
        let start = Instant::now();
        let mut steps: Vec<Step> = (1..=1000).map(|n| node(n, private(&format!("h{n}")))).collect();
        for space in 1..=1000 {
            steps.extend(support::plug(space));
        }
        lab.apply(&steps).unwrap();
        let up = start.elapsed();
        lab.wait_ready(Space(1000), &[ETH0], LONG).unwrap();
        assert_eq!(lab.links(Space::LAB).unwrap().len(), 1001);
        assert_eq!(shell(&lab, 1000, "hostname"), "h1000\n");
        let start = Instant::now();
        lab.close(LONG).unwrap();
        eprintln!(
            "1000 nodes with an interface each: up in {up:?}, processes gone in {:?}",
            start.elapsed()
        );
        assert!(up < Duration::from_secs(15), "{up:?}");
    });
}

#[test]
fn a_child_that_holds_the_socket_keeps_no_lab_alive() {
    each_user("a_child_that_holds_the_socket_keeps_no_lab_alive", || {
        let copies = Copies::make();
        let mut client = worker(&copies.helper);
        let mut lines = BufReader::new(client.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let numbers = lines
            .find_map(|line| Some(line.split_once("descriptors ")?.1.to_owned()))
            .unwrap();
        assert!(lines.any(|line| line == "busy"));
        // Copies of the client's descriptors, as a process it has forked would have.
        let process = process::open(client.id()).unwrap();
        let held: Vec<_> = numbers
            .split(' ')
            .map(|number| pidfd_getfd(&process, number.parse().unwrap(), PidfdGetfdFlags::empty()).unwrap())
            .collect();
        assert!(!of_workers(&copies.helper).is_empty());
        client.kill().unwrap();
        client.wait().unwrap();
        assert!(soon(GONE, || of_workers(&copies.helper).is_empty()));
        drop(held);
    });
}

#[test]
fn a_helper_that_does_not_listen_is_killed_when_the_time_is_over() {
    each_user(
        "a_helper_that_does_not_listen_is_killed_when_the_time_is_over",
        || {
            for inside in [false, true] {
                let lab = open();
                let helper = lab.info().helper;
                let child = child_of(helper).unwrap();
                kill(if inside { child } else { helper }, 19);
                let held = process::open(child).unwrap();
                lab.close(Duration::from_millis(200)).unwrap();
                for pid in [helper, child] {
                    assert!(
                        process::stat(pid).is_none_or(|stat| stat.state == 'Z'),
                        "{inside} {pid}"
                    );
                }
                assert!(process::readable(held.as_fd(), Some(Duration::ZERO)).unwrap());
            }
        },
    );
}
