//! The namespace this process is in, or the one that was named.

use vnet_sandbox::{Namespace, Stale};
use vnet_sys::tun::{Mode, TunConfig, TunTap};
use vnet_sys::{NetNs, PacketOptions, PacketSocket, caps};

use super::{Finding, Severity, failure, fine, refused, warning};
use crate::error::Error;

/// What could be done there.
pub(super) struct Probe<'a> {
    namespace: &'a Namespace,
    may_configure: bool,
    /// A TAP made in a namespace that was thrown away.
    tap: Result<(), Error>,
}

impl<'a> Probe<'a> {
    pub(super) fn open(namespace: &'a Namespace) -> Self {
        let may_configure =
            namespace.lab().is_some() || matches!(namespace.netns().run(caps::has_net_admin), Ok(true));
        let tap = if may_configure {
            make_tap(namespace)
        } else {
            Ok(())
        };
        Self {
            namespace,
            may_configure,
            tap,
        }
    }

    /// Tells whether this process may make and change interfaces there.
    pub(super) fn may_configure(&self) -> bool {
        self.may_configure
    }

    pub(super) fn makes_tap(&self) -> bool {
        self.may_configure && self.tap.is_ok()
    }

    pub(super) fn tap_error(&self) -> Option<&Error> {
        self.tap.as_ref().err()
    }

    pub(super) fn findings(&self, lab: &super::lab::Probe) -> Vec<Finding> {
        let mut findings = vec![self.net_admin(lab), self.netlink()];
        if self.may_configure {
            findings.push(self.packet_socket());
        }
        findings
    }

    fn net_admin(&self, lab: &super::lab::Probe) -> Finding {
        const CHECK: &str = "CAP_NET_ADMIN";
        if self.may_configure {
            return fine(CHECK, "held in this network namespace");
        }
        let cause = "not held in this network namespace";
        if lab.is_open() {
            return fine(
                CHECK,
                &format!("{cause}: devices and commands live in a private sandbox"),
            );
        }
        warning(
            CHECK,
            cause.into(),
            "interfaces here can be looked at and not changed",
            Some("run as root"),
        )
    }

    fn netlink(&self) -> Finding {
        match self.namespace.links() {
            Ok(links) => fine("netlink", &format!("{} interfaces seen", links.len())),
            Err(error) => failure(
                "netlink",
                error.to_string(),
                "no interface can be configured",
                Some("allow AF_NETLINK sockets"),
            ),
        }
    }

    fn packet_socket(&self) -> Finding {
        const CHECK: &str = "packet socket";
        let Ok(loopback) = self.namespace.link("lo") else {
            return warning(CHECK, "not looked at: there is no lo".into(), "unknown", None);
        };
        let open = || {
            if self.namespace.lab().is_some() {
                self.namespace
                    .packet_port("lo", PacketOptions::default())
                    .map(drop)
                    .map_err(Error::from)
            } else {
                let open = || PacketSocket::open(loopback.index, PacketOptions::default()).map(drop);
                let opened = self.namespace.netns().run(open).and_then(|opened| opened);
                opened.map_err(Error::from)
            }
        };
        match open() {
            Ok(()) => fine(CHECK, "can be opened, with vnet header"),
            Err(error) => refused(
                CHECK,
                Severity::Failure,
                &error,
                "veth ends, bridges and existing interfaces cannot be read, filtered or wired",
            ),
        }
    }
}

/// Makes a TAP in an empty namespace; where none can be made, opens the device node alone.
fn make_tap(namespace: &Namespace) -> Result<(), Error> {
    if namespace.lab().is_some() {
        let spec = vnet_sandbox::TapSpec::new("probe", Mode::Tap);
        return namespace.make_tap(&spec).map(drop).map_err(Error::from);
    }
    let config = TunConfig::new("probe", Mode::Tap);
    match NetNs::create() {
        Ok(scratch) => {
            let made = scratch.run(|| TunTap::create(&config).map(drop));
            made.and_then(|made| made).map_err(Error::from)
        }
        Err(_) => std::fs::File::options()
            .read(true)
            .write(true)
            .open(&config.device)
            .map(drop)
            .map_err(|error| Error::io(&format!("cannot open {}", config.device.display()), &error)),
    }
}

/// Reports what dead processes left.
pub(super) fn stale(stale: &[Stale]) -> Finding {
    if stale.is_empty() {
        return fine("stale interfaces", "none");
    }
    let names: Vec<_> = stale.iter().map(|stale| stale.interface.name.as_str()).collect();
    warning(
        "stale interfaces",
        format!(
            "{} of vnet processes that have ended: {}",
            stale.len(),
            names.join(", ")
        ),
        "their names are taken",
        Some("vnet doctor --remove-stale"),
    )
}
