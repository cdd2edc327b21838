use proptest::collection::vec;
use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::testing::frames::tagged;
use vnet_plugin::testing::{Host, Input, Output};

use super::*;

fn host(config: &str) -> Host {
    let mut host = Host::new(vlan);
    host.configure(configure, config).expect("accepted");
    host
}

fn frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.resize(60, 0x5a);
    frame
}

fn judge(host: &mut Host, bytes: &[u8], port: u16, flags: u16) -> Output {
    let input = Input {
        bytes: bytes.to_vec(),
        port,
        flags,
        ..Input::default()
    };
    host.run(&[input]).frames.remove(0)
}

/// Frames that come in from outside.
fn inward(host: &mut Host, bytes: &[u8]) -> (Verdict, Vec<u8>) {
    let out = judge(host, bytes, 0, 0);
    (out.verdict, out.bytes)
}

/// Frames on their way outside: the same by a device's flag and by a link's port.
fn outward(host: &mut Host, bytes: &[u8]) -> (Verdict, Vec<u8>) {
    let out = judge(host, bytes, 0, flags::EGRESS);
    assert_eq!(judge(host, bytes, 1, 0), out);
    (out.verdict, out.bytes)
}

#[test]
fn an_access_port_tags_inwards_and_untags_outwards() {
    let mut host = host(r#"{"access": 10, "priority": 5}"#);
    assert_eq!(inward(&mut host, &frame()), (Verdict::Pass, tagged(0xa00a, &frame())));
    // A tag with a priority alone keeps it.
    let (verdict, bytes) = inward(&mut host, &tagged(0x6000, &frame()));
    assert_eq!((verdict, bytes), (Verdict::Pass, tagged(0x600a, &frame())));
    assert_eq!(inward(&mut host, &tagged(10, &frame())).0, Verdict::DropFor(TAGGED));
    assert_eq!(outward(&mut host, &tagged(0xe00a, &frame())), (Verdict::Pass, frame()));
    assert_eq!(outward(&mut host, &tagged(11, &frame())).0, Verdict::DropFor(OTHER_VLAN));
    assert_eq!(outward(&mut host, &frame()).0, Verdict::DropFor(UNTAGGED));
    assert_eq!((host.counters()["pushed"], host.counters()["popped"]), (1, 2));
}

#[test]
fn a_trunk_passes_the_vlans_it_names_and_no_other() {
    for config in [r#"{"trunk": [10, 20, 21]}"#, r#"{"trunk": "10, 20-21"}"#] {
        let mut host = host(config);
        for vid in [10, 20, 21, 0x700a] {
            let given = tagged(vid, &frame());
            assert_eq!(inward(&mut host, &given), (Verdict::Pass, given.clone()));
            assert_eq!(outward(&mut host, &given), (Verdict::Pass, given.clone()));
        }
        for vid in [1, 11, 22, 4094] {
            assert_eq!(inward(&mut host, &tagged(vid, &frame())).0, Verdict::DropFor(OTHER_VLAN));
            assert_eq!(outward(&mut host, &tagged(vid, &frame())).0, Verdict::DropFor(OTHER_VLAN));
        }
        assert_eq!(inward(&mut host, &frame()).0, Verdict::DropFor(UNTAGGED));
        assert_eq!(inward(&mut host, &tagged(0xe000, &frame())).0, Verdict::DropFor(UNTAGGED));
    }
    let mut all = host(r#"{"trunk": "all"}"#);
    assert_eq!(inward(&mut all, &tagged(4094, &frame())).0, Verdict::Pass);
    assert_eq!(inward(&mut all, &tagged(4095, &frame())).0, Verdict::DropFor(OTHER_VLAN));
}

#[test]
fn a_trunks_native_vlan_has_no_tag_outside() {
    let mut host = host(r#"{"trunk": 10, "native": 7}"#);
    assert_eq!(inward(&mut host, &frame()), (Verdict::Pass, tagged(7, &frame())));
    assert_eq!(inward(&mut host, &tagged(0xe000, &frame())).1, tagged(0xe007, &frame()));
    assert_eq!(outward(&mut host, &tagged(7, &frame())), (Verdict::Pass, frame()));
    assert_eq!(outward(&mut host, &tagged(10, &frame())).1, tagged(10, &frame()));
    assert_eq!(outward(&mut host, &frame()).0, Verdict::DropFor(UNTAGGED));
}

#[test]
fn push_adds_an_outer_tag_to_any_frame_and_pop_does_the_reverse() {
    let mut push = host(r#"{"push": 100, "tpid": "802.1ad"}"#);
    let (verdict, double) = inward(&mut push, &tagged(10, &frame()));
    assert_eq!((verdict, &double[12..20]), (Verdict::Pass, &[0x88, 0xa8, 0, 100, 0x81, 0, 0, 10][..]));
    assert_eq!(outward(&mut push, &double), (Verdict::Pass, tagged(10, &frame())));
    let mut pop = host(r#"{"pop": 100, "tpid": "802.1ad"}"#);
    assert_eq!(inward(&mut pop, &double), (Verdict::Pass, tagged(10, &frame())));
    assert_eq!(outward(&mut pop, &tagged(10, &frame())), (Verdict::Pass, double));
    assert_eq!(inward(&mut pop, &frame()).0, Verdict::DropFor(UNTAGGED));
}

#[test]
fn end_b_is_the_links_other_end() {
    let mut host = host(r#"{"access": 10, "end": "b"}"#);
    assert_eq!(judge(&mut host, &frame(), 1, 0).bytes, tagged(10, &frame()));
    assert_eq!(judge(&mut host, &tagged(10, &frame()), 0, 0).bytes, frame());
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for (config, word) in [
        ("{}", "give one of"),
        (r#"{"access": 10, "push": 10}"#, "give one of"),
        (r#"{"access": 4095}"#, "1 to 4094"),
        (r#"{"access": 10, "native": 5}"#, "native belongs to trunk"),
        (r#"{"trunk": "20-10"}"#, "trunk takes"),
        (r#"{"trunk": "ten"}"#, "trunk takes"),
        (r#"{"trunk": []}"#, "trunk takes"),
        (r#"{"trunk": [0]}"#, "trunk takes"),
        (r#"{"push": 1, "priority": 8}"#, "priority"),
        (r#"{"push": 1, "tpid": "x"}"#, "tpid"),
        (r#"{"push": 1, "end": "c"}"#, "end"),
    ] {
        let refused = Host::new(vlan).configure(configure, config).expect_err(config);
        assert!(refused.contains(word), "{config}: {refused}");
    }
}

proptest! {
    #[test]
    fn never_panics_and_only_ever_changes_tags(
        mode in 0..5_usize,
        frames in vec((vec(any::<u8>(), 0..40), 0..4_usize, 0..3_u16, any::<bool>()), 1..60),
    ) {
        let configs = [r#"{"access": 10}"#, r#"{"trunk": "all", "native": 3}"#, r#"{"push": 9}"#, r#"{"pop": 9}"#, r#"{"trunk": 9}"#];
        let mut host = host(configs[mode]);
        for (mut bytes, tags, port, egress) in frames {
            for tag in 0..tags {
                if let Some(at) = bytes.get_mut(12 + 4 * tag..14 + 4 * tag) {
                    at.copy_from_slice(&[0x81, 0]);
                }
            }
            let out = judge(&mut host, &bytes, port, u16::from(egress) * flags::EGRESS);
            prop_assert!(out.bytes.len().abs_diff(bytes.len()) <= 4);
            if out.verdict == Verdict::Pass {
                prop_assert_eq!(&out.bytes[..12], &bytes[..12]);
            }
        }
    }
}
