//! Headroom, lengths and appended frames.

use vnet_plugin::testing::{Host, Input};
use vnet_plugin::{AppendError, NoRoom, Packet, Verdict, append, append_with};

const SLOT_ROOM: usize = 65_856 - 128;

fn frame() -> Vec<u8> {
    (0..60).collect()
}

#[test]
fn pushes_before_the_frame_until_the_headroom_is_used_up() {
    let mut host = Host::new(|pkt| {
        assert_eq!(
            pkt.push(113),
            Err(NoRoom {
                needed: 113,
                room: 112
            })
        );
        pkt.push(100).expect("there is room").fill(0xaa);
        assert!(
            pkt.push(12)
                .expect("the last of it")
                .iter()
                .all(|byte| *byte == 0)
        );
        assert_eq!(pkt.push(1), Err(NoRoom { needed: 1, room: 0 }));
        Verdict::Pass
    });
    let out = host.judge(&frame());
    assert_eq!(out.bytes, [&[0; 12][..], &[0xaa; 100], &frame()].concat());
}

#[test]
fn pushes_and_pops_behind_the_first_bytes() {
    let mut host = Host::new(|pkt| {
        pkt.push_at(12, 4)
            .expect("there is room")
            .copy_from_slice(&[1, 2, 3, 4]);
        Verdict::Pass
    });
    let tagged = host.judge(&frame()).bytes;
    assert_eq!(tagged, [&frame()[..12], &[1, 2, 3, 4], &frame()[12..]].concat());
    let mut host = Host::new(|pkt| {
        pkt.pop_at(12, 4).expect("long enough");
        Verdict::Pass
    });
    assert_eq!(host.judge(&tagged).bytes, frame());
}

#[test]
fn a_refused_change_changes_nothing() {
    let mut host = Host::new(|pkt| {
        let len = pkt.len();
        assert_eq!(pkt.pop(len), Err(NoRoom { needed: 60, room: 60 }));
        assert!(pkt.pop_at(61, 0).is_err() && pkt.push_at(61, 4).is_err() && pkt.pop(usize::MAX).is_err());
        assert!(pkt.set_len(SLOT_ROOM + 1).is_err() && pkt.push(usize::MAX).is_err());
        Verdict::Pass
    });
    assert_eq!(host.judge(&frame()).bytes, frame());
    assert!(host.judge(&frame()).verdict == Verdict::Pass);
}

#[test]
fn what_was_popped_can_be_pushed_again() {
    let mut host = Host::new(|pkt| {
        pkt.pop(50).expect("long enough");
        pkt.push(112 + 50).expect("headroom and what was popped");
        assert!(pkt.push(1).is_err());
        Verdict::Pass
    });
    assert_eq!(host.judge(&frame()).bytes.len(), 60 - 50 + 162);
}

#[test]
fn vlan_tags_go_on_and_come_off() {
    fn push(pkt: &mut Packet) -> Verdict {
        if pkt.push_vlan(0x8100, 0xa064).is_ok() {
            Verdict::Pass
        } else {
            Verdict::Drop
        }
    }
    fn pop(pkt: &mut Packet) -> Verdict {
        pkt.pop_vlan().map_or(Verdict::Pass, Verdict::DropFor)
    }
    let tagged = Host::new(push).judge(&frame());
    assert_eq!(tagged.bytes[12..16], [0x81, 0, 0xa0, 0x64]);
    let back = Host::new(pop).judge(&tagged.bytes);
    assert_eq!((back.verdict, back.bytes), (Verdict::DropFor(0xa064), frame()));
    assert_eq!(Host::new(pop).judge(&frame()).verdict, Verdict::Pass);
    assert_eq!(Host::new(push).judge(&[0; 13]).verdict, Verdict::Drop);
    for len in 0..18 {
        assert_eq!(
            Host::new(pop).judge(&tagged.bytes[..len]).bytes,
            tagged.bytes[..len]
        );
    }
    let l3 = Input {
        bytes: frame(),
        flags: vnet_plugin::abi::flags::L3,
        ..Input::default()
    };
    assert_eq!(Host::new(push).run(&[l3]).frames[0].verdict, Verdict::Drop);
}

#[test]
fn lengthens_with_zeros_and_shortens() {
    let mut host = Host::new(|pkt| {
        pkt.set_len(20).expect("shorter");
        pkt.set_len(64).expect("longer");
        Verdict::Pass
    });
    assert_eq!(host.judge(&frame()).bytes, [&frame()[..20], &[0; 44]].concat());
    let mut host = Host::new(|pkt| {
        pkt.set_len(SLOT_ROOM).expect("the whole slot");
        Verdict::Pass
    });
    assert_eq!(host.judge(&frame()).bytes.len(), SLOT_ROOM);
}

#[test]
fn appends_copies_and_frames_of_its_own() {
    let mut host = Host::new(|pkt| {
        assert_eq!(append(pkt.frame(), Verdict::Drop), Err(AppendError::Dropped));
        append(pkt.frame(), Verdict::Redirect(3)).expect("there is room");
        append_with(5, Verdict::Tx, |own| {
            own.frame_mut()[0] = 7;
            own.set_mark(9);
            own.csum_dirty();
        })
        .expect("there is room");
        Verdict::Drop
    });
    let input = Input {
        bytes: frame(),
        ..Input::default()
    };
    let batch = host.run(&[input.clone(), input]);
    assert_eq!(
        batch.frames.iter().map(|f| f.verdict).collect::<Vec<_>>(),
        [Verdict::Drop; 2]
    );
    assert_eq!(batch.appended.len(), 4);
    for pair in batch.appended.chunks(2) {
        assert_eq!(
            (pair[0].verdict, &pair[0].bytes),
            (Verdict::Redirect(3), &frame())
        );
        assert_eq!(
            (pair[1].verdict, &pair[1].bytes[..]),
            (Verdict::Tx, &[7, 0, 0, 0, 0][..])
        );
        assert_eq!((pair[1].mark, pair[1].csum_dirty), (9, true));
    }
}

#[test]
fn appends_until_the_ring_is_full_and_never_outside_a_batch() {
    let mut host = Host::new(|_| {
        while append(b"answer", Verdict::Flood).is_ok() {}
        assert_eq!(append(b"answer", Verdict::Flood), Err(AppendError::Full));
        Verdict::Pass
    });
    assert_eq!(
        host.run(&[Input {
            bytes: frame(),
            ..Input::default()
        }])
        .appended
        .len(),
        127
    );
    assert_eq!(append(b"answer", Verdict::Tx), Err(AppendError::Full));
    assert_eq!(
        host.run(&vec![
            Input {
                bytes: frame(),
                ..Input::default()
            };
            64
        ])
        .appended
        .len(),
        64
    );
}

#[test]
fn appends_no_frame_that_a_slot_does_not_take() {
    let mut host = Host::new(|_| {
        let refusal = AppendError::TooLong {
            len: SLOT_ROOM + 1,
            room: SLOT_ROOM,
        };
        assert_eq!(append(&[0; SLOT_ROOM + 1], Verdict::Tx), Err(refusal));
        append(&[1; SLOT_ROOM], Verdict::Tx).expect("the whole slot");
        Verdict::Pass
    });
    let batch = host.run(&[Input {
        bytes: frame(),
        ..Input::default()
    }]);
    assert_eq!(
        batch
            .appended
            .iter()
            .map(|out| out.bytes.len())
            .collect::<Vec<_>>(),
        [SLOT_ROOM]
    );
}
