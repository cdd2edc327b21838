//! Later pieces of fragmented packets, which have no ports: they may go where their first piece went.

use vnet_plugin::{Flow, Map};

use crate::conversations::mapped;

/// Most packets whose pieces are expected.
const MOST: usize = 512;
const SEARCHED: usize = 32;
/// How long pieces are expected.
const WAIT_NS: u64 = 30_000_000_000;

/// When the first piece passed.
pub static PIECES: Map<40, 8, { 2 * MOST }> = Map::new();

fn key(flow: &Flow) -> [u8; 40] {
    let mut key = [0; 40];
    key[..16].copy_from_slice(&mapped(flow.src).to_be_bytes());
    key[16..32].copy_from_slice(&mapped(flow.dst).to_be_bytes());
    key[32..36].copy_from_slice(&flow.id.to_le_bytes());
    key[36] = flow.protocol;
    key
}

/// Notes that the first piece passed.
pub fn expect(flow: &Flow, now: u64) {
    PIECES.retain_some(SEARCHED, |_, seen| is_recent(seen, now));
    if PIECES.len() < MOST {
        PIECES.insert(&key(flow), now.to_le_bytes());
    }
}

/// Says whether the first piece of this one's packet passed.
pub fn is_expected(flow: &Flow, now: u64) -> bool {
    PIECES.get(&key(flow)).is_some_and(|seen| is_recent(&seen, now))
}

fn is_recent(seen: &[u8; 8], now: u64) -> bool {
    now.saturating_sub(u64::from_le_bytes(*seen)) <= WAIT_NS
}
