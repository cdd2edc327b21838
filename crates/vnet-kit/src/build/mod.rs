//! `vnet plugin build`: from a project to a module with its manifest.

mod assemblyscript;
mod clang;
mod go;
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

/// A module that was built and lies beside the project's own until it is kept; dropped, it is gone.
#[derive(Debug)]
pub struct Built {
    folder: PathBuf,
    fresh: PathBuf,
    module: PathBuf,
}

impl Built {
    /// Returns where the fresh module lies, under the name it is to have.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.fresh
    }

    /// Returns where it is put.
    #[must_use]
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// Puts it in the place of the module of before, in one step, and returns that place.
    ///
    /// # Errors
    /// [`KitError::System`] where the file cannot be moved.
    pub fn keep(self) -> Result<PathBuf, KitError> {
        fs::rename(&self.fresh, &self.module)
            .map_err(|error| KitError::file("write", &self.module, error))?;
        Ok(self.module.clone())
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Builds a project's module, and puts the manifest into it where its language cannot; the module of before stays until
/// the fresh one is [kept](Built::keep).
///
/// # Errors
/// [`KitError::NotFound`] with what to install where the compiler is missing, [`KitError::Build`] with what it wrote where it
/// refused the source, [`KitError::Invalid`] for a manifest that is none.
pub fn build(project: &Project) -> Result<Built, KitError> {
    let source = project.dir.join(&project.source);
    if !source.is_file() {
        return Err(KitError::not_found(
            format!("source file {} does not exist", source.display()),
            "name it in plugin.toml: source = \"FILE\"",
        ));
    }
    let manifest = sidecar(project)?;
    let dir =
        std::path::absolute(&project.dir).map_err(|error| KitError::file("find", &project.dir, error))?;
    // Of this process alone: whoever builds at the same time has another.
    let folder = dir.join(format!(".vnet-build-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| KitError::file("make the folder", &folder, error))?;
    let built = Built {
        fresh: folder.join(format!("{}.wasm", project.name)),
        folder,
        module: project.module(),
    };
    compile(project, &source, &built.fresh)?;
    finish(project, &built.fresh, manifest.as_deref())?;
    Ok(built)
}

fn compile(project: &Project, source: &Path, fresh: &Path) -> Result<(), KitError> {
    match project.language {
        Language::Rust => rust::build(project, fresh),
        Language::C | Language::Cpp => clang::build(project, fresh),
        Language::Zig => zig::build(project, fresh),
        Language::AssemblyScript => assemblyscript::build(project, fresh),
        Language::Go => go::build(project, fresh),
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

fn finish(project: &Project, fresh: &Path, manifest: Option<&[u8]>) -> Result<(), KitError> {
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
    Ok(())
}
