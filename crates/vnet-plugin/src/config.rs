//! The configuration: what stands behind the colon of `--plugin x.wasm:key=val`.

use vnet_abi::CONFIG_VALUE_ABSENT;

use crate::imports;
use crate::json::Value;

/// The configuration as a `configure` function takes it, once, before the first frame.
///
/// ```
/// use vnet_plugin::{Config, Packet, State, Verdict, plugin};
///
/// static LIMIT: State<i64> = State::new(1500);
///
/// fn configure(config: &Config<'_>) -> Result<(), &'static str> {
///     match config.int("limit").unwrap_or(1500) {
///         limit @ 64..=65535 => LIMIT.set(limit),
///         _ => return Err("limit must be 64 to 65,535 bytes"),
///     }
///     Ok(())
/// }
///
/// #[plugin(pure, configure = configure)]
/// fn drop_long(pkt: &mut Packet) -> Verdict {
///     if pkt.len() as i64 > LIMIT.get() { Verdict::Drop } else { Verdict::Pass }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Config<'a>(Value<'a>);

impl<'a> Config<'a> {
    /// Wraps a JSON object.
    #[must_use]
    pub fn new(json: &'a str) -> Config<'a> {
        Config(Value::new(json))
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.0.get(key)
    }

    /// Returns an integer; `None` where the key is absent or its value no integer.
    #[must_use]
    pub fn int(&self, key: &str) -> Option<i64> {
        self.get(key)?.as_int()
    }

    /// Returns a boolean; `None` where the key is absent or its value no boolean.
    #[must_use]
    pub fn bool(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    /// Returns a string; `None` where the key is absent or its value no string without escapes.
    #[must_use]
    pub fn str(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }
}

/// Returns a configured integer, or `otherwise`: for use outside a `configure` function.
#[must_use]
pub fn config_int(key: &str, otherwise: i64) -> i64 {
    imports::config_int(key, otherwise)
}

/// Writes a configured string into `buf` and returns it; `None` where the key is absent, or the
/// string is longer than `buf` or not UTF-8.
pub fn config_str<'a>(key: &str, buf: &'a mut [u8]) -> Option<&'a str> {
    match imports::config_str(key, buf) {
        CONFIG_VALUE_ABSENT => None,
        len => core::str::from_utf8(buf.get(..usize::try_from(len).ok()?)?).ok(),
    }
}
