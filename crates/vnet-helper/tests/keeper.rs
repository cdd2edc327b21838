//! What the keeper makes, and that it is gone when the process it was made for dies.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vnet_sandbox::{BridgeSpec, Namespace, Owner, VethSpec, set_helper_path};
use vnet_sys::{NetNs, caps, process};

/// Everything must be gone this soon after a death.
const A_SECOND: Duration = Duration::from_secs(1);
/// More than anything here takes on a loaded machine.
const LONG: Duration = Duration::from_secs(20);
/// Names the part of this file a second process runs.
const ROLE: &str = "VNET_TEST_ROLE";

/// Runs a test on two namespaces of its own, or says why it cannot run.
fn in_namespaces(test: impl FnOnce(&Namespace, &NetNs)) {
    if !caps::has_sys_admin() {
        eprintln!("skipped: needs CAP_SYS_ADMIN");
        return;
    }
    test(&kept(NetNs::create().unwrap()), &NetNs::create().unwrap());
}

fn kept(ns: NetNs) -> Namespace {
    set_helper_path(PathBuf::from(env!("CARGO_BIN_EXE_vnet-helper")));
    Namespace::at(ns).unwrap().kept()
}

fn wait_until(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    start.elapsed()
}

/// Starts this file again inside `here`, until it has made a pair that reaches to `there`, and a bridge.
fn second_process(here: &Namespace, there: &NetNs) -> Child {
    start_second("second_process_body", here, there)
}

fn start_second(body: &str, here: &Namespace, there: &NetNs) -> Child {
    let there = format!("/proc/{}/fd/{}", std::process::id(), raw(there));
    let mut child = here
        .netns()
        .run(|| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", body, "--ignored", "--nocapture"])
                .env(ROLE, there)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .unwrap();
    let mut said = String::new();
    let out = child.stdout.as_mut().unwrap();
    while !said.contains("ready") {
        let mut byte = [0];
        assert_eq!(out.read(&mut byte).unwrap(), 1, "it ended: {said}");
        said.push(byte[0].into());
    }
    child
}

fn raw(ns: &NetNs) -> i32 {
    use std::os::fd::{AsFd, AsRawFd};
    ns.as_fd().as_raw_fd()
}

#[test]
#[ignore = "this is what the second process of other tests runs"]
fn second_process_body() {
    let Ok(there) = std::env::var(ROLE) else { return };
    let here = kept(NetNs::current().unwrap());
    let there = Namespace::at_path(there.as_ref()).unwrap();
    here.make_veth(&VethSpec::new("ep1", "ep2"), &there).unwrap();
    here.make_bridge(&BridgeSpec::new("br0")).unwrap();
    println!("ready");
    // Until the test kills it, or is killed itself.
    for line in std::io::stdin().lines() {
        if line.is_ok_and(|line| line == "more") {
            here.make_bridge(&BridgeSpec::new("br1")).unwrap();
        }
    }
}

/// Returns the keepers that stand below a process.
fn keepers_of(pid: u32) -> Vec<u32> {
    let is_keeper = |pid: u32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|b| *b == 0).nth(1) == Some(b"keep"))
    };
    let below = process::all()
        .into_iter()
        .filter(|stat| stat.ppid == pid && stat.state != 'Z');
    below.map(|stat| stat.pid).filter(|pid| is_keeper(*pid)).collect()
}

fn names(namespace: &Namespace) -> Vec<String> {
    namespace
        .links()
        .unwrap()
        .into_iter()
        .map(|link| link.name)
        .collect()
}

#[test]
fn a_pair_and_a_bridge_die_with_the_process_they_were_made_for() {
    in_namespaces(|here, there| {
        let mine = here.make_bridge(&BridgeSpec::new("mine0")).unwrap();
        let (far, plain) = (
            Namespace::at(there.clone()).unwrap(),
            Namespace::at(here.netns().clone()).unwrap(),
        );
        plain
            .make_bridge(&BridgeSpec {
                persist: true,
                ..BridgeSpec::new("theirs0")
            })
            .unwrap();
        for _ in 0..3 {
            let mut other = second_process(here, there);
            assert_eq!(names(here), ["lo", "mine0", "theirs0", "ep1", "br0"]);
            assert_eq!(names(&far), ["lo", "ep2"]);
            let alias = here.link("ep1").unwrap().alias.unwrap();
            assert_eq!(
                alias.parse::<Owner>().unwrap().pid,
                other.id(),
                "it names the process, not its keeper"
            );
            let keepers = keepers_of(other.id());
            assert_eq!(keepers.len(), 1, "one for all");
            other.kill().unwrap();
            other.wait().unwrap();
            wait_until(A_SECOND, "what it made is gone", || {
                names(here) == ["lo", "mine0", "theirs0"] && names(&far) == ["lo"]
            });
            wait_until(LONG, "the keeper is gone", || {
                process::stat(keepers[0]).is_none_or(|stat| stat.state == 'Z')
            });
        }
        here.release(&mine).unwrap();
        assert_eq!(names(here), ["lo", "theirs0"]);
    });
}

#[test]
fn a_process_that_ends_in_order_leaves_nothing_either() {
    in_namespaces(|here, there| {
        let mut other = second_process(here, there);
        drop(other.stdin.take());
        assert!(other.wait().unwrap().success());
        wait_until(A_SECOND, "what it made is gone", || names(here) == ["lo"]);
    });
}

#[test]
fn what_is_released_is_gone_and_a_killed_keeper_is_no_obstacle() {
    in_namespaces(|here, there| {
        let far = Namespace::at(there.clone()).unwrap();
        let (a, _) = here.make_veth(&VethSpec::new("ep1", "ep2"), &far).unwrap();
        assert!(a.ready());
        here.release(&a).unwrap();
        here.release(&a).unwrap();
        assert_eq!(
            (names(here), names(&far)),
            (vec!["lo".to_owned()], vec!["lo".to_owned()])
        );

        let bridge = here.make_bridge(&BridgeSpec::new("br0")).unwrap();
        for keeper in keepers_of(std::process::id()) {
            let keeper = process::open(keeper).unwrap();
            process::send(std::os::fd::AsFd::as_fd(&keeper), 9).unwrap();
            assert!(process::readable(std::os::fd::AsFd::as_fd(&keeper), Some(LONG)).unwrap());
        }
        assert_eq!(names(here), ["lo", "br0"], "it dies without a chance to delete");
        here.release(&bridge).unwrap();
        assert_eq!(names(here), ["lo"]);
        let again = here.make_bridge(&BridgeSpec::new("br0")).unwrap();
        here.release(&again).unwrap();
    });
}

#[test]
fn refusals_of_the_keeper_are_those_of_the_kernel() {
    in_namespaces(|here, _| {
        let bridge = here.make_bridge(&BridgeSpec::new("br0")).unwrap();
        let error = here.make_veth(&VethSpec::new("br0", "x0"), here).unwrap_err();
        assert_eq!(error.errno(), 16, "{error}");
        assert!(error.to_string().contains("this process"), "{error}");
        let missing = BridgeSpec {
            ports: vec!["nope".into()],
            ..BridgeSpec::new("br1")
        };
        let error = here.make_bridge(&missing).unwrap_err();
        assert!(error.to_string().contains("no interface nope"), "{error}");
        assert_eq!(names(here), ["lo", "br0"]);
        here.release(&bridge).unwrap();
    });
}

#[test]
#[ignore = "this is what the second process of another test runs"]
fn second_process_with_many_pairs() {
    if std::env::var(ROLE).is_err() {
        return;
    }
    let here = kept(NetNs::current().unwrap());
    for number in 0..100 {
        let (a, b) = (format!("a{number}"), format!("b{number}"));
        here.make_veth(&VethSpec::new(&a, &b), &here).unwrap();
    }
    let keeper = keepers_of(std::process::id())[0];
    let held = fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().count();
    assert!(held < 20, "one descriptor for all of one namespace: {held}");
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).ok();
}

#[test]
fn a_hundred_pairs_are_gone_within_a_second() {
    in_namespaces(|here, there| {
        let mut other = start_second("second_process_with_many_pairs", here, there);
        assert_eq!(names(here).len(), 201);
        other.kill().unwrap();
        let took = wait_until(A_SECOND, "all pairs are gone", || names(here) == ["lo"]);
        println!("100 pairs took {took:?}");
        other.wait().unwrap();
    });
}

#[test]
fn what_a_killed_keeper_has_made_is_the_next_one_s_to_delete() {
    in_namespaces(|here, there| {
        let mut other = second_process(here, there);
        let keeper = process::open(keepers_of(other.id())[0]).unwrap();
        process::send(std::os::fd::AsFd::as_fd(&keeper), 9).unwrap();
        // It makes one more, with another keeper.
        other.stdin.as_mut().unwrap().write_all(b"more\n").unwrap();
        wait_until(LONG, "one more is there", || {
            names(here).contains(&"br1".to_owned())
        });
        other.kill().unwrap();
        other.wait().unwrap();
        wait_until(A_SECOND, "what both made is gone", || names(here) == ["lo"]);
    });
}

#[test]
fn a_keeper_whose_process_dies_before_it_says_a_word_ends() {
    use std::os::fd::AsFd;
    let mut parent = Command::new("sleep").arg("1000").spawn().unwrap();
    let (ours, theirs) = vnet_sys::seqpacket::pair().unwrap();
    let pidfd = process::open(parent.id()).unwrap();
    let keeper = process::spawn(&process::Spawn {
        program: env!("CARGO_BIN_EXE_vnet-helper").as_ref(),
        args: &["keep".into()],
        env: Some(&[]),
        fds: &[(theirs.as_fd(), 3), (pidfd.as_fd(), 4)],
        new_session: true,
    })
    .unwrap();
    drop(theirs);
    // It has begun.
    assert!(process::readable(ours.as_fd(), Some(LONG)).unwrap());
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(keeper.wait(Some(LONG)).unwrap().is_some());
}
