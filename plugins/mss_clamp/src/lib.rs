//! Lowers the maximum segment size that TCP connections agree on, where a path carries less than its ends believe.
//!
//! A tunnel or a PPPoE line takes bytes from every packet. Where routers or firewalls also swallow the ICMP messages that tell
//! hosts so, connections open and then hang. This plugin writes a smaller MSS into the SYN and SYN-ACK that pass, and never a
//! larger one; all other packets pass untouched.
#![cfg_attr(target_arch = "wasm32", no_std)]

use vnet_plugin::checksum::update16;
use vnet_plugin::wire::tcp_flags;
use vnet_plugin::{Config, Counter, Packet, State, Verdict, plugin};

/// The least MSS that every IPv4 host takes (RFC 9293, 3.7.1); a smaller one is no remedy.
const LEAST: i64 = 88;
const IPV4_AND_TCP: i64 = 40;
const IPV6_AND_TCP: i64 = 60;
const MTU: i64 = 1500;

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;
const MSS_LEN: usize = 4;

static CLAMPED: Counter = Counter::new("clamped");
static KEPT: Counter = Counter::new("kept");

/// The largest MSS over IPv4 and over IPv6.
static LIMITS: State<[u16; 2]> = State::new([0; 2]);

fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    let in_range = |mss: i64| (LEAST..=65_535).contains(&mss).then_some(mss as u16);
    let limits = match (config.int("mss"), config.int("mtu")) {
        (Some(_), Some(_)) => return Err("give mss or mtu, not both: mss=1360 is for IPv4 and IPv6 alike"),
        (Some(mss), None) => [in_range(mss), in_range(mss)],
        (None, mtu) => {
            let mtu = mtu.unwrap_or(MTU);
            [in_range(mtu - IPV4_AND_TCP), in_range(mtu - IPV6_AND_TCP)]
        }
    };
    let [Some(v4), Some(v6)] = limits else {
        return Err("mss is 88 to 65,535 and mtu 148 to 65,575 bytes");
    };
    LIMITS.set([v4, v6]);
    Ok(())
}

/// Lowers the MSS that TCP connections agree on to what a path carries.
#[plugin(
    gso, csum,
    layers = ["l2", "l3"],
    counters = ["clamped", "kept"],
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "mtu": {
                "type": "integer", "minimum": 148, "maximum": 65575,
                "description": "MTU of the path in bytes: the MSS is 40 less over IPv4 and 60 less over IPv6; 1500 when absent"
            },
            "mss": {
                "type": "integer", "minimum": 88, "maximum": 65535,
                "description": "largest MSS in bytes over IPv4 and IPv6, in place of mtu"
            }
        }
    }"#,
    configure = configure,
)]
fn mss_clamp(pkt: &mut Packet) -> Verdict {
    let Some(at) = mss_of_syn(pkt) else {
        return Verdict::Pass;
    };
    let [v4, v6] = LIMITS.get();
    let limit = if pkt.ipv4().is_some() { v4 } else { v6 };
    let partial = pkt.csum_partial();
    let Some(mut tcp) = pkt.tcp_mut() else {
        return Verdict::Pass;
    };
    let checksum = tcp.checksum();
    let segment = tcp.options_mut();
    let Some([high, low]) = segment.get_mut(at..at + 2) else {
        return Verdict::Pass;
    };
    let old = u16::from_be_bytes([*high, *low]);
    if old <= limit {
        KEPT.increment();
        return Verdict::Pass;
    }
    [*high, *low] = limit.to_be_bytes();
    // A partial checksum is that of the pseudo-header, which has no options.
    if !partial {
        // A word at an odd place counts with its bytes exchanged (RFC 1071, 2 (B)).
        let seen = |mss: u16| if at % 2 == 0 { mss } else { mss.swap_bytes() };
        tcp.set_checksum(update16(checksum, seen(old), seen(limit)));
    }
    CLAMPED.increment();
    Verdict::Pass
}

/// Returns where the MSS stands in the options of a SYN; `None` for any other packet and for a SYN without one.
#[inline]
fn mss_of_syn(pkt: &Packet) -> Option<usize> {
    if pkt.gso_size().is_some() {
        return None;
    }
    let tcp = pkt.tcp()?;
    if tcp.flags() & tcp_flags::SYN == 0 {
        return None;
    }
    let options = tcp.options();
    let mut at = 0;
    loop {
        match *options.get(at)? {
            END_OF_OPTIONS => return None,
            NO_OPERATION => at += 1,
            kind => {
                let len = usize::from(*options.get(at + 1)?);
                if kind == MSS && len == MSS_LEN {
                    return (at + MSS_LEN <= options.len()).then_some(at + 2);
                }
                // A length below 2 would never come to an end.
                at += if len < 2 { return None } else { len };
            }
        }
    }
}

#[cfg(test)]
mod tests;
