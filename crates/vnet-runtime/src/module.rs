//! A plugin's module: read, checked, compiled, ready to be instantiated.

use std::fmt;
use std::sync::Arc;
use std::thread;

use wasmtime::InstancePre;

use crate::cache::Cache;
use crate::error::{PluginError, Refusal};
use crate::exports::{self, Form};
use crate::fixed::fixed;
use crate::guest::Guest;
use crate::imports;
use crate::manifest::Manifest;
use crate::options::{LoadOptions, Source};
use crate::runtime::Runtime;
use crate::screen::screen;
use crate::source;

/// Stack of the thread that parses and compiles; both recurse on what the module nests.
const COMPILER_STACK: usize = 64 << 20;

/// A checked and compiled plugin, cheap to clone; every [`Stage`](crate::Stage) is made from one.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    name: String,
    manifest: Manifest,
    form: Form,
    size: usize,
    memory_pages: u64,
    imports: Vec<String>,
    exports: Vec<String>,
    pre: InstancePre<Guest>,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("name", &self.0.name)
            .field("form", &self.0.form)
            .finish_non_exhaustive()
    }
}

impl Module {
    /// Reads a module, checks everything that can be checked without running it, and compiles it.
    ///
    /// # Errors
    ///
    /// [`PluginError::Rejected`] with the reason in words.
    pub fn load(source: &Source, options: &LoadOptions) -> Result<Module, PluginError> {
        let name = source::default_name(source);
        let bytes = source::read(source, options).map_err(|refusal| refusal.of(&name))?;
        thread::scope(|scope| {
            let worker = thread::Builder::new()
                .name("vnet-compile".into())
                .stack_size(COMPILER_STACK)
                .spawn_scoped(scope, || build(&bytes, &name, options))
                .map_err(|error| {
                    Refusal::new(format!("cannot start the compiler's thread: {error}")).of(&name)
                })?;
            match worker.join() {
                Ok(built) => built
                    .map_err(|refusal| refusal.of(&name))
                    .map(|inner| Module(Arc::new(inner))),
                Err(_) => Err(Refusal::new("makes the compiler panic").of(&name)),
            }
        })
    }

    /// Returns the plugin's name: the manifest's, else the file's stem.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the manifest, with defaults where the module has none.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// Returns the plugin's form.
    #[must_use]
    pub fn form(&self) -> Form {
        self.0.form
    }

    /// Returns the size of the binary module in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// Returns the pages of 64 KiB that its memory starts with.
    #[must_use]
    pub fn memory_pages(&self) -> u64 {
        self.0.memory_pages
    }

    /// Returns every import as `module.name`.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }

    /// Returns the name of every export.
    #[must_use]
    pub fn exports(&self) -> &[String] {
        &self.0.exports
    }

    pub(crate) fn pre(&self) -> &InstancePre<Guest> {
        &self.0.pre
    }

    pub(crate) fn imports_name(&self, name: &str) -> bool {
        self.0.imports.iter().any(|import| import == name)
    }
}

fn build(bytes: &[u8], name: &str, options: &LoadOptions) -> Result<Inner, Refusal> {
    let wasm = source::binary(bytes, options)?;
    let screened = screen(&wasm, options)?;
    let manifest = match screened.manifest {
        Some(json) => Manifest::parse(json, name)?,
        None => Manifest::absent(name),
    };
    let module = match fixed(&wasm, &screened.memory) {
        Some(fixed) => compile(&fixed, options)?,
        None => compile(&wasm, options)?,
    };
    let form = exports::check(&module)?;
    imports::check(&module, &manifest, form)?;
    let pre = link(&module, options).map_err(|error| Refusal::new(format!("cannot be linked: {error:#}")))?;
    Ok(Inner {
        name: manifest.name.clone(),
        form,
        size: wasm.len(),
        memory_pages: screened.memory.initial,
        imports: module
            .imports()
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect(),
        exports: module.exports().map(|export| export.name().to_owned()).collect(),
        manifest,
        pre,
    })
}

fn runtime(options: &LoadOptions) -> &'static Runtime {
    if options.metered {
        Runtime::metered()
    } else {
        Runtime::get()
    }
}

fn compile(wasm: &[u8], options: &LoadOptions) -> Result<wasmtime::Module, Refusal> {
    let engine = runtime(options).engine();
    let cache = options.cache.then(Cache::open).flatten();
    if let Some(module) = cache.as_ref().and_then(|cache| cache.load(engine, wasm)) {
        return Ok(module);
    }
    let module = wasmtime::Module::from_binary(engine, wasm)
        .map_err(|error| Refusal::new(format!("is not valid WebAssembly: {}", in_words(&error))))?;
    if let Some(cache) = cache {
        cache.store(engine, wasm, &module);
    }
    Ok(module)
}

fn link(module: &wasmtime::Module, options: &LoadOptions) -> wasmtime::Result<InstancePre<Guest>> {
    let linker = runtime(options).linker();
    if !imports::wants_rest(module) {
        return linker.instantiate_pre(module);
    }
    let mut linker = linker.clone();
    imports::define_rest(&mut linker, module)?;
    linker.instantiate_pre(module)
}

/// Returns an error with its causes on one line.
fn in_words(error: &wasmtime::Error) -> String {
    error
        .chain()
        .map(|cause| cause.to_string().replace('\n', " "))
        .collect::<Vec<_>>()
        .join(": ")
}
