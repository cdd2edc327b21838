//! What kernels answered, and to which packet.

use core::net::IpAddr;
use std::collections::HashMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::Sighting;
use super::key::end;
use super::plan::Plan;
use crate::Flow;
use crate::bytes::{get_u8, get_u32, window};
use crate::pcap::Direction;
use crate::wire::{icmp_type, ip_protocol};

const TCP_SYN: u8 = 2;
const TCP_RESET: u8 = 4;
const TCP_ACK: u8 = 16;
const SOURCE_QUENCH: u8 = 4;

/// What all packets of a flow have in common that came to a node: addresses, protocol and ports.
type Ends = (IpAddr, IpAddr, u8, Option<(u16, u16)>);

/// What kernels answered, by the record of the packet that came to them.
#[derive(Debug, Default)]
pub(super) struct Answers {
    said: HashMap<usize, (String, String)>,
}

impl Answers {
    /// Finds what each ICMP error and TCP reset of a kernel is about: of the packets that it fits the last one that came to the
    /// node before it and has no answer yet. What the node sent on asks for no answer.
    pub fn of<'j>(records: &[Sighting], journeys: impl Iterator<Item = &'j [usize]>, plan: &Plan) -> Self {
        let mut answers: Vec<_> = (0..records.len())
            .filter_map(|at| {
                let answer = &records[at];
                let node = kernel(answer, Direction::Outbound, plan)?;
                let flow = Flow::parse(&answer.frame, answer.layer)?;
                Some((answer, node, flow, about(&flow, answer)?))
            })
            .collect();
        answers.sort_by_key(|(answer, ..)| answer.ts_ns);
        let mut found = Self::default();
        if answers.is_empty() {
            return found;
        }
        let mut came = came(records, journeys, plan);
        for (answer, node, reply, ends) in answers {
            let Some(came) = came.get_mut(&(node, ends)) else {
                continue;
            };
            let fits = |at: usize| {
                let got = &records[at];
                let flow = Flow::parse(&got.frame, got.layer)?;
                said_of(&flow, got, &reply, answer).filter(|_| got.ts_ns <= answer.ts_ns)
            };
            let nearest = came.iter().enumerate().rev();
            let nearest = nearest.filter_map(|(place, &at)| Some((place, fits(at)?))).next();
            if let Some((place, said)) = nearest {
                found.said.insert(came.remove(place), (node.into(), said));
            }
        }
        found
    }

    /// Returns what a node's kernel said of the packet that a record shows.
    pub fn to(&self, record: usize, node: &str) -> Option<String> {
        let (by, said) = self.said.get(&record)?;
        (by == node).then(|| said.clone())
    }
}

/// Returns the packets that came to a node and ended there, in the order of their times.
fn came<'p, 'j>(
    records: &[Sighting],
    journeys: impl Iterator<Item = &'j [usize]>,
    plan: &'p Plan,
) -> HashMap<(&'p str, Ends), Vec<usize>> {
    let mut came: HashMap<_, Vec<usize>> = HashMap::new();
    for journey in journeys {
        let sent: Vec<_> = journey
            .iter()
            .filter_map(|&at| {
                Some((
                    kernel(&records[at], Direction::Outbound, plan)?,
                    records[at].ts_ns,
                ))
            })
            .collect();
        for &at in journey {
            let Some(node) = kernel(&records[at], Direction::Inbound, plan) else {
                continue;
            };
            let went_on = sent
                .iter()
                .any(|&(by, ts_ns)| by == node && ts_ns >= records[at].ts_ns);
            let flow = Flow::parse(&records[at].frame, records[at].layer).filter(|_| !went_on);
            if let Some(flow) = flow {
                came.entry((node, ends(&flow))).or_default().push(at);
            }
        }
    }
    came.values_mut()
        .for_each(|list| list.sort_by_key(|&at| records[at].ts_ns));
    came
}

/// Returns the node whose kernel a record shows getting or sending a packet.
fn kernel<'p>(record: &Sighting, direction: Direction, plan: &'p Plan) -> Option<&'p str> {
    let place = plan.place(&record.interface).filter(|place| !place.is_port)?;
    (record.direction == Some(direction)).then_some(place.node.as_str())
}

fn ends(flow: &Flow) -> Ends {
    (flow.src, flow.dst, flow.protocol, flow.ports)
}

/// Returns of which flow a packet may answer one: an ICMP error of the one it quotes, a TCP reset of the way back.
///
/// A redirect and a source quench are about packets that were sent on.
fn about(flow: &Flow, answer: &Sighting) -> Option<Ends> {
    if let Some(quoted) = flow.quoted(&answer.frame) {
        let (kind, _) = flow.icmp(&answer.frame)?;
        let is_advice = flow.src.is_ipv4() && matches!(kind, icmp_type::REDIRECT | SOURCE_QUENCH);
        return (!is_advice).then(|| ends(&quoted));
    }
    let resets = flow.tcp_flags(&answer.frame)? & TCP_RESET != 0;
    let back = flow.ports.map(|(src, dst)| (dst, src));
    resets.then_some((flow.dst, flow.src, flow.protocol, back))
}

/// Says what an answer says, where it may be about this packet of its flow.
fn said_of(flow: &Flow, got: &Sighting, reply: &Flow, answer: &Sighting) -> Option<String> {
    if let Some(quoted) = reply.quoted(&answer.frame) {
        let about = (quoted.id == flow.id || !flow.src.is_ipv4()) && quotes(&quoted, answer, flow, got);
        let (kind, code) = reply.icmp(&answer.frame)?;
        return about.then(|| format!("which answered {}", error_name(reply.src.is_ipv4(), kind, code)));
    }
    let opens = flow.tcp_flags(&got.frame)? & (TCP_SYN | TCP_ACK) == TCP_SYN;
    // What resets a connection later has a sequence number of its own, and the acknowledgement where there are any; a refusal
    // acknowledges the SYN and the data in it (RFC 9293, 3.10.7.1).
    let (syn, reset) = (flow.l4_at?, reply.l4_at?);
    let refuses = reply.tcp_flags(&answer.frame)? & (TCP_RESET | TCP_ACK) == TCP_RESET | TCP_ACK;
    let data = end(got, flow).saturating_sub(syn + 4 * usize::from(get_u8(&got.frame, syn + 12) >> 4));
    let acked = get_u32(&answer.frame, reset + 8).wrapping_sub(get_u32(&got.frame, syn + 4));
    let refused = refuses && get_u32(&answer.frame, reset + 4) == 0 && acked as usize == 1 + data;
    (opens && refused).then(|| "which refused the connection (TCP reset)".into())
}

/// Says whether what an error quotes behind the IP header is the beginning of a packet's, but for checksums.
fn quotes(quoted: &Flow, answer: &Sighting, flow: &Flow, got: &Sighting) -> bool {
    let (Some(inner), Some(at)) = (quoted.l4_at, flow.l4_at) else {
        return quoted.l4_at == flow.l4_at;
    };
    let inner = window(&answer.frame, inner, quoted.end);
    let whole = window(&got.frame, at, flow.end);
    // A super-frame's length is its own.
    let (from, to) = match flow.protocol {
        ip_protocol::TCP => (0, 8),
        ip_protocol::UDP => (8, usize::MAX),
        ip_protocol::ICMP | ip_protocol::ICMPV6 => (4, usize::MAX),
        _ => (0, usize::MAX),
    };
    let to = to.min(inner.len()).min(whole.len());
    window(inner, from, to) == window(whole, from, to)
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
        (false, 1, 0) => "ICMPv6 no route",
        (false, 1, 3) => "ICMPv6 address unreachable: no neighbour answered",
        _ => return format!("ICMP type {kind} code {code}"),
    };
    name.into()
}
