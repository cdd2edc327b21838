//! Levels of the import `log`.

/// Something failed.
pub const ERROR: i32 = 0;
/// Something is odd.
pub const WARN: i32 = 1;
/// Something worth telling.
pub const INFO: i32 = 2;
/// Something for whoever debugs the plugin.
pub const DEBUG: i32 = 3;
