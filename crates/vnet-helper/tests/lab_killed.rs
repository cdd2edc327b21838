//! A helper that is killed before it has made its lab. This file has one test at a time, since it kills every helper there is
//! below its process.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::fd::AsFd;
use std::process::Command as StdCommand;
use std::time::Duration;

use support::each_user;
use vnet_sandbox::{Lab, LabOptions, SandboxError};
use vnet_sys::process;

/// Set in the process that is told a wrong helper.
const ROLE: &str = "VNET_TEST_ROLE";

fn open() -> Result<Lab, SandboxError> {
    Lab::open(&LabOptions {
        name: "short-lived".into(),
        rootless: None,
    })
}

fn told(error: &SandboxError) {
    assert!(matches!(error, SandboxError::LabClosed { .. }), "{error:?}");
}

#[test]
fn part_with_a_helper_that_ends_at_once() {
    if std::env::var_os(ROLE).is_some() {
        told(&open().unwrap_err());
    }
}

#[test]
fn a_helper_killed_while_it_makes_the_lab_is_told_as_its_end() {
    each_user(
        "a_helper_killed_while_it_makes_the_lab_is_told_as_its_end",
        || {
            let own = std::process::id();
            let helpers = || {
                let children = process::all().into_iter().filter(|stat| stat.ppid == own);
                children
                    .filter(|stat| {
                        fs::read(format!("/proc/{}/cmdline", stat.pid))
                            .is_ok_and(|line| line.ends_with(b"vnet-helper\0lab\0"))
                    })
                    .map(|stat| stat.pid)
                    .collect::<Vec<_>>()
            };
            // How many of these hits come in time is the machine's business.
            for round in 0..200u64 {
                let opening = std::thread::spawn(open);
                while !opening.is_finished() {
                    if let Some(pid) = helpers().first() {
                        std::thread::sleep(Duration::from_micros(20 * round));
                        // It may have ended.
                        if let Ok(helper) = process::open(*pid) {
                            process::send(helper.as_fd(), 9).unwrap();
                        }
                    }
                }
                match opening.join().unwrap() {
                    Ok(lab) => drop(lab),
                    Err(error) => told(&error),
                }
            }
            let output = StdCommand::new(std::env::current_exe().unwrap())
                .args(["--exact", "part_with_a_helper_that_ends_at_once", "--nocapture"])
                .env("VNET_HELPER", "/bin/false")
                .env(ROLE, "1")
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        },
    );
}
