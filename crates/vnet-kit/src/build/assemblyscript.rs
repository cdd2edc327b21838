//! AssemblyScript, by `asc` from npm.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool;
use crate::error::KitError;
use crate::project::Project;

pub(super) fn build(project: &Project, out: &Path) -> Result<(), KitError> {
    const WHAT: &str = "a plugin in AssemblyScript";
    let node = tool::need("node", WHAT, "apt-get install nodejs npm")?;
    let dir =
        std::path::absolute(&project.dir).map_err(|error| KitError::file("find", &project.dir, error))?;
    let asc = installed(&dir).or_else(|| tool::find("asc")).ok_or_else(|| {
        KitError::not_found(
            format!("{WHAT} needs asc, which is neither in node_modules nor in PATH"),
            "install it: npm install --save-dev assemblyscript",
        )
    })?;
    // asc takes paths below its own directory.
    let name = out.strip_prefix(&dir).unwrap_or(out);
    let mut command = Command::new(node);
    command
        .current_dir(&dir)
        .arg(asc)
        .args([&project.source, "-O3", "--runtime", "stub", "--noAssert", "-o"])
        .arg(name);
    tool::run(&mut command).map(drop)
}

/// Looks where npm installs: in the project, and in every folder above it.
fn installed(dir: &Path) -> Option<PathBuf> {
    dir.ancestors()
        .map(|dir| dir.join("node_modules/assemblyscript/bin/asc.js"))
        .find(|file| file.is_file())
}
