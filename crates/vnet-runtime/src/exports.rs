//! What a guest exports: which form it has, and whether every name has its type.

use vnet_abi::export;
use wasmtime::{ExternType, Module, ValType};

use crate::error::Refusal;
use crate::imports::{kind, same_type};

/// One of the two shapes of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `vnet_on_packet`: one call per frame, which is copied.
    Simple,
    /// `vnet_on_batch`: one call per batch, frames lie in guest memory.
    Batch,
}

impl Form {
    /// Returns `simple` or `batch`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Form::Simple => "simple",
            Form::Batch => "batch",
        }
    }
}

/// Checks the exports and returns the plugin's form.
pub(crate) fn check(module: &Module) -> Result<Form, Refusal> {
    for entry in module.exports() {
        let name = entry.name();
        if let Some(signature) = export::FUNCTIONS.iter().find(|signature| signature.name == name) {
            match entry.ty() {
                ExternType::Func(found) => same_type("exports", name, &found, signature)?,
                other => {
                    return Err(Refusal::new(format!(
                        "exports {} {name}; it must be a function",
                        kind(&other)
                    )));
                }
            }
        }
    }
    let form = form(module)?;
    match module.get_export(export::MEMORY) {
        Some(ExternType::Memory(_)) => {}
        Some(other) => {
            return Err(Refusal::new(format!(
                "exports {} `memory`; it must be the linear memory",
                kind(&other)
            )));
        }
        None => return Err(missing(export::MEMORY, "its linear memory")),
    }
    match form {
        Form::Simple => {
            match module.get_export(export::FRAME) {
                Some(ExternType::Global(global)) if matches!(global.content(), ValType::I32) => {}
                Some(ExternType::Global(global)) => {
                    return Err(Refusal::new(format!(
                        "exports vnet_frame as a global {}; it must be an i32",
                        global.content()
                    )));
                }
                Some(other) => {
                    return Err(Refusal::new(format!("exports {} vnet_frame; it must be a global i32", kind(&other)))
                    .hint("in C: __attribute__((export_name)) does not apply to data, use -Wl,--export=vnet_frame"));
                }
                None => return Err(missing(export::FRAME, "the address of its frame buffer")),
            }
        }
        Form::Batch => {
            for (name, what) in [
                (export::INFO, "where ring and arena are"),
                (export::ON_BATCH, "what judges frames"),
            ] {
                if module.get_export(name).is_none() {
                    return Err(missing(name, what));
                }
            }
        }
    }
    Ok(form)
}

fn form(module: &Module) -> Result<Form, Refusal> {
    let has = |names: &[&'static str]| {
        names
            .iter()
            .copied()
            .find(|name| module.get_export(name).is_some())
    };
    let simple = has(&[export::ON_PACKET, export::FRAME, export::FRAME_CAP]);
    let batch = has(&[export::ON_BATCH, export::INFO]);
    match (simple, batch) {
        (Some(simple), Some(batch)) => Err(Refusal::new(format!(
            "exports {simple} of the simple form and {batch} of the batch form; a plugin has one form"
        ))),
        (Some(_), None) if module.get_export(export::ON_PACKET).is_none() => {
            Err(missing(export::ON_PACKET, "what judges a frame"))
        }
        (Some(_), None) => Ok(Form::Simple),
        (None, Some(_)) => Ok(Form::Batch),
        (None, None) => Err(Refusal::new("exports neither vnet_on_packet nor vnet_on_batch: it is not a vnet plugin")
            .hint("with clang add -Wl,--no-entry -Wl,--export=vnet_on_packet, with Rust #[unsafe(no_mangle)] or #[plugin]")),
    }
}

fn missing(name: &str, what: &str) -> Refusal {
    Refusal::new(format!("does not export {name}, {what}"))
}
