//! Header views of every kind of frame, whole and cut short.

use std::sync::Mutex;

use vnet_plugin::abi::flags;
use vnet_plugin::testing::{Host, Input};
use vnet_plugin::wire::{MacAddr, ether_type};
use vnet_plugin::{Packet, Verdict};

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

/// Runs a look at one frame; what it saw is the answer.
fn look<T: Send + 'static>(frame: &[u8], flags: u16, look: fn(&mut Packet) -> T) -> T {
    type Look = Box<dyn Fn(&mut Packet) + Send>;
    thread_local! {
        static LOOK: std::cell::RefCell<Option<Look>> = const { std::cell::RefCell::new(None) };
    }
    let seen = std::sync::Arc::new(Mutex::new(None));
    let place = std::sync::Arc::clone(&seen);
    LOOK.set(Some(Box::new(move |pkt| {
        *place.lock().expect("one thread") = Some(look(pkt));
    })));
    let mut host = Host::new(|pkt| {
        LOOK.with_borrow(|look| look.as_ref().map(|look| look(pkt)));
        Verdict::Pass
    });
    let batch = host.run(&[Input {
        bytes: frame.to_vec(),
        flags,
        ..Input::default()
    }]);
    assert_eq!(batch.frames[0].bytes.len(), frame.len());
    let seen = seen.lock().expect("one thread").take();
    seen.expect("the frame was judged")
}

fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len()) as u16;
    let fragment = fragment.to_be_bytes();
    [
        &[0x45, 0][..],
        &len.to_be_bytes(),
        &[0, 0],
        &fragment,
        &[64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
        payload,
    ]
    .concat()
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    [
        &[0x60, 0, 0, 0][..],
        &(payload.len() as u16).to_be_bytes(),
        &[next, 64],
        &[0x20; 32],
        payload,
    ]
    .concat()
}

fn ethernet(kind: &[u8], packet: &[u8]) -> Vec<u8> {
    [&MACS[..], kind, packet].concat()
}

const UDP: [u8; 10] = [0, 68, 0, 67, 0, 10, 0, 0, 0xab, 0xcd];

#[test]
fn a_frame_shorter_than_its_ethernet_header_shows_zeros() {
    for len in 0..14 {
        let seen = look(&[0xff; 13][..len.min(13)], 0, |pkt| {
            let eth = pkt.eth();
            (eth.dst(), eth.src(), eth.ether_type(), eth.payload().len())
        });
        assert_eq!(seen, (MacAddr::ZERO, MacAddr::ZERO, 0, 0), "{len} bytes");
        assert!(look(&[0xff; 13][..len.min(13)], 0, |pkt| pkt.eth_mut().is_none()));
    }
    assert!(look(&[0xff; 14], 0, |pkt| pkt.eth().dst().is_broadcast()));
    assert!(
        !look(&[0xff; 40], flags::L3, |pkt| pkt.eth().dst().is_broadcast()),
        "no Ethernet header"
    );
}

#[test]
fn finds_headers_behind_two_vlan_tags_and_no_more() {
    let tags = [0x88, 0xa8, 0x20, 5, 0x81, 0, 0, 42, 0x81, 0, 0, 43];
    for n in 0..=2 {
        let kind = [&tags[..n * 4], &[8, 0]].concat();
        let seen = look(&ethernet(&kind, &ipv4(17, 0, &UDP)), 0, |pkt| {
            (
                pkt.ether_type(),
                pkt.network_offset(),
                pkt.vlan().map(|tag| tag.vid()),
                pkt.udp().map(|udp| udp.dst_port()),
            )
        });
        assert_eq!(
            seen,
            (ether_type::IPV4, Some(14 + 4 * n), (n > 0).then_some(5), Some(67))
        );
    }
    let kind = [&tags[..], &[8, 0]].concat();
    let seen = look(&ethernet(&kind, &ipv4(17, 0, &UDP)), 0, |pkt| {
        (pkt.ether_type(), pkt.ipv4().is_some())
    });
    assert_eq!(seen, (ether_type::VLAN, false));
}

#[test]
fn leaves_padding_out_of_the_transport_header() {
    let frame = [ethernet(&[8, 0], &ipv4(17, 0, &UDP)), vec![0xee; 16]].concat();
    assert_eq!(
        look(&frame, 0, |pkt| pkt.udp().map(|udp| udp.payload().to_vec())),
        Some(vec![0xab, 0xcd])
    );
    let icmp = [8, 0, 0, 0, 0, 1, 0, 2, 3];
    let frame = [ethernet(&[8, 0], &ipv4(1, 0, &icmp)), vec![0xee; 9]].concat();
    assert_eq!(
        look(&frame, 0, |pkt| pkt.icmp().map(|icmp| icmp.payload().to_vec())),
        Some(vec![3])
    );
}

#[test]
fn shows_no_transport_header_in_later_fragments() {
    let protocol = |fragment| {
        look(&ethernet(&[8, 0], &ipv4(17, fragment, &UDP)), 0, |pkt| {
            pkt.ip_protocol()
        })
    };
    assert_eq!(
        (protocol(0), protocol(0x2000), protocol(1), protocol(0x2001)),
        (Some(17), Some(17), None, None)
    );
    let fragment = |offset: u8| [&[17, 0, 0, offset, 0, 0, 0, 1][..], &UDP].concat();
    let seen = |offset| {
        look(&ethernet(&[0x86, 0xdd], &ipv6(44, &fragment(offset))), 0, |pkt| {
            pkt.udp().is_some()
        })
    };
    assert!(seen(0) && seen(1) && !seen(8));
}

#[test]
fn walks_ipv6_extension_headers() {
    let chain = [
        &[43, 0, 0, 0, 0, 0, 0, 0][..],
        &[60, 1],
        &[0; 14],
        &[17, 0, 0, 0, 0, 0, 0, 0],
        &UDP,
    ]
    .concat();
    let seen = look(&ethernet(&[0x86, 0xdd], &ipv6(0, &chain)), 0, |pkt| {
        pkt.udp().map(|udp| udp.src_port())
    });
    assert_eq!(seen, Some(68));
    let endless = [60, 0, 0, 0, 0, 0, 0, 0].repeat(20);
    assert_eq!(
        look(&ethernet(&[0x86, 0xdd], &ipv6(60, &endless)), 0, |pkt| pkt
            .ip_protocol()),
        None
    );
}

#[test]
fn believes_version_and_protocol_only_where_they_agree() {
    assert!(look(&ethernet(&[8, 0], &ipv6(17, &UDP)), 0, |pkt| pkt
        .ipv4()
        .is_none()
        && pkt.ipv6().is_none()));
    assert!(look(&ethernet(&[8, 0], &ipv4(58, 0, &[0; 8])), 0, |pkt| pkt
        .icmpv6()
        .is_none()
        && pkt.icmp().is_none()));
    assert!(look(&ethernet(&[0x86, 0xdd], &ipv6(1, &[0; 8])), 0, |pkt| pkt
        .icmp()
        .is_none()
        && pkt.icmpv6().is_none()));
}

#[test]
fn reads_packets_without_ethernet_header() {
    assert_eq!(
        look(&ipv4(17, 0, &UDP), flags::L3, |pkt| pkt
            .udp()
            .map(|udp| udp.src_port())),
        Some(68)
    );
    assert_eq!(
        look(&ipv6(17, &UDP), flags::L3, |pkt| pkt
            .udp()
            .map(|udp| udp.src_port())),
        Some(68)
    );
    assert_eq!(
        look(&ipv4(17, 0, &UDP), flags::L3, |pkt| pkt.ether_type()),
        ether_type::IPV4
    );
    assert_eq!(
        look(&[0xf0; 40], flags::L3, |pkt| (
            pkt.ether_type(),
            pkt.network_offset()
        )),
        (0, None)
    );
}

#[test]
fn rewrites_in_place() {
    let mut host = Host::new(|pkt| {
        if let Some(mut udp) = pkt.udp_mut() {
            udp.set_dst_port(53);
            pkt.csum_dirty();
        }
        Verdict::Pass
    });
    let frame = ethernet(&[8, 0], &ipv4(17, 0, &UDP));
    let out = host.judge(&frame);
    assert!(out.csum_dirty);
    assert_eq!(
        (&out.bytes[..36], &out.bytes[36..38], &out.bytes[38..]),
        (&frame[..36], &[0, 53][..], &frame[38..])
    );
}

#[test]
fn no_frame_makes_a_view_panic() {
    let chain = [
        &[43, 0, 0, 0, 0, 0, 0, 0][..],
        &[6, 0, 0, 0, 0, 0, 0, 0],
        &[0x50; 20],
    ]
    .concat();
    let frames = [
        ethernet(&[0x81, 0, 0, 1, 8, 0], &ipv4(6, 0, &[0x50; 24])),
        ethernet(&[8, 0], &ipv4(1, 0, &[8; 12])),
        ethernet(&[0x86, 0xdd], &ipv6(0, &chain)),
        ethernet(&[0x86, 0xdd], &ipv6(58, &[135; 40])),
        ethernet(&[8, 6], &[1; 28]),
    ];
    let mut host = Host::new(|pkt| {
        let _ = (
            pkt.vlan(),
            pkt.arp().map(|arp| arp.target_ip()),
            pkt.ip_protocol(),
        );
        let _ = pkt.tcp().map(|tcp| (tcp.src_port(), tcp.payload().len()));
        let _ = pkt.udp().map(|udp| udp.payload().len());
        let _ = (
            pkt.icmp().map(|icmp| icmp.rest()),
            pkt.icmpv6().map(|icmp| (icmp.target(), icmp.lladdr(1))),
        );
        if let Some(mut tcp) = pkt.tcp_mut() {
            tcp.set_src_port(1);
        }
        Verdict::Pass
    });
    let mut judge = |bytes: Vec<u8>| {
        for flags in [0, flags::L3] {
            host.run(&[Input {
                bytes: bytes.clone(),
                flags,
                ..Input::default()
            }]);
        }
    };
    for frame in frames {
        for len in 0..=frame.len() {
            judge(frame[..len].to_vec());
        }
        for at in 0..frame.len() {
            for byte in [0, 1, 0x0f, 0x45, 0x60, 0x7f, 0x80, 0xff] {
                let mut changed = frame.clone();
                changed[at] = byte;
                judge(changed);
            }
        }
    }
}
