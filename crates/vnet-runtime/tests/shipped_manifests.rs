//! Every plugin that is in the tree as a module: it says what it is, and survives hostile frames.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vnet_runtime::{CheckOptions, Form, Layer, LoadOptions, Module, Source, check};

/// Shipped plugins that need an Ethernet header.
const L2_ONLY: [&str; 7] = [
    "arp_guard",
    "drop_bcast",
    "learning_switch",
    "mirror",
    "router",
    "tunnel",
    "vlan",
];

/// What the plugins that do nothing without a configuration are given.
fn config_of(name: &str) -> Value {
    match name {
        "acl" => json!({"rules": [{"action": "deny", "protocol": "tcp", "dst": "10.0.0.0/8", "dport": 22}]}),
        "dns_block" => json!({"names": ["ads.example"]}),
        "filter" => json!({"expression": "tcp port 80 or arp"}),
        "load_balancer" => json!({"address": "10.0.0.100", "servers": "10.0.0.11,10.0.0.12"}),
        "mirror" => json!({"to": 1}),
        "nat" => json!({"address": "203.0.113.1", "inside": "10.0.0.0/8"}),
        "rate_limit" => json!({"packets": 1000}),
        "router" => json!({"ports": [
            {"addresses": ["10.0.0.1/24", "fd00::1/64"]},
            {"addresses": ["10.0.1.1/24", "fd00:1::1/64"]}
        ]}),
        "stateful_firewall" => json!({
            "zones": {"inside": [0], "outside": [1]},
            "allow": [{"from": "inside", "to": "outside"}]
        }),
        "tunnel" => json!({"vni": 42, "local": "10.0.0.1", "remote": "10.0.0.2"}),
        "vlan" => json!({"access": 10}),
        _ => json!({}),
    }
}

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins")
}

/// Returns the modules of a directory by their names.
fn modules(directory: &str) -> Vec<(String, Module)> {
    let mut found: Vec<_> = std::fs::read_dir(plugins().join(directory))
        .expect("a directory of the tree")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm" || extension == "wat")
        })
        .map(|path| {
            (
                path.file_stem().expect("a name").to_string_lossy().into_owned(),
                load(&path),
            )
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(!found.is_empty(), "{directory} has no modules");
    found
}

fn load(path: &Path) -> Module {
    let options = LoadOptions {
        cache: false,
        ..LoadOptions::default()
    };
    Module::load(&Source::File(path.to_owned()), &options)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_plugin_loads_and_survives_hostile_frames() {
    for directory in ["shipped", "examples", "drop_bcast"] {
        for (name, module) in modules(directory) {
            let options = CheckOptions {
                config: config_of(&name),
                ..CheckOptions::default()
            };
            let report = check(&module, options);
            assert!(report.passed(), "{name}: {report:?}");
        }
    }
}

#[test]
fn shipped_plugins_describe_themselves() {
    for (name, module) in modules("shipped") {
        let manifest = module.manifest();
        let layers = if L2_ONLY.contains(&name.as_str()) {
            &[Layer::L2][..]
        } else {
            &[Layer::L2, Layer::L3]
        };
        assert_eq!(
            (manifest.name.as_str(), &manifest.layers[..], module.form()),
            (name.as_str(), layers, Form::Batch)
        );
        assert!(
            manifest.description.is_some() && manifest.version.is_some() && manifest.config.is_some(),
            "{name}"
        );
        // That of `filter` has an allocator and the reader of a language in it.
        let most = if name == "filter" { 128 << 10 } else { 64 << 10 };
        assert!(module.size() < most, "{name} takes {} bytes", module.size());
    }
}
