//! A learning Ethernet switch: the same forwarding as the engine's own.
//!
//! Attached to a switch it decides for every frame: out by the port its receiver was last heard on in that VLAN, else out by
//! all others. It remembers 8,192 stations, each for `ageing` seconds after it was last heard; the host shows them as the map
//! `macs`: the key is the address and the VLAN (big endian, 0 without a tag), the value the port and 6 zeros, then the
//! time in nanoseconds (both little endian).
#![cfg_attr(target_arch = "wasm32", no_std)]

use vnet_plugin::wire::ether_type;
use vnet_plugin::{Config, Map, Packet, State, Verdict, plugin};

const SAME_PORT: u16 = 1;
const LINK_LOCAL: u16 = 2;
const RUNT: u16 = 3;

/// Bytes of an Ethernet header.
const HEADER: usize = 14;
/// The bits of an address among eight octets, the first lowest.
const ADDRESS: u64 = 0xffff_ffff_ffff;
/// The bit of an address that makes it a group's.
const GROUP: u64 = 1;
/// The types of a VLAN tag as [`fields`] gives them.
const VLAN: u64 = ether_type::VLAN.swap_bytes() as u64;
const SERVICE_VLAN: u64 = ether_type::QINQ.swap_bytes() as u64;
/// Most stations; half of the slots stay empty, so that a search ends soon.
const STATIONS: usize = 8192;
const SLOTS: usize = 2 * STATIONS;
/// How long a silent station is remembered where nothing else is said, in seconds: as by Linux bridges.
const AGEING: i64 = 300;
const SECOND_NS: u64 = 1_000_000_000;
/// How often a full table is searched for stations to forget, in nanoseconds.
const SWEEP_NS: u64 = 1_000_000_000;
/// The addresses that no bridge forwards, 01:80:c2:00:00:01 to 0f, as [`fields`] gives them. The first of the block is the bridge
/// group address, which a bridge without spanning tree passes on, as Linux does (net/bridge/br_input.c).
const LINK_LOCAL_BLOCK: u64 = 0x0000_00c2_8001;
const LINK_LOCAL_MASK: u64 = 0xf0ff_ffff_ffff;

static MACS: Map<8, 16, SLOTS> = Map::new();
static SWEPT_NS: State<u64> = State::new(0);
static AGEING_NS: State<u64> = State::new(AGEING as u64 * SECOND_NS);

fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    match config.int("ageing").unwrap_or(AGEING) {
        seconds @ 1..=1_000_000 => AGEING_NS.set(seconds as u64 * SECOND_NS),
        _ => return Err("ageing is 1 to 1000000 seconds"),
    }
    Ok(())
}

/// Forwards as a learning Ethernet switch does.
#[plugin(
    gso, csum,
    layers = ["l2"],
    reasons = {1: "same port", 2: "link local", 3: "runt"},
    maps = {"macs": MACS("mac: mac, vlan: be16" => "port: u16, _: bytes[6], seen: u64")},
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "ageing": {
                "type": "integer", "minimum": 1, "maximum": 1000000,
                "description": "seconds that a silent station is remembered; 300 when absent"
            }
        }
    }"#,
    configure = configure,
)]
fn learning_switch(pkt: &mut Packet) -> Verdict {
    if pkt.is_egress() {
        // On a device, about to leave: it was forwarded already.
        return Verdict::Pass;
    }
    let frame = pkt.frame();
    let Some(header) = frame.first_chunk::<HEADER>() else {
        return Verdict::DropFor(RUNT);
    };
    let (port, now) = (pkt.port(), pkt.ts_ns());
    let [to, from, ether_type] = fields(header);
    let vlan = if ether_type == VLAN || ether_type == SERVICE_VLAN {
        vlan(frame)
    } else {
        0
    };
    if !MACS.replace(&(from | vlan).to_le_bytes(), value(port, now)) {
        learn(from, vlan, port, now);
    }
    if to & GROUP != 0 {
        return to_group(to);
    }
    match MACS.get(&(to | vlan).to_le_bytes()) {
        Some(value) if is_old(&value, now) => Verdict::Flood,
        Some(value) => match out_port(&value) {
            out if out == port => Verdict::DropFor(SAME_PORT),
            out => Verdict::Redirect(out),
        },
        None => Verdict::Flood,
    }
}

/// Returns what becomes of a frame to a group.
#[cold]
fn to_group(to: u64) -> Verdict {
    if to & LINK_LOCAL_MASK == LINK_LOCAL_BLOCK && to != LINK_LOCAL_BLOCK {
        return Verdict::DropFor(LINK_LOCAL);
    }
    Verdict::Flood
}

/// Returns the VLAN that a frame with a tag is in, where a key of the table has it: behind the address; 0 where the tag is cut
/// short.
#[cold]
fn vlan(frame: &[u8]) -> u64 {
    match frame[HEADER..] {
        [high, low, ..] => u64::from(u16::from_le_bytes([high & 0x0f, low])) << 48,
        _ => 0,
    }
}

/// Returns receiver, sender and type as numbers, the first octet lowest: two reads.
fn fields(header: &[u8; HEADER]) -> [u64; 3] {
    let [to @ .., _, _, _, _, _, _] = *header;
    let [_, _, _, _, _, _, from @ ..] = *header;
    let [to, from] = [to, from].map(u64::from_le_bytes);
    [to & ADDRESS, from & ADDRESS, from >> 48]
}

fn value(port: u16, now: u64) -> [u8; 16] {
    (u128::from(port) | u128::from(now) << 64).to_le_bytes()
}

/// Takes note of a station that is not known, where there is room or some can be forgotten. Groups and all zeros are none: the
/// table never has them.
#[cold]
#[inline(never)]
fn learn(from: u64, vlan: u64, port: u16, now: u64) {
    if from & GROUP != 0 || from == 0 {
        return;
    }
    if MACS.len() == STATIONS {
        if now.saturating_sub(SWEPT_NS.get()) < SWEEP_NS {
            return;
        }
        SWEPT_NS.set(now);
        MACS.retain(|_, value| !is_old(value, now));
        if MACS.len() == STATIONS {
            return;
        }
    }
    MACS.insert(&(from | vlan).to_le_bytes(), value(port, now));
}

/// Says whether a station was not heard for too long. Where it was heard later than now, it was not.
fn is_old(value: &[u8; 16], now: u64) -> bool {
    let [_, _, _, _, _, _, _, _, seen @ ..] = *value;
    now.wrapping_sub(u64::from_le_bytes(seen)).cast_signed() > AGEING_NS.get().cast_signed()
}

/// Returns the port of a value, read together with the zeros behind it.
fn out_port(value: &[u8; 16]) -> u16 {
    let [port @ .., _, _, _, _, _, _, _, _] = *value;
    u64::from_le_bytes(port) as u16
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use vnet_plugin::testing::{Host, Input};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    struct Switch(Host);

    impl Switch {
        fn new() -> Switch {
            Switch(Host::new(learning_switch))
        }

        fn judge(&mut self, bytes: Vec<u8>, port: u16, ts_ns: u64) -> Verdict {
            let input = Input {
                bytes,
                port,
                ts_ns,
                ..Input::default()
            };
            self.0.run(&[input]).frames[0].verdict
        }

        fn on(&mut self, port: u16, from: u8, to: u8) -> Verdict {
            self.judge(frame(from, to, None), port, SECOND)
        }
    }

    fn frame(from: u8, to: u8, vlan: Option<u16>) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from];
        if let Some(vlan) = vlan {
            frame.extend([0x81, 0]);
            frame.extend(vlan.to_be_bytes());
        }
        frame.resize(60, 0);
        frame
    }

    #[test]
    fn floods_to_the_unknown_and_sends_to_the_known() {
        let mut switch = Switch::new();
        assert_eq!(switch.on(0, 1, 2), Verdict::Flood);
        assert_eq!(switch.on(3, 2, 1), Verdict::Redirect(0));
        assert_eq!(switch.on(0, 1, 2), Verdict::Redirect(3));
        assert_eq!(switch.on(3, 4, 2), Verdict::DropFor(SAME_PORT));
        // Station 1 moves.
        assert_eq!(switch.on(5, 1, 9), Verdict::Flood);
        assert_eq!(switch.on(3, 2, 1), Verdict::Redirect(5));
    }

    #[test]
    fn each_vlan_is_a_world_of_its_own() {
        let mut switch = Switch::new();
        assert_eq!(switch.judge(frame(1, 2, Some(5)), 0, SECOND), Verdict::Flood);
        assert_eq!(switch.judge(frame(2, 1, None), 1, SECOND), Verdict::Flood);
        assert_eq!(switch.judge(frame(2, 1, Some(6)), 1, SECOND), Verdict::Flood);
        // Priority bits are no part of the VLAN.
        assert_eq!(
            switch.judge(frame(2, 1, Some(0xe005)), 1, SECOND),
            Verdict::Redirect(0)
        );
    }

    #[test]
    fn groups_are_flooded_never_learned_and_link_local_ones_go_nowhere() {
        let mut switch = Switch::new();
        let mut from_group = frame(1, 2, None);
        from_group[6] = 3;
        assert_eq!(switch.judge(from_group.clone(), 0, SECOND), Verdict::Flood);
        from_group.copy_within(6..12, 0);
        assert_eq!(switch.judge(from_group, 1, SECOND), Verdict::Flood);
        let mut stp = vec![0x01, 0x80, 0xc2, 0, 0, 0x0f];
        stp.resize(60, 2);
        assert_eq!(switch.judge(stp.clone(), 1, SECOND), Verdict::DropFor(LINK_LOCAL));
        for passed in [0, 0x10] {
            stp[5] = passed;
            assert_eq!(switch.judge(stp.clone(), 1, SECOND), Verdict::Flood);
        }
        assert_eq!(switch.judge(vec![2; 13], 1, SECOND), Verdict::DropFor(RUNT));
    }

    #[test]
    fn forgets_stations_that_fell_silent() {
        let mut switch = Switch::new();
        assert_eq!(switch.on(0, 1, 9), Verdict::Flood);
        let last = SECOND + AGEING as u64 * SECOND;
        assert_eq!(switch.judge(frame(2, 1, None), 1, last), Verdict::Redirect(0));
        assert_eq!(switch.judge(frame(2, 1, None), 1, last + 1), Verdict::Flood);
    }

    #[test]
    fn ageing_is_as_configured() {
        let mut switch = Switch::new();
        switch.0.configure(configure, r#"{"ageing": 5}"#).expect("accepted");
        assert_eq!(switch.on(0, 1, 9), Verdict::Flood);
        assert_eq!(switch.judge(frame(2, 1, None), 1, 6 * SECOND), Verdict::Redirect(0));
        assert_eq!(switch.judge(frame(2, 1, None), 1, 6 * SECOND + 1), Verdict::Flood);
        let refused = switch.0.configure(configure, r#"{"ageing": 0}"#).expect_err("no time");
        assert!(refused.contains("ageing is"), "{refused}");
    }

    proptest! {
        #[test]
        fn never_panics_and_changes_no_frame(
            frames in vec((vec(any::<u8>(), 0..30), any::<u16>(), any::<u64>()), 1..60),
        ) {
            let mut switch = Switch::new();
            for (bytes, port, now) in frames {
                let out = switch.0.judge_at(&bytes, port, now);
                prop_assert!(out.bytes == bytes && out.verdict != Verdict::Redirect(port));
            }
        }
    }

    #[test]
    fn a_full_table_learns_nothing_more_until_stations_are_forgotten() {
        let mut switch = Switch::new();
        let numbered = |n: u16| {
            let mut frame = frame(1, 9, None);
            frame[8..10].copy_from_slice(&n.to_be_bytes());
            frame
        };
        for n in 0..STATIONS as u16 {
            switch.judge(numbered(n), 0, 10 * SECOND);
        }
        let to = |n: u16| {
            let mut frame = numbered(n);
            frame.copy_within(6..12, 0);
            frame[11] = 77;
            frame
        };
        switch.judge(numbered(9_000), 0, 11 * SECOND);
        assert_eq!(switch.judge(to(9_000), 1, 11 * SECOND), Verdict::Flood);
        assert_eq!(switch.judge(to(8_191), 1, 11 * SECOND), Verdict::Redirect(0));
        let later = (12 + AGEING as u64) * SECOND;
        switch.judge(numbered(9_000), 0, later);
        assert_eq!(switch.judge(to(9_000), 1, later), Verdict::Redirect(0));
    }
}
