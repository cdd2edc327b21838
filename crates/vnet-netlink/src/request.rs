//! A [`Change`] as the kernel's requests.

use std::os::fd::AsRawFd;

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, BridgeStpState, In6AddrGenMode, InetDevConf, InfoBridge, InfoData,
    InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use crate::batch::Spaces;
use crate::change::{Change, LinkSet, PeerEnd};
use crate::{Mac, NetlinkError, address, neighbour, route, tc};

/// One request and its flags beside `NLM_F_REQUEST | NLM_F_ACK`.
pub(crate) struct Request {
    pub(crate) message: RouteNetlinkMessage,
    pub(crate) flags: u16,
}

const MAKE: u16 = NLM_F_CREATE | NLM_F_EXCL;
/// A source must be reachable by some interface, not by that its packet came in by; it wins over a strict setting of all
/// interfaces (Documentation/networking/ip-sysctl.rst).
const LOOSE: i32 = 2;
const PUT: u16 = NLM_F_CREATE | NLM_F_REPLACE;

/// Returns the requests a change takes: one, or two where it sets an interface up
/// after something the kernel would do too late otherwise.
pub(crate) fn requests(change: &Change, spaces: &Spaces<'_>) -> Result<Vec<Request>, NetlinkError> {
    use RouteNetlinkMessage as M;
    let (message, flags) = match change {
        Change::Veth {
            index,
            name,
            mac,
            mtu,
            peer,
        } => (M::NewLink(veth(*index, name, *mac, *mtu, peer, spaces)?), MAKE),
        Change::Bridge {
            index,
            name,
            mac,
            mtu,
        } => (M::NewLink(bridge(*index, name, *mac, *mtu)), MAKE),
        Change::Ifb { index, name } => {
            let mut message = made(*index, name, None, None);
            push_info(&mut message, InfoKind::Ifb, None);
            (M::NewLink(message), MAKE)
        }
        Change::Delete { index } => (M::DelLink(numbered(*index)), 0),
        // RTM_NEWLINK without NLM_F_CREATE, as ip(8) does: it takes all of a link's attributes.
        Change::Link { index, set } => {
            return Ok(set_link(*index, set)
                .into_iter()
                .map(|message| Request {
                    message: M::NewLink(message),
                    flags: 0,
                })
                .collect());
        }
        Change::AddAddress { index, address } => (M::NewAddress(address::added(*index, *address)), MAKE),
        Change::DelAddress { index, address } => (M::DelAddress(address::message(*index, *address)), 0),
        Change::AddRoute(spec) => (
            M::NewRoute(route::added(spec.to, spec.via, spec.index, spec.metric)?),
            PUT,
        ),
        Change::DelRoute(spec) => (
            M::DelRoute(route::deleted(spec.to, spec.via, spec.index, spec.metric)?),
            0,
        ),
        Change::AddNeighbour { index, ip, mac } => {
            (M::NewNeighbour(neighbour::permanent(*index, *ip, *mac)), PUT)
        }
        Change::DelNeighbour { index, ip } => (M::DelNeighbour(neighbour::message(*index, *ip)), 0),
        Change::IngressQdisc { index } => (M::NewQueueDiscipline(tc::ingress_qdisc(*index)), MAKE),
        Change::Redirect {
            index,
            prio,
            to,
            into,
        } => (M::NewTrafficFilter(tc::redirect(*index, *prio, *to, *into)), MAKE),
        Change::DelRedirect { index, prio } => (M::DelTrafficFilter(tc::filter(*index, *prio)), 0),
        Change::FlushFdb { bridge } => {
            let mut message = numbered(*bridge);
            push_info(
                &mut message,
                InfoKind::Bridge,
                Some(InfoData::Bridge(vec![InfoBridge::FdbFlush])),
            );
            (M::NewLink(message), 0)
        }
    };
    Ok(vec![Request { message, flags }])
}

fn veth(
    index: u32,
    name: &str,
    mac: Option<Mac>,
    mtu: Option<u32>,
    peer: &PeerEnd,
    spaces: &Spaces<'_>,
) -> Result<LinkMessage, NetlinkError> {
    let there = spaces(peer.space).ok_or_else(|| NetlinkError::NoSuchSpace {
        name: peer.name.clone(),
        space: peer.space,
    })?;
    // Neither end up: IFF_UP of the peer in this message answers ENOTCONN.
    let mut far = made(peer.index, &peer.name, peer.mac, mtu);
    far.attributes.push(LinkAttribute::NetNsFd(there.as_raw_fd()));
    let mut near = made(index, name, mac, mtu);
    for end in [&mut near, &mut far] {
        // The default is a queue per processor, each with its directory in /sys: a veth
        // has no use for them, and a machine with many processors pays for each end.
        end.attributes.push(LinkAttribute::NumTxQueues(1));
        end.attributes.push(LinkAttribute::NumRxQueues(1));
    }
    push_info(
        &mut near,
        InfoKind::Veth,
        Some(InfoData::Veth(InfoVeth::Peer(far))),
    );
    Ok(near)
}

fn bridge(index: u32, name: &str, mac: Option<Mac>, mtu: Option<u32>) -> LinkMessage {
    let mut message = made(index, name, mac, mtu);
    let settings = vec![
        InfoBridge::StpState(BridgeStpState::Disabled),
        InfoBridge::ForwardDelay(0),
        InfoBridge::MulticastSnooping(false),
        // VLAN filtering is off by default, and saying so is refused by kernels without it.
        // Else each port becomes a member of VLAN 1, which costs and serves nothing.
        InfoBridge::VlanDefaultPvid(0),
    ];
    push_info(&mut message, InfoKind::Bridge, Some(InfoData::Bridge(settings)));
    message
}

fn set_link(index: u32, set: &LinkSet) -> Vec<LinkMessage> {
    let mut message = numbered(index);
    let attributes = &mut message.attributes;
    if let Some(mtu) = set.mtu {
        attributes.push(LinkAttribute::Mtu(mtu));
    }
    if let Some(bytes) = set.gso_ipv4_max {
        attributes.push(LinkAttribute::GsoIpv4MaxSize(bytes));
        attributes.push(LinkAttribute::GroIpv4MaxSize(bytes));
    }
    if let Some(mac) = set.mac {
        attributes.push(LinkAttribute::Address(mac.0.to_vec()));
    }
    if let Some(bridge) = set.bridge {
        attributes.push(LinkAttribute::Controller(bridge));
    }
    if let Some(name) = &set.name {
        attributes.push(LinkAttribute::IfName(name.clone()));
    }
    if let Some(alias) = &set.alias {
        attributes.push(LinkAttribute::IfAlias(alias.clone()));
    }
    let mut families = Vec::new();
    if set.forward_ipv4 {
        let mut settings = InetDevConf::default();
        settings.forwarding = 1;
        settings.rp_filter = LOOSE;
        families.push(AfSpecUnspec::Inet(vec![AfSpecInet::DevConfRequest(settings)]));
    }
    if let Some(addrgen) = set.addrgen {
        let mode = if addrgen {
            In6AddrGenMode::Eui64
        } else {
            In6AddrGenMode::None
        };
        families.push(AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(mode)]));
    }
    if !families.is_empty() {
        attributes.push(LinkAttribute::AfSpecUnspec(families));
    }
    if let Some(noarp) = set.noarp {
        flag(&mut message, LinkFlags::Noarp, noarp);
    }
    let Some(up) = set.up else {
        return vec![message];
    };
    // The kernel sets the flags before the address generation mode (`do_setlink`,
    // net/core/rtnetlink.c), so an interface that goes up would already have made its address.
    if set.addrgen.is_some() {
        let mut last = numbered(index);
        flag(&mut last, LinkFlags::Up, up);
        return vec![message, last];
    }
    flag(&mut message, LinkFlags::Up, up);
    vec![message]
}

fn numbered(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

fn made(index: u32, name: &str, mac: Option<Mac>, mtu: Option<u32>) -> LinkMessage {
    let mut message = numbered(index);
    message.attributes.reserve(8);
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    if let Some(mac) = mac {
        message.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
    }
    if let Some(mtu) = mtu {
        message.attributes.push(LinkAttribute::Mtu(mtu));
    }
    message
}

fn push_info(message: &mut LinkMessage, kind: InfoKind, data: Option<InfoData>) {
    let mut info = vec![LinkInfo::Kind(kind)];
    info.extend(data.map(LinkInfo::Data));
    message.attributes.push(LinkAttribute::LinkInfo(info));
}

fn flag(message: &mut LinkMessage, which: LinkFlags, on: bool) {
    message.header.change_mask |= which;
    if on {
        message.header.flags |= which;
    }
}
