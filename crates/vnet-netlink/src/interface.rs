use rtnetlink::packet_core::Nla;
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State, Stats64,
};
use serde::{Deserialize, Serialize};

use crate::{Cidr, Mac};

/// Attribute of a TUN/TAP device's link info that says which it is
/// (`IFLA_TUN_TYPE`, `linux/if_link.h`): 1 TUN, 2 TAP.
const IFLA_TUN_TYPE: u16 = 3;

/// An interface as it was when it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its number, the same until it is deleted.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What made it: `veth`, `bridge`, `tap`, `tun`; nothing for hardware and
    /// loopback.
    pub kind: Option<String>,
    /// Its Ethernet address; a TUN device has none.
    pub mac: Option<Mac>,
    /// Bytes of payload it takes.
    pub mtu: u32,
    /// The smallest MTU it takes.
    pub min_mtu: u32,
    /// The largest MTU it takes; 0 where the kernel sets no limit.
    pub max_mtu: u32,
    /// Whether it is set up.
    pub admin_up: bool,
    /// Whether it has carrier: a TAP has none until somebody holds it, a veth none
    /// until its peer is up.
    pub carrier: bool,
    /// The kernel's operational state (RFC 2863): `up`, `down`, `unknown`,
    /// `lowerlayerdown`, `dormant`, `testing`, `notpresent`. A device whose carrier
    /// never changed stays `unknown` and works.
    pub operstate: String,
    /// The bridge it is a port of, by number.
    pub bridge: Option<u32>,
    /// The other end of a veth, by its number in its own namespace.
    pub peer: Option<u32>,
    /// Whether that other end is in another namespace.
    pub peer_elsewhere: bool,
    /// Its IP addresses.
    pub addresses: Vec<Cidr>,
    /// The free text `ip link set alias` gives it.
    pub alias: Option<String>,
    /// What it has counted.
    pub stats: InterfaceStats,
}

/// What the kernel has counted on an interface, from the host's point of view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStats {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bad frames received.
    pub rx_errors: u64,
    /// Frames received and dropped.
    pub rx_dropped: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames that could not be sent.
    pub tx_errors: u64,
    /// Frames dropped before sending; the only trace a slow reader of a TAP leaves.
    pub tx_dropped: u64,
}

impl Interface {
    /// Returns its state in one word: `down` when it is not set up, `no-carrier`
    /// when it is and nothing is behind it, else `up`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.admin_up, self.carrier) {
            (false, _) => "down",
            (true, false) => "no-carrier",
            (true, true) => "up",
        }
    }

    /// Tells whether frames can pass.
    ///
    /// Carrier alone is not enough: until the kernel has also made the state `up`,
    /// it drops what is sent (`linkwatch_do_dev`, net/core/link_watch.c). The state
    /// `unknown` is that of a device whose carrier never changes, or of a veth or bridge
    /// just made, which is not looked at yet.
    #[must_use]
    pub fn ready(&self) -> bool {
        let settles = matches!(self.kind.as_deref(), Some("veth" | "bridge"));
        let passes = self.operstate == "up" || (self.operstate == "unknown" && !settles);
        self.admin_up && self.carrier && passes
    }

    pub(crate) fn from_message(message: LinkMessage) -> Self {
        let mut this = Self {
            index: message.header.index,
            admin_up: message.header.flags.contains(LinkFlags::Up),
            operstate: state_name(State::Unknown),
            ..Self::default()
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => this.name = name,
                LinkAttribute::Address(bytes) => this.mac = bytes.try_into().ok().map(Mac),
                LinkAttribute::Mtu(mtu) => this.mtu = mtu,
                LinkAttribute::MinMtu(mtu) => this.min_mtu = mtu,
                LinkAttribute::MaxMtu(mtu) => this.max_mtu = mtu,
                LinkAttribute::Carrier(carrier) => this.carrier = carrier != 0,
                LinkAttribute::OperState(state) => this.operstate = state_name(state),
                LinkAttribute::Controller(index) => this.bridge = Some(index),
                LinkAttribute::Link(index) => this.peer = Some(index),
                LinkAttribute::LinkNetNsId(_) => this.peer_elsewhere = true,
                LinkAttribute::IfAlias(alias) => this.alias = Some(alias),
                LinkAttribute::Stats64(stats) => this.stats = stats.into(),
                LinkAttribute::LinkInfo(infos) => this.kind = kind(&infos),
                _ => {}
            }
        }
        this
    }
}

impl From<Stats64> for InterfaceStats {
    fn from(s: Stats64) -> Self {
        Self {
            rx_packets: s.rx_packets,
            rx_bytes: s.rx_bytes,
            rx_errors: s.rx_errors,
            rx_dropped: s.rx_dropped,
            tx_packets: s.tx_packets,
            tx_bytes: s.tx_bytes,
            tx_errors: s.tx_errors,
            tx_dropped: s.tx_dropped,
        }
    }
}

fn state_name(state: State) -> String {
    format!("{state:?}").to_ascii_lowercase()
}

fn kind(infos: &[LinkInfo]) -> Option<String> {
    let kind = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    })?;
    if *kind == InfoKind::Tun {
        let tap = infos.iter().any(|info| match info {
            LinkInfo::Data(InfoData::Tun(data)) => data.iter().any(is_tap),
            _ => false,
        });
        return Some(if tap { "tap" } else { "tun" }.to_owned());
    }
    Some(kind.to_string())
}

fn is_tap(attribute: &impl Nla) -> bool {
    let mut value = [0; 8];
    let len = attribute.value_len();
    if attribute.kind() != IFLA_TUN_TYPE || len > value.len() {
        return false;
    }
    attribute.emit_value(&mut value[..len]);
    value[0] == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_state_is_ready_only_where_it_stays_unknown() {
        let of = |kind: &str, operstate: &str| Interface {
            kind: Some(kind.to_owned()),
            operstate: operstate.to_owned(),
            admin_up: true,
            carrier: true,
            ..Interface::default()
        };
        assert!(of("tap", "unknown").ready() && of("ifb", "unknown").ready());
        assert!(!of("veth", "unknown").ready() && !of("bridge", "unknown").ready());
        assert!(of("veth", "up").ready() && of("bridge", "up").ready());
        assert!(!of("tap", "down").ready());
    }
}
