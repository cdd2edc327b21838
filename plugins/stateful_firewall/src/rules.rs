//! Which conversations may begin.

use vnet_plugin::{Flow, Prefix};

use crate::settings::Zone;

/// Conversations that may begin; what is `None` holds for any.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub from: Option<Zone>,
    pub to: Option<Zone>,
    pub protocol: Option<u8>,
    pub src: Option<Prefix>,
    pub dst: Option<Prefix>,
    /// First and last port.
    pub dport: Option<(u16, u16)>,
}

impl Rule {
    pub const ANY: Rule = Rule {
        from: None,
        to: None,
        protocol: None,
        src: None,
        dst: None,
        dport: None,
    };

    /// Says whether a packet between these zones may begin a conversation; a receiver in an unknown zone, or in several,
    /// matches no rule that names one.
    pub fn allows(&self, flow: &Flow, (from, to): (Zone, Option<Zone>)) -> bool {
        self.from.is_none_or(|zone| zone == from)
            && self.to.is_none_or(|zone| to == Some(zone))
            && self.protocol.is_none_or(|protocol| protocol == flow.protocol)
            && self.src.is_none_or(|prefix| prefix.contains(flow.src))
            && self.dst.is_none_or(|prefix| prefix.contains(flow.dst))
            && self
                .dport
                .is_none_or(|(first, last)| flow.ports.is_some_and(|(_, port)| (first..=last).contains(&port)))
    }
}
