//! C and C++, by clang and lld.

use std::path::Path;
use std::process::Command;

use super::tool;
use crate::error::KitError;
use crate::language::Language;
use crate::project::Project;

const INSTALL: &str = "apt-get install clang lld";

pub(super) fn build(project: &Project, out: &Path) -> Result<(), KitError> {
    let is_cpp = project.language == Language::Cpp;
    let what = if is_cpp {
        "a plugin in C++"
    } else {
        "a plugin in C"
    };
    let clang = tool::need(if is_cpp { "clang++" } else { "clang" }, what, INSTALL)?;
    tool::need("wasm-ld", what, INSTALL)?;
    let mut command = Command::new(clang);
    command.current_dir(&project.dir).args([
        "--target=wasm32",
        "-O2",
        "-nostdlib",
        "-Wl,--no-entry",
        "-Wall",
        "-Wextra",
        "-Iinclude",
    ]);
    if is_cpp {
        command.args(["-std=c++17", "-fno-exceptions", "-fno-rtti"]);
    }
    // From its own folder, so that no path gets into the module.
    command
        .arg("-o")
        .arg(std::path::absolute(out).map_err(|e| KitError::file("find", out, e))?);
    tool::run(command.arg(&project.source)).map(drop)
}
