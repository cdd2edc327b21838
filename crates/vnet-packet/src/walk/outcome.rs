//! What became of a packet.

use core::net::IpAddr;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::join::Journey;
use super::plan::Plan;
use super::{Hop, Kind, Sighting, Walk};
use crate::bytes::get_u16;
use crate::pcap::Direction;
use crate::wire::{Arp, Ethernet, icmpv6_type};
use crate::{Flow, Layer, checksum};

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

/// What one packet's records tell of it, and what the others' do.
struct Facts<'f> {
    hops: &'f [Hop],
    journey: &'f [usize],
    records: &'f [Sighting],
    answers: &'f [usize],
    plan: &'f Plan,
}

/// Puts hops and what became of their packet together.
pub(super) fn walk(
    hops: Vec<Hop>,
    journey: &Journey,
    records: &[Sighting],
    answers: &[usize],
    plan: &Plan,
) -> Walk {
    let facts = Facts {
        hops: &hops,
        journey: &journey.records,
        records,
        answers,
        plan,
    };
    let leaves = (0..hops.len()).filter(|&at| !hops.iter().any(|hop| hop.parent == Some(at)));
    let mut ends: Vec<End> = leaves.map(|at| facts.end(at)).collect();
    ends.sort_by_key(|end| core::cmp::Reverse(end.rank));
    let best = ends.first().map_or(Rank::Ignored, |end| end.rank);
    let told = |end: &&End| end.rank == best || (end.rank == Rank::Ended && best == Rank::Delivered);
    let mut outcome: Vec<&str> = Vec::new();
    for end in ends.iter().filter(told) {
        if !outcome.contains(&end.text.as_str()) {
            outcome.push(&end.text);
        }
    }
    let mut outcome = outcome.join("; ");
    if journey.is_ambiguous {
        outcome.push_str(" (or so did another packet with the same bytes that was on its way at the time)");
    }
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
        is_open: matches!(best, Rank::OnItsWay | Rank::Kept),
        is_ambiguous: journey.is_ambiguous,
        hops,
    }
}

impl Facts<'_> {
    fn end(&self, at: usize) -> End {
        let hop = &self.hops[at];
        let mut end = End {
            rank: Rank::Ended,
            text: String::new(),
            delivered_to: None,
            held_by: None,
        };
        if hop.ended {
            end.text = ended(hop);
            return end;
        }
        if hop.kind == Kind::Received {
            return self.received(end, at);
        }
        end.rank = Rank::OnItsWay;
        let is_sent = matches!(hop.kind, Kind::Sent | Kind::Port) && hop.outbound && !hop.link.is_empty();
        end.text = if is_sent {
            format!("last seen when {} sent it on link {}", hop.node, hop.link)
        } else {
            format!("last seen at {}", hop.place())
        };
        end
    }

    /// Says what became of a packet that a node's kernel has.
    fn received(&self, mut end: End, at: usize) -> End {
        let hop = &self.hops[at];
        let (node, record, plan) = (hop.node.as_str(), &self.records[hop.after], self.plan);
        let flow = Flow::parse(&record.frame, record.layer);
        let group = record.layer == Layer::L2
            && Ethernet::new_checked(&record.frame[..]).is_ok_and(|ethernet| ethernet.dst().is_multicast());
        let sought = sought(record);
        let own = match (sought, flow) {
            (Some(sought), _) => plan.owns(node, sought),
            (None, Some(flow)) => plan.owns(node, flow.dst) || (group && plan.owner_of(flow.dst).is_none()),
            (None, None) => true,
        };
        if let Some(damage) = self.damage(at) {
            end.text = format!("dropped by {node}'s kernel: its checksum is wrong ({damage})");
            return end;
        }
        let answer = flow.and_then(|flow| self.answer(node, &flow, record));
        if own {
            end.rank = Rank::Delivered;
            end.text = match answer {
                Some(answer) => format!("delivered to {node}, {answer}"),
                None => format!("delivered to {node}"),
            };
            end.delivered_to = Some(node.into());
        } else if let Some(answer) = answer {
            end.text = format!("dropped by {node}'s kernel, {answer}");
        } else if group || sought.is_some() || flow.is_none() {
            end.rank = Rank::Ignored;
            end.text = format!("ignored by {node}");
        } else {
            end.rank = Rank::Kept;
            end.text = format!("{node}'s kernel dropped it or keeps it");
            end.held_by = Some(node.into());
        }
        end
    }

    /// Says where a packet's bits were flipped, where that is why its checksum is wrong.
    fn damage(&self, at: usize) -> Option<String> {
        let record = &self.records[self.hops[at].after];
        let way = core::iter::successors(Some(at), |&at| self.hops[at].parent);
        let hop = way
            .map(|at| &self.hops[at])
            .find(|hop| hop.comment.contains("corrupted bit "))?;
        let mut right = record.frame.clone();
        checksum::fix(&mut right, record.layer);
        let is_wrong = !record.is_cut() && right != record.frame;
        is_wrong.then(|| format!("link {} {} corrupted it", hop.link, hop.stage))
    }

    /// Returns what a node's kernel answered to a packet: an ICMP error about it, or TCP's refusal.
    fn answer(&self, node: &str, flow: &Flow, got: &Sighting) -> Option<String> {
        let later = self.answers.iter().filter(|&&at| {
            let answer = &self.records[at];
            let is_own = || {
                self.plan
                    .place(&answer.interface)
                    .is_some_and(|place| place.node == node)
            };
            answer.ts_ns >= got.ts_ns && !self.journey.contains(&at) && is_own()
        });
        later
            .map(|&at| &self.records[at])
            .find_map(|answer| said_of(flow, got, answer))
    }
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

/// Turns `3 "deny tcp 22"` into `deny tcp 22 (reason 3)`, and `19 "rule_3" "deny tcp dport 22"` into
/// `rule_3 "deny tcp dport 22" (reason 19)`.
fn in_words(reason: &str) -> String {
    if reason.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("reason {reason}");
    }
    let parts = reason
        .split_once(" \"")
        .filter(|(code, _)| code.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|(code, rest)| Some((code, rest.split_once('"')?)));
    match parts {
        Some((code, (name, item))) => format!("{name}{item} (reason {code})"),
        // A stage's own words, without a number.
        None => reason.trim_matches('"').into(),
    }
}

/// Returns the address that is asked for by ARP or IPv6's Neighbour Discovery.
fn sought(record: &Sighting) -> Option<IpAddr> {
    if let Some(flow) = Flow::parse(&record.frame, record.layer) {
        let at = flow
            .l4_at
            .filter(|_| flow.is_neighbour_discovery(&record.frame))?;
        let (kind, _) = flow.icmp(&record.frame)?;
        let target: &[u8; 16] = record.frame.get(at + 8..)?.first_chunk()?;
        return (kind == icmpv6_type::NEIGHBOR_SOLICITATION).then(|| (*target).into());
    }
    let arp = Arp::new_checked(record.frame.get(14..)?).ok()?;
    let is_arp = record.layer == Layer::L2 && get_u16(&record.frame, 12) == 0x0806;
    is_arp.then(|| arp.target_ip().into())
}

/// Returns the records of what kernels sent that may answer a packet: ICMP errors and TCP resets.
pub(super) fn answers(records: &[Sighting], plan: &Plan) -> Vec<usize> {
    let may_answer = |record: &Sighting| {
        let flow = Flow::parse(&record.frame, record.layer);
        let is_answer = |flow: Flow| {
            flow.quoted(&record.frame).is_some()
                || flow
                    .tcp_flags(&record.frame)
                    .is_some_and(|flags| flags & TCP_RESET != 0)
        };
        record.direction == Some(Direction::Outbound)
            && flow.is_some_and(is_answer)
            && plan.place(&record.interface).is_some_and(|place| !place.is_port)
    };
    (0..records.len())
        .filter(|&at| may_answer(&records[at]))
        .collect()
}

const TCP_SYN: u8 = 2;
const TCP_RESET: u8 = 4;
const TCP_ACK: u8 = 16;

/// Says what an answer says, where it is about this packet.
fn said_of(flow: &Flow, got: &Sighting, answer: &Sighting) -> Option<String> {
    let reply = Flow::parse(&answer.frame, answer.layer)?;
    if let Some(quoted) = reply.quoted(&answer.frame) {
        let about = quoted.src == flow.src
            && quoted.dst == flow.dst
            && quoted.protocol == flow.protocol
            && quoted.ports == flow.ports
            && (quoted.id == flow.id || !flow.src.is_ipv4());
        let (kind, code) = reply.icmp(&answer.frame)?;
        return about.then(|| format!("which answered {}", error_name(reply.src.is_ipv4(), kind, code)));
    }
    let opens = flow.tcp_flags(&got.frame)? & (TCP_SYN | TCP_ACK) == TCP_SYN;
    let refused = reply.tcp_flags(&answer.frame)? & TCP_RESET != 0
        && reply.src == flow.dst
        && reply.dst == flow.src
        && reply.ports == flow.ports.map(|(src, dst)| (dst, src));
    (opens && refused).then(|| "which refused the connection (TCP reset)".into())
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
