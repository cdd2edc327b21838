//! A limit on packets or bytes per second, by token buckets: of all together, or of each source, destination or port.
//!
//! A bucket fills at the rate up to the burst; a packet takes a token, or as many as it has bytes, and is dropped where there
//! are too few. With more sources than the table holds, those that find no place share one bucket.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod buckets;
mod settings;

use core::net::IpAddr;

use vnet_plugin::{Packet, Verdict, plugin};

use settings::{By, SETTINGS, configure};

const OVER: u16 = 1;

/// Limits packets or bytes per second with token buckets.
#[plugin(
    gso, csum,
    layers = ["l2", "l3"],
    reasons = {1: "over the limit"},
    maps = {
        "buckets": buckets::BUCKETS("of: ip, port: u16, _: bytes[6]" => "packets: u64, bytes: u64, seen: u64"),
    },
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "anyOf": [{"required": ["packets"]}, {"required": ["bytes"]}],
        "properties": {
            "packets": {"type": "integer", "minimum": 1, "maximum": 1000000000, "description": "Packets per second"},
            "bytes": {"type": "integer", "minimum": 1, "maximum": 100000000000,
                      "description": "Bytes per second, with the Ethernet header"},
            "burst": {"type": "integer", "minimum": 1, "maximum": 1000000000,
                      "description": "Packets that may come at once; a tenth of a second's when absent"},
            "burst_bytes": {"type": "integer", "minimum": 1, "maximum": 10000000000,
                            "description": "Bytes that may come at once; a tenth of a second's, and 64 KiB at least, when absent"},
            "by": {"enum": ["all", "source", "destination", "port"],
                   "description": "What has a bucket of its own: all packets together, each source or destination address, each port; all when absent"}
        }
    }"#,
    configure = configure,
)]
fn rate_limit(pkt: &mut Packet) -> Verdict {
    SETTINGS.with(|settings| {
        let key = match settings.by {
            By::All => buckets::key(0, 0),
            By::Port => buckets::key(0, if pkt.is_egress() { 1 } else { pkt.port() }),
            By::Source => buckets::key(address(pkt, |flow| flow.src, |pkt| pkt.eth().src().0), 0),
            By::Destination => buckets::key(address(pkt, |flow| flow.dst, |pkt| pkt.eth().dst().0), 0),
        };
        let len = pkt.len() as u64;
        let packets = match pkt.gso_size() {
            Some(size) => len.div_ceil(u64::from(size.max(1))),
            None => 1,
        };
        if buckets::take(&key, packets, len, pkt.ts_ns(), settings) {
            Verdict::Pass
        } else {
            Verdict::DropFor(OVER)
        }
    })
}

/// Returns an IP address as a number, that of IPv4 in IPv6's mapped form; a MAC address where the frame carries no IP.
#[inline(always)]
fn address(
    pkt: &Packet,
    ip: impl Fn(&vnet_plugin::Flow) -> IpAddr,
    mac: impl Fn(&Packet) -> [u8; 6],
) -> u128 {
    match pkt.flow().map(|flow| ip(&flow)) {
        Some(IpAddr::V4(ip)) => ip.to_ipv6_mapped().to_bits(),
        Some(IpAddr::V6(ip)) => ip.to_bits(),
        None => {
            let [a, b, c, d, e, f] = mac(pkt);
            u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
        }
    }
}

#[cfg(test)]
mod tests;
