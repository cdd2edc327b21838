//! Lab files.

use std::path::Path;
use std::string::FromUtf8Error;

use vnet_topology::Spec;

use super::{Network, begin};
use crate::error::Error;

impl Network {
    /// Declares what a lab file says: TOML, or JSON when its name ends in `.json`. Plugin files that it names are looked for
    /// beside it.
    ///
    /// # Errors
    /// [`Error::LabFile`] with file, line and key, also of a plugin that cannot be, and [`Error::NotFound`] when there is no
    /// such file.
    pub fn load(path: &Path, rootless: Option<bool>) -> Result<Self, Error> {
        Self::load_with(path, rootless, |_| {})
    }

    /// Declares what a lab file says, with a last change of it.
    ///
    /// # Errors
    /// As [`Network::load`].
    pub fn load_with(
        path: &Path,
        rootless: Option<bool>,
        edit: impl FnOnce(&mut Spec),
    ) -> Result<Self, Error> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound {
                what: format!("lab file {file} does not exist"),
                hint: None,
            },
            _ => Error::io(&format!("cannot read lab file {file}"), &error),
        })?;
        let text = String::from_utf8(bytes).map_err(|error| not_text(&file, &error))?;
        let (mut spec, declared) = if is_json(path) {
            Spec::declared_in_json(&text, &file)?
        } else {
            Spec::declared_in_toml(&text, &file)?
        };
        let directory = path.parent().map(|directory| directory.join("."));
        begin::check_plugins(&spec, &declared, directory.as_deref())?;
        edit(&mut spec);
        Self::of(spec, rootless, directory)
    }

    /// Declares what a JSON document says, in the form that [`Network::save`] writes.
    ///
    /// # Errors
    /// [`Error::LabFile`] or [`Error::Invalid`] with the key.
    pub fn from_json(text: &str, rootless: Option<bool>) -> Result<Self, Error> {
        Self::new(Spec::from_json(text)?, rootless)
    }

    /// Writes the declaration, as it is just now, to a lab file: TOML, or JSON when its name ends in `.json`.
    ///
    /// # Errors
    /// [`Error::System`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let spec = self.spec()?;
        let text = if is_json(path) {
            format!("{:#}\n", spec.to_json())
        } else {
            spec.to_toml()?
        };
        std::fs::write(path, text)
            .map_err(|error| Error::io(&format!("cannot write lab file {}", path.display()), &error))
    }
}

fn not_text(file: &str, error: &FromUtf8Error) -> Error {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    Error::LabFile {
        what: format!("{file}:{line}: a byte that is not UTF-8; save the file as UTF-8 text"),
        file: file.to_owned(),
        line,
        key: String::new(),
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}
