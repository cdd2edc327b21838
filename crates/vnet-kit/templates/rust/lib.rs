//! Drops UDP datagrams over IPv4 to one port.
#![cfg_attr(target_arch = "wasm32", no_std)]

use vnet_plugin::{Config, Counter, Packet, State, Verdict, plugin};

const CLOSED_PORT: u16 = 1;

static PORT: State<u16> = State::new(9);
static CLOSED: Counter = Counter::new("closed");

fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    let port = config.int("port").unwrap_or(9);
    PORT.set(u16::try_from(port).map_err(|_| "port must be 0 to 65535")?);
    Ok(())
}

/// Drops UDP datagrams over IPv4 to one port.
#[plugin(
    gso, csum,
    reasons = {1: "closed port"},
    counters = ["closed"],
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "port": {
                "type": "integer", "minimum": 0, "maximum": 65535, "default": 9,
                "description": "UDP port that is closed"
            }
        }
    }"#,
    configure = configure,
)]
fn @NAME@(pkt: &mut Packet) -> Verdict {
    let is_v4 = pkt.ipv4().is_some();
    match pkt.udp() {
        Some(udp) if is_v4 && udp.dst_port() == PORT.get() => {
            CLOSED.increment();
            Verdict::DropFor(CLOSED_PORT)
        }
        _ => Verdict::Pass,
    }
}

#[cfg(test)]
mod tests {
    use vnet_plugin::testing::Host;

    use super::*;

    #[test]
    fn lets_what_is_no_datagram_pass() {
        assert_eq!(Host::new(@NAME@).judge(&[0xff; 60]).verdict, Verdict::Pass);
    }
}
