//! A plugin's configuration and its schema.

use serde_json::{Value, json};
use vnet_runtime::PluginError;

use crate::support::*;

fn schema() -> String {
    let schema = json!({
        "type": "object",
        "properties": {
            "allow_arp": { "type": "boolean" },
            "limit": { "type": "integer", "minimum": 1, "maximum": 100 },
            "mode": { "enum": ["fast", "safe"] },
            "hosts": { "type": "array", "items": { "type": "string", "pattern": "^10\\." } },
            "either": { "type": ["string", "integer"] },
            "note": { "type": "string", "maxLength": 8 }
        },
        "required": ["limit"],
        "additionalProperties": false
    });
    simple(&manifest(&json!({ "config": schema })), "(i32.const 0)")
}

fn attempt(text: &str, value: Value) -> Result<Rig, PluginError> {
    Rig::try_with(text, config(value))
}

#[test]
fn a_config_that_fits_its_schema_is_taken() {
    let all = json!({ "allow_arp": true, "limit": 5, "mode": "safe", "hosts": ["10.0.0.1"], "either": "x" });
    assert!(attempt(&schema(), all).is_ok());
    assert!(attempt(&schema(), json!({ "limit": 100 })).is_ok());
}

#[test]
fn errors_name_the_key_and_what_was_expected() {
    for (value, parts) in [
        (
            json!({ "limit": 5, "allow_arp": "yes" }),
            ["\"allow_arp\"", "type boolean; it is \"yes\""],
        ),
        (
            json!({ "limit": "5" }),
            ["\"limit\"", "type integer; it is \"5\""],
        ),
        (json!({ "limit": 0 }), ["\"limit\"", "at least 1; it is 0"]),
        (json!({ "limit": 101 }), ["\"limit\"", "at most 100; it is 101"]),
        (
            json!({ "limit": 5, "mode": "slow" }),
            ["\"mode\"", "one of [\"fast\",\"safe\"]"],
        ),
        (json!({}), ["\"limit\"", "required and missing"]),
        (
            json!({ "limit": 5, "allow_app": true }),
            ["\"allow_app\"", "unknown to this plugin, which knows allow_arp, "],
        ),
        (
            json!({ "limit": 5, "hosts": ["10.0.0.1", "11.0.0.1"] }),
            ["\"hosts.1\"", "pattern"],
        ),
        (
            json!({ "limit": 5, "mode": "safe", "note": "twelve chars" }),
            ["\"note\"", "at most 8 characters; it has 12"],
        ),
        (
            json!({ "limit": 5, "either": true }),
            ["\"either\"", "it is true"],
        ),
        (
            json!({ "limit": 0, "allow_arp": 1 }),
            ["\"limit\"", "\"allow_arp\""],
        ),
    ] {
        let error = attempt(&schema(), value.clone())
            .err()
            .unwrap_or_else(|| panic!("{value} is taken"))
            .to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
}

#[test]
fn a_plugin_without_options_says_so() {
    let none = manifest(&json!({ "config": { "type": "object", "additionalProperties": false } }));
    let error = attempt(&simple(&none, "(i32.const 0)"), json!({ "x": 1 }))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.ends_with("config key \"x\" is unknown to this plugin, which knows none"),
        "{error}"
    );
}

#[test]
fn a_config_without_a_schema_must_be_an_object_of_what_fits() {
    let text = simple("", "(i32.const 0)");
    assert!(attempt(&text, json!({ "anything": [1, { "deep": null }] })).is_ok());
    for value in [json!([]), json!("x"), json!(null), json!(1)] {
        assert!(
            attempt(&text, value)
                .err()
                .unwrap()
                .to_string()
                .contains("must be a JSON object")
        );
    }
    let error = attempt(&text, json!({ "big": 1_u64 << 63 }))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("\"big\"") && error.contains("64-bit"), "{error}");
}

#[test]
fn a_plugin_may_refuse_its_config_and_say_why() {
    let head = r#"(import "vnet" "log" (func $log (param i32 i32 i32)))
        (data (i32.const 0) "no such host")
        (func (export "vnet_configure") (param i32 i32) (result i32)
          (call $log (i32.const 0) (i32.const 0) (i32.const 12)) (i32.const 42))"#;
    match attempt(&simple(head, "(i32.const 0)"), json!({})).err() {
        Some(PluginError::Rejected { reason, .. }) => {
            assert_eq!(reason, "refused its config with code 42: no such host");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn configure_gets_the_config_as_json() {
    // Accepts exactly {"a":1} in its frame buffer.
    let head = r#"(func (export "vnet_configure") (param $p i32) (param $len i32) (result i32)
        (i32.or (i32.ne (local.get $len) (i32.const 7))
          (i32.or (i32.ne (local.get $p) (i32.const 65536)) (i32.ne (i32.load offset=3 (local.get $p)) (i32.const 0x7d313a22)))))"#;
    let text = simple(head, "(i32.const 0)");
    assert!(attempt(&text, json!({ "a": 1 })).is_ok());
    assert!(attempt(&text, json!({ "a": 2 })).is_err());
}

#[test]
fn a_config_that_does_not_fit_the_buffer_is_refused() {
    let head = r#"(func (export "vnet_configure") (param i32 i32) (result i32) (i32.const 0))"#;
    let error = attempt(&simple(head, "(i32.const 0)"), json!({ "a": "x".repeat(3000) }))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("3008 bytes") && error.contains("2048"), "{error}");
}

#[test]
fn integers_are_exact_or_refused() {
    let asks = simple(
        r#"(import "vnet" "config_int" (func $int (param i32 i32 i64) (result i64)))
           (import "vnet" "counter" (func $counter (param i32 i32) (result i32)))
           (import "vnet" "count" (func $count (param i32 i64)))
           (data (i32.const 0) "n")
           (func (export "_initialize")
             (call $count
               (call $counter (i32.const 0) (i32.const 1))
               (call $int (i32.const 0) (i32.const 1) (i64.const 77))))"#,
        "(i32.const 0)",
    );
    let asked = |text: &str| {
        let config = serde_json::from_str(text).unwrap();
        attempt(&asks, config).map(|rig| rig.stats().counters["n"] as i64)
    };
    for (config, expected) in [
        (r#"{"n": 9223372036854775807}"#, i64::MAX),
        (r#"{"n": -9223372036854775808}"#, i64::MIN),
        (r#"{"n": 3.0}"#, 3),
        (r#"{"n": true}"#, 1),
        (r#"{"n": 3.5}"#, 77),
        (r#"{"n": "3"}"#, 77),
        (r#"{}"#, 77),
    ] {
        assert_eq!(asked(config).unwrap(), expected, "{config}");
    }
    for number in [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "-18446744073709551616",
    ] {
        let error = asked(&format!(r#"{{"n": {number}}}"#)).unwrap_err().to_string();
        assert!(error.contains("signed 64-bit"), "{number}: {error}");
    }
}
