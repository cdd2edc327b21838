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
}

#[cfg(not(target_arch = "wasm32"))]
mod place {
    pub(crate) use crate::testing::host::{config_int, config_str, count, counter, log};
}

pub(crate) use place::{config_int, config_str, count, counter, log};
