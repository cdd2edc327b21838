//! `vnet plugin build`: from a project to a module with its manifest.

mod assemblyscript;
mod clang;
mod rust;
mod tool;
mod zig;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::KitError;
use crate::language::Language;
use crate::project::Project;
use crate::section::{self, MANIFEST_SECTION};

/// Builds a project's module, puts the manifest into it where its language cannot, and returns where it lies.
///
/// # Errors
/// [`KitError::NotFound`] with what to install where the compiler is missing, [`KitError::Build`] with what it wrote where it
/// refused the source, [`KitError::Invalid`] for a manifest that is none. The module of before stays then.
pub fn build(project: &Project) -> Result<PathBuf, KitError> {
    let source = project.dir.join(&project.source);
    if !source.is_file() {
        return Err(KitError::not_found(
            format!("source file {} does not exist", source.display()),
            "name it in plugin.toml: source = \"FILE\"",
        ));
    }
    let manifest = sidecar(project)?;
    let fresh = project.dir.join(format!(".{}.fresh.wasm", project.name));
    let built = compile(project, &source, &fresh).and_then(|()| finish(project, &fresh, manifest.as_deref()));
    if built.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    built
}

fn compile(project: &Project, source: &Path, fresh: &Path) -> Result<(), KitError> {
    match project.language {
        Language::Rust => rust::build(project, fresh),
        Language::C | Language::Cpp => clang::build(project, fresh),
        Language::Zig => zig::build(project, fresh),
        Language::AssemblyScript => assemblyscript::build(project, fresh),
        Language::Wat => {
            let binary = wat::parse_file(source).map_err(|error| KitError::Build {
                what: error.to_string(),
            })?;
            fs::write(fresh, binary).map_err(|error| KitError::file("write", fresh, error))
        }
    }
}

/// Returns the manifest that lies beside the source, as it stands there.
fn sidecar(project: &Project) -> Result<Option<Vec<u8>>, KitError> {
    let path = project.sidecar();
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KitError::file("read", &path, error)),
    };
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        KitError::invalid(format!("the manifest {} is not JSON: {error}", path.display()))
    })?;
    // Without the white space, which nobody reads in a module.
    Ok(Some(value.to_string().into_bytes()))
}

fn finish(project: &Project, fresh: &Path, manifest: Option<&[u8]>) -> Result<PathBuf, KitError> {
    let mut wasm = fs::read(fresh).map_err(|error| KitError::file("read", fresh, error))?;
    if let Some(manifest) = manifest {
        if section::find(&wasm, MANIFEST_SECTION).is_some() {
            return Err(KitError::invalid(format!(
                "the source of {} has a manifest already, and {} is a second one",
                project.name,
                project.sidecar().display()
            ))
            .with_hint("keep one of the two"));
        }
        section::append(&mut wasm, MANIFEST_SECTION, manifest);
        fs::write(fresh, &wasm).map_err(|error| KitError::file("write", fresh, error))?;
    }
    let module = project.module();
    fs::rename(fresh, &module).map_err(|error| KitError::file("write", &module, error))?;
    Ok(module)
}
