//! What a guest may import, and the check that it imports nothing else.

mod abort;
mod pointer;
mod vnet;
mod wasi;

use vnet_abi::signature::{Signature, ValType as AbiType};
use vnet_abi::{IMPORT_MODULE, export, import};
use wasmtime::{ExternType, FuncType, Linker, Module, ValType};

use crate::error::Refusal;
use crate::exports::Form;
use crate::guest::Guest;
use crate::manifest::Manifest;

/// Defines every function that has one type; the rest depends on the module, see [`define_rest`].
pub(crate) fn define(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    vnet::define(linker)?;
    wasi::define(linker)?;
    abort::define(linker)
}

/// Defines the functions of WASI that answer ENOSYS, with the types the module wants.
pub(crate) fn define_rest(linker: &mut Linker<Guest>, module: &Module) -> wasmtime::Result<()> {
    wasi::define_rest(linker, module)
}

/// Says whether the module wants functions that only [`define_rest`] defines.
pub(crate) fn wants_rest(module: &Module) -> bool {
    module
        .imports()
        .any(|import| import.module() == wasi::MODULE && wasi::is_rest(import.name()))
}

/// Checks that every import is known, has its type, and is granted by the manifest where it must be.
pub(crate) fn check(module: &Module, manifest: &Manifest, form: Form) -> Result<(), Refusal> {
    for import in module.imports() {
        let name = format!("{}.{}", import.module(), import.name());
        let ExternType::Func(found) = import.ty() else {
            return Err(Refusal::new(format!("imports {} {name}", kind(&import.ty())))
                .hint("a plugin may import functions only, and defines and exports its own memory"));
        };
        match import.module() {
            IMPORT_MODULE => {
                check_vnet(import.name(), &found, manifest, form)?;
                if import.name() == vnet_abi::import::TIMER && module.get_export(export::ON_TIMER).is_none() {
                    return Err(
                        Refusal::new("imports vnet.timer and does not export vnet_on_timer").hint(
                            "export vnet_on_timer(id: i32, now_ns: i64): it is called when a timer comes",
                        ),
                    );
                }
            }
            wasi::MODULE => wasi::check(import.name(), &found)?,
            abort::MODULE => abort::check(import.name(), &found)?,
            "vnet2" => {
                return Err(Refusal::new(format!(
                    "imports {name}: it is made for major version 2 of the plugin ABI"
                ))
                .hint("this host has major version 1"));
            }
            _ => return Err(unknown(&name)),
        }
    }
    Ok(())
}

fn check_vnet(name: &str, found: &FuncType, manifest: &Manifest, form: Form) -> Result<(), Refusal> {
    if let Some(signature) = import::FUNCTIONS.iter().find(|signature| signature.name == name) {
        if form == Form::Batch && (name == import::CSUM || name == import::SET_LEN) {
            return Err(
                Refusal::new(format!("imports vnet.{name}, which belongs to the simple form"))
                    .hint("in the batch form write `len` and the flag CSUM_DIRTY of the descriptor"),
            );
        }
        return same_type("imports", &format!("vnet.{name}"), found, signature);
    }
    if let Some(signature) = import::GRANTED.iter().find(|signature| signature.name == name) {
        same_type("imports", &format!("vnet.{name}"), found, signature)?;
        if !manifest.capabilities.iter().any(|capability| capability == name) {
            return Err(Refusal::new(format!(
                "imports vnet.{name} without asking for it in its manifest"
            ))
            .hint(format!("add \"capabilities\": [\"{name}\"] to the manifest")));
        }
        return Ok(());
    }
    Err(unknown(&format!("vnet.{name}")))
}

fn unknown(name: &str) -> Refusal {
    let known: Vec<_> = import::FUNCTIONS
        .iter()
        .chain(import::GRANTED)
        .map(|signature| signature.name)
        .collect();
    Refusal::new(format!("imports the unknown function {name}")).hint(format!(
        "of module vnet there are {}; link everything else into the plugin",
        known.join(", ")
    ))
}

/// Refuses a function whose type is not the one the ABI gives to its name.
pub(crate) fn same_type(
    verb: &str,
    name: &str,
    found: &FuncType,
    expected: &Signature,
) -> Result<(), Refusal> {
    let same = |found: &mut dyn Iterator<Item = ValType>, expected: &[AbiType]| {
        found.map(|t| abi_type(&t)).eq(expected.iter().map(|t| Some(*t)))
    };
    if same(&mut found.params(), expected.params) && same(&mut found.results(), expected.results) {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "{verb} {name} as {found}; its type is {}",
        words(expected.params, expected.results)
    )))
}

fn abi_type(found: &ValType) -> Option<AbiType> {
    match found {
        ValType::I32 => Some(AbiType::I32),
        ValType::I64 => Some(AbiType::I64),
        _ => None,
    }
}

fn words(params: &[AbiType], results: &[AbiType]) -> String {
    let list = |kind: &str, types: &[AbiType]| -> String {
        types
            .iter()
            .map(|t| if *t == AbiType::I32 { " i32" } else { " i64" })
            .fold(format!(" ({kind}"), |a, b| a + b)
            + ")"
    };
    let mut text = String::from("(type (func");
    if !params.is_empty() {
        text += &list("param", params);
    }
    if !results.is_empty() {
        text += &list("result", results);
    }
    text + "))"
}

/// Returns the kind of an import or export with its article.
pub(crate) fn kind(ty: &ExternType) -> &'static str {
    match ty {
        ExternType::Func(_) => "the function",
        ExternType::Global(_) => "the global",
        ExternType::Table(_) => "the table",
        ExternType::Memory(_) => "the memory",
        ExternType::Tag(_) => "the tag",
    }
}
