//! A plugin's project: a folder with `plugin.toml`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::KitError;
use crate::language::Language;

/// Name of the file that makes a folder a project.
pub const PROJECT_FILE: &str = "plugin.toml";

/// A plugin's project, as its `plugin.toml` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The folder.
    pub dir: PathBuf,
    /// Name of the plugin, and of the module: `NAME.wasm`.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// The source file, from the folder.
    pub source: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    language: String,
    source: Option<String>,
}

impl Project {
    /// Reads the project in a folder.
    ///
    /// # Errors
    /// [`KitError::NotFound`] where the folder is no project, [`KitError::Invalid`] where its file is wrong.
    pub fn open(dir: &Path) -> Result<Project, KitError> {
        let path = dir.join(PROJECT_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(KitError::not_found(
                    format!(
                        "{} is no plugin's project: it has no {PROJECT_FILE}",
                        dir.display()
                    ),
                    "make one with `vnet plugin new NAME --lang c`",
                ));
            }
            Err(error) => return Err(KitError::file("read", &path, error)),
        };
        let refuse = |error: String| KitError::invalid(format!("{}: {error}", path.display()));
        let file: File = toml::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        let language = file
            .language
            .parse::<Language>()
            .map_err(|error| refuse(error.to_string()))?;
        check_name(&file.name)?;
        Ok(Project {
            dir: dir.to_owned(),
            source: file.source.unwrap_or_else(|| language.source(&file.name)),
            name: file.name,
            language,
        })
    }

    /// Returns where the built module lies.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        self.dir.join(format!("{}.wasm", self.name))
    }

    /// Returns where the manifest lies that `build` puts into the module.
    #[must_use]
    pub fn sidecar(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.name))
    }

    /// Returns where the cases of `vnet plugin test` lie.
    #[must_use]
    pub fn cases(&self) -> PathBuf {
        self.dir.join("tests.toml")
    }
}

/// Longest name: it is a part of file names.
const NAME_MAX: usize = 40;

/// Words that cannot name a crate or a function of Rust.
const RESERVED: &[&str] = &[
    "alloc", "as", "async", "await", "break", "const", "continue", "core", "crate", "dyn", "else", "enum",
    "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop", "main", "match", "mod", "move", "mut",
    "pub", "ref", "return", "self", "static", "std", "struct", "super", "test", "trait", "true", "type",
    "unsafe", "use", "vendor", "where", "while",
];

/// Refuses a name that cannot be that of a file, a crate and a plugin at once.
pub(crate) fn check_name(name: &str) -> Result<(), KitError> {
    let mut letters = name.chars();
    let starts = letters.next().is_some_and(|c| c.is_ascii_lowercase());
    let goes_on = letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !starts || !goes_on || name.len() > NAME_MAX {
        return Err(
            KitError::invalid(format!("{name:?} cannot name a plugin")).with_hint(format!(
                "write a lower-case letter, then letters, digits and _, at most {NAME_MAX} in all: my_filter"
            )),
        );
    }
    if RESERVED.contains(&name) {
        return Err(KitError::invalid(format!(
            "{name:?} cannot name a plugin: the word has a meaning of its own"
        ))
        .with_hint("write another, for example my_filter"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_are_no_file_or_crate() {
        for name in [
            "",
            "9lives",
            "-x",
            "A",
            "a/b",
            "a b",
            "ä",
            "fn",
            "test",
            &"x".repeat(41),
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["x", "my_filter", "acl2"] {
            check_name(name).unwrap();
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_project_file() {
        let dir = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            fs::write(dir.path().join(PROJECT_FILE), text).unwrap();
            Project::open(dir.path())
        };
        let error = read("name = \"x\"\nlanguage = \"cobol\"\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cobol") && error.contains("rust, c, c++"),
            "{error}"
        );
        let error = read("name = \"x\"\nlang = \"c\"\n").unwrap_err().to_string();
        assert!(error.contains("lang"), "{error}");
        let project = read("name = \"x\"\nlanguage = \"c\"\n").unwrap();
        assert_eq!(project.source, "x.c");
        assert_eq!(project.module(), dir.path().join("x.wasm"));
    }
}
