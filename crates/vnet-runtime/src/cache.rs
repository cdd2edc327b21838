//! Compiled modules kept on disk, in a directory that only this user can write.
//!
//! What lies there is machine code that will run, so nothing is taken that another user could have
//! written. Without such a directory everything works, slower.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module};

const DIGEST: usize = 32;
/// Files kept; the oldest go first.
const FILES_MAX: usize = 256;
const SUFFIX: &str = "module";

/// The cache directory, checked.
pub(crate) struct Cache(PathBuf);

impl Cache {
    /// Finds or makes the directory; `None` where there is none that can be trusted.
    pub(crate) fn open() -> Option<Cache> {
        let base = base_dir()?;
        match trusted_dir(&base) {
            Ok(dir) => Some(Cache(dir)),
            Err(error) => {
                tracing::debug!("no module cache in {}: {error}", base.display());
                None
            }
        }
    }

    /// Returns the compiled form of a module, where this engine once compiled it.
    pub(crate) fn load(&self, engine: &Engine, wasm: &[u8]) -> Option<Module> {
        let path = self.path(engine, wasm);
        let code = match read_trusted(&path) {
            Ok(code) => code,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::debug!("compiled module {} is not taken: {error}", path.display());
                return None;
            }
        };
        // SAFETY: the file lies in a directory, and is itself a file, that no other user can write,
        // its digest holds, and its name is the digest of this module under this engine's settings
        // and version: it is what `store` wrote from `Module::serialize`.
        match unsafe { Module::deserialize(engine, &code[DIGEST..]) } {
            Ok(module) => Some(module),
            Err(error) => {
                tracing::debug!("compiled module {} is not taken: {error}", path.display());
                None
            }
        }
    }

    /// Keeps the compiled form of a module; a failure costs a compilation next time.
    pub(crate) fn store(&self, engine: &Engine, wasm: &[u8], module: &Module) {
        let path = self.path(engine, wasm);
        let kept = module
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| self.write(&path, &code));
        if let Err(error) = kept {
            tracing::debug!("compiled module {} is not kept: {error}", path.display());
        }
    }

    fn path(&self, engine: &Engine, wasm: &[u8]) -> PathBuf {
        let mut hasher = Digester(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let mut key = hasher.0;
        key.update(env!("CARGO_PKG_VERSION"));
        key.update(Sha256::digest(wasm));
        self.0.join(format!("{:x}.{SUFFIX}", key.finalize()))
    }

    fn write(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let temporary = self.0.join(format!(".{}-{serial}.new", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(&Sha256::digest(code))?;
                file.write_all(code)?;
                fs::rename(&temporary, path)
            });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        self.prune();
        written
    }

    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return;
        };
        let mut files: Vec<_> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let ours = entry.path().extension().is_some_and(|e| e == SUFFIX);
                ours.then_some(())?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .collect();
        if files.len() > FILES_MAX {
            files.sort();
            for (_, path) in &files[..files.len() - FILES_MAX] {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Feeds everything that is hashed to SHA-256; the 64 bits of a `Hasher` would be too few for a key.
struct Digester(Sha256);

impl Hasher for Digester {
    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

fn base_dir() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}

/// Makes `base/vnet/modules` where it is missing, and checks that nobody else can write there.
fn trusted_dir(base: &Path) -> io::Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let owned = |path: &Path| -> io::Result<bool> { Ok(fs::metadata(path)?.uid() == user) };
    // Root with another user's HOME (sudo) must not leave root's files there.
    let existing = base.ancestors().find(|path| path.exists()).unwrap_or(base);
    if !owned(existing)? {
        return Err(io::Error::other(format!(
            "{} belongs to another user",
            existing.display()
        )));
    }
    let mut dir = base.to_owned();
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    for name in ["vnet", "modules"] {
        dir.push(name);
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let found = fs::symlink_metadata(&dir)?;
        if !found.is_dir() || found.uid() != user || found.mode() & 0o022 != 0 {
            return Err(io::Error::other(format!(
                "{} is not a directory that only this user can write",
                dir.display()
            )));
        }
    }
    if fs::symlink_metadata(&dir)?.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!("{} must have mode 0700", dir.display())));
    }
    Ok(dir)
}

/// Reads a file that only this user can have written, and whose first bytes are the digest of the rest.
fn read_trusted(path: &Path) -> io::Result<Vec<u8>> {
    let mut file: File = rustix::fs::open(
        path,
        rustix::fs::OFlags::RDONLY
            | rustix::fs::OFlags::NOFOLLOW
            | rustix::fs::OFlags::CLOEXEC
            | rustix::fs::OFlags::NONBLOCK,
        rustix::fs::Mode::empty(),
    )?
    .into();
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(io::Error::other("another user could have written it"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    match bytes.split_at_checked(DIGEST) {
        Some((digest, code)) if digest == Sha256::digest(code).as_slice() => Ok(bytes),
        _ => Err(io::Error::other("it is damaged")),
    }
}
