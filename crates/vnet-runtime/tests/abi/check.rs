//! `vnet plugin check`.

use serde_json::json;
use vnet_runtime::{CheckOptions, CheckReport, check};

use crate::support::*;

fn report(text: &str) -> CheckReport {
    check(&load(text), CheckOptions::default())
}

fn rules(report: &CheckReport) -> Vec<&str> {
    let mut rules: Vec<_> = report
        .problems
        .iter()
        .map(|problem| problem.rule.as_str())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn a_good_plugin_passes_thousands_of_frames() {
    let report = report(&drop_bcast().text());
    assert!(report.passed(), "{:?}", report.problems);
    assert!(report.frames >= 3000);
    assert!(
        report.verdicts["drop"] > 100 && report.verdicts["pass"] > 1000,
        "{:?}",
        report.verdicts
    );
    assert_eq!(
        (report.layers.as_slice(), report.form.as_str()),
        (&["l2".to_owned()][..], "batch")
    );
    assert!(
        serde_json::to_value(&report).unwrap()["ns_per_packet"]
            .as_f64()
            .unwrap()
            > 0.0
    );
}

#[test]
fn both_layers_are_tried_where_the_manifest_names_both() {
    let head = manifest(&json!({ "layers": ["l2", "l3"] }));
    let report = report(
        &Batch {
            head,
            ..Batch::default()
        }
        .text(),
    );
    assert!(report.passed() && report.frames >= 6000);
}

#[test]
fn a_missing_length_check_is_found() {
    // Reads 64 KiB ahead of short frames: traps at the end of memory.
    let text = simple(
        "",
        "(if (i32.lt_u (local.get $len) (i32.const 20)) (then (drop (i32.load offset=131072 (local.get $p))))) (i32.const 0)",
    );
    let report = report(&text);
    assert_eq!(rules(&report), ["trap"]);
    assert!(report.problems[0].message.contains("out of bounds") && !report.problems[0].frame.is_empty());
}

#[test]
fn every_broken_rule_is_named() {
    for (text, rule) in [
        (Batch::each(&verdict(7)).text(), "bad_verdict"),
        (Batch::each(&verdict(2)).text(), "bad_port"),
        (
            Batch::each("(i32.store offset=4 (local.get $d) (i32.const -1))").text(),
            "bad_desc",
        ),
        (
            Batch {
                body: "(i32.const 900)".into(),
                ..Batch::default()
            }
            .text(),
            "bad_append",
        ),
        (
            Batch {
                body: "(i32.const -1)".into(),
                ..Batch::default()
            }
            .text(),
            "error",
        ),
        (simple("", "(loop $ever (br $ever)) (i32.const 0)"), "timeout"),
        (
            simple(r#"(func (export "_initialize") unreachable)"#, "(i32.const 0)"),
            "start",
        ),
    ] {
        let report = report(&text);
        assert!(rules(&report).contains(&rule), "{rule}: {:?}", report.problems);
        assert!(!report.passed());
    }
}

#[test]
fn a_plugin_that_is_not_as_pure_as_it_says_is_found() {
    let mut rewriting = Batch::each("(i32.store8 (i32.load (local.get $d)) (i32.const 9))");
    rewriting.flags = 4;
    assert_eq!(rules(&report(&rewriting.text())), ["pure"]);
    let mut by_port =
        Batch::each("(i32.store8 offset=12 (local.get $d) (i32.load8_u offset=16 (local.get $d)))");
    by_port.flags = 4;
    assert_eq!(rules(&report(&by_port.text())), ["pure"]);
    let mut pure = drop_bcast();
    pure.flags = 7 & !1;
    assert!(report(&pure.text()).passed());
}

#[test]
fn a_plugin_that_never_ends_is_not_waited_for_three_thousand_times() {
    let report = report(&simple("", "(loop (br 0)) (i32.const 0)"));
    assert_eq!(rules(&report), ["timeout"]);
    assert!(
        (50..100).contains(&report.faults["timeout"]),
        "{:?}",
        report.faults
    );
    assert!(report.frames < 3000);
}

#[test]
fn a_trap_at_the_start_is_reported_without_advice_to_run_this_very_check() {
    let text = simple(r#"(func (export "_initialize") (unreachable))"#, "(i32.const 0)");
    let report = report(&text);
    assert_eq!(rules(&report), ["start"]);
    let message = &report.problems[0].message;
    assert!(
        message.contains("unreachable") && !message.contains("plugin check"),
        "{message}"
    );
}
