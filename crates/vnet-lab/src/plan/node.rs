use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use vnet_netlink::{Change, Cidr, LinkSet, Mac};
use vnet_sandbox::{NodeSetup, Space, Step};
use vnet_topology::{FORWARDING, NodeKind, NodeSpec, ResolvedNode};

use super::Plan;
use crate::ground::Ground;
use crate::numbers::{Numbers, bridge_name, in_node};

impl Plan {
    /// Makes a node: a namespace, or the bridge of a switch.
    pub(super) fn node(&mut self, node: &ResolvedNode, spec: &NodeSpec, tmp: bool, numbers: &Numbers) {
        let of = subject(node);
        if node.kind == NodeKind::Switch {
            let index = numbers.bridge(&node.name);
            let name = bridge_name(index);
            let bridge = Change::Bridge {
                index,
                name: name.clone(),
                mac: Some(bridge_mac(index)),
                mtu: None,
            };
            self.make(
                &of,
                in_lab(bridge),
                in_lab(Change::Delete { index }),
                Some((index, name)),
            );
            let set = LinkSet {
                up: Some(true),
                addrgen: Some(false),
                ..LinkSet::default()
            };
            self.make.push(&of, in_lab(Change::Link { index, set }));
            return;
        }
        let space = numbers.space(&node.name);
        let setup = NodeSetup {
            name: node.name.clone(),
            hostname: node.hostname.clone(),
            private_dirs: private_dirs(spec, tmp),
            resolv_conf: resolv_conf(spec),
            hosts: true,
        };
        let step = Step::Node {
            space: space.0,
            spec: setup,
        };
        self.make(&of, step, Step::DropNode { space: space.0 }, None);
    }

    /// Writes the kernel settings of a fresh node, which the interfaces made later take over.
    pub(super) fn settings(&mut self, node: &ResolvedNode, numbers: &Numbers, ground: &Ground) {
        if node.kind == NodeKind::Switch {
            return;
        }
        let of = subject(node);
        let space = numbers.space(&node.name);
        for (key, value) in ground.settings() {
            if !node.sysctls.contains_key(key) {
                self.make.push(&of, sysctl(space, key, value));
            }
        }
        let by_interface = ground.forwards_by_interface(node);
        for (key, value) in &node.sysctls {
            if by_interface && FORWARDING.contains(&(key, value)) {
                continue;
            }
            self.make.push(&of, sysctl(space, key, value));
        }
    }

    /// Configures the new interfaces of a node.
    pub(super) fn inside(
        &mut self,
        node: &ResolvedNode,
        interfaces: &[usize],
        fresh: bool,
        numbers: &Numbers,
        ground: &Ground,
    ) {
        if node.kind == NodeKind::Switch {
            return;
        }
        let of = subject(node);
        let ipv6 = ground.has_ipv6(node);
        let space = numbers.space(&node.name);
        let net = |change| Step::Net {
            space: space.0,
            change,
        };
        for interface in interfaces.iter().map(|at| &node.interfaces[*at]) {
            let index = in_node(interface);
            let addresses = interface.addresses.iter().copied();
            // They are there before the interface comes up, so that one report names them all.
            for address in addresses.chain([link_local(interface.mac)]) {
                if ipv6 || address.ip.is_ipv4() {
                    self.make.push(&of, net(Change::AddAddress { index, address }));
                }
            }
            let set = LinkSet {
                up: Some(true),
                addrgen: ground.ipv6.then_some(false),
                forward_ipv4: ground.forwards_by_interface(node),
                ..LinkSet::default()
            };
            self.make.push(&of, net(Change::Link { index, set }));
        }
        for (key, value) in &node.interface_sysctls {
            let named = |name: &str| key.split(['.', '/']).any(|part| part == name);
            let new = interfaces.iter().any(|at| named(&node.interfaces[*at].name));
            if fresh || new {
                self.make.push(&of, sysctl(space, key, value));
            }
        }
    }

    /// Takes a node away.
    pub(super) fn without(&mut self, node: &ResolvedNode, numbers: &Numbers) {
        if node.kind == NodeKind::Switch {
            let index = numbers.bridge(&node.name);
            self.leave.push((index, bridge_name(index)));
        } else {
            self.drop.push((numbers.space(&node.name), subject(node)));
        }
        self.gone.push(node.name.clone());
    }
}

pub(super) fn subject(node: &ResolvedNode) -> Arc<str> {
    format!("{} {}", node.kind, node.name).into()
}

pub(super) fn in_lab(change: Change) -> Step {
    Step::Net {
        space: Space::LAB.0,
        change,
    }
}

fn sysctl(space: Space, key: &str, value: &str) -> Step {
    Step::Sysctl {
        space: space.0,
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

/// A fixed address, so that it is not chosen anew with each port (net/bridge/br_stp_if.c).
fn bridge_mac(index: u32) -> Mac {
    let [_, a, b, c] = index.to_be_bytes();
    Mac([0x06, 0x76, 0x6e, a, b, c])
}

/// The address an interface has on its link alone (RFC 4291 appendix A).
fn link_local(Mac([a, b, c, d, e, f]): Mac) -> Cidr {
    let id = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    let mut bytes = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[8..].copy_from_slice(&id);
    Cidr {
        ip: IpAddr::V6(Ipv6Addr::from(bytes)),
        prefix: 64,
    }
}

fn resolv_conf(spec: &NodeSpec) -> Option<String> {
    if spec.dns.is_empty() {
        return None;
    }
    Some(spec.dns.iter().fold(String::new(), |mut text, server| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "nameserver {server}");
        text
    }))
}

/// The directories a node has for itself: those it declares, /tmp and /run where the network says so.
fn private_dirs(spec: &NodeSpec, tmp: bool) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = spec.private_dirs.clone();
    for own in ["/tmp", "/run"].map(PathBuf::from).into_iter().filter(|_| tmp) {
        if !dirs.contains(&own) {
            dirs.push(own);
        }
    }
    dirs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_local_address_follows_from_the_mac() {
        let address = link_local(Mac([0x02, 0, 0x5e, 0x10, 0x20, 0x30]));
        assert_eq!(address.to_string(), "fe80::5eff:fe10:2030/64");
    }
}
