//! What became of a packet.

use core::net::IpAddr;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::answer::Answers;
use super::join::Journey;
use super::plan::Plan;
use super::{Hop, Kind, Sighting, Walk};
use crate::bytes::get_u16;
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
    answers: &'f Answers,
    plan: &'f Plan,
}

/// Puts hops and what became of their packet together.
pub(super) fn walk(
    hops: Vec<Hop>,
    journey: &Journey,
    records: &[Sighting],
    answers: &Answers,
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
        let to = Ethernet::new_checked(&record.frame[..])
            .ok()
            .map(|ethernet| ethernet.dst());
        let to = to.filter(|_| record.layer == Layer::L2);
        let group = to.is_some_and(|to| to.is_multicast());
        let sought = sought(record);
        let own = match (sought, flow) {
            (Some(sought), _) => plan.owns(node, sought),
            (None, Some(flow)) => plan.owns(node, flow.dst) || (group && plan.owner_of(flow.dst).is_none()),
            (None, None) => true,
        };
        if to.is_some_and(|to| !group && !plan.takes(&record.interface, to)) {
            end.rank = Rank::Ignored;
            end.text = format!("ignored by {node}: it is for another Ethernet address");
            return end;
        }
        if let Some((damage, is_wrong)) = self.damage(at) {
            end.text = match is_wrong {
                true => format!("dropped by {node}'s kernel: its checksum is wrong ({damage})"),
                false => format!(
                    "unknown: {node} got it, but {damage}, and the capture cut it before its checksum could be told"
                ),
            };
            return end;
        }
        let answer = self.answer(node);
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

    /// Says where a packet's bits were flipped, and whether its checksum is wrong for it; `None` where it is right, `false` where
    /// too little of the packet is there to tell.
    fn damage(&self, at: usize) -> Option<(String, bool)> {
        let record = &self.records[self.hops[at].after];
        let way = core::iter::successors(Some(at), |&at| self.hops[at].parent);
        let hop = way
            .map(|at| &self.hops[at])
            .find(|hop| hop.comment.contains("corrupted bit "))?;
        let mut right = record.frame.clone();
        checksum::fix(&mut right, record.layer);
        let is_known = !record.is_cut();
        (!is_known || right != record.frame)
            .then(|| (format!("link {} {} corrupted it", hop.link, hop.stage), is_known))
    }

    /// Returns what a node's kernel answered to a packet: an ICMP error about it, or TCP's refusal.
    fn answer(&self, node: &str) -> Option<String> {
        self.journey.iter().find_map(|&at| self.answers.to(at, node))
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
