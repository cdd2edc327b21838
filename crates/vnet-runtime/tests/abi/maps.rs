//! Maps in guest memory, and what a manifest says of them.

use serde_json::{Value, json};
use vnet_runtime::{Fate, MapCopy, MapError};

use crate::support::*;

/// The map `macs`: keys of 4 bytes, values of 8, 8 slots. Table at 64, header at 80, name at 128, slots at 256.
pub(crate) const MAP: &str = "(data (i32.const 64) \"\\01\\00\\00\\00\\50\\00\\00\\00\")
    (data (i32.const 80) \"VMAP\\04\\00\\00\\00\\08\\00\\00\\00\\08\\00\\00\\00\\00\\00\\00\\00\\80\\00\\00\\00\\04\\00\\00\\00\\00\\00\\00\\00\\00\\01\\00\\00\")
    (data (i32.const 128) \"macs\")
    (func (export \"vnet_maps\") (result i32) (i32.const 64))";

fn described(maps: &Value, map: &str) -> String {
    simple(&(manifest(&json!({ "maps": maps })) + map), "(i32.const 0)")
}

#[test]
fn a_layout_that_adds_up_is_accepted() {
    for maps in [
        json!({ "macs": { "key": "a: u8, b: be16, _: u8", "value": "seen: u64" } }),
        json!({ "macs": { "key": "ip4" } }),
        json!({ "macs": {} }),
    ] {
        Rig::new(&described(&maps, MAP));
    }
}

#[test]
fn a_layout_that_lies_is_refused_when_the_plugin_starts() {
    for (maps, map, parts) in [
        (
            json!({ "macs": { "key": "mac: mac" } }),
            MAP,
            [
                "describes the keys of the map \"macs\"",
                "6 bytes; the map's keys have 4",
            ],
        ),
        (
            json!({ "macs": { "value": "port: u16, seen: u64" } }),
            MAP,
            [
                "describes the values of the map \"macs\"",
                "10 bytes; the map's values have 8",
            ],
        ),
        (
            json!({ "nat": {} }),
            MAP,
            ["the map \"nat\"", "none of that name"],
        ),
        (
            json!({ "macs": {} }),
            "",
            ["the map \"macs\"", "none of that name"],
        ),
    ] {
        assert_refused(&described(&maps, map), &parts);
    }
}

fn key(n: u32) -> [u8; 4] {
    n.to_le_bytes()
}

fn value(n: u64) -> [u8; 8] {
    n.to_le_bytes()
}

#[test]
fn the_host_reads_and_writes_a_map_until_it_is_full() {
    let mut rig = Rig::new(&simple(MAP, "(i32.const 0)"));
    let stage = &mut rig.stage;
    for n in 0..8 {
        stage.map_set("macs", &key(n), &value(n.into())).unwrap();
    }
    stage.map_set("macs", &key(3), &value(33)).unwrap();
    let full = stage.map_set("macs", &key(8), &value(8)).unwrap_err();
    assert!(matches!(full, MapError::Full { capacity: 8, .. }), "{full}");
    assert_eq!(stage.map_get("macs", &key(3)).unwrap(), Some(value(33).to_vec()));
    assert_eq!(stage.map_get("macs", &key(8)).unwrap(), None);
    let room = MapCopy::with_room(stage.map_bytes("macs").unwrap());
    let copy = stage.map_copy("macs", room).unwrap();
    assert_eq!(copy.entries().unwrap().len(), 8);
    for n in 0..8 {
        assert!(stage.map_remove("macs", &key(n)).unwrap().is_some(), "{n}");
        assert_eq!(stage.map_remove("macs", &key(n)).unwrap(), None);
        for later in n + 1..8 {
            assert!(
                stage.map_get("macs", &key(later)).unwrap().is_some(),
                "{later} after {n}"
            );
        }
    }
    assert_eq!(stage.maps().unwrap()[0].len, 0);
    stage.map_set("macs", &key(1), &value(1)).unwrap();
    stage.map_clear("macs").unwrap();
    assert_eq!(stage.map_get("macs", &key(1)).unwrap(), None);
}

#[test]
fn what_does_not_fit_a_map_is_said_and_changes_nothing() {
    let mut rig = Rig::new(&simple(MAP, "(i32.const 0)"));
    let stage = &mut rig.stage;
    let said = stage.map_get("nat", &key(1)).unwrap_err().to_string();
    assert!(said.contains("no map \"nat\"; it has macs"), "{said}");
    let said = stage.map_set("macs", &[1; 5], &value(1)).unwrap_err().to_string();
    assert!(
        said.contains("a key of map \"macs\" has 4 bytes; 5 were given"),
        "{said}"
    );
    let said = stage.map_set("macs", &key(1), &[1; 3]).unwrap_err().to_string();
    assert!(
        said.contains("a value of map \"macs\" has 8 bytes; 3 were given"),
        "{said}"
    );
    assert_eq!(stage.maps().unwrap()[0].len, 0);
    let mut none = Rig::new(&simple("", "(i32.const 0)"));
    assert_eq!(none.stage.maps(), Ok(Vec::new()));
    let said = none.stage.map_clear("x").unwrap_err().to_string();
    assert!(said.contains("it has none"), "{said}");
}

#[test]
fn a_map_that_the_guest_breaks_is_an_error_for_who_reads_it_and_for_no_frame() {
    // Each frame stores its second word at the address in its first.
    let store = "(i32.store (i32.load (local.get $p)) (i32.load offset=4 (local.get $p))) (i32.const 0)";
    let described = manifest(&json!({ "maps": { "macs": { "key": "u32" } } }));
    for (at, word, why) in [
        (80, 0, "VMAP"),
        (84, 5, "4 bytes; the map's keys have 5"),
        (84, 0, "no bytes"),
        (88, u32::MAX, "outside the plugin's memory"),
        (92, 7, "no power of two"),
        (92, 1 << 31, "outside the plugin's memory"),
        (96, 9, "count is greater"),
        (100, u32::MAX, "not in the table"),
        (68, u32::MAX, "not in the table"),
        (64, 0, "not in the table"),
        (112, u32::MAX, "outside the plugin's memory"),
        (256, 9, "slot 0 has the state 9"),
        (256, 1, "the hash in slot 0"),
        (96, 1, "0 slots are in use and its count is 1"),
    ] {
        let mut rig = Rig::new(&simple(&(described.clone() + MAP), store));
        let mut frame = [0; 60];
        frame[..4].copy_from_slice(&u32::to_le_bytes(at));
        frame[4..8].copy_from_slice(&u32::to_le_bytes(word));
        assert_eq!(rig.one(&frame).fate, Fate::Pass);
        let stage = &mut rig.stage;
        let room = MapCopy::with_room(8 * 24);
        let broken = stage
            .map_copy("macs", room)
            .map(|copy| copy.entries().map(|_| ()));
        let broken = broken.and_then(|read| read).unwrap_err();
        assert!(matches!(broken, MapError::Broken { .. }), "{broken}");
        assert!(broken.to_string().contains(why), "{at}: {broken}");
        // Whatever else is asked of it, the host stays within guest memory.
        let _ = stage.map_get("macs", &key(1));
        let _ = stage.map_set("macs", &key(1), &value(1));
        let _ = stage.map_remove("macs", &key(1));
        let _ = stage.map_clear("macs");
        let _ = stage.maps();
        assert_eq!(rig.one(&[0; 60]).fate, Fate::Pass);
        assert_eq!(rig.fault("trap"), 0);
    }
}

#[test]
fn a_plugin_out_of_service_has_no_maps() {
    let mut rig = Rig::new(&simple(MAP, "unreachable"));
    rig.run(&[&[1; 60], &[1; 60]]);
    let said = rig.stage.map_get("macs", &key(1)).unwrap_err().to_string();
    assert!(said.contains("out of service (backoff)"), "{said}");
}
