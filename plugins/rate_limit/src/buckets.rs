//! The buckets and what is in them.

use vnet_plugin::Map;

use crate::settings::{Rate, Settings};

/// Most buckets; half of the slots stay empty, so that a search ends soon.
const MOST: usize = 4_096;
const SEARCHED: usize = 32;
/// The port of the bucket that those share who find no place.
const SHARED: u16 = u16::MAX;

/// By address or port; the tokens that are left, in billionths, and when that was.
pub static BUCKETS: Map<24, 24, { 2 * MOST }> = Map::new();

/// Returns a bucket's key.
#[inline(always)]
pub fn key(address: u128, port: u16) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&address.to_be_bytes());
    key[16..18].copy_from_slice(&port.to_le_bytes());
    key
}

#[derive(Clone, Copy)]
struct Bucket {
    packets: u64,
    bytes: u64,
    seen: u64,
}

impl Bucket {
    #[inline(always)]
    fn read(value: &[u8; 24]) -> Bucket {
        let (words, _) = value.as_chunks::<8>();
        let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
        Bucket {
            packets: word(0),
            bytes: word(1),
            seen: word(2),
        }
    }

    #[inline(always)]
    fn write(self) -> [u8; 24] {
        let mut value = [0; 24];
        value[..8].copy_from_slice(&self.packets.to_le_bytes());
        value[8..16].copy_from_slice(&self.bytes.to_le_bytes());
        value[16..].copy_from_slice(&self.seen.to_le_bytes());
        value
    }

    fn full(now: u64, settings: &Settings) -> Bucket {
        Bucket {
            packets: settings.packets.burst,
            bytes: settings.bytes.burst,
            seen: now,
        }
    }
}

/// Returns what is in a bucket after some time.
#[inline(always)]
fn filled(tokens: u64, elapsed: u64, rate: &Rate) -> u64 {
    tokens
        .saturating_add(elapsed.saturating_mul(rate.per_second))
        .min(rate.burst)
}

/// Takes tokens out of a bucket, or none and returns false where there are too few.
#[inline(always)]
pub fn take(key: &[u8; 24], packets: u64, bytes: u64, now: u64, settings: &Settings) -> bool {
    let (key, known) = match BUCKETS.get(key) {
        Some(value) => (*key, Bucket::read(&value)),
        None => place(key, now, settings),
    };
    let elapsed = now.saturating_sub(known.seen);
    let mut bucket = Bucket {
        packets: filled(known.packets, elapsed, &settings.packets),
        bytes: filled(known.bytes, elapsed, &settings.bytes),
        seen: now.max(known.seen),
    };
    let (packets, bytes) = (settings.packets.cost(packets), settings.bytes.cost(bytes));
    let enough = packets <= bucket.packets && bytes <= bucket.bytes;
    if enough {
        bucket.packets -= packets;
        bucket.bytes -= bytes;
    }
    BUCKETS.insert(&key, bucket.write());
    enough
}

/// Makes a bucket, in place of those that have been full for a while; the shared one where there is no place.
#[inline(never)]
fn place(key: &[u8; 24], now: u64, settings: &Settings) -> ([u8; 24], Bucket) {
    BUCKETS.retain_some(SEARCHED, |_, value| {
        let bucket = Bucket::read(value);
        let elapsed = now.saturating_sub(bucket.seen);
        filled(bucket.packets, elapsed, &settings.packets) < settings.packets.burst
            || filled(bucket.bytes, elapsed, &settings.bytes) < settings.bytes.burst
    });
    if BUCKETS.len() < MOST {
        return (*key, Bucket::full(now, settings));
    }
    let shared = self::key(0, SHARED);
    let bucket = BUCKETS.get(&shared).as_ref().map(Bucket::read);
    (shared, bucket.unwrap_or(Bucket::full(now, settings)))
}
