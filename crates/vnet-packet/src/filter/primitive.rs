//! One condition of a filter: qualifiers, and what they qualify.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use super::expr::{End, Expr, Join, Test};
use super::parse::Parser;
use super::words::Word;
use super::{FilterError, known};
use crate::Prefix;
use crate::wire::{MacAddr, ether_type};

/// The protocol that stands before a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Ethernet,
    Kind(u16),
    Protocol(u8),
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

/// The words before a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Qualifiers {
    within: Option<Within>,
    end: Option<End>,
    of: Type,
}

impl<'t> Parser<'t, '_> {
    /// Reads one condition, or a value alone, which takes the words before the last one.
    pub fn primitive(&mut self) -> Result<Expr, FilterError> {
        let word = self.need("a condition", "host 10.0.0.1")?;
        if word.escaped || !known::is_keyword(word.text) {
            return self.bare(&word);
        }
        match word.text {
            "vlan" => {
                let number = self
                    .words
                    .next_if(|next| next.text.bytes().all(|b| b.is_ascii_digit()));
                let vid = number
                    .map(|number| {
                        let vid = number.text.parse().ok().filter(|vid| *vid < 4096);
                        vid.ok_or_else(|| self.error(&number.at, "a VLAN has a number from 0 to 4095"))
                    })
                    .transpose()?;
                return Ok(Expr::Test(Test::Vlan(vid)));
            }
            "less" | "greater" => {
                let number = self.need("a length in bytes", &format!("{} 100", word.text))?;
                let bytes = number.text.parse().map_err(|_| {
                    self.error(&number.at, format!("`{}` is no length in bytes", number.text))
                })?;
                return Ok(Expr::Test(match word.text {
                    "less" => Test::Less(bytes),
                    _ => Test::Greater(bytes),
                }));
            }
            "broadcast" => return Ok(Expr::Test(Test::Broadcast)),
            "multicast" => return Ok(Expr::Test(Test::Multicast)),
            "and" | "or" => {
                return Err(self.error(
                    &word.at,
                    format!("`{}` joins two conditions, and none is before it", word.text),
                ));
            }
            _ => {}
        }
        self.qualified(&word)
    }

    /// Reads what starts with a qualifier.
    fn qualified(&mut self, first: &Word<'t>) -> Result<Expr, FilterError> {
        let within = within(first.text);
        // The word that decides what follows: the first one that is no protocol.
        let mut word = first.clone();
        if let Some(within) = within {
            if let Some(test) = self.alone(within, first)? {
                return Ok(Expr::Test(test));
            }
            word = self.need("what to look at", "tcp port 80")?;
        }
        let end = matches!(word.text, "src" | "dst").then(|| self.direction(word.text));
        if end.is_some() {
            // `src 10.0.0.1` is `src host 10.0.0.1`.
            if !self.next_is(&["host", "net", "port", "portrange", "proto"]) {
                return self.values(
                    Qualifiers {
                        within,
                        end,
                        of: Type::Host,
                    },
                    first,
                );
            }
            word = self.need("an address, net or port", "src host 10.0.0.1")?;
        }
        let of = match word.text {
            "host" => Type::Host,
            "net" => Type::Net,
            "port" => Type::Port,
            "portrange" => Type::PortRange,
            "proto" => Type::Proto,
            _ => return Err(self.unknown(&word)),
        };
        self.values(Qualifiers { within, end, of }, first)
    }

    /// Returns the test of a protocol that nothing qualifies further.
    fn alone(&mut self, within: Within, word: &Word<'_>) -> Result<Option<Test>, FilterError> {
        if self.next_is(&["src", "dst", "host", "net", "port", "portrange", "proto"]) {
            return Ok(None);
        }
        let group = match self.words.peek().map(|next| next.text) {
            Some(text @ ("broadcast" | "multicast")) => text,
            Some(text) if !matches!(text, "and" | "or" | ")") => {
                let next = self.need("what to look at", "tcp port 80")?;
                return Err(self.unknown(&next));
            }
            _ => {
                return match within {
                    Within::Ethernet => Err(self
                        .error(
                            &word.at,
                            "`ether` alone says nothing: every frame has an Ethernet header",
                        )
                        .with_hint(
                            "write `ether host 02:00:00:00:00:01`, `ether proto 0x88b5`, `ether broadcast`",
                        )),
                    Within::Kind(kind) => Ok(Some(Test::Kind(kind))),
                    Within::Protocol(protocol) => Ok(Some(Test::Protocol(kind_of(protocol), protocol))),
                };
            }
        };
        let test = match (within, group) {
            (Within::Ethernet, "broadcast") => Test::Broadcast,
            (Within::Ethernet, _) => Test::Multicast,
            (Within::Kind(kind @ (ether_type::IPV4 | ether_type::IPV6)), "multicast") => {
                Test::IpMulticast(kind)
            }
            _ => {
                let what = format!("`{} {group}` cannot be told from a frame", word.text);
                return Err(self
                    .error(&word.at, what)
                    .with_hint(format!("write `ether {group}`")));
            }
        };
        self.words.next();
        Ok(Some(test))
    }

    /// Reads `src`, `dst`, `src or dst`, `src and dst`, of which the first word was taken.
    fn direction(&mut self, first: &str) -> End {
        let (own, other) = match first {
            "src" => (End::Src, "dst"),
            _ => (End::Dst, "src"),
        };
        let mut ahead = self.words.clone();
        let join = ahead.next().filter(|word| matches!(word.text, "and" | "or"));
        let follows = ahead
            .next()
            .is_some_and(|word| !word.escaped && word.text == other);
        // `src or dst port 80` is one direction; `src or dst` needs a value before the `or` to be two conditions.
        let Some(join) = join.filter(|_| follows) else {
            return own;
        };
        self.words = ahead;
        if join.text == "and" {
            End::Both
        } else {
            End::Either
        }
    }

    /// Reads a value behind its qualifiers, or a parenthesis of values.
    fn values(&mut self, qualifiers: Qualifiers, first: &Word<'_>) -> Result<Expr, FilterError> {
        self.check(qualifiers, first)?;
        self.last = Some(qualifiers);
        if let Some(open) = self.words.next_if(|word| word.text == "(") {
            return self.parenthesis(&open, Parser::listed);
        }
        let (what, example) = qualifiers.of.wanted();
        let word = self.need(what, example)?;
        self.value(qualifiers, &word)
    }

    /// Reads the values of a parenthesis behind qualifiers: `port (80 or 443)`.
    fn listed(&mut self) -> Result<Expr, FilterError> {
        let mut rest = Vec::new();
        let first = self.one_listed()?;
        loop {
            let join = if self.take("or") {
                Join::Or
            } else if self.take("and") {
                Join::And
            } else {
                break;
            };
            rest.push((join, self.one_listed()?));
        }
        Ok(Expr::Chain(Box::new(first), rest))
    }

    fn one_listed(&mut self) -> Result<Expr, FilterError> {
        let mut negated = false;
        while self.take("not") {
            negated = !negated;
        }
        let expr = if let Some(open) = self.words.next_if(|word| word.text == "(") {
            self.parenthesis(&open, Parser::listed)?
        } else {
            let word = self.need("a value", "port (80 or 443)")?;
            match self.last {
                Some(last) => self.value(last, &word)?,
                None => return Err(self.unknown(&word)),
            }
        };
        Ok(if negated { Expr::Not(Box::new(expr)) } else { expr })
    }

    /// Reads a value that no word qualifies: as the one before it, or as a host.
    fn bare(&mut self, word: &Word<'t>) -> Result<Expr, FilterError> {
        if word.text == ")" {
            return Err(self.error(&word.at, "`)` stands where a condition is expected"));
        }
        let is_value = word.text.starts_with(|c: char| c.is_ascii_digit()) || word.text.contains(':');
        if let Some(last) = self.last
            && (is_value || last.of.takes(self, word))
        {
            return self.value(last, word);
        }
        let host = Qualifiers {
            within: None,
            end: None,
            of: Type::Host,
        };
        if word.text.parse::<IpAddr>().is_ok() || !self.names.addresses(word.text).is_empty() {
            self.last = Some(host);
            let named = self.named.len();
            let expr = self.value(host, word)?;
            for (_, text) in &mut self.named[named..] {
                // An address would take the words before the last value, as a name does not.
                text.insert_str(0, "host ");
            }
            return Ok(expr);
        }
        if word.text.parse::<u16>().is_ok() {
            return Err(self
                .error(&word.at, format!("`{}` alone says nothing", word.text))
                .with_hint(format!("write `port {}`", word.text)));
        }
        Err(self.unknown(word))
    }

    /// Refuses qualifiers that say nothing together, as `tcp host`.
    fn check(&self, qualifiers: Qualifiers, first: &Word<'_>) -> Result<(), FilterError> {
        let Qualifiers { within, end, of } = qualifiers;
        let name = first.text;
        let problem = match (within, of) {
            (Some(Within::Protocol(_)), Type::Host | Type::Net) => Some((
                format!("`{name}` has no addresses"),
                format!("write `{name} and host …`"),
            )),
            (Some(Within::Protocol(protocol)), Type::Port | Type::PortRange) if !has_ports(protocol) => {
                Some((
                    format!("`{name}` has no ports"),
                    "ports are those of `tcp`, `udp` and `sctp`".into(),
                ))
            }
            (Some(Within::Ethernet | Within::Kind(_)), Type::Port | Type::PortRange) => Some((
                format!("`{name}` has no ports"),
                "write `tcp port 80`, `udp port 53` or `port 53`".into(),
            )),
            (Some(Within::Ethernet), Type::Net) => Some((
                "Ethernet has no nets".into(),
                "write `net 10.0.0.0/8` or `ether host 02:00:00:00:00:01`".into(),
            )),
            (Some(Within::Protocol(_)), Type::Proto) => Some((
                format!("`{name} proto` is not part of these filters"),
                "write `ip proto 17`, `ip6 proto 17` or `ether proto 0x0800`".into(),
            )),
            (Some(Within::Kind(kind)), Type::Proto)
                if !matches!(kind, ether_type::IPV4 | ether_type::IPV6) =>
            {
                Some((
                    format!("`{name}` carries no protocols"),
                    "write `ip proto 17` or `ip6 proto 17`".into(),
                ))
            }
            (_, Type::Proto) if end.is_some() => Some((
                "a protocol has neither source nor destination".into(),
                "leave out `src` and `dst`".into(),
            )),
            _ => None,
        };
        match problem {
            Some((what, hint)) => Err(self.error(&first.at, what).with_hint(hint)),
            None => Ok(()),
        }
    }

    fn value(&mut self, qualifiers: Qualifiers, word: &Word<'t>) -> Result<Expr, FilterError> {
        let Qualifiers { within, end, of } = qualifiers;
        let end = end.unwrap_or(End::Either);
        let kind = match within {
            Some(Within::Kind(kind)) => Some(kind),
            _ => None,
        };
        let transport = match within {
            Some(Within::Protocol(protocol)) => Some(protocol),
            _ => None,
        };
        Ok(Expr::Test(match of {
            Type::Host if within == Some(Within::Ethernet) => Test::Ethernet(end, self.lladdrs(word)?),
            Type::Host => Test::Address(kind, end, self.addresses(word)?),
            Type::Net => Test::Address(kind, end, [self.net(word)?].into()),
            Type::Port => {
                let port = self.port(word)?;
                Test::Port(transport, end, port..=port)
            }
            Type::PortRange => {
                let Some((from, to)) = word.text.split_once('-') else {
                    let what = format!("`{}` is no range of ports", word.text);
                    return Err(self
                        .error(&word.at, what)
                        .with_hint("write `portrange 6000-6008`"));
                };
                let of = |text: &'t str| Word { text, ..word.clone() };
                let (from, to) = (self.port(&of(from))?, self.port(&of(to))?);
                Test::Port(transport, end, from.min(to)..=from.max(to))
            }
            Type::Proto if within == Some(Within::Ethernet) => {
                let number = number(word.text).and_then(|value| u16::try_from(value).ok());
                let kind = known::ether_type(word.text).or(number);
                Test::Kind(kind.ok_or_else(|| {
                    let what = format!("`{}` is no Ethernet type", word.text);
                    self.error(&word.at, what)
                        .with_hint("write a number such as 0x88b5, or `ip`, `arp`, `ip6`")
                })?)
            }
            Type::Proto => {
                let number = number(word.text).and_then(|value| u8::try_from(value).ok());
                let protocol = known::protocol(word.text).or(number);
                Test::Protocol(
                    kind,
                    protocol.ok_or_else(|| {
                        let what = format!("`{}` is no IP protocol", word.text);
                        self.error(&word.at, what)
                            .with_hint("write a number from 0 to 255, or `tcp`, `udp`, `icmp`")
                    })?,
                )
            }
        }))
    }

    fn addresses(&mut self, word: &Word<'_>) -> Result<Vec<Prefix>, FilterError> {
        if let Ok(address) = word.text.parse::<IpAddr>() {
            return Ok([address.into()].into());
        }
        let found = self.names.addresses(word.text);
        if !found.is_empty() {
            self.stands_for(word, &found);
            return Ok(found.into_iter().map(Prefix::from).collect());
        }
        let known = self.names.all();
        let (what, wanted) = if known.is_empty() {
            ("no address", "")
        } else {
            (
                "neither an address nor the name of a node with addresses",
                ", or a node's name",
            )
        };
        let error = self.error(&word.at, format!("`{}` is {what}", word.text));
        Err(if word.text.contains('/') {
            error.with_hint(format!("write `net {}`", word.text))
        } else if word.text.parse::<MacAddr>().is_ok() {
            error.with_hint(format!("write `ether host {}`", word.text))
        } else if let Some(near) = known::near(word.text, &known)
            .iter()
            .find(|near| known.contains(near))
        {
            error.with_hint(format!("did you mean `{near}`?"))
        } else {
            error.with_hint(format!("write an address such as 10.0.0.1 or fd00::1{wanted}"))
        })
    }

    fn lladdrs(&mut self, word: &Word<'_>) -> Result<Vec<MacAddr>, FilterError> {
        if let Ok(lladdr) = word.text.parse() {
            return Ok([lladdr].into());
        }
        let found = self.names.lladdrs(word.text);
        if !found.is_empty() {
            self.stands_for(word, &found);
            return Ok(found);
        }
        let what = if self.names.all().is_empty() {
            "no Ethernet address"
        } else {
            "neither an Ethernet address nor the name of a node"
        };
        Err(self
            .error(&word.at, format!("`{}` is {what}", word.text))
            .with_hint("write `ether host 02:00:00:00:00:01`, or leave out `ether`"))
    }

    /// Reads `10.0.0.0/8`, `10.0.0.0 mask 255.0.0.0`, `10`, `10.1`, `fd00::/8`.
    fn net(&mut self, word: &Word<'_>) -> Result<Prefix, FilterError> {
        let prefix = net(word.text).ok_or_else(|| {
            let what = format!("`{}` is no net", word.text);
            self.error(&word.at, what)
                .with_hint("write `net 10.0.0.0/8` or `net fd00::/8`")
        })?;
        if !self.take("mask") {
            return Ok(prefix);
        }
        let mask = self.need("a mask", "net 10.0.0.0 mask 255.0.0.0")?;
        let bits = mask.text.parse::<Ipv4Addr>().ok().map(Ipv4Addr::to_bits);
        let len = bits
            .filter(|bits| bits.leading_ones() == bits.count_ones())
            .map(u32::leading_ones);
        len.and_then(|len| Prefix::new(prefix.address(), len as u8))
            .filter(|prefix| prefix.v4().is_some())
            .ok_or_else(|| self.error(&mask.at, format!("`{}` is no mask of an IPv4 net", mask.text)))
    }

    fn port(&self, word: &Word<'_>) -> Result<u16, FilterError> {
        known::service(word.text)
            .or_else(|| word.text.parse().ok())
            .ok_or_else(|| {
                let what = format!("`{}` is no port", word.text);
                let hint = if word.text.contains('-') {
                    format!("write `portrange {}`", word.text)
                } else {
                    "write a number from 0 to 65535, or a service such as `domain` or `http`".into()
                };
                self.error(&word.at, what).with_hint(hint)
            })
    }
}

impl Type {
    const fn wanted(self) -> (&'static str, &'static str) {
        match self {
            Type::Host => ("an address or a node's name", "host 10.0.0.1"),
            Type::Net => ("a net", "net 10.0.0.0/8"),
            Type::Port => ("a port", "port 80"),
            Type::PortRange => ("a range of ports", "portrange 6000-6008"),
            Type::Proto => ("a protocol", "ip proto 17"),
        }
    }

    /// Says whether a name may be a value of this type.
    fn takes(self, parser: &Parser<'_, '_>, word: &Word<'_>) -> bool {
        match self {
            Type::Host => !parser.names.addresses(word.text).is_empty(),
            Type::Port => known::service(word.text).is_some(),
            Type::Proto => word.escaped,
            Type::Net | Type::PortRange => false,
        }
    }
}

fn within(word: &str) -> Option<Within> {
    if word == "ether" {
        return Some(Within::Ethernet);
    }
    known::ether_type(word)
        .map(Within::Kind)
        .or_else(|| known::protocol(word).map(Within::Protocol))
}

/// ICMP, IGMP and ICMPv6 live in one version of IP only.
const fn kind_of(protocol: u8) -> Option<u16> {
    match protocol {
        1 | 2 => Some(ether_type::IPV4),
        58 => Some(ether_type::IPV6),
        _ => None,
    }
}

const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | known::SCTP)
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn net(text: &str) -> Option<Prefix> {
    let (address, len) = match text.split_once('/') {
        Some((address, len)) => (address, Some(len.parse::<u8>().ok()?)),
        None => (text, None),
    };
    if let Ok(address) = address.parse::<IpAddr>() {
        // Four numbers are a net of one address, as tcpdump has it.
        return match len {
            Some(len) => Prefix::new(address, len),
            None => Some(address.into()),
        };
    }
    let parts: Vec<u8> = address
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    if parts.is_empty() || parts.len() > 3 {
        return None;
    }
    let mut octets = [0; 4];
    octets[..parts.len()].copy_from_slice(&parts);
    Prefix::new(
        Ipv4Addr::from(octets).into(),
        len.unwrap_or(8 * parts.len() as u8),
    )
}
