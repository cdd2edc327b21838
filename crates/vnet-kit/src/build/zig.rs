//! Zig, as `zig` or as the Python package `ziglang` that carries it.

use std::path::Path;
use std::process::Command;

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
    if let Some((python, _)) = tool::python_package("ziglang") {
        let mut command = Command::new(python);
        command.args(["-m", "ziglang"]);
        return Ok(command);
    }
    Err(KitError::not_found(
        "a plugin in Zig needs zig, which is neither in PATH nor installed for this Python",
        "install it: pip install ziglang",
    ))
}
