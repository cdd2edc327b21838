use vnet_impair::{Impairment, Ready};

/// A millisecond.
pub const MS: u64 = 1_000_000;

pub fn ready(impairment: &Impairment) -> Option<Ready> {
    Some(impairment.ready(&mut |_| unreachable!()).unwrap())
}

pub fn delay(ms: u64) -> Option<Ready> {
    ready(&Impairment {
        delay_ns: ms * MS,
        ..Impairment::default()
    })
}
