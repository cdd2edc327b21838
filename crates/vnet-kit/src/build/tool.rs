//! Programs of a toolchain: found in PATH, run, their words kept.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::error::KitError;

/// Returns where a program lies, as a shell would find it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|file| is_program(file))
}

/// Says whether a file can be executed.
pub(crate) fn is_program(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Returns a program's location, or says what to install.
pub(crate) fn need(program: &str, for_what: &str, install: &str) -> Result<PathBuf, KitError> {
    find(program).ok_or_else(|| {
        KitError::not_found(
            format!("{for_what} needs {program}, which is not in PATH"),
            format!("install it: {install}"),
        )
    })
}

/// Returns a Python that has this package, and the package's folder.
pub(crate) fn python_package(name: &str) -> Option<(PathBuf, PathBuf)> {
    let ask = format!("import {name}, os; print(os.path.dirname({name}.__file__))");
    pythons().into_iter().find_map(|python| {
        let output = Command::new(&python)
            .args(["-c", &ask])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let folder = String::from_utf8(output.stdout).ok()?;
        output
            .status
            .success()
            .then(|| (python, PathBuf::from(folder.trim_end())))
    })
}

/// The interpreter that runs this command, where one does, and the one in PATH.
fn pythons() -> Vec<PathBuf> {
    let own = env::args_os().next().map(PathBuf::from).filter(|path| {
        let is_python = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("python"));
        is_python && is_program(path)
    });
    own.into_iter().chain(find("python3")).collect()
}

/// Runs a compiler and returns what it wrote to standard output; its complaints are the error.
pub(crate) fn run(command: &mut Command) -> Result<String, KitError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let program = Path::new(&program)
        .file_name()
        .map_or(program.clone(), |name| name.to_string_lossy().into_owned());
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| KitError::System {
            what: format!("cannot run {program}: {error}"),
        })?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let mut said = String::from_utf8_lossy(&stderr).trim_end().to_owned();
    if said.is_empty() {
        said = String::from_utf8_lossy(&stdout).trim_end().to_owned();
    }
    Err(KitError::Build {
        what: format!("{program} refused the source ({status}):\n{said}"),
    })
}
