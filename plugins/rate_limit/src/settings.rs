//! Rates, bursts, and what has a bucket of its own.

use vnet_plugin::{Config, State};

pub static SETTINGS: State<Settings> = State::new(Settings::NONE);

/// Parts of a token: tokens fill by the nanosecond.
const PARTS: u64 = 1_000_000_000;
/// A burst lets a super-frame through.
const BURST_BYTES_MIN: u64 = 65_536;

/// What has a bucket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    All,
    Source,
    Destination,
    Port,
}

/// How a bucket fills.
#[derive(Clone, Copy)]
pub struct Rate {
    /// Tokens a second, which are parts a nanosecond; 0 where there is no limit.
    pub per_second: u64,
    /// In parts of a token.
    pub burst: u64,
}

impl Rate {
    /// Takes nothing from nobody.
    const NONE: Rate = Rate {
        per_second: 0,
        burst: 0,
    };

    /// Returns what so many tokens are in parts.
    #[inline(always)]
    pub const fn cost(&self, tokens: u64) -> u64 {
        if self.per_second == 0 {
            return 0;
        }
        tokens.saturating_mul(PARTS)
    }
}

/// The configuration.
#[derive(Clone, Copy)]
pub struct Settings {
    pub packets: Rate,
    pub bytes: Rate,
    pub by: By,
}

impl Settings {
    const NONE: Settings = Settings {
        packets: Rate::NONE,
        bytes: Rate::NONE,
        by: By::All,
    };
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    let by = match config.str("by") {
        None | Some("all") => By::All,
        Some("source") => By::Source,
        Some("destination") => By::Destination,
        Some("port") => By::Port,
        Some(_) => return Err("by must be all, source, destination or port"),
    };
    let packets = rate(config, "packets", "burst", 1)?;
    let bytes = rate(config, "bytes", "burst_bytes", BURST_BYTES_MIN)?;
    if packets.per_second == 0 && bytes.per_second == 0 {
        return Err("name a rate: packets or bytes per second");
    }
    SETTINGS.set(Settings { packets, bytes, by });
    Ok(())
}

fn rate(config: &Config<'_>, key: &str, burst: &str, least: u64) -> Result<Rate, &'static str> {
    let number = |key| match config.get(key) {
        None => Ok(None),
        Some(value) => match value.as_int().and_then(|value| u64::try_from(value).ok()) {
            Some(value) if value > 0 => Ok(Some(value)),
            _ => Err("packets, bytes, burst and burst_bytes must be numbers above 0"),
        },
    };
    let Some(per_second) = number(key)? else {
        return match number(burst)? {
            Some(_) => Err("a burst is given without its rate: burst goes with packets, burst_bytes with bytes"),
            None => Ok(Rate::NONE),
        };
    };
    let burst = number(burst)?.unwrap_or((per_second / 10).max(least));
    Ok(Rate {
        per_second,
        burst: burst.saturating_mul(PARTS),
    })
}
