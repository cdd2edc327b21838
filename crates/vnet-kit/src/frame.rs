//! Frames as a file of cases writes them: header by header.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;
use vnet_packet::wire::{MacAddr, ether_type, ip_protocol};
use vnet_packet::{Layer, checksum};

/// A frame built from its headers; what is not said has a value that makes it whole.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrameSpec {
    eth: Option<Eth>,
    #[serde(default)]
    vlan: Vec<Vlan>,
    arp: Option<Arp>,
    ipv4: Option<Ipv4>,
    ipv6: Option<Ipv6>,
    udp: Option<Udp>,
    tcp: Option<Tcp>,
    icmp: Option<Icmp>,
    icmpv6: Option<Icmp>,
    payload: Option<String>,
    payload_hex: Option<String>,
    /// The whole frame, in place of everything else.
    hex: Option<String>,
    /// Zeros follow until the frame is so long.
    pad: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Eth {
    src: Option<String>,
    dst: Option<String>,
    r#type: Option<u16>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Vlan {
    id: u16,
    priority: u8,
    tpid: Option<u16>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Arp {
    operation: Option<u16>,
    sender_mac: Option<String>,
    sender: Option<String>,
    target_mac: Option<String>,
    target: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ipv4 {
    src: Option<String>,
    dst: Option<String>,
    ttl: Option<u8>,
    tos: u8,
    id: u16,
    dont_fragment: bool,
    more_fragments: bool,
    fragment_offset: u16,
    protocol: Option<u8>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ipv6 {
    src: Option<String>,
    dst: Option<String>,
    hop_limit: Option<u8>,
    traffic_class: u8,
    flow_label: u32,
    next_header: Option<u8>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Udp {
    src: u16,
    dst: u16,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tcp {
    src: u16,
    dst: u16,
    seq: u32,
    ack: u32,
    flags: String,
    window: Option<u16>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Icmp {
    r#type: Option<u8>,
    code: u8,
    id: u16,
    seq: u16,
}

const SRC_MAC: &str = "02:00:00:00:00:01";
const DST_MAC: &str = "02:00:00:00:00:02";
/// TCP's flags by the letters that tcpdump knows them by, lowest bit first.
pub(crate) const TCP_FLAGS: &str = "FSRPAUEW";

impl FrameSpec {
    /// Says whether the frame starts with an Ethernet header.
    pub fn layer(&self) -> Layer {
        if self.hex.is_some() || self.eth.is_some() || self.arp.is_some() || !self.vlan.is_empty() {
            Layer::L2
        } else {
            Layer::L3
        }
    }

    /// Returns the frame with lengths and checksums filled in.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        if let Some(digits) = &self.hex {
            return hex(digits);
        }
        let mut bytes = self.link()?;
        bytes.extend(self.network()?);
        if let Some(pad) = self.pad {
            bytes.resize(bytes.len().max(pad), 0);
        }
        if bytes.is_empty() {
            return Err("the frame has no header: write eth, ipv4 or ipv6, or give it as hex".into());
        }
        checksum::fix(&mut bytes, self.layer());
        Ok(bytes)
    }

    fn link(&self) -> Result<Vec<u8>, String> {
        if self.layer() == Layer::L3 {
            return Ok(Vec::new());
        }
        let eth = self.eth.clone().unwrap_or_default();
        let mut bytes = mac("eth.dst", eth.dst.as_deref().unwrap_or(DST_MAC))?.to_vec();
        bytes.extend(mac("eth.src", eth.src.as_deref().unwrap_or(SRC_MAC))?);
        for tag in &self.vlan {
            bytes.extend(tag.tpid.unwrap_or(ether_type::VLAN).to_be_bytes());
            if tag.id > 0xfff || tag.priority > 7 {
                return Err("vlan: id is at most 4095 and priority at most 7".into());
            }
            bytes.extend((u16::from(tag.priority) << 13 | tag.id).to_be_bytes());
        }
        let inner = match self {
            FrameSpec { arp: Some(_), .. } => ether_type::ARP,
            FrameSpec { ipv6: Some(_), .. } => ether_type::IPV6,
            FrameSpec { ipv4: Some(_), .. } => ether_type::IPV4,
            // Reserved for local experiments (IEEE 802).
            _ => 0x88b5,
        };
        bytes.extend(eth.r#type.unwrap_or(inner).to_be_bytes());
        Ok(bytes)
    }

    fn network(&self) -> Result<Vec<u8>, String> {
        let named = [self.arp.is_some(), self.ipv4.is_some(), self.ipv6.is_some()];
        match (named.iter().filter(|is| **is).count(), self) {
            (0, _) => self.payload(),
            (1, FrameSpec { arp: Some(arp), .. }) => arp.bytes(),
            (1, FrameSpec { ipv4: Some(ip), .. }) => self.ipv4(ip),
            (1, FrameSpec { ipv6: Some(ip), .. }) => self.ipv6(ip),
            _ => Err("a frame has one of arp, ipv4 and ipv6".into()),
        }
    }

    fn ipv4(&self, ip: &Ipv4) -> Result<Vec<u8>, String> {
        let (segment, protocol) = self.segment()?;
        let total =
            u16::try_from(20 + segment.len()).map_err(|_| "the packet is longer than 65,535 bytes")?;
        if !ip.fragment_offset.is_multiple_of(8) {
            return Err("ipv4.fragment_offset is in bytes, a multiple of 8".into());
        }
        let (dont, more) = (u16::from(ip.dont_fragment), u16::from(ip.more_fragments));
        let fragment = (dont << 14) | (more << 13) | (ip.fragment_offset / 8);
        let mut bytes = vec![0x45, ip.tos];
        bytes.extend(total.to_be_bytes());
        bytes.extend(ip.id.to_be_bytes());
        bytes.extend(fragment.to_be_bytes());
        bytes.extend([ip.ttl.unwrap_or(64), ip.protocol.unwrap_or(protocol), 0, 0]);
        bytes.extend(address::<Ipv4Addr>("ipv4.src", ip.src.as_deref(), "10.0.0.1")?.octets());
        bytes.extend(address::<Ipv4Addr>("ipv4.dst", ip.dst.as_deref(), "10.0.0.2")?.octets());
        bytes.extend(segment);
        Ok(bytes)
    }

    fn ipv6(&self, ip: &Ipv6) -> Result<Vec<u8>, String> {
        let (segment, protocol) = self.segment()?;
        let len = u16::try_from(segment.len()).map_err(|_| "the packet is longer than 65,535 bytes")?;
        if ip.flow_label > 0xf_ffff {
            return Err("ipv6.flow_label has 20 bits".into());
        }
        let first = 6 << 28 | u32::from(ip.traffic_class) << 20 | ip.flow_label;
        let mut bytes = first.to_be_bytes().to_vec();
        bytes.extend(len.to_be_bytes());
        bytes.extend([ip.next_header.unwrap_or(protocol), ip.hop_limit.unwrap_or(64)]);
        bytes.extend(address::<Ipv6Addr>("ipv6.src", ip.src.as_deref(), "fd00::1")?.octets());
        bytes.extend(address::<Ipv6Addr>("ipv6.dst", ip.dst.as_deref(), "fd00::2")?.octets());
        bytes.extend(segment);
        Ok(bytes)
    }

    /// Returns what follows the IP header, and which protocol that is.
    fn segment(&self) -> Result<(Vec<u8>, u8), String> {
        let payload = self.payload()?;
        let mut bytes = Vec::new();
        let protocol = match self {
            FrameSpec { udp: Some(udp), .. } => {
                let len = u16::try_from(8 + payload.len()).map_err(|_| "the datagram is too long")?;
                bytes.extend(udp.src.to_be_bytes());
                bytes.extend(udp.dst.to_be_bytes());
                bytes.extend(len.to_be_bytes());
                // Not 0, which says that there is no sum: it is filled in at the end.
                bytes.extend([0xff, 0xff]);
                ip_protocol::UDP
            }
            FrameSpec { tcp: Some(tcp), .. } => {
                bytes.extend(tcp.src.to_be_bytes());
                bytes.extend(tcp.dst.to_be_bytes());
                bytes.extend(tcp.seq.to_be_bytes());
                bytes.extend(tcp.ack.to_be_bytes());
                bytes.extend([0x50, flags(&tcp.flags)?]);
                bytes.extend(tcp.window.unwrap_or(65_535).to_be_bytes());
                bytes.extend([0; 4]);
                ip_protocol::TCP
            }
            FrameSpec { icmp: Some(icmp), .. } => {
                bytes.extend(icmp.bytes(8));
                ip_protocol::ICMP
            }
            FrameSpec {
                icmpv6: Some(icmp), ..
            } => {
                bytes.extend(icmp.bytes(128));
                ip_protocol::ICMPV6
            }
            // Reserved for experiments (RFC 3692).
            _ => 253,
        };
        bytes.extend(payload);
        Ok((bytes, protocol))
    }

    fn payload(&self) -> Result<Vec<u8>, String> {
        match (&self.payload, &self.payload_hex) {
            (None, None) => Ok(Vec::new()),
            (Some(text), None) => Ok(text.as_bytes().to_vec()),
            (None, Some(digits)) => hex(digits),
            (Some(_), Some(_)) => Err("a frame has payload or payload_hex".into()),
        }
    }
}

impl Arp {
    fn bytes(&self) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0, 1, 8, 0, 6, 4];
        bytes.extend(self.operation.unwrap_or(1).to_be_bytes());
        bytes.extend(mac(
            "arp.sender_mac",
            self.sender_mac.as_deref().unwrap_or(SRC_MAC),
        )?);
        bytes.extend(address::<Ipv4Addr>("arp.sender", self.sender.as_deref(), "10.0.0.1")?.octets());
        bytes.extend(mac(
            "arp.target_mac",
            self.target_mac.as_deref().unwrap_or("00:00:00:00:00:00"),
        )?);
        bytes.extend(address::<Ipv4Addr>("arp.target", self.target.as_deref(), "10.0.0.2")?.octets());
        Ok(bytes)
    }
}

impl Icmp {
    fn bytes(&self, echo: u8) -> Vec<u8> {
        let mut bytes = vec![self.r#type.unwrap_or(echo), self.code, 0, 0];
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes
    }
}

fn mac(what: &str, text: &str) -> Result<[u8; 6], String> {
    let parsed: MacAddr = text
        .parse()
        .map_err(|_| format!("{what} is {text:?}, which is no MAC address: write 02:00:00:00:00:01"))?;
    Ok(parsed.0)
}

fn address<T: std::str::FromStr>(what: &str, text: Option<&str>, otherwise: &str) -> Result<T, String> {
    let text = text.unwrap_or(otherwise);
    text.parse()
        .map_err(|_| format!("{what} is {text:?}, which is no such address: write {otherwise}"))
}

fn flags(text: &str) -> Result<u8, String> {
    text.chars().try_fold(0, |bits, letter| {
        let bit = TCP_FLAGS
            .find(letter.to_ascii_uppercase())
            .ok_or_else(|| format!("tcp.flags has {letter:?}; flags are of {TCP_FLAGS}"))?;
        Ok(bits | 1 << bit)
    })
}

/// Reads bytes as hex digits; white space and colons between them do not count.
pub(crate) fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .map(|c| {
            c.to_digit(16)
                .map(|digit| digit as u8)
                .ok_or_else(|| format!("{c:?} is no hex digit"))
        })
        .collect::<Result<_, _>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("the hex digits are odd in number: a byte has two".into());
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(json: &str) -> Vec<u8> {
        serde_json::from_str::<FrameSpec>(json).unwrap().bytes().unwrap()
    }

    #[test]
    fn lengths_and_sums_fill_themselves_in() {
        let frame =
            built(r#"{"eth": {}, "ipv4": {"ttl": 3}, "udp": {"src": 1, "dst": 2}, "payload": "abc"}"#);
        assert_eq!(frame.len(), 14 + 20 + 8 + 3);
        assert_eq!(frame[12..14], [8, 0]);
        let ip = vnet_packet::wire::Ipv4::new_checked(&frame[14..]).unwrap();
        assert!(ip.checksum_ok() && ip.ttl() == 3 && ip.total_len() == 31);
        assert!(vnet_packet::summary(&frame, Layer::L2).contains("UDP"));
    }

    #[test]
    fn a_packet_without_ethernet_has_no_ethernet_header() {
        let frame = built(r#"{"ipv6": {}, "icmpv6": {}}"#);
        assert_eq!((frame.len(), frame[0] >> 4), (48, 6));
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |json: &str| {
            serde_json::from_str::<FrameSpec>(json)
                .unwrap()
                .bytes()
                .unwrap_err()
        };
        assert!(error(r#"{"eth": {"dst": "nonsense"}}"#).contains("eth.dst"));
        assert!(error(r#"{"ipv4": {"src": "10.0.0.256"}}"#).contains("ipv4.src"));
        assert!(error(r#"{"ipv4": {}, "tcp": {"flags": "X"}}"#).contains("FSRPAUEW"));
        assert!(error(r#"{"ipv4": {}, "ipv6": {}}"#).contains("one of"));
        assert!(error("{}").contains("no header"));
        assert!(hex("0").unwrap_err().contains("odd"));
    }
}
