//! A helper that is killed before it has made its lab. This file has one test, since it kills every helper there is below
//! its process.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::fd::AsFd;
use std::time::Duration;

use support::each_user;
use vnet_sandbox::{Lab, LabOptions, SandboxError};
use vnet_sys::process;

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
            let mut killed = 0;
            for round in 0..200u64 {
                let opening = std::thread::spawn(|| {
                    Lab::open(&LabOptions {
                        name: "short-lived".into(),
                        rootless: None,
                    })
                });
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
                    Err(error) => {
                        killed += 1;
                        assert!(matches!(error, SandboxError::LabClosed { .. }), "{error:?}");
                    }
                }
            }
            assert!(killed > 0);
        },
    );
}
