//! Plugins that ship with vnet.

/// A plugin that ships with vnet and is named without path or suffix.
#[derive(Clone, Copy)]
pub struct Shipped {
    /// Its bare name.
    pub name: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// The module.
    pub bytes: &'static [u8],
}

const SHIPPED: &[Shipped] = &[
    Shipped {
        name: "acl",
        description: "permits and denies packets by the first rule that matches",
        bytes: include_bytes!("../../../plugins/shipped/acl.wasm"),
    },
    Shipped {
        name: "arp_guard",
        description: "drops ARP and Neighbour Discovery that claim another station's address",
        bytes: include_bytes!("../../../plugins/shipped/arp_guard.wasm"),
    },
    Shipped {
        name: "count",
        description: "counts packets by protocol and lets all of them pass",
        bytes: include_bytes!("../../../plugins/shipped/count.wasm"),
    },
    Shipped {
        name: "dns_block",
        description: "answers DNS questions for blocked names with NXDOMAIN",
        bytes: include_bytes!("../../../plugins/shipped/dns_block.wasm"),
    },
    Shipped {
        name: "drop_bcast",
        description: "drops Ethernet frames sent to the broadcast address",
        bytes: include_bytes!("../../../plugins/shipped/drop_bcast.wasm"),
    },
    Shipped {
        name: "filter",
        description: "lets pass or drops what a filter in the words of pcap-filter(7) means",
        bytes: include_bytes!("../../../plugins/shipped/filter.wasm"),
    },
    Shipped {
        name: "icmp_echo",
        description: "answers ARP, NDP, ICMP and ICMPv6 echo for an address or for any",
        bytes: include_bytes!("../../../plugins/shipped/icmp_echo.wasm"),
    },
    Shipped {
        name: "learning_switch",
        description: "forwards as an Ethernet switch does, in place of the engine's own forwarding",
        bytes: include_bytes!("../../../plugins/shipped/learning_switch.wasm"),
    },
    Shipped {
        name: "load_balancer",
        description: "spreads connections to a virtual address over servers by consistent hashing",
        bytes: include_bytes!("../../../plugins/shipped/load_balancer.wasm"),
    },
    Shipped {
        name: "mirror",
        description: "copies frames that enter a switch to one of its ports",
        bytes: include_bytes!("../../../plugins/shipped/mirror.wasm"),
    },
    Shipped {
        name: "mss_clamp",
        description: "lowers the segment size that TCP connections agree on to what a path carries",
        bytes: include_bytes!("../../../plugins/shipped/mss_clamp.wasm"),
    },
    Shipped {
        name: "nat",
        description: "hides hosts behind one IPv4 address, and forwards ports to them",
        bytes: include_bytes!("../../../plugins/shipped/nat.wasm"),
    },
    Shipped {
        name: "rate_limit",
        description: "limits packets or bytes per second with token buckets",
        bytes: include_bytes!("../../../plugins/shipped/rate_limit.wasm"),
    },
    Shipped {
        name: "record",
        description: "keeps a record of flows and logs each when it has ended",
        bytes: include_bytes!("../../../plugins/shipped/record.wasm"),
    },
    Shipped {
        name: "router",
        description: "routes IPv4 and IPv6 between the ports of a switch",
        bytes: include_bytes!("../../../plugins/shipped/router.wasm"),
    },
    Shipped {
        name: "stateful_firewall",
        description: "lets conversations begin between zones as rules allow, and answers back in",
        bytes: include_bytes!("../../../plugins/shipped/stateful_firewall.wasm"),
    },
    Shipped {
        name: "tunnel",
        description: "carries Ethernet frames in VXLAN to another endpoint and back",
        bytes: include_bytes!("../../../plugins/shipped/tunnel.wasm"),
    },
    Shipped {
        name: "vlan",
        description: "makes a port an access port or a trunk, puts VLAN tags on and takes them off",
        bytes: include_bytes!("../../../plugins/shipped/vlan.wasm"),
    },
];

/// Returns the plugins that ship with vnet, in the order of their names.
#[must_use]
pub fn shipped() -> &'static [Shipped] {
    SHIPPED
}

/// Returns the shipped plugin of that name.
pub(crate) fn find(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|plugin| plugin.name == name)
}
