use vnet_netlink::{Interface, NetlinkError};

use super::local::{Local, Wanted};
use super::request::{DeviceReply, DeviceRequest};
use super::{EndSpec, Owner, VethSpec};
use crate::{Namespace, SandboxError};

impl Namespace {
    /// Makes a veth pair, its first end here and its second in `there`, and returns its
    /// ends as they are when frames pass.
    ///
    /// Both carry an alias that names this process; [`Namespace::release`] of either
    /// deletes both.
    ///
    /// # Errors
    /// [`SandboxError::Busy`] when a name is taken; [`SandboxError::Netlink`] for bad
    /// arguments and refusals; [`SandboxError::BadArgument`] when one end is to lie in a
    /// lab and the other elsewhere. Nothing is left behind then.
    pub fn make_veth(
        &self,
        spec: &VethSpec,
        there: &Namespace,
    ) -> Result<(Interface, Interface), SandboxError> {
        self.refuse_persistent(spec.persist, &spec.a.name)?;
        let end = |end: &EndSpec| EndSpec {
            index: self.number(end.index),
            ..end.clone()
        };
        let request = DeviceRequest::Veth {
            spec: VethSpec {
                a: end(&spec.a),
                b: end(&spec.b),
                ..spec.clone()
            },
            peer: self.number_of(there, &spec.b.name)?,
            owner: Owner::this_process(),
        };
        let (reply, _) = self.ask_of(&request, there).map_err(|error| {
            let other = matches!(&error, SandboxError::Netlink(NetlinkError::Exists { name, .. }) if *name == spec.b.name);
            (if other { there } else { self }).name_owner(error)
        })?;
        let DeviceReply::Pair(pair) = reply else {
            return Err(self.misunderstood());
        };
        let (a, b) = *pair;
        if !spec.up {
            return Ok((a, b));
        }
        let settled = || Ok((self.wait_ready(a.index)?, there.wait_ready(b.index)?));
        // The error that led here is the one to report.
        settled().inspect_err(|_: &SandboxError| drop(self.undo(&a, spec.persist)))
    }
}

/// Makes the pair and gives both ends what they are to have.
pub(super) fn build(
    here: &Local,
    there: &Local,
    spec: &VethSpec,
    owner: Owner,
) -> Result<DeviceReply, SandboxError> {
    let end = |end: &EndSpec, side: &Local| vnet_netlink::VethEnd {
        name: end.name.clone(),
        mac: end.mac,
        ns: Some(side.ns.clone()),
        index: end.index,
    };
    let (a, b) = here.netlink.create_veth(&vnet_netlink::VethSpec {
        a: end(&spec.a, here),
        b: end(&spec.b, there),
        mtu: spec.mtu,
        alias: (!spec.persist).then(|| owner.to_string()),
    })?;
    let configure = |side: &Local, index, end: &EndSpec| {
        side.configure(
            index,
            &Wanted {
                ip: &end.ip,
                mtu: end.mtu,
                noarp: end.noarp,
                up: spec.up,
                ..Wanted::default()
            },
        )
    };
    let finish = || {
        configure(here, a.index, &spec.a)?;
        let second = configure(there, b.index, &spec.b)?;
        // The second end going up has given the first its carrier.
        Ok(DeviceReply::Pair(Box::new((
            here.netlink.link_by_index(a.index)?,
            second,
        ))))
    };
    // The error that led here is the one to report.
    finish().inspect_err(|_: &SandboxError| drop(here.netlink.delete(a.index)))
}
