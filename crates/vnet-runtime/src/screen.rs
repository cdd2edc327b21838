//! A walk over a module's bytes before the compiler sees them.
//!
//! It finds the manifest and refuses what would be costly to compile or cannot be a plugin.

use vnet_abi::MANIFEST_SECTION;
use wasmparser::{Encoding, MemoryType, Parser, Payload, TableType, TypeRef};

use crate::effort::Effort;
use crate::error::Refusal;
use crate::fixed::Declared;
use crate::guest::{TABLE_ELEMENTS, TABLES};
use crate::options::LoadOptions;
use crate::runtime::MEMORY_CAP;

const PAGE: u64 = 65_536;
/// Bytes of a module's magic number and version.
const HEADER: usize = 8;
/// Most functions of a module; the smallest take the compiler about 20 µs each.
const FUNCTIONS_MAX: u32 = 20_000;

/// What was found in a module.
#[derive(Default)]
pub(crate) struct Screened<'a> {
    /// The bytes of its manifest.
    pub(crate) manifest: Option<&'a [u8]>,
    pub(crate) memory: Declared,
}

/// Walks over a binary module.
pub(crate) fn screen<'a>(wasm: &'a [u8], options: &LoadOptions) -> Result<Screened<'a>, Refusal> {
    let mut found = Screened::default();
    let mut section_start = HEADER;
    let mut memories = 0;
    let mut tables = 0;
    let mut function = 0;
    let mut types = Types::default();
    let mut effort = Effort::default();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|error| malformed(&error))?;
        let section_end = payload.as_section().map(|(_, range)| range.end);
        match payload {
            Payload::Version {
                encoding: Encoding::Component,
                ..
            } => {
                return Err(
                    Refusal::new("is a WebAssembly component; a plugin is a core module")
                        .hint("build for wasm32-unknown-unknown or wasm32-wasip1, without wasm-component-ld"),
                );
            }
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                let before = found.manifest.replace(section.data());
                if before.is_some() {
                    return Err(Refusal::new(format!(
                        "has two custom sections {MANIFEST_SECTION}; one is the most"
                    )));
                }
            }
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    types
                        .params
                        .push(ty.map_err(|error| malformed(&error))?.params().len() as u64);
                }
            }
            Payload::FunctionSection(section) => {
                for index in section {
                    types.functions.push(index.map_err(|error| malformed(&error))?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(|error| malformed(&error))?;
                    if let TypeRef::Memory(_) = import.ty {
                        return Err(Refusal::new(format!(
                            "imports the memory {}.{}",
                            import.module, import.name
                        ))
                        .hint("a plugin defines and exports its own memory: link without --import-memory"));
                    }
                    if let TypeRef::Func(_) = import.ty {
                        function += 1;
                        types.imported += 1;
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    memories += 1;
                    let memory = memory.map_err(|error| malformed(&error))?;
                    check_memory(&memory, memories)?;
                    found.memory.initial = memory.initial;
                    found.memory.section = section_start..section_end.unwrap_or(section_start);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    tables += 1;
                    check_table(&table.map_err(|error| malformed(&error))?.ty, tables)?;
                }
            }
            Payload::CodeSectionStart { count, .. } if count > FUNCTIONS_MAX => {
                return Err(Refusal::new(format!(
                    "has {count} functions; {FUNCTIONS_MAX} is the most"
                )));
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len();
                if size > options.function_cap {
                    return Err(Refusal::new(format!(
                        "has a function of {size} bytes (number {function}); {} is the most",
                        options.function_cap
                    ))
                    .hint("split the function, or build with less inlining"));
                }
                effort
                    .add(types.params_of(function), &body)
                    .map_err(|error| malformed(&error))?;
                effort.check(function, options)?;
                function += 1;
            }
            _ => {}
        }
        // The end of one section is the start of the next; functions lie within one.
        section_start = section_end.unwrap_or(section_start);
    }
    found.memory.grows = effort.grows_memory;
    Ok(found)
}

/// How many parameters each function has.
#[derive(Default)]
struct Types {
    params: Vec<u64>,
    /// Type of each function that is not imported.
    functions: Vec<u32>,
    imported: u32,
}

impl Types {
    /// Returns 0 for a function whose type does not exist; the compiler refuses it.
    fn params_of(&self, function: u32) -> u64 {
        let ty = function
            .checked_sub(self.imported)
            .and_then(|i| self.functions.get(i as usize));
        ty.and_then(|ty| self.params.get(*ty as usize))
            .copied()
            .unwrap_or(0)
    }
}

fn malformed(error: &wasmparser::BinaryReaderError) -> Refusal {
    let (what, hint) = if error.message().contains("unexpected end") {
        ("is cut short", "copy or build the file again")
    } else {
        (
            "is not valid WebAssembly",
            "build the file again, for the target wasm32-unknown-unknown",
        )
    };
    Refusal::new(format!("{what}: {} at byte {}", error.message(), error.offset())).hint(hint)
}

fn check_memory(memory: &MemoryType, count: usize) -> Result<(), Refusal> {
    if count > 1 {
        return Err(Refusal::new("has more than one memory; a plugin has one"));
    }
    if memory.memory64 {
        return Err(Refusal::new("has a 64-bit memory; a plugin has a 32-bit one").hint("build for wasm32"));
    }
    if memory.shared {
        return Err(
            Refusal::new("has a shared memory; a plugin has an unshared one").hint("build without threads")
        );
    }
    let most = MEMORY_CAP as u64 / PAGE;
    if memory.initial > most {
        return Err(Refusal::new(format!(
            "wants {} pages of memory from the start; {most} (16 MiB) is the most",
            memory.initial
        ))
        .hint("make its static arrays, its stack or --initial-memory smaller"));
    }
    Ok(())
}

fn check_table(table: &TableType, count: usize) -> Result<(), Refusal> {
    if count > TABLES {
        return Err(Refusal::new(format!("has more than {TABLES} tables")));
    }
    if table.initial > TABLE_ELEMENTS as u64 {
        return Err(Refusal::new(format!(
            "has a table of {} elements; {TABLE_ELEMENTS} is the most",
            table.initial
        )));
    }
    Ok(())
}
