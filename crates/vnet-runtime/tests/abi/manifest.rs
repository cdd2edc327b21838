//! What a plugin says of itself.

use serde_json::{Value, json};
use vnet_runtime::{Layer, OnFault, Reason};

use crate::support::*;

fn with(value: &Value) -> String {
    simple(
        &manifest(value),
        "(i32.shl (i32.load8_u (local.get $p)) (i32.const 8))",
    )
}

#[test]
fn a_whole_manifest_is_read() {
    let module = load(&with(&json!({
        "name": "firewall", "version": "2.1", "abi": "1.0", "description": "drops", "capabilities": ["random"],
        "layers": ["l2", "l3"], "state_version": 3, "maps": { "conns": { "key": "u64", "value": "u32" } },
        "reasons": { "7": "not allowed", "8": "too fast" }, "counters": ["seen"],
        "config": { "type": "object" }, "on_fault": "open", "something": "else"
    })));
    let manifest = module.manifest();
    assert_eq!(
        (module.name(), manifest.version.as_deref(), manifest.abi.as_str()),
        ("firewall", Some("2.1"), "1.0")
    );
    assert_eq!(
        (manifest.layers.as_slice(), manifest.on_fault),
        (&[Layer::L2, Layer::L3][..], Some(OnFault::Open))
    );
    assert_eq!(
        (manifest.state_version, manifest.reasons[&7].as_str()),
        (3, "not allowed")
    );
    let conns = &manifest.maps["conns"];
    assert_eq!(
        conns.key.as_ref().map(|key| (key.text(), key.size())),
        Some(("u64", 8))
    );
    assert!(manifest.present);
}

#[test]
fn a_module_without_one_has_defaults() {
    let module = load(&simple("", "(i32.const 0)"));
    let manifest = module.manifest();
    assert_eq!(
        (module.name(), manifest.layers.as_slice()),
        ("test", &[Layer::L2][..])
    );
    assert!(!manifest.present && manifest.capabilities.is_empty() && manifest.on_fault.is_none());
}

#[test]
fn wrong_keys_are_named_with_what_was_expected() {
    for (value, parts) in [
        (json!([]), ["must be a JSON object", "array"]),
        (json!({ "name": 5 }), ["\"name\"", "must be a string"]),
        (json!({ "name": "" }), ["\"name\"", "1 to 64 bytes"]),
        (json!({ "abi": "2.0" }), ["version 2.0", "1.0"]),
        (json!({ "abi": "1.1" }), ["version 1.1", "1.0"]),
        (json!({ "abi": "one" }), ["\"abi\"", "MAJOR.MINOR"]),
        (json!({ "abi": 1.0 }), ["\"abi\"", "must be a string"]),
        (json!({ "capabilities": ["fly"] }), ["unknown capability", "fly"]),
        (
            json!({ "capabilities": "random" }),
            ["\"capabilities\"", "array of strings"],
        ),
        (json!({ "layers": ["l4"] }), ["\"layers\"", "l4"]),
        (json!({ "layers": [] }), ["\"layers\"", "l2, l3 or both"]),
        (json!({ "state_version": -1 }), ["\"state_version\"", "unsigned"]),
        (json!({ "maps": [] }), ["\"maps\"", "must be an object"]),
        (
            json!({ "maps": { "m": 1 } }),
            ["\"maps.m\"", "an object with `key` and `value`"],
        ),
        (
            json!({ "maps": { "m": { "key": 1 } } }),
            ["\"maps.m.key\"", "must be a text"],
        ),
        (
            json!({ "maps": { "m": { "value": "a: u9" } } }),
            ["unknown type \"u9\"", "be16 be32 be64"],
        ),
        (
            json!({ "maps": { "m": { "key": "a: u8, a: u8" } } }),
            ["\"maps.m.key\"", "two fields are named \"a\""],
        ),
        (
            json!({ "reasons": { "x": "text" } }),
            ["\"reasons\"", "1 to 65535"],
        ),
        (
            json!({ "reasons": { "0": "text" } }),
            ["\"reasons\"", "1 to 65535"],
        ),
        (json!({ "reasons": { "1": 5 } }), ["reasons.1", "must be a text"]),
        (
            json!({ "counters": ["x".repeat(65)] }),
            ["\"counters\"", "1 to 64 bytes"],
        ),
        (
            json!({ "counters": (0..257).map(|i| i.to_string()).collect::<Vec<_>>() }),
            ["257 counters", "256"],
        ),
        (
            json!({ "config": { "type": "nonsense" } }),
            ["\"config\"", "not a JSON schema"],
        ),
        (json!({ "on_fault": "maybe" }), ["\"on_fault\"", "closed"]),
    ] {
        assert_refused(&with(&value), &parts);
    }
    assert_refused(
        &simple("(@custom \"vnet.manifest\" \"{oops\")", "(i32.const 0)"),
        &["not JSON", "line 1"],
    );
    assert_refused(
        &simple("(@custom \"vnet.manifest\" \"\\ff\")", "(i32.const 0)"),
        &["not JSON"],
    );
}

#[test]
fn two_manifests_are_refused() {
    let twice = manifest(&json!({})) + &manifest(&json!({}));
    assert_refused(
        &simple(&twice, "(i32.const 0)"),
        &["two custom sections vnet.manifest"],
    );
}

#[test]
fn drops_are_counted_under_the_manifests_texts() {
    let head = manifest(&json!({ "reasons": { "7": "not allowed", "300": "too fast" } }));
    let text = simple(
        &head,
        "(i32.or (i32.const 1) (i32.shl (i32.load16_u (local.get $p)) (i32.const 8)))",
    );
    let mut rig = Rig::new(&text);
    rig.run(&[&[7, 0, 1], &[7, 0, 1], &[44, 1, 1], &[9, 0, 1], &[0, 0, 1]]);
    let expected = [("drop", 1), ("not allowed", 2), ("other", 1), ("too fast", 1)];
    assert_eq!(
        rig.stats().drops,
        expected.map(|(name, n)| (name.to_owned(), n)).into()
    );
    assert_eq!(rig.stage.reason_text(Reason::Plugin(7)), "not allowed");
    assert_eq!(rig.stage.reason_text(Reason::Plugin(9)), "other");
    assert_eq!(rig.stage.reason_text(Reason::Plugin(0)), "drop");
    assert_eq!(rig.stage.reason_text(Reason::Oversize), "oversize");
}
