//! `env.abort`, which AssemblyScript calls where it cannot go on.

use vnet_abi::signature::{Signature, ValType};
use wasmtime::{Caller, FuncType, Linker, format_err};

use super::pointer::{bytes, get_u32, split};
use super::{same_type, unknown};
use crate::error::Refusal;
use crate::guest::Guest;

pub(crate) const MODULE: &str = "env";
const ABORT: Signature = Signature {
    name: "abort",
    params: &[ValType::I32; 4],
    results: &[],
};
/// Most bytes of a message that are shown.
const SHOWN: u32 = 1024;

pub(crate) fn check(name: &str, found: &FuncType) -> Result<(), Refusal> {
    if name != ABORT.name {
        return Err(unknown(&format!("{MODULE}.{name}")));
    }
    same_type("imports", "env.abort", found, &ABORT)
}

pub(crate) fn define(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        ABORT.name,
        |mut caller: Caller<'_, Guest>,
         message: i32,
         file: i32,
         line: i32,
         column: i32|
         -> wasmtime::Result<()> {
            let (message, file) = match split(&mut caller) {
                Some((memory, _)) => (text(memory, message), text(memory, file)),
                None => (None, None),
            };
            Err(format_err!(
                "abort: {} ({}:{}:{})",
                message.as_deref().unwrap_or("no message"),
                file.as_deref().unwrap_or("?"),
                line as u32,
                column as u32
            ))
        },
    )?;
    Ok(())
}

/// Reads an AssemblyScript string: UTF-16, its length in bytes in the four bytes before it.
fn text(memory: &[u8], ptr: i32) -> Option<String> {
    let len = get_u32(memory, (ptr as u32).checked_sub(4)?)?.min(SHOWN) & !1;
    let units: Vec<u16> = bytes(memory, ptr, len as i32)?
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    Some(String::from_utf16_lossy(&units))
}
