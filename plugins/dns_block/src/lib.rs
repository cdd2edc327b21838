//! Answers DNS questions for blocked names itself: there is no such name (NXDOMAIN).
//!
//! A question to UDP port 53, over IPv4 or IPv6, for a blocked name of any type and in any case never reaches a resolver: the
//! answer goes back out of the port the question came in through. Other questions pass. What comes to that port as a query
//! and cannot be read is dropped, since a resolver might read it.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod answer;
mod names;
mod question;

use vnet_plugin::wire::ip_protocol;
use vnet_plugin::{Config, Counter, Packet, State, Value, Verdict, plugin};

use names::{Name, Names};
use question::Asked;

const MALFORMED: u16 = 1;
const OVER_TCP: u16 = 2;
const LEAVING: u16 = 3;

const DNS: u16 = 53;

static BLOCKED: Counter = Counter::new("blocked");
static ALLOWED: Counter = Counter::new("allowed");

static NAMES: State<Names> = State::new(Names::NONE);
static DROP_TCP: State<bool> = State::new(false);

fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    NAMES.with(|names| {
        names.clear();
        for (key, suffix) in [("names", false), ("suffixes", true)] {
            let Some(value) = config.get(key) else { continue };
            if let Some(text) = value.as_str() {
                text.split(',').try_for_each(|text| add(names, text, suffix))?;
            } else {
                value.items().try_for_each(|item: Value<'_>| {
                    add(names, item.as_str().unwrap_or_default(), suffix)
                })?;
            }
        }
        if names.is_empty() {
            return Err("nothing to block: give names=ads.example or suffixes=example.net");
        }
        Ok(())
    })?;
    DROP_TCP.set(config.bool("drop_tcp").unwrap_or(false));
    Ok(())
}

fn add(names: &mut Names, text: &str, suffix: bool) -> Result<(), &'static str> {
    const WRONG: &str = "names and suffixes are domain names such as ads.example, in ASCII (xn--...), without *";
    let name = Name::written(text).ok_or(WRONG)?;
    if names.add(&name, suffix) {
        Ok(())
    } else {
        Err("too many names: at most 4,096, and 96 KiB in all")
    }
}

/// Answers DNS questions for blocked names with NXDOMAIN.
#[plugin(
    gso, csum,
    layers = ["l2", "l3"],
    reasons = {1: "malformed", 2: "tcp", 3: "leaving"},
    counters = ["blocked", "allowed"],
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "names": {
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
                "description": "blocked names, a list or a text with commas: \"ads.example,www.example.org\""
            },
            "suffixes": {
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
                "description": "names that are blocked with every name below them, likewise"
            },
            "drop_tcp": {
                "type": "boolean",
                "description": "drops DNS over TCP, whose questions are not read; false when absent"
            }
        }
    }"#,
    configure = configure,
)]
fn dns_block(pkt: &mut Packet) -> Verdict {
    let Some(flow) = pkt.flow() else {
        return Verdict::Pass;
    };
    let (Some((_, DNS)), Some(l4)) = (flow.ports, flow.l4_at) else {
        return Verdict::Pass;
    };
    match flow.protocol {
        ip_protocol::TCP if DROP_TCP.get() => return Verdict::DropFor(OVER_TCP),
        ip_protocol::UDP => {}
        _ => return Verdict::Pass,
    }
    // Several datagrams in one frame, or pieces of one, are no question that a resolver's library sends.
    let message = match pkt.frame().get(l4 + vnet_plugin::datagram::UDP_HEADER..flow.end) {
        Some(message) if pkt.gso_size().is_none() && !flow.fragment => message,
        _ => return Verdict::DropFor(MALFORMED),
    };
    match question::read(message) {
        Asked::Other => Verdict::Pass,
        Asked::Malformed => Verdict::DropFor(MALFORMED),
        Asked::Name { name, len, edns } if NAMES.with(|names| names.holds(&name)) => {
            if pkt.is_egress() {
                // On a device's way out there is no way back to the asker.
                return Verdict::DropFor(LEAVING);
            }
            match answer::send(pkt, &flow, len, edns) {
                Some(()) => {
                    BLOCKED.increment();
                    Verdict::Tx
                }
                None => Verdict::DropFor(MALFORMED),
            }
        }
        Asked::Name { .. } => {
            ALLOWED.increment();
            Verdict::Pass
        }
    }
}

#[cfg(test)]
mod tests;
