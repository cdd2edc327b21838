//! Keeps a record of every flow: who sent how much to whom, when, and with which TCP flags.
//!
//! A flow is one direction of a conversation: protocol, addresses and ports. The host shows those that are under way as the map
//! `flows`; one that has ended is logged in a line and forgotten. Everything passes.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod flows;

use vnet_plugin::{Config, Counter, Packet, State, Verdict, plugin};

use flows::FLOWS;

static BEGUN: Counter = Counter::new("flows");
static ENDED: Counter = Counter::new("ended");
/// Packets of flows that found no place in the table.
static UNTRACKED: Counter = Counter::new("untracked");
/// Frames without an IP packet.
static OTHER: Counter = Counter::new("other");

#[derive(Clone, Copy)]
struct Settings {
    idle_ns: u64,
    log: bool,
}

static SETTINGS: State<Settings> = State::new(Settings {
    idle_ns: 0,
    log: false,
});

const SECOND: u64 = 1_000_000_000;

fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    let idle = match config.int("idle").unwrap_or(60) {
        idle @ 1..=86_400 => idle as u64,
        _ => return Err("idle is 1 to 86400 seconds"),
    };
    SETTINGS.set(Settings {
        idle_ns: idle * SECOND,
        log: config.bool("log").unwrap_or(true),
    });
    Ok(())
}

/// Keeps a record of flows, and logs each when it has ended.
#[plugin(
    gso, csum,
    layers = ["l2", "l3"],
    counters = ["flows", "ended", "untracked", "other"],
    maps = {"flows": FLOWS(
        "protocol: u8, _: u8, src: ip, dst: ip, src_port: be16, dst_port: be16"
            => "packets: u64, bytes: u64, first: u64, last: u64, flags: u8, _: bytes[7]"
    )},
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "idle": {
                "type": "integer", "minimum": 1, "maximum": 86400,
                "description": "seconds of silence after which a flow has ended; 60 when absent"
            },
            "log": {"type": "boolean", "description": "logs a line for each flow that has ended; true when absent"}
        }
    }"#,
    configure = configure,
)]
fn record(pkt: &mut Packet) -> Verdict {
    let settings = SETTINGS.get();
    let Some(flow) = pkt.flow() else {
        OTHER.increment();
        return Verdict::Pass;
    };
    match flows::note(pkt, &flow) {
        flows::Noted::Begun => BEGUN.increment(),
        flows::Noted::Known => {}
        flows::Noted::Full => UNTRACKED.increment(),
    }
    let ended = flows::end(pkt.ts_ns(), settings.idle_ns, settings.log);
    ENDED.add(ended);
    Verdict::Pass
}

#[cfg(test)]
mod tests;
