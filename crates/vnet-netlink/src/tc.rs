//! Traffic control as the patch panel uses it: the ingress qdisc and, in it,
//! u32 filters that match every frame and redirect it (`linux/pkt_sched.h`,
//! `linux/pkt_cls.h`, `linux/tc_act/tc_mirred.h`).

use rtnetlink::packet_route::tc::{
    TcAction, TcActionAttribute, TcActionMirror, TcActionMirrorOption, TcActionOption, TcActionType,
    TcAttribute, TcFilterU32, TcFilterU32Option, TcHandle, TcMessage, TcMirror, TcMirrorActionType, TcOption,
    TcU32Selector, TcU32SelectorFlags,
};

use crate::change::Into;

/// Every protocol, in network byte order (`ETH_P_ALL`, `linux/if_ether.h`).
const ETH_P_ALL: u16 = 0x0003_u16.to_be();

/// The first of the numbers u32 gives its filters (`gen_new_kid`, net/sched/cls_u32.c).
const FIRST: u16 = 0x800;

/// `tc qdisc add dev #index ingress`. Its sibling clsact would look at every frame that leaves as well.
pub(crate) fn ingress_qdisc(index: u32) -> TcMessage {
    let mut message = at(index);
    message.header.parent = TcHandle::INGRESS;
    // Its handle is always ffff: (`TC_H_MAKE(TC_H_INGRESS, 0)`).
    message.header.handle = TcHandle {
        major: u16::MAX,
        minor: 0,
    };
    message.attributes.push(TcAttribute::Kind("ingress".to_owned()));
    message
}

/// Every filter of that priority at the ingress of an interface.
pub(crate) fn filter(index: u32, prio: u16) -> TcMessage {
    let mut message = at(index);
    message.header.parent = TcHandle {
        major: u16::MAX,
        minor: TcHandle::MIN_INGRESS,
    };
    message.header.info = u32::from(prio) << 16 | u32::from(ETH_P_ALL);
    message
        .attributes
        .push(TcAttribute::Kind(TcFilterU32::KIND.to_owned()));
    message
}

/// `tc filter add dev #index ingress prio P protocol all u32 ... action mirred ...
/// redirect dev #to`.
pub(crate) fn redirect(index: u32, prio: u16, to: u32, into: Into) -> TcMessage {
    // No keys: a "match u32 0 0" reads four bytes behind the Ethernet header, and so
    // misses frames of 14 to 17 bytes.
    let mut every_frame = TcU32Selector::default();
    every_frame.flags = TcU32SelectorFlags::Terminal;
    let mut mirror = TcMirror::default();
    mirror.generic.action = TcActionType::Stolen;
    mirror.eaction = match into {
        Into::Egress => TcMirrorActionType::EgressRedir,
        Into::Ingress => TcMirrorActionType::IngressRedir,
    };
    mirror.ifindex = to;
    let mut action = TcAction::default();
    action.attributes = vec![
        TcActionAttribute::Kind(TcActionMirror::KIND.to_owned()),
        TcActionAttribute::Options(vec![TcActionOption::Mirror(TcActionMirrorOption::Parms(mirror))]),
    ];
    let mut message = filter(index, prio);
    // The number the kernel gives the first filter of a priority by itself; asked for, a
    // second one is refused.
    message.header.handle = TcHandle {
        major: 0,
        minor: FIRST,
    };
    message.attributes.push(TcAttribute::Options(vec![
        TcOption::U32(TcFilterU32Option::Selector(every_frame)),
        TcOption::U32(TcFilterU32Option::Action(vec![action])),
    ]));
    message
}

fn at(index: u32) -> TcMessage {
    let mut message = TcMessage::default();
    // Checked before: interface numbers are positive.
    message.header.index = index.cast_signed();
    message
}
