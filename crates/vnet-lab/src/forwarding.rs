//! Warnings of routers that forward less than they should.

use vnet_topology::Resolved;

use crate::ground::Ground;

/// Warns of each router that forwards IPv4 alone and has come to IPv6 addresses.
pub(crate) fn warn(before: &Resolved, after: &Resolved, ground: &Ground) {
    let known: Vec<&str> = names(before, ground).collect();
    let routers: Vec<&str> = names(after, ground)
        .filter(|name| !known.contains(name))
        .collect();
    if !routers.is_empty() {
        tracing::warn!(
            target: "vnet::lab",
            "no IPv6 is forwarded by {}: /proc/sys cannot be written here, as in most containers; start the container with a \
             writable one (docker run --security-opt systempaths=unconfined), or leave IPv6 out (ipv6=False)",
            routers.join(", ")
        );
    }
}

/// The names of routers that have IPv6 addresses and do not forward for them.
fn names<'a>(plan: &'a Resolved, ground: &'a Ground) -> impl Iterator<Item = &'a str> {
    let by_interface = |node: &&_| ground.forwards_by_interface(node) && ground.has_ipv6(node);
    plan.nodes.iter().filter(by_interface).filter_map(|node| {
        let mut addresses = node.interfaces.iter().flat_map(|interface| &interface.addresses);
        addresses
            .any(|address| address.ip.is_ipv6())
            .then_some(node.name.as_str())
    })
}
