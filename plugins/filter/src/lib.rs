//! A filter in the words of pcap-filter(7), those of captures and walks: what it means passes and the rest is dropped, or the other
//! way round.
//!
//! The expression is read once, when the plugin is configured; a packet is judged by the tree that it became, and nothing is
//! allocated for it.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod settings;

use vnet_plugin::{Layer, Packet, Verdict, plugin};

use settings::{Action, SETTINGS, configure};

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

const NO_MATCH: u16 = 1;
const MATCH: u16 = 2;

/// Lets pass, or drops, what a filter in the words of pcap-filter(7) means.
#[plugin(
    gso, csum, pure,
    layers = ["l2", "l3"],
    reasons = {1: "no match", 2: "match"},
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "required": ["expression"],
        "properties": {
            "expression": {"type": "string", "maxLength": 16384,
                           "description": "The filter, as for tcpdump: tcp port 80 or arp"},
            "action": {"enum": ["pass", "drop"],
                       "description": "What becomes of a packet that matches, the rest has the other fate; pass when absent"}
        }
    }"#,
    configure = configure,
)]
fn filter(pkt: &mut Packet) -> Verdict {
    let layer = if pkt.is_l3() { Layer::L3 } else { Layer::L2 };
    SETTINGS.with(|settings| {
        let matches = settings.filter.as_ref().is_some_and(|filter| filter.matches(layer, pkt.frame()));
        match (settings.action, matches) {
            (Action::Pass, true) | (Action::Drop, false) => Verdict::Pass,
            (Action::Pass, false) => Verdict::DropFor(NO_MATCH),
            (Action::Drop, true) => Verdict::DropFor(MATCH),
        }
    })
}

#[cfg(test)]
mod tests;
