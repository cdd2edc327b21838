//! The capabilities of the calling thread (`linux/capability.h`).

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use crate::NetNs;

/// Tells whether the calling thread may configure its network namespace: it has
/// CAP_NET_ADMIN in effect, and the namespace belongs to its own user namespace.
///
/// A process in a user namespace of its own that is still in the host's network
/// namespace has the capability, and may not.
#[must_use]
pub fn has_net_admin() -> bool {
    has(CapabilitySet::NET_ADMIN)
}

/// Tells whether the calling thread may open packet sockets in its network
/// namespace: CAP_NET_RAW in the user namespace that owns it.
#[must_use]
pub fn has_net_raw() -> bool {
    has(CapabilitySet::NET_RAW)
}

/// Tells whether the calling thread may make and enter network namespaces.
#[must_use]
pub fn has_sys_admin() -> bool {
    has(CapabilitySet::SYS_ADMIN)
}

/// Tells whether the calling thread may make network namespaces and configure those it
/// makes: CAP_SYS_ADMIN and CAP_NET_ADMIN, whoever owns the one it is in.
#[must_use]
pub fn may_make_networks() -> bool {
    in_effect(CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN)
}

fn has(capability: CapabilitySet) -> bool {
    in_effect(capability) && owns_namespace()
}

fn in_effect(wanted: CapabilitySet) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(wanted))
}

/// What no lab needs: it concerns the machine and not a namespace.
const MACHINE: CapabilitySet = CapabilitySet::SYS_MODULE
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::SYS_BOOT)
    .union(CapabilitySet::SYS_TIME)
    .union(CapabilitySet::SYS_PACCT)
    .union(CapabilitySet::SYSLOG)
    .union(CapabilitySet::MAC_ADMIN)
    .union(CapabilitySet::MAC_OVERRIDE)
    .union(CapabilitySet::AUDIT_CONTROL)
    .union(CapabilitySet::AUDIT_READ)
    .union(CapabilitySet::WAKE_ALARM)
    .union(CapabilitySet::BLOCK_SUSPEND)
    .union(CapabilitySet::LINUX_IMMUTABLE);

/// Takes from this thread, and from every program it starts, the capabilities that
/// concern the machine rather than a lab.
///
/// With `ambient` the programs keep the others although their user is not root.
///
/// # Errors
/// What `capset(2)` and `prctl(2)` answer.
pub fn restrict_to_lab(ambient: bool) -> Result<(), Errno> {
    for capability in MACHINE.iter() {
        // Without CAP_SETPCAP, or for one this kernel does not know, there is nothing to take.
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    let mut sets = rustix::thread::capabilities(None)?;
    sets.permitted.remove(MACHINE);
    sets.effective = sets.permitted;
    sets.inheritable = if ambient {
        sets.permitted
    } else {
        CapabilitySet::empty()
    };
    rustix::thread::set_capabilities(None, sets)?;
    if ambient {
        for capability in sets.permitted.iter() {
            match rustix::thread::configure_capability_in_ambient_set(capability, true) {
                // One this kernel does not know.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// Gives up every capability of this thread, for good.
///
/// # Errors
/// What `capset(2)` and `prctl(2)` answer.
pub fn drop_all() -> Result<(), Errno> {
    rustix::thread::set_no_new_privs(true)?;
    rustix::thread::set_capabilities(
        None,
        rustix::thread::CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        },
    )
}

/// Tells whether the current network namespace belongs to the thread's user
/// namespace or to one below it, where its capabilities count.
///
/// The kernel answers NS_GET_USERNS exactly then, and EPERM otherwise
/// (kernel/user_namespace.c, `ns_get_owner`).
fn owns_namespace() -> bool {
    let Ok(ns) = NetNs::current() else { return true };
    // SAFETY: NS_GET_USERNS takes no argument and answers a descriptor of ours, close-on-exec.
    let owner = unsafe { libc::ioctl(ns.as_fd().as_raw_fd(), libc::NS_GET_USERNS) };
    if owner < 0 {
        return false;
    }
    // SAFETY: the kernel has just made `owner` for this process and nobody else owns it.
    drop(unsafe { OwnedFd::from_raw_fd(owner) });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_of_another_user_namespace_is_not_ours_to_configure() {
        let here = has_net_admin();
        let inside = std::thread::spawn(|| {
            // Dropping the capability on this thread alone.
            let mut sets = rustix::thread::capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::NET_ADMIN);
            rustix::thread::set_capabilities(None, sets).unwrap();
            has_net_admin()
        })
        .join()
        .unwrap();
        assert!(!inside);
        assert_eq!(has_net_admin(), here);
    }
}
