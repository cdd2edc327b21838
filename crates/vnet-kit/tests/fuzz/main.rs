//! Every shipped plugin, as it is committed, under frames of every kind for a while: none may break a rule of the ABI.
//!
//! `make fuzz` runs each for a minute, `make test` for half a second. The same seed makes the same frames; a failure says how to
//! repeat its round. Set `VNET_FUZZ_SECONDS`, `VNET_FUZZ_SEED` and `VNET_FUZZ_ROUND`, and name the test of one plugin to run it alone.

mod bytes;
mod frames;
mod packets;
mod plugins;
mod random;
mod round;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vnet_runtime::{LoadOptions, Module, Source};

use random::Random;
use round::Round;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/shipped")
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let parsed = text.parse();
    Some(parsed.unwrap_or_else(|_| panic!("{name} must be a whole number, and is {text:?}")))
}

/// Runs rounds of a plugin until its time is over: each starts it afresh with its next configuration, layer and frames.
fn fuzz(plugin: &str) {
    let seconds = number("VNET_FUZZ_SECONDS").map_or(Duration::from_millis(500), Duration::from_secs);
    let seed = number("VNET_FUZZ_SEED").unwrap_or(1);
    let only = number("VNET_FUZZ_ROUND");
    let options = LoadOptions {
        cache: false,
        ..LoadOptions::default()
    };
    let file = shipped().join(plugin).with_extension("wasm");
    let module = Module::load(&Source::File(file), &options).unwrap_or_else(|error| panic!("{error}"));
    let setups = plugins::setups(plugin, &module);
    let begun = Instant::now();
    let (mut frames, mut rounds) = (0, 0);
    let mut verdicts = round::Verdicts::default();
    // Every setup has its turn, however short the time is.
    while rounds < setups.len() as u64 || begun.elapsed() < seconds {
        let number = only.unwrap_or(rounds);
        let setup = &setups[(number % setups.len() as u64) as usize];
        let mut round = Round::start(&module, setup, Random::new(&[seed, number]));
        let judged = round.run();
        frames += round.frames;
        rounds += 1;
        verdicts.add(&round.stats());
        if let Err(fault) = judged {
            panic!(
                "{plugin} broke a rule after {} frames of round {number}, set up as {setup}:\n{fault}\n\
                 repeat it: VNET_FUZZ_SEED={seed} VNET_FUZZ_ROUND={number} cargo test --release --workspace --locked \
                 --test fuzz -- --exact {plugin}",
                round.frames,
            );
        }
        if only.is_some() {
            break;
        }
    }
    println!(
        "{plugin:<18} {frames:>11} frames in {:.0} s, {rounds} rounds of {} setups, seed {seed}: {verdicts}, no fault",
        begun.elapsed().as_secs_f64(),
        setups.len(),
    );
}

macro_rules! plugins {
    ($($name:ident)*) => {
        const FUZZED: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { fuzz(stringify!($name)); })*
    };
}

plugins! {
    acl arp_guard count dns_block drop_bcast filter icmp_echo learning_switch load_balancer mirror mss_clamp nat rate_limit record
    router stateful_firewall tunnel vlan
}

#[test]
fn no_shipped_plugin_is_left_out() {
    let folder = std::fs::read_dir(shipped()).expect("the shipped plugins");
    let mut names: Vec<String> = folder
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "wasm"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, FUZZED);
}
