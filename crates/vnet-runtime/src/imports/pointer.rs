//! Reads and writes guest memory at addresses the guest gave.

use std::ops::Range;

use vnet_abi::export;
use wasmtime::Caller;

use crate::guest::Guest;

/// Returns guest memory and host data side by side.
///
/// The start function runs before the exports are known to the host, so the memory is looked up then.
pub(crate) fn split<'a>(caller: &'a mut Caller<'_, Guest>) -> Option<(&'a mut [u8], &'a mut Guest)> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        None => caller.get_export(export::MEMORY)?.into_memory()?,
    };
    Some(memory.data_and_store_mut(caller))
}

/// Returns `len` bytes at `ptr` as a range, where memory has them; the sum is taken in 64 bits.
pub(crate) fn range(memory: &[u8], ptr: i32, len: i32) -> Option<Range<usize>> {
    let start = u64::from(ptr as u32);
    let end = start + u64::from(len as u32);
    (end <= memory.len() as u64).then_some(start as usize..end as usize)
}

/// Returns `len` bytes at `ptr`.
pub(crate) fn bytes(memory: &[u8], ptr: i32, len: i32) -> Option<&[u8]> {
    range(memory, ptr, len).map(|range| &memory[range])
}

/// Returns the little-endian integer at `ptr`.
pub(crate) fn get_u32(memory: &[u8], ptr: u32) -> Option<u32> {
    let start = ptr as usize;
    memory
        .get(start..)?
        .first_chunk()
        .map(|bytes| u32::from_le_bytes(*bytes))
}

/// Writes bytes at `ptr`; says whether memory has room for all of them.
pub(crate) fn put(memory: &mut [u8], ptr: i32, value: &[u8]) -> bool {
    let start = ptr as u32 as usize;
    match memory
        .get_mut(start..)
        .and_then(|tail| tail.get_mut(..value.len()))
    {
        Some(place) => {
            place.copy_from_slice(value);
            true
        }
        None => false,
    }
}
