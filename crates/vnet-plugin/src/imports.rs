//! The host's functions: imports in a guest, their real counterparts in a test.

#[cfg(target_arch = "wasm32")]
mod place {
    mod vnet {
        #[link(wasm_import_module = "vnet")]
        unsafe extern "C" {
            pub safe fn log(level: i32, text: *const u8, len: usize);
            pub safe fn counter(name: *const u8, len: usize) -> i32;
            pub safe fn count(id: i32, n: u64);
            pub safe fn config_int(key: *const u8, len: usize, otherwise: i64) -> i64;
            pub safe fn config_str(key: *const u8, len: usize, buf: *mut u8, cap: usize) -> i32;
            pub safe fn timer(id: i32, after_ns: i64);
            pub safe fn inject(port: i32, frame: *const u8, len: usize) -> i32;
            pub safe fn random() -> i64;
        }
    }

    #[inline]
    pub(crate) fn log(level: i32, text: &str) {
        vnet::log(level, text.as_ptr(), text.len());
    }

    #[inline]
    pub(crate) fn counter(name: &str) -> i32 {
        vnet::counter(name.as_ptr(), name.len())
    }

    #[inline]
    pub(crate) fn count(id: i32, n: u64) {
        vnet::count(id, n);
    }

    #[inline]
    pub(crate) fn config_int(key: &str, otherwise: i64) -> i64 {
        vnet::config_int(key.as_ptr(), key.len(), otherwise)
    }

    #[inline]
    pub(crate) fn config_str(key: &str, buf: &mut [u8]) -> i32 {
        vnet::config_str(key.as_ptr(), key.len(), buf.as_mut_ptr(), buf.len())
    }

    #[inline]
    pub(crate) fn timer(id: i32, after_ns: i64) {
        vnet::timer(id, after_ns);
    }

    #[inline]
    pub(crate) fn inject(port: u16, frame: &[u8]) -> i32 {
        vnet::inject(i32::from(port), frame.as_ptr(), frame.len())
    }

    #[inline]
    pub(crate) fn random() -> u64 {
        vnet::random() as u64
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod place {
    pub(crate) use crate::testing::host::{
        config_int, config_str, count, counter, inject, log, random, timer,
    };
}

pub(crate) use place::{config_int, config_str, count, counter, inject, log, random, timer};
