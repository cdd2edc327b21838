//! What is compared, and what it is called.

use crate::lab::{Between, Offloads, Tuning};

const BATCH: Option<&str> = Some("shipped/drop_bcast.wasm");
const SIMPLE: Option<&str> = Some("drop_bcast/simple.wat");

/// In the order each round runs them, so that those whose ratios are close to a bar stand side by side.
pub const SIDES: &[(&str, Between)] = &[
    ("direct veth", Between::Veth),
    ("lab link", Between::Link(None, Tuning::None)),
    ("direct veth, again", Between::Veth),
    ("lab link, drop_bcast", Between::Link(BATCH, Tuning::None)),
    (
        "lab link, drop_bcast, big_tcp",
        Between::Link(BATCH, Tuning::BigTcp),
    ),
    (
        "lab link, drop_bcast, busy_poll",
        Between::Link(BATCH, Tuning::BusyPoll),
    ),
    (
        "lab link, drop_bcast, as root",
        Between::Link(BATCH, Tuning::Root),
    ),
    ("TAP wire, drop_bcast", Between::Wire(BATCH)),
    ("TAP wire", Between::Wire(None)),
    ("io_uring TAP loop", Between::Uring),
    ("TAP wire, drop_bcast in simple form", Between::Wire(SIMPLE)),
    ("plain TAP loop", Between::Plain),
    ("kernel bridge", Between::Bridge),
    (
        "Open vSwitch, user space",
        Between::Peer("openvswitch.py", &[], Offloads::Off),
    ),
    (
        "Open vSwitch, user space with TSO",
        Between::Peer("openvswitch.py", &["--tso"], Offloads::Kept),
    ),
    ("python-pytun", Between::TapPeer("pytun_loop.py")),
    (
        "raw sockets in Python",
        Between::Peer("raw_sockets.py", &[], Offloads::Off),
    ),
    (
        "raw sockets in Python, vnet header",
        Between::Peer("raw_sockets.py", &["--vnet-header"], Offloads::Kept),
    ),
    (
        "Scapy's bridge",
        Between::Peer("scapy_bridge.py", &[], Offloads::Off),
    ),
    (
        "Scapy's bridge, Ethernet only",
        Between::Peer("scapy_bridge.py", &["--ethernet-only"], Offloads::Off),
    ),
];

/// Those that the kernel carries: what a stream loses on them is a few hundredths.
pub const ON_ONE_PROCESSOR: &[&str] = &["direct veth", "lab link", "direct veth, again", "kernel bridge"];
