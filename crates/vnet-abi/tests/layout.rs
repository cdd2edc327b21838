//! Holds the memory layout, the numbers and the function types to a golden file.
//!
//! A difference means that plugins built elsewhere break: raise the version, then write the file
//! of that version with `VNET_WRITE_GOLDEN=1 cargo test --release -p vnet-abi`.

use std::fmt::Write as _;
use std::mem::{align_of, offset_of, size_of};

use vnet_abi::signature::{Signature, ValType};
use vnet_abi::{
    Desc, Info, MapHeader, SlotHeader, export, flags, import, info_flags, log_level, slot_state, verdict,
};

macro_rules! layout {
    ($out:ident, $type:ident { $($field:ident),* $(,)? }) => {
        let _ = writeln!(
            $out, "struct {} size {} align {}",
            stringify!($type), size_of::<$type>(), align_of::<$type>()
        );
        let mut offsets = vec![$((offset_of!($type, $field), stringify!($field))),*];
        offsets.sort_unstable();
        for (offset, field) in offsets {
            let _ = writeln!($out, "  {offset:2} {field}");
        }
        // Fails to compile when the struct has a field that the list above lacks.
        let _ = |value: $type| { let $type { $($field: _),* } = value; };
    };
}

macro_rules! constants {
    ($out:ident, $($path:path),* $(,)?) => {
        $(let _ = writeln!($out, "const {} = {:?}", stringify!($path), $path);)*
    };
}

fn functions(out: &mut String, heading: &str, list: &[Signature]) {
    let names = |types: &[ValType]| {
        types
            .iter()
            .map(|t| format!("{t:?}").to_lowercase())
            .collect::<Vec<_>>()
            .join(" ")
    };
    for f in list {
        let _ = writeln!(
            out,
            "{heading} {}({}) -> ({})",
            f.name,
            names(f.params),
            names(f.results)
        );
    }
}

fn describe() -> String {
    let mut out = String::new();
    layout!(
        out,
        Info {
            magic,
            major,
            minor,
            desc_size,
            ring_len,
            ring,
            arena,
            arena_len,
            flags
        }
    );
    layout!(
        out,
        Desc {
            off,
            len,
            cap,
            verdict,
            pad,
            flags,
            port,
            out_port,
            gso_size,
            reason,
            mark,
            delay_us,
            ts_ns,
        }
    );
    layout!(
        out,
        MapHeader {
            magic,
            key_size,
            value_size,
            capacity,
            count,
            name_ptr,
            name_len,
            flags,
            slots_ptr,
        }
    );
    layout!(out, SlotHeader { state, hash });
    constants!(
        out,
        vnet_abi::MAGIC,
        vnet_abi::MAJOR,
        vnet_abi::MINOR,
        vnet_abi::ABI_VERSION,
        vnet_abi::DESC_SIZE,
        vnet_abi::INFO_SIZE,
        vnet_abi::RING_MIN,
        vnet_abi::RING_MAX,
        vnet_abi::SLOT_MIN,
        vnet_abi::SLOT_ALIGN,
        vnet_abi::GSO_SLOT_MIN,
        vnet_abi::HEADROOM,
        vnet_abi::HOST_RESERVED,
        vnet_abi::SIMPLE_FRAME_CAP,
        vnet_abi::MTU_EXTRA,
        vnet_abi::MAP_MAGIC,
        vnet_abi::MAP_HEADER_SIZE,
        vnet_abi::MAP_SLOT_HEADER_SIZE,
        slot_state::EMPTY,
        slot_state::USED,
        slot_state::DELETED,
        vnet_abi::COUNTERS_MAX,
        vnet_abi::COUNTER_NAME_MAX,
        vnet_abi::LOG_MAX,
        vnet_abi::STATE_MAX,
        vnet_abi::DELAY_MAX_US,
        vnet_abi::FLOOD,
        vnet_abi::CONFIG_VALUE_ABSENT,
        vnet_abi::IMPORT_MODULE,
        vnet_abi::MANIFEST_SECTION,
        verdict::PASS,
        verdict::DROP,
        verdict::REDIRECT,
        verdict::TX,
        verdict::UNSET,
        flags::CSUM_PARTIAL,
        flags::GSO,
        flags::EGRESS,
        flags::INJECTED,
        flags::L3,
        flags::CSUM_DIRTY,
        flags::DELAY,
        info_flags::GSO,
        info_flags::CSUM,
        info_flags::PURE,
        log_level::ERROR,
        log_level::WARN,
        log_level::INFO,
        log_level::DEBUG,
        export::MEMORY,
        export::FRAME,
    );
    functions(&mut out, "export", export::FUNCTIONS);
    functions(&mut out, "import", import::FUNCTIONS);
    functions(&mut out, "granted import", import::GRANTED);
    out
}

#[test]
fn layout_is_that_of_the_golden_file() {
    let path = format!(
        "{}/tests/golden/abi-{}.txt",
        env!("CARGO_MANIFEST_DIR"),
        vnet_abi::ABI_VERSION
    );
    let described = describe();
    if std::env::var_os("VNET_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &described).expect("golden file is written");
    }
    let golden = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("no golden file {path} for this version: {e}"));
    assert_eq!(described, golden, "the ABI changed without a new version");
}

#[test]
fn version_text_is_major_dot_minor() {
    assert_eq!(
        vnet_abi::ABI_VERSION,
        format!("{}.{}", vnet_abi::MAJOR, vnet_abi::MINOR)
    );
}

#[test]
fn info_bytes_are_little_endian_in_field_order() {
    let info = Info::new(0x1122_3344, 128, 0x5566_7788, 0x0002_0000, info_flags::ALL);
    let bytes = info.to_bytes();
    assert_eq!(
        bytes,
        [
            b'V', b'N', b'E', b'T', 1, 0, 0, 0, 40, 0, 0, 0, 128, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 0x88,
            0x77, 0x66, 0x55, 0, 0, 2, 0, 7, 0, 0, 0
        ]
    );
    assert_eq!(Info::from_bytes(&bytes), info);
}

#[test]
fn every_byte_of_a_descriptor_belongs_to_one_field() {
    let mut bytes = [0; vnet_abi::DESC_SIZE];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = i as u8 + 1;
    }
    let desc = Desc::from_bytes(&bytes);
    assert_eq!((desc.off, desc.verdict, desc.flags), (0x0403_0201, 13, 0x100f));
    assert_eq!((desc.reason, desc.ts_ns), (0x1817, 0x2827_2625_2423_2221));
    assert_eq!(desc.to_bytes(), bytes);
}

#[test]
fn every_byte_of_a_map_and_slot_header_belongs_to_one_field() {
    let mut bytes = [0; vnet_abi::MAP_HEADER_SIZE];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = i as u8 + 1;
    }
    assert_eq!(MapHeader::from_bytes(&bytes).to_bytes(), bytes);
    assert_eq!(
        SlotHeader::from_bytes(&[1, 0, 0, 0, 2, 0, 0, 0]),
        SlotHeader { state: 1, hash: 2 }
    );
}

#[test]
fn map_slots_pad_key_and_value_to_eight_bytes_without_overflow() {
    let map = MapHeader {
        key_size: 6,
        value_size: 12,
        ..MapHeader::default()
    };
    assert_eq!((map.value_offset(), map.slot_size()), (16, 32));
    let huge = MapHeader {
        key_size: u32::MAX,
        value_size: u32::MAX,
        ..MapHeader::default()
    };
    assert_eq!(huge.slot_size(), 8 + 2 * (1 << 32));
}

#[test]
fn fnv1a_gives_the_published_hashes() {
    assert_eq!(vnet_abi::fnv1a(b""), 0x811c_9dc5);
    assert_eq!(vnet_abi::fnv1a(b"a"), 0xe40c_292c);
    assert_eq!(vnet_abi::fnv1a(b"foobar"), 0xbf9c_f968);
}

#[test]
fn answers_of_the_simple_form_round_trip_and_refuse_high_bits() {
    use vnet_abi::answer::{pack, unpack};
    assert_eq!(pack(verdict::REDIRECT, vnet_abi::FLOOD), 0x00ff_ff02);
    assert_eq!(unpack(pack(verdict::DROP, 7)), Some((verdict::DROP, 7)));
    assert_eq!(unpack(0x0100_0000), None);
    assert_eq!(unpack(-1), None);
}
