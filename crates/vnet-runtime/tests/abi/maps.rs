//! Maps in guest memory, and what a manifest says of them.

use serde_json::{Value, json};

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
