//! Kernel settings of each node.

use crate::resolved::Resolved;
use crate::spec::{NodeKind, Spec};

/// The settings that make a router forward, whatever the host of the lab has set for itself: a namespace takes over the host's
/// IPv4 settings (net.core.devconf_inherit_init_net), and a strict rp_filter drops what comes in on another way
/// than it would go out.
pub const FORWARDING: [(&str, &str); 4] = [
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv6.conf.all.forwarding", "1"),
];

/// Sorts the settings of each node by when they can be written; what the user set wins.
pub(crate) fn decide(spec: &Spec, plan: &mut Resolved) {
    for (declared, node) in spec.nodes.iter().zip(&mut plan.nodes) {
        if node.kind == NodeKind::Router {
            node.sysctls
                .extend(FORWARDING.map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        for (key, value) in &declared.sysctls {
            let map = if names_an_interface(key) {
                &mut node.interface_sysctls
            } else {
                &mut node.sysctls
            };
            map.insert(key.clone(), value.clone());
        }
    }
}

/// Tells `net.ipv4.conf.eth0.x` from `net.ipv4.conf.all.x`.
fn names_an_interface(key: &str) -> bool {
    let parts: Vec<&str> = key.split('.').collect();
    matches!(parts[..], ["net", _, "conf" | "neigh", name, _] if !["all", "default", "lo"].contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_an_interfaces_settings_from_the_nodes() {
        assert!(names_an_interface("net.ipv4.conf.eth0.proxy_arp"));
        assert!(names_an_interface("net.ipv6.neigh.eth1.retrans_time_ms"));
        for key in [
            "net.ipv4.conf.all.rp_filter",
            "net.ipv4.ip_forward",
            "net.core.somaxconn",
            "net.ipv6.conf.lo.disable_ipv6",
        ] {
            assert!(!names_an_interface(key), "{key}");
        }
    }
}
