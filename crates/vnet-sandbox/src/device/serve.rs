use std::os::fd::{BorrowedFd, OwnedFd};

use vnet_sys::{NetNs, SysError};

use super::local::{Answer, Local};
use super::request::{DeviceReply, DeviceRequest};
use crate::SandboxError;

/// Carries out a request in the namespace with the number `space`, for somebody who may not enter it.
///
/// `find` gives the namespaces by number. It may start a thread that ends with it, and never waits for a state.
pub(crate) fn serve<'a>(
    request: &DeviceRequest,
    space: u32,
    find: &dyn Fn(u32) -> Option<BorrowedFd<'a>>,
) -> (DeviceReply, Vec<OwnedFd>) {
    let open = |number| -> Option<NetNs> { NetNs::from_fd(find(number)?.try_clone_to_owned().ok()?).ok() };
    let answer = || -> Result<Answer, SandboxError> {
        let ns = open(space).ok_or_else(|| no_such(space))?;
        Local::open(ns)?.execute(request, &open)
    };
    answer().unwrap_or_else(|error| (DeviceReply::Failed(error.into()), Vec::new()))
}

fn no_such(space: u32) -> SandboxError {
    SandboxError::Sys(SysError::Os {
        what: format!("there is no network namespace with the number {space}"),
        source: std::io::Error::from_raw_os_error(2),
    })
}
