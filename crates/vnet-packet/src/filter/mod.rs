//! Filters: which frames are meant, in the words of pcap-filter(7).
//!
//! [`Filter::parse`] reads a documented part of the language that tcpdump and Wireshark's capture
//! filters speak, and [`Filter::matches`] judges frames by it:
//!
//! - `host`, `net`, `port`, `portrange`, `proto`, each with `src`, `dst`, `src or dst` or
//!   `src and dst` before it where that means something; `host` takes the name of a node, which the
//!   caller's [`Names`] tell the addresses of;
//! - `ether host`, `ether src`, `ether dst`, `ether proto`, `broadcast`, `multicast`;
//! - `ip`, `ip6`, `arp`, `rarp`, `tcp`, `udp`, `icmp`, `icmp6`, `igmp`, `sctp` and other protocols, alone or
//!   before `host`, `net`, `port`, `portrange` or `proto` where that means something;
//! - `vlan` and `vlan 7`; `less 100`, `greater 100`;
//! - `and` (`&&`), `or` (`||`), `not` (`!`) and parentheses. `and` and `or` bind equally and from the left;
//!   an address, net or port alone takes the words before the last one: `port 80 or 443`.
//!
//! Three things differ from tcpdump, each because a lab's student expects it. A tag hides nothing: `tcp` finds TCP
//! behind up to two VLAN tags, with no `vlan` before it. IPv6's extension headers hide nothing either. And arithmetic
//! on bytes (`tcp[13] & 2 != 0`) is refused. As in tcpdump, only the first fragment of a packet has ports.
//!
//! ```
//! use vnet_packet::Layer;
//! use vnet_packet::filter::{Filter, NoNames};
//!
//! let filter = Filter::parse("udp and not port 53", &NoNames)?;
//! assert!(!filter.matches(Layer::L2, &[0xff; 60]));
//! let error = Filter::parse("tcp prot 80", &NoNames).unwrap_err();
//! assert_eq!((error.position(), error.hint()), (5, Some("did you mean `proto` or `port`?")));
//! # Ok::<(), vnet_packet::filter::FilterError>(())
//! ```

mod error;
mod expr;
mod known;
mod names;
mod parse;
mod primitive;
mod sight;
mod words;

use alloc::string::String;
use core::fmt;

pub use error::FilterError;
pub use names::{Names, NoNames};

use crate::Layer;
use expr::Expr;
use sight::Sight;

/// Which frames are meant.
#[derive(Clone, Debug)]
pub struct Filter {
    text: String,
    /// `None` where the text is empty, which means every frame.
    expr: Option<Expr>,
}

impl Filter {
    /// Reads a filter; an empty one means every frame.
    ///
    /// # Errors
    /// [`FilterError`] where the text is no filter, with the word and what it should be.
    pub fn parse(text: &str, names: &dyn Names) -> Result<Filter, FilterError> {
        Ok(Filter {
            text: text.trim().into(),
            expr: parse::filter(text, names)?.expr,
        })
    }

    /// Returns a filter's text with addresses in place of the names of nodes, for whoever knows no nodes, as a plugin does not.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn without_names(text: &str, names: &dyn Names) -> Result<String, FilterError> {
        let mut plain = String::with_capacity(text.len());
        let mut end = 0;
        for (at, addresses) in parse::filter(text, names)?.named {
            plain.push_str(&text[end..at.start]);
            plain.push_str(&addresses);
            end = at.end;
        }
        plain.push_str(&text[end..]);
        Ok(plain)
    }

    /// Says whether a frame is meant, of which all is given.
    #[must_use]
    pub fn matches(&self, layer: Layer, frame: &[u8]) -> bool {
        self.matches_cut(layer, frame, frame.len())
    }

    /// Says whether a frame of `wire_len` bytes is meant, of which the first are given: `less` and `greater` count all of it.
    #[must_use]
    pub fn matches_cut(&self, layer: Layer, frame: &[u8], wire_len: usize) -> bool {
        self.expr
            .as_ref()
            .is_none_or(|expr| expr.matches(&Sight::of(frame, wire_len, layer)))
    }

    /// Says whether every frame is meant.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.expr.is_none()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
