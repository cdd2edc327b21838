//! Rust, by cargo and whichever compiler here makes WebAssembly.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::tool;
use crate::error::KitError;
use crate::project::Project;

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/Cargo.lock";
const DEBIAN_VENDOR: &str = "/usr/lib/rustlib/src/rust/library/vendor";
const MINOR_LEAST: u32 = 95;

pub(super) fn build(project: &Project, out: &Path) -> Result<(), KitError> {
    let cargo = tool::need(
        "cargo",
        "a plugin in Rust",
        "https://rustup.rs, or apt-get install cargo-web rustc-web rust-web-src lld",
    )?;
    let mut command = Command::new(cargo);
    command
        .current_dir(&project.dir)
        .args(["build", "--release", "--quiet", "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"])
        // Flags for the machine's own processor mean nothing to this target.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    match compiler()? {
        Compiler::Ready(rustc) => {
            command.env("RUSTC", rustc);
        }
        Compiler::BuildStd { linker } => {
            let source = fs::read_to_string(project.dir.join(&project.source)).unwrap_or_default();
            // A plugin without the standard library does not wait for it to be compiled.
            let parts = if source.contains("no_std") {
                "-Zbuild-std=core,alloc"
            } else {
                "-Zbuild-std=std,panic_abort"
            };
            if is_offline(project) {
                // The library is then built from the crates that lie beside its sources.
                command
                    .args(["--config", "source.crates-io.replace-with=\"vnet-std\""])
                    .args([
                        "--config",
                        &format!("source.vnet-std.directory=\"{DEBIAN_VENDOR}\""),
                    ]);
            }
            command
                .arg(parts)
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
    }
    let messages = tool::run(&mut command).map_err(without_patches)?;
    let built = module(&messages).ok_or_else(|| KitError::Build {
        what: "cargo built no module: Cargo.toml must say crate-type = [\"cdylib\"]".into(),
    })?;
    fs::copy(&built, out)
        .map(drop)
        .map_err(|error| KitError::file("copy", &built, error))
}

/// The standard library's own build uses no patch of the project's, which cargo says once for each.
fn without_patches(error: KitError) -> KitError {
    match error {
        KitError::Build { what } => KitError::Build {
            what: what
                .lines()
                .filter(|line| !line.starts_with("warning: patch `"))
                .collect::<Vec<_>>()
                .join("\n"),
        },
        other => other,
    }
}

/// Says whether the project takes every crate from its own `vendor`, as `vnet plugin new` makes it.
fn is_offline(project: &Project) -> bool {
    let config = fs::read_to_string(project.dir.join(".cargo/config.toml")).unwrap_or_default();
    let says_so = config.lines().any(|line| line.trim() == "offline = true");
    says_so && Path::new(DEBIAN_VENDOR).is_dir()
}

/// Returns the last module that cargo says it made.
fn module(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let files = message["filenames"].as_array()?;
            let wasm = files
                .iter()
                .filter_map(Value::as_str)
                .find(|file| file.ends_with(".wasm"))?;
            Some(PathBuf::from(wasm))
        })
        .next_back()
}

enum Compiler {
    /// It has the target's standard library.
    Ready(PathBuf),
    /// Debian's has its sources.
    BuildStd { linker: PathBuf },
}

fn compiler() -> Result<Compiler, KitError> {
    let rustc = env::var_os("RUSTC")
        .map(PathBuf::from)
        .or_else(|| tool::find("rustc"));
    if let Some(rustc) = rustc
        && has_target(&rustc)
    {
        return Ok(Compiler::Ready(rustc));
    }
    let debian = Path::new(DEBIAN_RUSTC);
    if !(tool::is_program(debian) && Path::new(DEBIAN_SOURCES).is_file() && is_recent(debian)) {
        return Err(KitError::not_found(
            format!("a plugin in Rust needs the target {TARGET}, which no compiler here has"),
            format!("install it: rustup target add {TARGET}, or apt-get install rustc-web rust-web-src lld"),
        ));
    }
    match linker() {
        Some(linker) => Ok(Compiler::BuildStd { linker }),
        None => Err(KitError::not_found(
            "a plugin in Rust needs a linker for WebAssembly, and neither wasm-ld nor rust-lld is here",
            "install it: apt-get install lld",
        )),
    }
}

fn asked(rustc: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(rustc)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn has_target(rustc: &Path) -> bool {
    let Some(dir) = asked(rustc, &["--print", "target-libdir", "--target", TARGET]) else {
        return false;
    };
    fs::read_dir(dir).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

fn is_recent(rustc: &Path) -> bool {
    let version = asked(rustc, &["--version"]).unwrap_or_default();
    let minor = version
        .split(['.', ' '])
        .nth(2)
        .and_then(|minor| minor.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= MINOR_LEAST)
}

/// Debian's rustc brings no linker for WebAssembly: lld's serves, or rustup's.
fn linker() -> Option<PathBuf> {
    tool::find("wasm-ld").or_else(|| {
        let sysroot = asked(&tool::find("rustc")?, &["--print", "sysroot"])?;
        fs::read_dir(Path::new(&sysroot).join("lib/rustlib"))
            .ok()?
            .flatten()
            .map(|entry| entry.path().join("bin/rust-lld"))
            .find(|file| tool::is_program(file))
    })
}
