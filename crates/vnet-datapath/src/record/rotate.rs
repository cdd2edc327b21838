//! When a recording begins its next file, and how that is called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// When a recording begins its next file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotate {
    /// When the file has so many bytes.
    Bytes(u64),
    /// After so much time.
    Every(Duration),
}

impl Rotate {
    /// Reads `10MB`, of a million bytes each, `10MiB` or `60s`; `None` for what is neither a size nor a time of at least
    /// 1 byte or 1 ns.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
        let number = number.trim_end();
        // What Rust takes for a number besides: `1e9`, `+1`.
        if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return None;
        }
        let number: f64 = number.parse().ok()?;
        let seconds = match unit {
            "ms" => Some(1e-3),
            "s" => Some(1.0),
            "min" => Some(60.0),
            "h" => Some(3600.0),
            _ => None,
        };
        if let Some(scale) = seconds {
            let every = Duration::try_from_secs_f64(number * scale).ok()?;
            return (!every.is_zero()).then_some(Self::Every(every));
        }
        let scale = match unit.strip_suffix('B').unwrap_or(unit) {
            "" => 1.0,
            "k" | "K" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "Ki" => 1024.0,
            "Mi" => 1_048_576.0,
            "Gi" => 1_073_741_824.0,
            _ => return None,
        };
        let bytes = (number * scale) as u64;
        (bytes > 0).then_some(Self::Bytes(bytes))
    }
}

/// Returns the name of the n-th of a recording's files: `dir/name_00001.pcapng`.
#[must_use]
pub fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path.file_stem().unwrap_or_default());
    name.push(format!("_{number:05}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_before_their_extension() {
        let name = |path: &str| numbered(Path::new(path), 3).display().to_string();
        assert_eq!(name("dir/lab.pcapng"), "dir/lab_00003.pcapng");
        assert_eq!(name("lab"), "lab_00003");
    }

    #[test]
    fn reads_sizes_and_times() {
        for (text, bytes) in [
            ("10MB", 10_000_000),
            ("1.5kB", 1500),
            (" 3 MiB ", 3 << 20),
            ("7B", 7),
            ("2G", 2_000_000_000),
        ] {
            assert_eq!(Rotate::parse(text), Some(Rotate::Bytes(bytes)), "{text}");
        }
        for (text, seconds) in [("60s", 60.0), ("0.5 min", 30.0), ("2h", 7200.0), ("250ms", 0.25)] {
            let every = Duration::from_secs_f64(seconds);
            assert_eq!(Rotate::parse(text), Some(Rotate::Every(every)), "{text}");
        }
        for text in [
            "", "10", "0s", "0MB", "0.1B", "-1s", "1e3s", "+1s", "MB", "often", "1..5MB", "10mb", "1 2s",
            "9e99h", "1Q",
        ] {
            assert_eq!(Rotate::parse(text), None, "{text}");
        }
    }
}
