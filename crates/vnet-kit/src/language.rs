//! The languages that plugins are written in.

use std::fmt;
use std::str::FromStr;

use crate::error::KitError;

/// A language with a template, a toolchain and an SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust, by the crate `vnet-plugin`.
    Rust,
    /// C, by `vnet_plugin.h`.
    C,
    /// C++, by `vnet_plugin.hpp`.
    #[serde(rename = "c++")]
    Cpp,
    /// Zig, by `vnet_plugin.zig`.
    Zig,
    /// AssemblyScript, by `vnet_plugin.ts`.
    AssemblyScript,
    /// Go, by `vnet_plugin.go`.
    Go,
    /// The text of WebAssembly, in the simple form.
    Wat,
}

impl Language {
    /// Every language.
    pub const ALL: [Language; 7] = [
        Language::Rust,
        Language::C,
        Language::Cpp,
        Language::Zig,
        Language::AssemblyScript,
        Language::Go,
        Language::Wat,
    ];

    /// Returns the name as the command line writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::C => "c",
            Language::Cpp => "c++",
            Language::Zig => "zig",
            Language::AssemblyScript => "assemblyscript",
            Language::Go => "go",
            Language::Wat => "wat",
        }
    }

    /// Says whether its source holds the manifest; otherwise `NAME.json` lies beside it.
    #[must_use]
    pub fn embeds_manifest(self) -> bool {
        matches!(self, Language::Rust | Language::C | Language::Cpp)
    }

    /// Returns the largest module that projects in it are given where nothing else is said, in bytes; `None` is the usual cap.
    #[must_use]
    pub fn module_cap(self) -> Option<usize> {
        // Go links its whole run-time: 1.9 MB with 1.27.
        (self == Language::Go).then_some(4 << 20)
    }

    /// Returns the page about its SDK, among the SDK's files.
    pub(crate) fn readme(self) -> Option<&'static str> {
        match self {
            Language::Rust => Some("README.rust.md"),
            Language::C => Some("README.c.md"),
            Language::Cpp => Some("README.cpp.md"),
            Language::Zig => Some("README.zig.md"),
            Language::AssemblyScript => Some("README.assemblyscript.md"),
            Language::Go => Some("README.go.md"),
            Language::Wat => None,
        }
    }

    /// Returns the name of a project's source file.
    pub(crate) fn source(self, name: &str) -> String {
        match self {
            Language::Rust => "src/lib.rs".into(),
            Language::C => format!("{name}.c"),
            Language::Cpp => format!("{name}.cpp"),
            Language::Zig => format!("{name}.zig"),
            Language::AssemblyScript => format!("{name}.ts"),
            Language::Go => format!("{name}.go"),
            Language::Wat => format!("{name}.wat"),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = KitError;

    fn from_str(text: &str) -> Result<Language, KitError> {
        let found = match text {
            "cpp" | "cxx" => Some(Language::Cpp),
            "as" => Some(Language::AssemblyScript),
            "rs" => Some(Language::Rust),
            other => Language::ALL
                .into_iter()
                .find(|language| language.name() == other),
        };
        found.ok_or_else(|| {
            let names = Language::ALL.map(Language::name).join(", ");
            KitError::invalid(format!(
                "{text:?} is no language that plugins are written in: {names}"
            ))
        })
    }
}
