//! Drops Ethernet broadcasts. With `allow_arp` those that carry ARP pass, also in a VLAN.
#![cfg_attr(target_arch = "wasm32", no_std)]

use vnet_plugin::wire::ether_type;
use vnet_plugin::{Config, Packet, State, Verdict, plugin};

const BROADCAST: u16 = 1;
/// Bytes of an Ethernet header.
const HEADER: usize = 14;

static ALLOW_ARP: State<bool> = State::new(false);

fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    ALLOW_ARP.set(config.bool("allow_arp").unwrap_or(false));
    Ok(())
}

/// Drops Ethernet broadcasts.
#[plugin(
    gso, csum, pure,
    layers = ["l2"],
    reasons = {1: "broadcast"},
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "allow_arp": {
                "type": "boolean",
                "default": false,
                "description": "let broadcasts pass that carry ARP"
            }
        }
    }"#,
    configure = configure,
)]
fn drop_bcast(pkt: &mut Packet) -> Verdict {
    if !is_broadcast(pkt.frame()) {
        return Verdict::Pass;
    }
    if ALLOW_ARP.get() && pkt.ether_type() == ether_type::ARP {
        return Verdict::Pass;
    }
    Verdict::DropFor(BROADCAST)
}

/// Says whether a frame has a whole Ethernet header whose receiver is everybody. One read of eight bytes: most of what this plugin
/// takes is taken here.
fn is_broadcast(frame: &[u8]) -> bool {
    match frame.first_chunk::<HEADER>() {
        Some([to @ .., _, _, _, _, _, _]) => u64::from_le_bytes(*to) << 16 == u64::MAX << 16,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use vnet_plugin::testing::Host;

    use super::*;

    const BROADCAST_ARP: [u8; 42] = {
        let mut frame = [0xff; 42];
        frame[12] = 0x08;
        frame[13] = 0x06;
        frame
    };

    #[test]
    fn drops_broadcasts_and_nothing_else() {
        let mut host = Host::new(drop_bcast);
        assert_eq!(host.judge(&[0xff; 60]).verdict, Verdict::DropFor(BROADCAST));
        assert_eq!(host.judge(&[0xff; 14]).verdict, Verdict::DropFor(BROADCAST));
        assert_eq!(host.judge(&[0xff; 13]).verdict, Verdict::Pass, "no whole header");
        for octet in 0..6 {
            let mut frame = [0xff; 60];
            frame[octet] = 0xfe;
            assert_eq!(host.judge(&frame).verdict, Verdict::Pass, "octet {octet}");
        }
    }

    #[test]
    fn lets_arp_pass_when_told_to() {
        let mut host = Host::new(drop_bcast);
        host.configure(configure, r#"{"allow_arp": true}"#)
            .expect("accepted");
        let mut tagged = [0xff; 60];
        tagged[12..18].copy_from_slice(&[0x81, 0, 0, 100, 0x08, 0x06]);
        assert_eq!(host.judge(&BROADCAST_ARP).verdict, Verdict::Pass);
        assert_eq!(host.judge(&tagged).verdict, Verdict::Pass);
        assert_eq!(host.judge(&[0xff; 60]).verdict, Verdict::DropFor(BROADCAST));
        host.configure(configure, "{}").expect("accepted");
        assert_eq!(host.judge(&BROADCAST_ARP).verdict, Verdict::DropFor(BROADCAST));
    }
}
