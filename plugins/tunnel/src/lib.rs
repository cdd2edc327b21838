//! A VXLAN tunnel endpoint (RFC 7348) as a bump in the wire: Ethernet frames on one side, UDP datagrams on the other.
//!
//! What comes from the inside (a device's or link's ingress) goes into VXLAN and on to the remote endpoint; what the remote
//! endpoint sends to this one comes out of it. The endpoint has an address of its own, for which it answers ARP and Neighbour
//! Discovery on the outside, and nothing else of the outside gets in.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod inside;
mod outside;
mod settings;

use vnet_plugin::{Counter, Packet, Verdict, plugin};

use settings::{SETTINGS, configure};

const RUNT: u16 = 1;
const TAGGED: u16 = 2;
const TOO_BIG: u16 = 3;
const NO_NEIGHBOR: u16 = 4;
const OUTSIDE: u16 = 5;
const WRONG_PEER: u16 = 6;
const WRONG_VNI: u16 = 7;
const MALFORMED: u16 = 8;
const NO_ROOM: u16 = 9;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// Bytes of a UDP and of a VXLAN header.
const UDP: usize = 8;
const VXLAN: usize = 8;
/// The flag that says that there is a VXLAN network identifier.
const HAS_VNI: u8 = 0x08;

static ENCAPSULATED: Counter = Counter::new("encapsulated");
static DECAPSULATED: Counter = Counter::new("decapsulated");
static ANSWERED: Counter = Counter::new("neighbor_answers");

/// Carries Ethernet frames in VXLAN to another endpoint and back.
#[plugin(
    layers = ["l2"],
    // Jumbo frames of 9,000 bytes with their headers.
    slot_len = 9_408,
    reasons = {
        1: "runt", 2: "tagged", 3: "too big", 4: "no neighbor", 5: "outside", 6: "wrong peer", 7: "wrong vni",
        8: "malformed", 9: "no room"
    },
    counters = ["encapsulated", "decapsulated", "neighbor_answers"],
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "required": ["local", "remote"],
        "properties": {
            "vni": {
                "type": "integer", "minimum": 0, "maximum": 16777215,
                "description": "VXLAN network identifier of frames without a tag, or of all where map is absent"
            },
            "map": {
                "type": "array", "minItems": 1, "maxItems": 64,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["vlan", "vni"],
                    "properties": {
                        "vlan": {"type": "integer", "minimum": 1, "maximum": 4094},
                        "vni": {"type": "integer", "minimum": 0, "maximum": 16777215}
                    }
                },
                "description": "networks of VLANs: the tag is taken off inside and put on again outside the tunnel"
            },
            "local": {"type": "string", "description": "this endpoint's IPv4 or IPv6 address outside"},
            "remote": {"type": "string", "description": "the other endpoint's address, of the same family"},
            "gateway": {"type": "string", "description": "next hop towards remote; remote itself when absent"},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "UDP port; 4789 when absent"},
            "mtu": {
                "type": "integer", "minimum": 576, "maximum": 9216,
                "description": "largest IP packet outside in bytes; 1500 when absent"
            },
            "keep_tags": {
                "type": "boolean",
                "description": "lets frames with VLAN tags through as they are; they are dropped when false or absent"
            },
            "udp_checksum": {
                "type": "boolean",
                "description": "computes the outer UDP checksum; when absent over IPv6 and not over IPv4"
            },
            "mac": {"type": "string", "description": "this endpoint's MAC address outside; 02:76:6e:65:74:03 when absent"},
            "gateway_mac": {"type": "string", "description": "the next hop's MAC address; asked for when absent"},
            "end": {"enum": ["a", "b"], "description": "end of a link or wire that is inside; a when absent"}
        }
    }"#,
    configure = configure,
)]
fn tunnel(pkt: &mut Packet) -> Verdict {
    SETTINGS.with(|settings| {
        if pkt.len() < ETHERNET {
            Verdict::DropFor(RUNT)
        } else if pkt.port() == settings.port_inside && !pkt.is_egress() {
            inside::encapsulate(pkt, settings)
        } else {
            outside::receive(pkt, settings)
        }
    })
}

#[cfg(test)]
mod tests;
