use vnet_netlink::{Cidr, Interface, Mac, NetlinkError};
use vnet_sys::NetNs;

use crate::namespace::Wanted;
use crate::{Namespace, Owner, READY_TIMEOUT, SandboxError};

/// One end of a veth pair to make.
#[derive(Clone, Debug, Default)]
pub struct EndSpec {
    /// The interface name.
    pub name: String,
    /// Its IP addresses.
    pub ip: Vec<Cidr>,
    /// Its Ethernet address, or a random one.
    pub mac: Option<Mac>,
    /// The namespace it lies in, or the one the pair is made in.
    pub ns: Option<NetNs>,
}

/// A veth pair to make.
#[derive(Clone, Debug)]
pub struct VethSpec {
    /// One end.
    pub a: EndSpec,
    /// The other end.
    pub b: EndSpec,
    /// Bytes of payload both take, or 1500.
    pub mtu: Option<u32>,
    /// Sets both up and waits until frames pass.
    pub up: bool,
    /// Leaves out the alias that names this process, so that nobody takes it for a
    /// leftover; [`Namespace::release`] then does nothing.
    pub persist: bool,
}

impl VethSpec {
    /// Describes a pair that is up, both ends in the namespace it is made in.
    #[must_use]
    pub fn new(a: &str, b: &str) -> Self {
        let end = |name: &str| EndSpec {
            name: name.to_owned(),
            ..EndSpec::default()
        };
        Self {
            a: end(a),
            b: end(b),
            mtu: None,
            up: true,
            persist: false,
        }
    }
}

impl Namespace {
    /// Makes a veth pair and returns its ends as they are when frames pass.
    ///
    /// Both carry an alias that names this process; [`Namespace::release`] of either
    /// deletes both.
    ///
    /// # Errors
    /// [`SandboxError::Busy`] when a name is taken; [`SandboxError::Netlink`] for bad
    /// arguments and refusals. Nothing is left behind then.
    pub fn make_veth(&self, spec: &VethSpec) -> Result<(Interface, Interface), SandboxError> {
        let beside = |end: &EndSpec| match &end.ns {
            Some(ns) => Namespace::at(ns.clone()),
            None => Namespace::at(self.ns.clone()),
        };
        let (side_a, side_b) = (beside(&spec.a)?, beside(&spec.b)?);
        let end = |end: &EndSpec, side: &Namespace| vnet_netlink::VethEnd {
            name: end.name.clone(),
            mac: end.mac,
            ns: Some(side.ns.clone()),
        };
        let pair = vnet_netlink::VethSpec {
            a: end(&spec.a, &side_a),
            b: end(&spec.b, &side_b),
            mtu: spec.mtu,
            alias: (!spec.persist).then(|| Owner::this_process().to_string()),
        };
        let (a, b) = self.netlink.create_veth(&pair).map_err(|error| match &error {
            NetlinkError::Exists { name, .. } if *name == spec.b.name => side_b.name_owner(error),
            _ => side_a.name_owner(error),
        })?;
        let finish = || {
            side_a.configure(
                a.index,
                &Wanted {
                    ip: &spec.a.ip,
                    up: spec.up,
                    ..Wanted::default()
                },
            )?;
            side_b.configure(
                b.index,
                &Wanted {
                    ip: &spec.b.ip,
                    up: spec.up,
                    ..Wanted::default()
                },
            )?;
            let settled = |side: &Namespace, index| {
                if spec.up {
                    side.netlink.wait_operstate(index, true, READY_TIMEOUT)
                } else {
                    side.netlink.link_by_index(index)
                }
            };
            Ok((settled(&side_a, a.index)?, settled(&side_b, b.index)?))
        };
        // The error that led here is the one to report.
        finish().inspect_err(|_| drop(side_a.netlink.delete(a.index)))
    }
}
