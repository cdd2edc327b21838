//! VLANs at one port: an access port, a trunk, one more tag put on, or one taken off (IEEE 802.1Q).
//!
//! Attached to a device, or to a node's interface in both directions, it stands between the stations outside (ingress) and the
//! rest of the network. On a link or wire `end` says at which end the stations are. What it lets pass inside carries a tag,
//! unless `pop` is asked for, and so a switch behind it keeps the VLANs apart: vnet's switches learn addresses by VLAN.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod settings;

use vnet_plugin::{Counter, Packet, Verdict, plugin};

use settings::{Mode, SETTINGS, Settings, configure};

const TAGGED: u16 = 1;
const UNTAGGED: u16 = 2;
const OTHER_VLAN: u16 = 3;
const RUNT: u16 = 4;
const NO_ROOM: u16 = 5;

const HEADER: usize = 14;
const VID: u16 = 0x0fff;

static PUSHED: Counter = Counter::new("pushed");
static POPPED: Counter = Counter::new("popped");

/// Makes a port an access port, a trunk, or puts VLAN tags on and takes them off.
#[plugin(
    layers = ["l2"],
    // Jumbo frames of 9,000 bytes with their headers.
    slot_len = 9_408,
    reasons = {1: "tagged", 2: "untagged", 3: "other vlan", 4: "runt", 5: "no room"},
    counters = ["pushed", "popped"],
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "access": {
                "type": "integer", "minimum": 1, "maximum": 4094,
                "description": "VLAN of stations that know of no tags: put on inwards, taken off outwards"
            },
            "trunk": {
                "anyOf": [
                    {"type": "integer"},
                    {"type": "string"},
                    {"type": "array", "items": {"type": "integer"}, "minItems": 1}
                ],
                "description": "VLANs whose tagged frames pass both ways: 10, [10, 20], \"10,20-29\" or \"all\""
            },
            "native": {
                "type": "integer", "minimum": 1, "maximum": 4094,
                "description": "VLAN of a trunk's frames without a tag; those are dropped when absent"
            },
            "push": {
                "type": "integer", "minimum": 1, "maximum": 4094,
                "description": "VLAN of a tag put on every frame inwards, tagged or not, and taken off outwards"
            },
            "pop": {
                "type": "integer", "minimum": 1, "maximum": 4094,
                "description": "VLAN whose tag is taken off inwards and put on outwards"
            },
            "tpid": {
                "enum": ["802.1q", "802.1ad"],
                "description": "type of the tags put on: 802.1q (0x8100) when absent, or 802.1ad (0x88a8)"
            },
            "priority": {
                "type": "integer", "minimum": 0, "maximum": 7,
                "description": "priority of the tags put on; 0 when absent"
            },
            "end": {
                "enum": ["a", "b"],
                "description": "end of a link or wire that is outside; a when absent"
            }
        }
    }"#,
    configure = configure,
)]
fn vlan(pkt: &mut Packet) -> Verdict {
    if pkt.len() < HEADER {
        return Verdict::DropFor(RUNT);
    }
    let inward = !pkt.is_egress() && SETTINGS.with(|settings| pkt.port() == settings.port);
    let tag = pkt.vlan().map(|tag| tag.vid());
    let change = SETTINGS.with(|settings| change(settings, inward, tag));
    match change {
        Ok(Change::None) => Verdict::Pass,
        Ok(Change::Retag(vid)) => {
            if let Some(mut tag) = pkt.vlan_mut() {
                let tci = tag.tci() & !VID | vid;
                tag.set_tci(tci);
            }
            Verdict::Pass
        }
        Ok(Change::Push(tpid, tci)) => match pkt.push_vlan(tpid, tci) {
            Ok(()) => {
                PUSHED.increment();
                Verdict::Pass
            }
            Err(_) => Verdict::DropFor(NO_ROOM),
        },
        Ok(Change::Pop) => match pkt.pop_vlan() {
            Some(_) => {
                POPPED.increment();
                Verdict::Pass
            }
            None => Verdict::DropFor(RUNT),
        },
        Err(reason) => Verdict::DropFor(reason),
    }
}

/// What is to be done to a frame's tags.
enum Change {
    None,
    /// Sets the VLAN of a tag that carries a priority alone.
    Retag(u16),
    /// Puts a tag of this type and control field on.
    Push(u16, u16),
    Pop,
}

/// Decides by the VLAN of the outermost tag, or the reason a frame is dropped for.
fn change(settings: &Settings, inward: bool, tag: Option<u16>) -> Result<Change, u16> {
    let push = |vid| Ok(Change::Push(settings.tpid, settings.tci(vid)));
    let pop = |own: u16| match tag {
        Some(vid) if vid == own => Ok(Change::Pop),
        Some(_) => Err(OTHER_VLAN),
        None => Err(UNTAGGED),
    };
    match settings.mode {
        Mode::Access(own) if inward => match tag {
            None => push(own),
            Some(0) => Ok(Change::Retag(own)),
            Some(_) => Err(TAGGED),
        },
        Mode::Push(own) if inward => push(own),
        Mode::Pop(own) if !inward => push(own),
        Mode::Access(own) | Mode::Push(own) | Mode::Pop(own) => pop(own),
        Mode::Trunk { native } => match tag {
            None | Some(0) if native == 0 || !inward => Err(UNTAGGED),
            None => push(native),
            Some(0) => Ok(Change::Retag(native)),
            Some(vid) if vid == native && !inward => Ok(Change::Pop),
            Some(vid) if settings.allows(vid) => Ok(Change::None),
            Some(_) => Err(OTHER_VLAN),
        },
    }
}

#[cfg(test)]
mod tests;
