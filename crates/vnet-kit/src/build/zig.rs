//! Zig, as `zig` or as the Python package `ziglang` that carries it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::tool;
use crate::error::KitError;
use crate::project::Project;

pub(super) fn build(project: &Project, out: &Path) -> Result<(), KitError> {
    let mut emit = std::ffi::OsString::from("-femit-bin=");
    emit.push(std::path::absolute(out).map_err(|e| KitError::file("find", out, e))?);
    let mut command = zig()?;
    command
        .current_dir(&project.dir)
        .args([
            "build-exe",
            &project.source,
            "-target",
            "wasm32-freestanding",
            "-fno-entry",
            "-rdynamic",
            "-fstrip",
        ])
        // Zig's default stack is as large as all the memory that a plugin may have.
        .args(["-O", "ReleaseFast", "--stack", "65536"])
        .arg(emit);
    tool::run(&mut command).map(drop)
}

fn zig() -> Result<Command, KitError> {
    if let Some(zig) = tool::find("zig") {
        return Ok(Command::new(zig));
    }
    for python in pythons() {
        let has = Command::new(&python)
            .args(["-c", "import ziglang"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if has {
            let mut command = Command::new(python);
            command.args(["-m", "ziglang"]);
            return Ok(command);
        }
    }
    Err(KitError::not_found(
        "a plugin in Zig needs zig, which is neither in PATH nor installed for this Python",
        "install it: pip install ziglang",
    ))
}

/// The interpreter that runs this command, where one does, and the one in PATH.
fn pythons() -> Vec<PathBuf> {
    let own = env::args_os().next().map(PathBuf::from).filter(|path| {
        let is_python = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("python"));
        is_python && tool::is_program(path)
    });
    own.into_iter().chain(tool::find("python3")).collect()
}
