//! Gets a module's bytes, from a file or from memory, as text or binary.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use wasmtime::Engine;

use crate::error::Refusal;
use crate::options::{LoadOptions, Source};

/// Text of a module may be this many times as long as the binary may be.
const TEXT_FACTOR: usize = 8;
const WASM_MAGIC: &[u8] = b"\0asm";

/// Returns the name a module has when its manifest gives none.
pub(crate) fn default_name(source: &Source) -> String {
    match source {
        Source::File(path) => path
            .file_stem()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned(),
        Source::Bytes { name, .. } => name.clone(),
    }
}

/// Returns the bytes of a source, as they are.
pub(crate) fn read<'a>(source: &'a Source, options: &LoadOptions) -> Result<Cow<'a, [u8]>, Refusal> {
    match source {
        Source::File(path) => read_file(path, options).map(Cow::Owned),
        Source::Bytes { bytes, .. } => Ok(Cow::Borrowed(bytes)),
    }
}

fn read_file(path: &Path, options: &LoadOptions) -> Result<Vec<u8>, Refusal> {
    let failed = |error: std::io::Error| Refusal::new(format!("cannot read {}: {error}", path.display()));
    if path.extension().is_some_and(|extension| extension == "cwasm") {
        return Err(precompiled());
    }
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Refusal::new(format!(
            "cannot read {}: it is a directory",
            path.display()
        )));
    }
    let most = options.module_cap.saturating_mul(TEXT_FACTOR);
    let mut bytes = Vec::new();
    file.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// Returns the binary module that the bytes are or describe. Nested text recurses: give it an ample stack.
pub(crate) fn binary<'a>(bytes: &'a [u8], options: &LoadOptions) -> Result<Cow<'a, [u8]>, Refusal> {
    if bytes.starts_with(WASM_MAGIC) {
        check_size(bytes.len(), options)?;
        return Ok(Cow::Borrowed(bytes));
    }
    if bytes.starts_with(b"\x7fELF") || Engine::detect_precompiled(bytes).is_some() {
        return Err(precompiled());
    }
    if bytes.len() > options.module_cap.saturating_mul(TEXT_FACTOR) {
        return Err(too_large(
            bytes.len(),
            options.module_cap.saturating_mul(TEXT_FACTOR),
        ));
    }
    if bytes.is_empty() {
        return Err(Refusal::new("is empty").hint("give a .wasm or a .wat file"));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if looks_like_text(text) => {}
        _ => {
            return Err(Refusal::new(format!(
                "is not a WebAssembly module: it starts with {:02x?}, a module with \"\\0asm\" or, as text, with \"(\"",
                &bytes[..bytes.len().min(4)]
            ))
            .hint("give a .wasm or a .wat file"));
        }
    }
    let binary =
        wat::parse_bytes(bytes).map_err(|error| Refusal::new(format!("is not valid text: {error}")))?;
    check_size(binary.len(), options)?;
    Ok(binary)
}

fn looks_like_text(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with('(') || text.starts_with(";;")
}

fn check_size(len: usize, options: &LoadOptions) -> Result<(), Refusal> {
    if len > options.module_cap {
        Err(too_large(len, options.module_cap))
    } else {
        Ok(())
    }
}

fn too_large(len: usize, most: usize) -> Refusal {
    Refusal::new(format!("has {len} bytes or more; {most} is the most"))
        .hint("strip it (wasm-strip, wasm-opt -Oz), or raise the module cap: --module-cap 4MiB on the command line, module_cap in Python and lab files")
}

fn precompiled() -> Refusal {
    Refusal::new("is precompiled machine code (.cwasm), which cannot be checked before it runs")
        .hint("give the .wasm it was made from; vnet keeps compiled modules itself")
}
