//! Truncated and mutated modules: never a panic, always words.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::json;
use vnet_runtime::{PluginError, Stage, StageOptions};

use crate::support::*;

fn modules() -> &'static [Vec<u8>; 2] {
    static MODULES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    MODULES.get_or_init(|| {
        let head = manifest(&json!({ "name": "m", "reasons": { "7": "x" }, "config": { "type": "object" } }))
            + r#"(import "vnet" "log" (func $log (param i32 i32 i32)))"#;
        let batch = Batch {
            head: head.clone(),
            ..drop_bcast()
        };
        let simple = simple(
            &head,
            "(call $log (i32.const 1) (local.get $p) (local.get $len)) (i32.load8_u (local.get $p))",
        );
        [batch.text(), simple].map(|text| wat::parse_str(text).unwrap())
    })
}

/// Loads a module and, where that works, runs it.
fn survive(bytes: &[u8]) -> Result<(), PluginError> {
    let module = try_load_bytes(bytes)?;
    let stage = Stage::new(
        &module,
        StageOptions {
            ports: 2,
            ..StageOptions::default()
        },
    )?;
    let logs = stage.logs();
    let mut rig = Rig {
        stage,
        logs,
        frames: vnet_runtime::Frames::with_capacity(1024),
        port: 0,
        flags: 0,
    };
    if rig.stage.traits().batch >= 3 && rig.stage.traits().max_frame >= 60 {
        rig.run(&[&[1; 60], &[0xff; 60], &[2; 20]]);
    }
    Ok(())
}

fn assert_words(result: Result<(), PluginError>) {
    if let Err(error) = result {
        let text = error.to_string();
        assert!(text.len() > 10 && !text.contains("panic"), "{text}");
    }
}

#[test]
fn every_truncation_is_refused_in_words() {
    for module in modules() {
        for len in 0..module.len() {
            match survive(&module[..len]) {
                Err(PluginError::Rejected { reason, .. }) => assert!(reason.len() > 5, "{reason}"),
                // What is cut off here are whole custom sections, without which a module is one too.
                Ok(()) if module[len] == 0 => {}
                other => panic!("{len} of {} bytes: {other:?}", module.len()),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(which in 0..2_usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = modules()[which].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        assert_words(survive(&bytes));
    }

    #[test]
    fn cut_and_doubled_pieces_never_panic(which in 0..2_usize, from in any::<prop::sample::Index>(), len in 0..40_usize, twice in any::<bool>()) {
        let bytes = &modules()[which];
        let from = from.index(bytes.len());
        let to = (from + len).min(bytes.len());
        let middle = if twice { [&bytes[from..to], &bytes[from..to]].concat() } else { Vec::new() };
        assert_words(survive(&[&bytes[..from], &middle, &bytes[to..]].concat()));
    }

    #[test]
    fn noise_after_the_magic_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_words(survive(&[b"\0asm\x01\0\0\0", noise.as_slice()].concat()));
    }

    #[test]
    fn any_manifest_text_is_answered_in_words(text in "\\PC{0,80}") {
        assert_words(survive(&wat::parse_str(simple(&format!("(@custom \"vnet.manifest\" {})", quoted(text.as_bytes())), "(i32.const 0)")).unwrap()));
    }
}
