//! The hops of one packet, made of its records.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::comment::Said;
use super::plan::{Plan, Spot};
use super::{Change, Hop, Kind, Sighting, changes};
use crate::pcap::Direction;
use crate::wire::ip_protocol;
use crate::{Flow, Layer};

/// Returns the hops of the packet whose records these are, in the order of their times.
pub(super) fn hops(journey: &[usize], records: &[Sighting], plan: &Plan) -> Vec<Hop> {
    let mut found: Vec<Hop> = Vec::new();
    for &at in journey {
        let record = &records[at];
        if let Some(hop) = entered(&found, record, records, plan) {
            leave(&mut found[hop], at, records);
            continue;
        }
        if same_again(&mut found, record, records, plan) {
            continue;
        }
        let hop = begin(at, record, plan);
        found.push(hop);
    }
    // The stamps of kernel and engine may stand in the wrong order; what a kernel began comes first.
    if let Some(origin) = found.iter().position(|hop| hop.kind == Kind::Sent) {
        found[..=origin].rotate_right(1);
    }
    // The engine stamps what leaves a port behind the write, when the kernel at the other end may have it already.
    for number in 0..found.len() {
        let hop = &found[number];
        if hop.kind == Kind::Port && hop.outbound && !hop.ended {
            let arrived = |other: &Hop| other.kind == Kind::Received && peers(hop, other, plan);
            if let Some(first) = found[..number].iter().position(arrived) {
                found[first..=number].rotate_right(1);
            }
        }
    }
    for number in 0..found.len() {
        let parent = parent(&found, number, plan);
        let hop = &found[number];
        let shown = |at: usize| (&records[at].frame[..], records[at].layer);
        let changed = match (hop.kind, parent) {
            (Kind::Plugin | Kind::Impairment | Kind::Switch, _) if hop.before != hop.after => {
                changes(shown(hop.before), shown(hop.after))
            }
            (_, Some(parent)) => between(shown(found[parent].after), shown(hop.before)),
            _ => Vec::new(),
        };
        let waited = hop.waited_ns.or_else(|| {
            let got = parent.map(|parent| &found[parent])?;
            let forwards = hop.kind == Kind::Sent && got.kind == Kind::Received;
            forwards.then(|| hop.ts_ns.saturating_sub(got.ts_ns))
        });
        let forwards = hop.kind == Kind::Sent && parent.is_some();
        let hop = &mut found[number];
        hop.parent = parent;
        hop.changes = changed;
        hop.waited_ns = waited;
        if forwards {
            hop.verdict = "forwarded".into();
        }
    }
    found
}

/// Returns what a kernel or a line changed; where a super-frame was cut or segments were joined, what follows from that is left
/// out, which nobody wants to read of at each hop.
fn between(before: (&[u8], Layer), after: (&[u8], Layer)) -> Vec<Change> {
    const OF_SEGMENTS: [&str; 6] = ["ip.id", "ip.len", "tcp.seq", "tcp.ack", "tcp.flags", "payload"];
    let mut found = changes(before, after);
    let is = |field: &str| found.iter().any(|change| change.field == field);
    if is("ip.len") && Flow::parse(after.0, after.1).is_some_and(|flow| flow.protocol == ip_protocol::TCP) {
        found.retain(|change| !OF_SEGMENTS.contains(&change.field));
    }
    found
}

/// Counts a record that shows what a hop has already shown: a copy, a segment, a piece.
fn same_again(found: &mut [Hop], record: &Sighting, records: &[Sighting], plan: &Plan) -> bool {
    let staged = matches!(plan.spot(&record.interface), Some(Spot::Stage(..)));
    let again = found.iter_mut().rev().find(|hop| {
        let shown = &records[hop.before];
        let left = &records[hop.after];
        if staged {
            // What a plugin has turned round comes by once more, and looks otherwise.
            let is_copy = record.direction == Some(Direction::Inbound) && shown.frame == record.frame;
            left.interface == record.interface
                && left.direction == record.direction
                && hop.packet == record.packet
                && (hop.before != hop.after || is_copy)
        } else {
            shown.interface == record.interface && shown.direction == record.direction
        }
    });
    match again {
        Some(hop) => {
            hop.frames += 1;
            true
        }
        None => false,
    }
}

/// Finds the stage that a record shows the packet leaving.
fn entered(found: &[Hop], record: &Sighting, records: &[Sighting], plan: &Plan) -> Option<usize> {
    let staged = matches!(plan.spot(&record.interface), Some(Spot::Stage(..)));
    if !staged || record.direction == Some(Direction::Inbound) {
        return None;
    }
    found.iter().rposition(|hop| {
        let shown = &records[hop.before];
        hop.before == hop.after
            && shown.interface == record.interface
            && shown.direction == Some(Direction::Inbound)
            && hop.packet == record.packet
    })
}

fn leave(hop: &mut Hop, at: usize, records: &[Sighting]) {
    let record = &records[at];
    hop.after = at;
    hop.outbound = record.direction == Some(Direction::Outbound);
    say(hop, record);
    hop.waited_ns = hop.waited_ns.or(Some(record.ts_ns.saturating_sub(hop.ts_ns)));
}

/// Writes down what a record says of its hop.
fn say(hop: &mut Hop, record: &Sighting) {
    if !record.comment.is_empty() && hop.comment != record.comment {
        if !hop.comment.is_empty() {
            hop.comment.push('\n');
        }
        hop.comment.push_str(&record.comment);
    }
    // Of several lines the last says what became of it.
    let Some(said) = record.comment.lines().filter_map(Said::read).next_back() else {
        hop.ended |= record.direction.is_none();
        return;
    };
    let staged = matches!(hop.kind, Kind::Plugin | Kind::Impairment | Kind::Switch);
    hop.ended |= said.ends() || record.direction.is_none();
    if staged || said.ends() {
        hop.verdict = said.fate.to_string();
        if said.fate == "dropped" {
            hop.verdict = "drop".into();
        }
        if said.ends() {
            hop.reason = said.reason.to_string();
            if !staged {
                hop.stage = said.who.to_string();
            }
        }
    }
    if staged {
        hop.waited_ns = said.waited_ns().or(hop.waited_ns);
    }
}

fn begin(at: usize, record: &Sighting, plan: &Plan) -> Hop {
    let mut hop = Hop {
        kind: Kind::Plugin,
        node: String::new(),
        interface: String::new(),
        link: String::new(),
        stage: String::new(),
        verdict: String::new(),
        reason: String::new(),
        ts_ns: record.ts_ns,
        waited_ns: None,
        changes: Vec::new(),
        comment: String::new(),
        parent: None,
        frames: 1,
        before: at,
        after: at,
        ended: false,
        outbound: record.direction == Some(Direction::Outbound),
        packet: record.packet,
    };
    match plan.spot(&record.interface) {
        Some(Spot::Place(place)) => {
            hop.node = place.node.clone();
            hop.interface = place.interface.clone();
            hop.link = plan
                .link_of(&place.name)
                .map(|link| link.name.clone())
                .unwrap_or_default();
            hop.kind = match (place.is_port, hop.outbound) {
                (true, _) => Kind::Port,
                (false, true) => Kind::Sent,
                (false, false) => Kind::Received,
            };
            hop.verdict = match (hop.kind, hop.outbound) {
                (Kind::Port, true) => "out",
                (Kind::Port, false) => "in",
                (_, true) => "sent",
                (_, false) => "received",
            }
            .into();
        }
        Some(Spot::Stage(owner, stage)) => {
            if let Some(link) = plan.link(owner) {
                hop.link = link.name.clone();
            } else if let Some(place) = plan.place(owner) {
                hop.node = place.node.clone();
                hop.interface = place.interface.clone();
            } else {
                hop.node = owner.into();
            }
            hop.kind = match stage {
                "switch" if plan.has_node(owner) => Kind::Switch,
                "a>b" | "b>a" => Kind::Impairment,
                _ => Kind::Plugin,
            };
            hop.stage = stage.into();
            hop.verdict = "in".into();
        }
        None => hop.interface = record.interface.to_string(),
    }
    say(&mut hop, record);
    if record.direction.is_none() && matches!(hop.verdict.as_str(), "in" | "received") {
        hop.verdict = "drop".into();
    }
    hop
}

/// Returns the hop that a packet came from: the last one next to it on the network's plan, else the last one of all.
fn parent(found: &[Hop], number: usize, plan: &Plan) -> Option<usize> {
    let hop = &found[number];
    let is_place = |hop: &Hop| matches!(hop.kind, Kind::Sent | Kind::Received | Kind::Port);
    if hop.ended && is_place(hop) {
        // It is noted where the packet had come in, which is not where it had come to.
        let decided = |other: &Hop| !is_place(other) || other.kind == Kind::Port && !other.outbound;
        return found[..number]
            .iter()
            .rposition(|other| !other.ended && decided(other));
    }
    let before = found[..number]
        .iter()
        .rposition(|other| !other.ended && precedes(other, hop, plan));
    if before.is_some() {
        return before;
    }
    // Before a packet begins at a node it was nowhere.
    let begins = hop.kind == Kind::Sent && !found[..number].iter().any(|other| other.node == hop.node);
    if begins {
        return None;
    }
    found[..number].iter().rposition(|other| !other.ended)
}

/// Says whether a packet that was seen in one place comes next to another.
pub(super) fn leads(from: &Sighting, to: &Sighting, plan: &Plan) -> bool {
    let (before, after) = (begin(0, from, plan), begin(0, to, plan));
    let is_inside = matches!(before.kind, Kind::Plugin | Kind::Impairment) && !before.outbound;
    !before.ended && !is_inside && precedes(&before, &after, plan)
}

fn precedes(other: &Hop, hop: &Hop, plan: &Plan) -> bool {
    let on_link = |hop: &Hop| !hop.link.is_empty() && hop.node.is_empty();
    let same_link = !hop.link.is_empty() && other.link == hop.link;
    let same_node = !hop.node.is_empty() && other.node == hop.node;
    let is_place = |hop: &Hop| matches!(hop.kind, Kind::Sent | Kind::Received | Kind::Port);
    match hop.kind {
        Kind::Sent => same_node && !other.outbound,
        Kind::Port if hop.outbound => {
            (same_node && !(is_place(other) && other.outbound)) || (same_link && on_link(other))
        }
        Kind::Received | Kind::Port => {
            let across = || is_place(other) && other.outbound && peers(other, hop, plan);
            same_link && (on_link(other) || across())
                || (!is_place(other) && same_node && other.interface == hop.interface)
        }
        // On a link between its ends, on a switch behind the port it came in by.
        _ if on_link(hop) => same_link && (on_link(other) || other.outbound || other.kind == Kind::Port),
        _ if hop.interface.is_empty() => {
            (same_node && !(is_place(other) && other.outbound))
                || (on_link(other) && plan.joins(&other.link, &hop.node))
        }
        _ => same_node && (other.interface == hop.interface || !is_place(other)),
    }
}

fn peers(one: &Hop, other: &Hop, plan: &Plan) -> bool {
    let place = plan
        .places
        .iter()
        .find(|place| place.node == one.node && place.interface == one.interface);
    place
        .and_then(|place| plan.peer(&place.name))
        .is_some_and(|peer| peer.node == other.node && peer.interface == other.interface)
}

impl Hop {
    /// Says whether the packet ended here.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        self.ended
    }

    /// Says where it is, as `s1 port2`, `link h1-r1`, `link h1-r1, acl`.
    #[must_use]
    pub fn place(&self) -> String {
        let at = match (self.node.as_str(), self.interface.as_str(), self.link.as_str()) {
            ("", "", link) => format!("link {link}"),
            ("", interface, _) => interface.into(),
            (node, "", _) => node.into(),
            (node, interface, _) => format!("{node} {interface}"),
        };
        if matches!(self.kind, Kind::Plugin | Kind::Impairment) {
            format!("{at}, {}", self.stage)
        } else {
            at
        }
    }
}
