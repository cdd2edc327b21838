//! What became of a packet.

use core::net::IpAddr;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::plan::Plan;
use super::{Hop, Kind, Sighting, Walk};
use crate::pcap::Direction;
use crate::wire::{Ethernet, ip_protocol};
use crate::{Flow, Layer};

/// How the end of one branch is told; the greater tells more of the packet's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Ignored,
    OnItsWay,
    Kept,
    Ended,
    Delivered,
}

struct End {
    rank: Rank,
    text: String,
    delivered_to: Option<String>,
    held_by: Option<String>,
}

/// Puts hops and what became of their packet together.
pub(super) fn walk(hops: Vec<Hop>, journey: &[usize], records: &[Sighting], plan: &Plan) -> Walk {
    let leaves = (0..hops.len()).filter(|&at| !hops.iter().any(|hop| hop.parent == Some(at)));
    let mut ends: Vec<End> = leaves.map(|at| end(&hops[at], journey, records, plan)).collect();
    ends.sort_by_key(|end| core::cmp::Reverse(end.rank));
    let best = ends.first().map_or(Rank::Ignored, |end| end.rank);
    let told = |end: &&End| end.rank == best || (end.rank == Rank::Ended && best == Rank::Delivered);
    let mut outcome: Vec<&str> = Vec::new();
    for end in ends.iter().filter(told) {
        if !outcome.contains(&end.text.as_str()) {
            outcome.push(&end.text);
        }
    }
    let outcome = outcome.join("; ");
    Walk {
        delivered_to: ends.iter().find_map(|end| end.delivered_to.clone()),
        held_by: ends
            .first()
            .filter(|_| best == Rank::Kept)
            .and_then(|end| end.held_by.clone()),
        outcome: if outcome.is_empty() {
            "not seen at any hop".into()
        } else {
            outcome
        },
        hops,
    }
}

fn end(hop: &Hop, journey: &[usize], records: &[Sighting], plan: &Plan) -> End {
    let mut end = End {
        rank: Rank::Ended,
        text: String::new(),
        delivered_to: None,
        held_by: None,
    };
    let record = &records[hop.after];
    if hop.ended {
        end.text = ended(hop);
        return end;
    }
    if hop.kind == Kind::Received {
        return received(end, hop, record, journey, records, plan);
    }
    end.rank = Rank::OnItsWay;
    end.text = match hop.kind {
        Kind::Sent => format!("last seen when {} sent it on link {}", hop.node, hop.link),
        Kind::Port if hop.outbound => format!("last seen when {} sent it on link {}", hop.node, hop.link),
        _ => format!("last seen at {}", hop.place()),
    };
    end
}

fn ended(hop: &Hop) -> String {
    let at = match (hop.node.as_str(), hop.link.as_str()) {
        ("", link) => format!("on link {link}"),
        (node, _) if hop.interface.is_empty() => format!("at {node}"),
        (node, _) => format!("at {node} ({})", hop.interface),
    };
    let reason = &hop.reason;
    match hop.kind {
        Kind::Impairment if reason.is_empty() => format!("lost {at} {}", hop.stage),
        Kind::Impairment => format!("lost {at} {} ({reason})", hop.stage),
        Kind::Switch => format!("dropped {at} by the switch: {reason}"),
        _ if hop.verdict == "lost" => format!("lost on {} ({reason})", hop.stage),
        _ if reason.is_empty() => format!("dropped {at} by {}", hop.stage),
        _ => format!("dropped {at} by {}: {}", hop.stage, in_words(reason)),
    }
}

/// Turns `3 "deny tcp 22"` into `deny tcp 22 (reason 3)`.
fn in_words(reason: &str) -> String {
    match reason.split_once(' ') {
        Some((code, text)) if code.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{} (reason {code})", text.trim_matches('"'))
        }
        _ if reason.bytes().all(|byte| byte.is_ascii_digit()) => format!("reason {reason}"),
        _ => reason.into(),
    }
}

/// Says what became of a packet that a node's kernel has.
fn received(
    mut end: End,
    hop: &Hop,
    record: &Sighting,
    journey: &[usize],
    records: &[Sighting],
    plan: &Plan,
) -> End {
    let node = hop.node.as_str();
    let flow = Flow::parse(&record.frame, record.layer);
    let group = record.layer == Layer::L2
        && Ethernet::new_checked(&record.frame[..]).is_ok_and(|ethernet| ethernet.dst().is_multicast());
    let own = match flow {
        Some(flow) => plan.owns(node, flow.dst) || (group && plan.owner_of(flow.dst).is_none()),
        None => group || arp_target(record).is_none_or(|target| plan.owns(node, target)),
    };
    let asked_of_another =
        flow.is_none() && arp_target(record).is_some_and(|target| !plan.owns(node, target));
    let answer = flow.and_then(|flow| answer(node, &flow, record, journey, records, plan));
    if own && !asked_of_another {
        end.rank = Rank::Delivered;
        end.text = match answer {
            Some(answer) => format!("delivered to {node}, {answer}"),
            None => format!("delivered to {node}"),
        };
        end.delivered_to = Some(node.into());
    } else if let Some(answer) = answer {
        end.text = format!("dropped by {node}'s kernel, {answer}");
    } else if group || asked_of_another || flow.is_none() {
        end.rank = Rank::Ignored;
        end.text = format!("ignored by {node}");
    } else {
        end.rank = Rank::Kept;
        end.text = format!("{node}'s kernel dropped it or keeps it");
        end.held_by = Some(node.into());
    }
    end
}

fn arp_target(record: &Sighting) -> Option<IpAddr> {
    let arp = crate::wire::Arp::new_checked(record.frame.get(14..)?).ok()?;
    let is_arp = record.layer == Layer::L2 && crate::bytes::get_u16(&record.frame, 12) == 0x0806;
    is_arp.then(|| arp.target_ip().into())
}

/// Returns what a node's kernel answered to a packet: an ICMP error about it, or TCP's refusal.
fn answer(
    node: &str,
    flow: &Flow,
    got: &Sighting,
    journey: &[usize],
    records: &[Sighting],
    plan: &Plan,
) -> Option<String> {
    let later = records.iter().enumerate().filter(|(at, other)| {
        other.ts_ns >= got.ts_ns && other.direction == Some(Direction::Outbound) && !journey.contains(at)
    });
    for (_, other) in later {
        if plan
            .place(&other.interface)
            .is_none_or(|place| place.node != node)
        {
            continue;
        }
        let Some(reply) = Flow::parse(&other.frame, other.layer) else {
            continue;
        };
        if let Some(quoted) = reply.quoted(&other.frame) {
            let about = quoted.src == flow.src
                && quoted.dst == flow.dst
                && quoted.ports == flow.ports
                && (quoted.id == flow.id || !flow.src.is_ipv4());
            let (kind, code) = reply.icmp(&other.frame)?;
            if about {
                return Some(format!(
                    "which answered {}",
                    error_name(reply.src.is_ipv4(), kind, code)
                ));
            }
        }
        let refused = flow.protocol == ip_protocol::TCP
            && reply.protocol == ip_protocol::TCP
            && reply.src == flow.dst
            && reply.dst == flow.src
            && reply.ports == flow.ports.map(|(src, dst)| (dst, src))
            && reply.tcp_flags(&other.frame).is_some_and(|flags| flags & 4 != 0);
        if refused && flow.tcp_flags(&got.frame).is_some_and(|flags| flags & 0x12 == 2) {
            return Some("which refused the connection (TCP reset)".into());
        }
    }
    None
}

fn error_name(v4: bool, kind: u8, code: u8) -> String {
    let name = match (v4, kind, code) {
        (true, 3, 0) => "ICMP network unreachable: no route",
        (true, 3, 1) => "ICMP host unreachable: no neighbour answered, or no route",
        (true, 3, 2) => "ICMP protocol unreachable",
        (true, 3, 3) | (false, 1, 4) => "ICMP port unreachable: no socket listens",
        (true, 3, 4) | (false, 2, _) => "ICMP packet too big for the next link",
        (true, 3, 9 | 10 | 13) | (false, 1, 1) => "ICMP administratively prohibited: a filter refused it",
        (true, 11, 0) | (false, 3, 0) => "ICMP time exceeded: its TTL ran out",
        (true, 11, 1) | (false, 3, 1) => "ICMP reassembly time exceeded",
        (true, 5, _) => "ICMP redirect",
        (false, 1, 0) => "ICMPv6 no route",
        (false, 1, 3) => "ICMPv6 address unreachable: no neighbour answered",
        _ => return format!("ICMP type {kind} code {code}"),
    };
    name.into()
}
