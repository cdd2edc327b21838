//! The functions of import module `vnet`.

use vnet_abi::{CONFIG_VALUE_ABSENT, IMPORT_MODULE, LOG_MAX, MTU_EXTRA, import};
use wasmtime::{Caller, Linker};

use super::pointer::{bytes, range, split};
use crate::guest::Guest;

/// Longest frame a plugin may send: 64 KiB with an Ethernet header and two tags.
const FRAME_MAX: usize = 65_536 + MTU_EXTRA;

/// What an import with a result answers to a bad pointer.
const BAD: i32 = -1;

pub(crate) fn define(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(IMPORT_MODULE, import::LOG, log)?;
    linker.func_wrap(IMPORT_MODULE, import::COUNTER, counter)?;
    linker.func_wrap(IMPORT_MODULE, import::COUNT, count)?;
    linker.func_wrap(IMPORT_MODULE, import::CSUM, csum)?;
    linker.func_wrap(IMPORT_MODULE, import::SET_LEN, set_len)?;
    linker.func_wrap(IMPORT_MODULE, import::CONFIG_INT, config_int)?;
    linker.func_wrap(IMPORT_MODULE, import::CONFIG_STR, config_str)?;
    linker.func_wrap(IMPORT_MODULE, import::RANDOM, random)?;
    linker.func_wrap(IMPORT_MODULE, import::TIMER, timer)?;
    linker.func_wrap(IMPORT_MODULE, import::INJECT, inject)?;
    Ok(())
}

fn log(mut caller: Caller<'_, Guest>, level: i32, ptr: i32, len: i32) {
    let Some((memory, guest)) = split(&mut caller) else {
        return;
    };
    match bytes(memory, ptr, len) {
        Some(line) => {
            let line = &line[..line.len().min(LOG_MAX)];
            if guest.starting {
                guest.last_words = Some(String::from_utf8_lossy(line).into_owned());
            }
            guest.host.log.guest(level, line);
        }
        None => guest.host.bad_pointers += 1,
    }
}

fn counter(mut caller: Caller<'_, Guest>, ptr: i32, len: i32) -> i32 {
    let Some((memory, guest)) = split(&mut caller) else {
        return BAD;
    };
    match bytes(memory, ptr, len) {
        Some(name) => guest.host.counters.id(name).map_or(BAD, |id| id as i32),
        None => {
            guest.host.bad_pointers += 1;
            BAD
        }
    }
}

fn count(mut caller: Caller<'_, Guest>, id: i32, n: i64) {
    let host = &mut caller.data_mut().host;
    if !host.counters.add(id as u32 as usize, n as u64) {
        host.bad_pointers += 1;
    }
}

fn csum(mut caller: Caller<'_, Guest>) {
    let call = &mut caller.data_mut().call;
    call.csum |= call.active;
}

fn set_len(mut caller: Caller<'_, Guest>, len: i32) {
    let len = len as u32;
    let Some((memory, guest)) = split(&mut caller) else {
        return;
    };
    let call = &mut guest.call;
    if !call.active {
        return;
    }
    if len > call.cap {
        call.overrun = true;
        return;
    }
    if len > call.len {
        // Within memory: the buffer was checked when the plugin started, and memory never shrinks.
        memory[(call.addr + call.len) as usize..(call.addr + len) as usize].fill(0);
    }
    call.len = len;
}

fn config_int(mut caller: Caller<'_, Guest>, key_ptr: i32, key_len: i32, default: i64) -> i64 {
    let Some((memory, guest)) = split(&mut caller) else {
        return i64::from(BAD);
    };
    match bytes(memory, key_ptr, key_len) {
        Some(key) => guest.host.config.int(key).unwrap_or(default),
        None => {
            guest.host.bad_pointers += 1;
            i64::from(BAD)
        }
    }
}

fn config_str(mut caller: Caller<'_, Guest>, key_ptr: i32, key_len: i32, buf: i32, cap: i32) -> i32 {
    let Some((memory, guest)) = split(&mut caller) else {
        return BAD;
    };
    let (Some(key), Some(buf)) = (bytes(memory, key_ptr, key_len), range(memory, buf, cap)) else {
        guest.host.bad_pointers += 1;
        return BAD;
    };
    let Some(value) = guest.host.config.text(key) else {
        return CONFIG_VALUE_ABSENT;
    };
    let written = value.len().min(buf.len());
    memory[buf][..written].copy_from_slice(&value.as_bytes()[..written]);
    value.len() as i32
}

fn random(mut caller: Caller<'_, Guest>) -> i64 {
    caller.data_mut().host.random.next() as i64
}

fn timer(mut caller: Caller<'_, Guest>, id: i32, after_ns: i64) {
    let guest = caller.data_mut();
    let now = (!guest.starting).then_some(guest.now_ns);
    let host = &mut guest.host;
    host.asked.is_set = true;
    if !host.asked.timers.set(id as u32, after_ns, now) {
        host.bad_pointers += 1;
    }
}

fn inject(mut caller: Caller<'_, Guest>, port: i32, ptr: i32, len: i32) -> i32 {
    let Some((memory, guest)) = split(&mut caller) else {
        return BAD;
    };
    let host = &mut guest.host;
    let frame = bytes(memory, ptr, len).filter(|frame| (host.frame_min..=FRAME_MAX).contains(&frame.len()));
    let port = u16::try_from(port).ok().filter(|port| *port < host.ports);
    let (Some(frame), Some(port)) = (frame, port) else {
        host.bad_pointers += 1;
        return BAD;
    };
    if !host.asked.injected.push(port, frame) {
        host.asked.full += 1;
        return BAD;
    }
    host.asked.taken += 1;
    0
}
