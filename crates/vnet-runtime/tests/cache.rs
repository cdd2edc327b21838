//! The cache of compiled modules. One test, because it changes the process's environment.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use support::*;
use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};

fn use_module(text: &str) {
    let source = Source::Bytes {
        name: "cached".into(),
        bytes: text.into(),
    };
    let module = Module::load(&source, &LoadOptions::default()).unwrap();
    Stage::new(&module, StageOptions::default()).unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Points the cache at a new directory and returns where its files go.
fn fresh(root: &Path, name: &str) -> PathBuf {
    let base = root.join(name);
    // SAFETY: this process has one test, and no other thread reads the environment.
    unsafe { std::env::set_var("XDG_CACHE_HOME", &base) };
    base.join("vnet/modules")
}

#[test]
fn compiled_modules_are_kept_where_only_this_user_can_write() {
    let root = tempfile::tempdir().unwrap();
    let text = simple("", "(i32.const 1)");

    let dir = fresh(root.path(), "good");
    use_module(&text);
    let kept = files(&dir);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&kept[0]).unwrap().mode() & 0o777, 0o600);

    // Used again: the file is read, not written.
    let written = fs::metadata(&kept[0]).unwrap();
    use_module(&text);
    let again = fs::metadata(&kept[0]).unwrap();
    assert_eq!(
        (again.ino(), again.mtime_nsec()),
        (written.ino(), written.mtime_nsec())
    );
    use_module(&simple("", "(i32.const 0)"));
    assert_eq!(files(&dir).len(), 2);

    // A damaged file, a file others can write, a symbolic link: not taken, and replaced.
    let good = fs::read(&kept[0]).unwrap();
    let mut damaged = good.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    for content in [&damaged[..], &good[..40], b"", b"\x7fELF"] {
        fs::write(&kept[0], content).unwrap();
        use_module(&text);
        assert_eq!(fs::read(&kept[0]).unwrap(), good, "written again");
    }
    fs::set_permissions(&kept[0], Permissions::from_mode(0o666)).unwrap();
    use_module(&text);
    assert_eq!(fs::metadata(&kept[0]).unwrap().mode() & 0o777, 0o600);
    let elsewhere = root.path().join("elsewhere");
    fs::rename(&kept[0], &elsewhere).unwrap();
    symlink(&elsewhere, &kept[0]).unwrap();
    use_module(&text);
    assert!(fs::symlink_metadata(&kept[0]).unwrap().is_file());

    // Directories that others can write are not used.
    for (name, mode) in [("open", 0o777), ("group", 0o770), ("readable", 0o755)] {
        let dir = fresh(root.path(), name);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
        use_module(&text);
        assert!(files(&dir).is_empty(), "{name}");
    }
    let dir = fresh(root.path(), "linked");
    fs::create_dir_all(dir.parent().unwrap()).unwrap();
    let target = root.path().join("target");
    fs::create_dir(&target).unwrap();
    symlink(&target, &dir).unwrap();
    use_module(&text);
    assert!(files(&target).is_empty());

    // Nor is one of another user's, where this test may make one.
    let dir = fresh(root.path(), "foreign");
    fs::create_dir_all(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    if std::os::unix::fs::chown(&dir, Some(12345), None).is_ok() {
        use_module(&text);
        assert!(files(&dir).is_empty());
    } else {
        println!("cannot give a directory away: not root");
    }

    // Without a place to write everything works.
    fresh(Path::new("/proc"), "nothing");
    use_module(&text);
    fresh(Path::new("relative"), "path");
    // SAFETY: as above.
    unsafe { std::env::remove_var("HOME") };
    use_module(&text);
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    fresh(&file, "below");
    use_module(&text);

    // And when told not to.
    let dir = fresh(root.path(), "unused");
    load(&text);
    assert!(files(&dir).is_empty());
}
