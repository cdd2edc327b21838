//! Rules as numbers that are compared and nothing else.

use core::ops::{BitAnd, BitXor};

use crate::counters::RULES_MAX;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Deny,
    Permit,
}

/// What a packet is judged by.
pub struct Subject<A> {
    pub src: A,
    pub dst: A,
    pub protocol: u8,
    /// Source and destination port, or code and type of an ICMP message; `None` where the packet has neither.
    pub numbers: Option<(u16, u16)>,
}

/// A range of ports or ICMP types; the whole range matches packets that have none, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub first: u16,
    /// How many follow the first.
    pub span: u16,
}

impl Range {
    pub const ANY: Range = Range {
        first: 0,
        span: u16::MAX,
    };

    #[inline(always)]
    const fn holds(self, number: u16) -> bool {
        number.wrapping_sub(self.first) <= self.span
    }
}

/// A rule for addresses that are numbers of type `A`.
#[derive(Clone, Copy, Debug)]
pub struct Rule<A> {
    pub src: A,
    pub src_mask: A,
    pub dst: A,
    pub dst_mask: A,
    pub sport: Range,
    pub dport: Range,
    pub protocol: u8,
    /// 0 for any protocol, else 255.
    pub protocol_mask: u8,
    pub action: Action,
    /// Place in the configuration.
    pub index: u8,
}

impl Rule<()> {
    /// Returns the same rule for packets between two networks, each with its mask.
    pub fn between<A>(self, (src, src_mask): (A, A), (dst, dst_mask): (A, A)) -> Rule<A> {
        Rule {
            src,
            src_mask,
            dst,
            dst_mask,
            sport: self.sport,
            dport: self.dport,
            protocol: self.protocol,
            protocol_mask: self.protocol_mask,
            action: self.action,
            index: self.index,
        }
    }
}

/// The rules of one IP version, in order.
#[derive(Clone, Copy)]
pub struct Rules<A> {
    rules: [Rule<A>; RULES_MAX],
    len: usize,
}

impl<A> Rules<A>
where
    A: Copy + Eq + Default + BitXor<Output = A> + BitAnd<Output = A>,
{
    /// Holds no rule; `blank` fills the places. Of zeros alone it takes no bytes in the module.
    pub const fn new(blank: Rule<A>) -> Rules<A> {
        Rules {
            rules: [blank; RULES_MAX],
            len: 0,
        }
    }

    /// Adds a rule at the end; false where there is no place.
    pub fn add(&mut self, rule: Rule<A>) -> bool {
        let Some(place) = self.rules.get_mut(self.len) else {
            return false;
        };
        *place = rule;
        self.len += 1;
        true
    }

    /// Returns action and place of the first rule that matches.
    #[inline(always)]
    pub fn first(&self, subject: &Subject<A>) -> Option<(Action, u8)> {
        let (src, dst, protocol) = (subject.src, subject.dst, subject.protocol);
        let rules = self.rules.get(..self.len).unwrap_or_default();
        let ends = |rule: &&Rule<A>| {
            (dst ^ rule.dst) & rule.dst_mask == A::default()
                && (src ^ rule.src) & rule.src_mask == A::default()
                && (protocol ^ rule.protocol) & rule.protocol_mask == 0
        };
        let found = match subject.numbers {
            Some((sport, dport)) => rules
                .iter()
                .find(|rule| ends(rule) && rule.dport.holds(dport) && rule.sport.holds(sport)),
            None => rules
                .iter()
                .find(|rule| ends(rule) && rule.dport == Range::ANY && rule.sport == Range::ANY),
        };
        found.map(|rule| (rule.action, rule.index))
    }
}
