//! As much of WASI preview 1 as the run-times of Go and AssemblyScript need to start.

use vnet_abi::signature::{Signature, ValType as T};
use vnet_abi::{LOG_MAX, log_level};
use wasmtime::{Caller, ExternType, FuncType, Linker, Module, Val, ValType, format_err};

use super::pointer::{bytes, get_u32, put, range, split};
use super::{same_type, unknown};
use crate::error::Refusal;
use crate::guest::Guest;

pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

const SUCCESS: i32 = 0;
const EBADF: i32 = 8;
const EFAULT: i32 = 21;
const EINVAL: i32 = 28;
const ENOSYS: i32 = 52;

/// Most pieces of one write. The epoch does not stop host code, so the loop over them must be short.
const VECTORS_MAX: u32 = 1024;

const fn signature(name: &'static str, params: &'static [T], results: &'static [T]) -> Signature {
    Signature {
        name,
        params,
        results,
    }
}

const IMPLEMENTED: [Signature; 9] = [
    signature("args_get", &[T::I32, T::I32], &[T::I32]),
    signature("args_sizes_get", &[T::I32, T::I32], &[T::I32]),
    signature("environ_get", &[T::I32, T::I32], &[T::I32]),
    signature("environ_sizes_get", &[T::I32, T::I32], &[T::I32]),
    signature("fd_write", &[T::I32, T::I32, T::I32, T::I32], &[T::I32]),
    signature("fd_fdstat_get", &[T::I32, T::I32], &[T::I32]),
    signature("clock_time_get", &[T::I32, T::I64, T::I32], &[T::I32]),
    signature("random_get", &[T::I32, T::I32], &[T::I32]),
    signature("proc_exit", &[T::I32], &[]),
];

/// The rest of preview 1, which answers ENOSYS.
const REST: [&str; 37] = [
    "clock_res_get",
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_raise",
    "sched_yield",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

pub(crate) fn is_rest(name: &str) -> bool {
    REST.contains(&name)
}

pub(crate) fn check(name: &str, found: &FuncType) -> Result<(), Refusal> {
    if let Some(signature) = IMPLEMENTED.iter().find(|signature| signature.name == name) {
        return same_type("imports", &format!("{MODULE}.{name}"), found, signature);
    }
    if !is_rest(name) {
        return Err(unknown(&format!("{MODULE}.{name}")));
    }
    let mut results = found.results();
    if matches!((results.next(), results.next()), (Some(ValType::I32), None)) {
        Ok(())
    } else {
        Err(Refusal::new(format!(
            "imports {MODULE}.{name} as {found}; its result is one i32"
        )))
    }
}

pub(crate) fn define(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "args_get", |_: i32, _: i32| SUCCESS)?;
    linker.func_wrap(MODULE, "environ_get", |_: i32, _: i32| SUCCESS)?;
    linker.func_wrap(MODULE, "args_sizes_get", empty_sizes)?;
    linker.func_wrap(MODULE, "environ_sizes_get", empty_sizes)?;
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(
        MODULE,
        "fd_fdstat_get",
        |mut caller: Caller<'_, Guest>, _: i32, ptr: i32| {
            answer(&mut caller, |memory, _| put(memory, ptr, &[0; 24]))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, Guest>, _: i32, _: i64, ptr: i32| {
            answer(&mut caller, |memory, guest| {
                // While a plugin starts the clock stands at 0, with which Go refuses to run.
                put(memory, ptr, &guest.now_ns.max(1).to_le_bytes())
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "random_get",
        |mut caller: Caller<'_, Guest>, ptr: i32, len: i32| {
            answer(&mut caller, |memory, guest| match range(memory, ptr, len) {
                Some(range) => {
                    guest.host.random.fill(&mut memory[range]);
                    true
                }
                None => false,
            })
        },
    )?;
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(format_err!("the guest called proc_exit({code})"))
    })?;
    Ok(())
}

pub(crate) fn define_rest(linker: &mut Linker<Guest>, module: &Module) -> wasmtime::Result<()> {
    for import in module
        .imports()
        .filter(|import| import.module() == MODULE && is_rest(import.name()))
    {
        let ExternType::Func(ty) = import.ty() else {
            continue;
        };
        // Run-times ask for pre-opened directories until they hear that there are none left; Go panics
        // and wasi-libc exits at any other error.
        let errno = if import.name().starts_with("fd_prestat") {
            EBADF
        } else {
            ENOSYS
        };
        linker.allow_shadowing(true);
        linker.func_new(MODULE, import.name(), ty, move |_, _, results| {
            results[0] = Val::I32(errno);
            Ok(())
        })?;
    }
    Ok(())
}

fn answer(caller: &mut Caller<'_, Guest>, write: impl FnOnce(&mut [u8], &mut Guest) -> bool) -> i32 {
    let Some((memory, guest)) = split(caller) else {
        return EFAULT;
    };
    if write(memory, guest) {
        SUCCESS
    } else {
        guest.host.bad_pointers += 1;
        EFAULT
    }
}

fn empty_sizes(mut caller: Caller<'_, Guest>, count: i32, size: i32) -> i32 {
    answer(&mut caller, |memory, _| {
        put(memory, count, &[0; 4]) && put(memory, size, &[0; 4])
    })
}

fn fd_write(mut caller: Caller<'_, Guest>, fd: i32, vectors: i32, count: i32, written: i32) -> i32 {
    if fd != 1 && fd != 2 {
        return EBADF;
    }
    if count as u32 > VECTORS_MAX {
        return EINVAL;
    }
    answer(&mut caller, |memory, guest| {
        let mut line = [0; LOG_MAX];
        let mut len = 0;
        let mut total = 0_u32;
        for i in 0..u64::from(count as u32) {
            let Ok(at) = u32::try_from(u64::from(vectors as u32) + 8 * i) else {
                return false;
            };
            let (Some(ptr), Some(size)) = (get_u32(memory, at), get_u32(memory, at.saturating_add(4))) else {
                return false;
            };
            let Some(piece) = bytes(memory, ptr as i32, size as i32) else {
                return false;
            };
            let shown = piece.len().min(LOG_MAX - len);
            line[len..len + shown].copy_from_slice(&piece[..shown]);
            len += shown;
            total = total.wrapping_add(size);
        }
        if !put(memory, written, &total.to_le_bytes()) {
            return false;
        }
        let line = line[..len].trim_ascii_end();
        if !line.is_empty() {
            guest
                .host
                .log
                .guest(if fd == 1 { log_level::INFO } else { log_level::WARN }, line);
        }
        true
    })
}
