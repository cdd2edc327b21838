use std::fmt;

use crate::change::{Change, Into, LinkSet, RouteSpec};

impl Change {
    /// Says what the change does, interfaces named by `shown`.
    pub(crate) fn describe(&self, shown: &mut dyn FnMut(u32) -> String) -> String {
        match self {
            Self::Veth {
                index, name, peer, ..
            } => format!(
                "make the veth pair {name} (#{index}) and {} (#{} in namespace {})",
                peer.name, peer.index, peer.space
            ),
            Self::Bridge { index, name, .. } => format!("make the bridge {name} (#{index})"),
            Self::Ifb { index, name } => format!("make the ifb device {name} (#{index})"),
            Self::Delete { index } => format!("delete {}", shown(*index)),
            Self::Link { index, set } => format!("set {} {}", shown(*index), set.describe(shown)),
            Self::AddAddress { index, address } => {
                format!("add the address {address} to {}", shown(*index))
            }
            Self::DelAddress { index, address } => {
                format!("delete the address {address} from {}", shown(*index))
            }
            Self::AddRoute(route) => format!("add the route to {}", route.describe(shown)),
            Self::DelRoute(route) => format!("delete the route to {}", route.describe(shown)),
            Self::AddNeighbour { index, ip, mac } => {
                format!("add the neighbour {ip} at {mac} to {}", shown(*index))
            }
            Self::DelNeighbour { index, ip } => {
                format!("delete the neighbour {ip} from {}", shown(*index))
            }
            Self::IngressQdisc { index } => format!("prepare {} for redirects", shown(*index)),
            Self::Redirect {
                index,
                prio,
                to,
                into,
            } => format!(
                "redirect {} to the {} of {} at priority {prio}",
                shown(*index),
                match into {
                    Into::Egress => "egress",
                    Into::Ingress => "ingress",
                },
                shown(*to)
            ),
            Self::DelRedirect { index, prio } => {
                format!("delete the redirect of {} at priority {prio}", shown(*index))
            }
            Self::FlushFdb { bridge } => {
                format!("flush what the bridge {} has learnt", shown(*bridge))
            }
        }
    }
}

impl LinkSet {
    /// Lists what is set, as `ip link set` writes it.
    fn describe(&self, shown: &mut dyn FnMut(u32) -> String) -> String {
        let mut parts = Vec::new();
        if let Some(mtu) = self.mtu {
            parts.push(format!("mtu {mtu}"));
        }
        if let Some(bytes) = self.gso_ipv4_max {
            parts.push(format!("gso_ipv4_max_size {bytes}, gro_ipv4_max_size {bytes}"));
        }
        if let Some(mac) = self.mac {
            parts.push(format!("address {mac}"));
        }
        match self.bridge {
            None => {}
            Some(0) => parts.push("no bridge".to_owned()),
            Some(bridge) => parts.push(format!("bridge {}", shown(bridge))),
        }
        if let Some(noarp) = self.noarp {
            parts.push(format!("noarp {noarp}"));
        }
        if let Some(addrgen) = self.addrgen {
            parts.push(format!("addrgen {addrgen}"));
        }
        if self.forward_ipv4 {
            parts.push("IPv4 forwarding".to_owned());
        }
        if let Some(name) = &self.name {
            parts.push(format!("name {name}"));
        }
        if let Some(alias) = &self.alias {
            parts.push(format!("alias {alias:?}"));
        }
        if let Some(up) = self.up {
            parts.push(if up { "up" } else { "down" }.to_owned());
        }
        parts.join(", ")
    }
}

impl RouteSpec {
    pub(crate) fn describe(&self, shown: &mut dyn FnMut(u32) -> String) -> String {
        let mut text = self.to.to_string();
        if let Some(via) = self.via {
            text.push_str(&format!(" through {via}"));
        }
        if let Some(index) = self.index {
            text.push_str(&format!(" by {}", shown(index)));
        }
        text
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(&mut |index| format!("#{index}")))
    }
}
