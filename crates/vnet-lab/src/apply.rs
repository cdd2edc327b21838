use std::time::Instant;

use rustix::io::Errno;
use vnet_netlink::NetlinkError;
use vnet_sandbox::{Lab, READY_TIMEOUT, SandboxError, Space, Step};

use crate::cancel::{Cancel, LOOK};
use crate::error::LabError;
use crate::plan::{Plan, Steps};
use crate::progress::{BUILDING, Teller};

/// Steps between two looks at `cancel`, at first; a node takes some 1 ms, most other steps less.
const ROUND: usize = 64;

/// Makes everything a plan makes and waits until its lab ends carry frames.
///
/// On failure it returns how many steps are done, for [`take_back`].
pub(crate) fn make(
    lab: &Lab,
    plan: &Plan,
    teller: &mut Teller,
    cancel: Cancel<'_>,
) -> Result<(), (usize, LabError)> {
    let cancelled = || LabError::Cancelled {
        what: BUILDING.into(),
    };
    let mut done = 0;
    let mut most = ROUND;
    while done < plan.make.len() {
        if cancel() {
            return Err((done, cancelled()));
        }
        let start = Instant::now();
        let round = &plan.make.steps[done..plan.make.len().min(done + most)];
        lab.apply(round).map_err(|refused| {
            let at = done + refused.at;
            (at, refused_step(&plan.make, at, refused.error))
        })?;
        done += round.len();
        teller.at(done);
        // As many at once as are done between two looks.
        most = if start.elapsed() < LOOK / 2 {
            most * 2
        } else {
            (most / 2).max(ROUND)
        };
    }
    match wait(lab, &plan.ready, cancel) {
        Ok(true) => Ok(()),
        Ok(false) => Err((done, cancelled())),
        Err(error) => Err((done, error.into())),
    }
}

/// Says whose step was refused, and what helps where that can be told.
fn refused_step(steps: &Steps, at: usize, error: SandboxError) -> LabError {
    let of = steps.owner(at);
    match steps.steps.get(at) {
        Some(Step::Sysctl { key, value, .. }) if error.errno() == Errno::ROFS.raw_os_error() => {
            LabError::bad(
                format!(
                    "{of} needs {key}={value}, and /proc/sys cannot be written here, as in most containers"
                ),
                "start the container with a writable /proc/sys (docker run --security-opt systempaths=unconfined)",
            )
        }
        _ => LabError::refused(of, error),
    }
}

/// Waits until lab ends carry frames; false when cancelled.
pub(crate) fn wait(lab: &Lab, lab_ends: &[u32], cancel: Cancel<'_>) -> Result<bool, SandboxError> {
    let deadline = Instant::now() + READY_TIMEOUT;
    while !lab_ends.is_empty() {
        match lab.wait_ready(Space::LAB, lab_ends, LOOK) {
            Ok(()) => break,
            Err(SandboxError::Netlink(NetlinkError::NotInTime { .. })) if Instant::now() < deadline => {}
            Err(error) => return Err(error),
        }
        if cancel() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Does steps of which none is to be taken back.
pub(crate) fn all(lab: &Lab, steps: &Steps) -> Result<(), LabError> {
    lab.apply(&steps.steps)
        .map_err(|refused| LabError::refused(steps.owner(refused.at), refused.error))
}

/// Takes back what a plan made by its first `done` steps, last first.
///
/// An interface behind those is deleted only where it bears both number and name that the plan gave it: somebody else may
/// have made what was in the way.
pub(crate) fn take_back(lab: &Lab, plan: &Plan, done: usize) {
    let present = lab.links(Space::LAB).unwrap_or_default();
    for undo in plan.undo.iter().rev() {
        if undo.of >= done {
            let ours = undo.made.as_ref().is_some_and(|(index, name)| {
                undo.of > done
                    && present
                        .iter()
                        .any(|link| link.index == *index && link.name == *name)
            });
            if !ours {
                continue;
            }
        }
        attempt(lab, &undo.step);
    }
}

/// Does a step whose failure changes nothing any more.
fn attempt(lab: &Lab, step: &Step) {
    if let Err(error) = lab.apply(std::slice::from_ref(step)) {
        tracing::warn!(target: "vnet::lab", ?step, %error, "cannot take a step back");
    }
}

/// Deletes interfaces of the lab's own namespace, those of them that are there, and passes over what the kernel refuses.
pub(crate) fn delete(lab: &Lab, interfaces: &[(u32, String)]) {
    if interfaces.is_empty() {
        return;
    }
    let present = match lab.links(Space::LAB) {
        Ok(present) => present,
        Err(error) => {
            tracing::error!(target: "vnet::lab", %error, "interfaces of the lab stay until it is closed");
            return;
        }
    };
    let steps: Vec<Step> = interfaces
        .iter()
        .filter(|(index, name)| {
            present
                .iter()
                .any(|link| link.index == *index && link.name == *name)
        })
        .map(|(index, _)| Step::Net {
            space: Space::LAB.0,
            change: vnet_netlink::Change::Delete { index: *index },
        })
        .collect();
    let mut rest = steps.as_slice();
    while let Err(refused) = lab.apply(rest) {
        tracing::error!(target: "vnet::lab", error = %refused, "an interface of the lab stays until it is closed");
        rest = rest.get(refused.at + 1..).unwrap_or_default();
    }
}
