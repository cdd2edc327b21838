use std::os::fd::{BorrowedFd, OwnedFd};

use vnet_sys::NetNs;

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
        let ns = open(space).ok_or(SandboxError::NoSuchSpace { space })?;
        Local::open(ns)?.execute(request, &open)
    };
    answer().unwrap_or_else(|error| (DeviceReply::Failed(error.into()), Vec::new()))
}
