//! What a client may ask for: sizes, counts and names.

use std::path::{Component, Path, PathBuf};

use super::refused;
use crate::SandboxError;
use crate::lab::{NodeSetup, check_name};

/// The highest number of a node.
const MOST_SPACES: u32 = 1_000_000;
/// The most steps of one request.
pub(super) const MOST_STEPS: usize = 65_536;
/// The most bytes of an /etc/hosts.
pub(super) const MOST_HOSTS: usize = 8 << 20;
/// The most bytes of an /etc/resolv.conf.
const MOST_RESOLV: usize = 64 << 10;
/// The most private directories of a node.
const MOST_DIRS: usize = 64;
/// The most bytes of a kernel parameter, one page.
const MOST_VALUE: usize = 4096;
/// The most bytes of a path.
const MOST_PATH: usize = 4096;

/// Refuses a node that cannot be made.
pub(super) fn node(space: u32, setup: &NodeSetup) -> Result<(), SandboxError> {
    if !(1..=MOST_SPACES).contains(&space) {
        return Err(refused(format!(
            "{space} cannot be the number of a node, which is from 1 to {MOST_SPACES}"
        )));
    }
    check_name("node", &setup.name)?;
    check_name("host", &setup.hostname)?;
    if setup
        .resolv_conf
        .as_ref()
        .is_some_and(|text| text.len() > MOST_RESOLV)
    {
        return Err(refused(format!(
            "the resolv.conf of node {} has more than {MOST_RESOLV} bytes",
            setup.name
        )));
    }
    if setup.private_dirs.len() > MOST_DIRS {
        return Err(refused(format!(
            "node {} has more than {MOST_DIRS} private directories",
            setup.name
        )));
    }
    setup.private_dirs.iter().try_for_each(|dir| private_dir(dir))
}

/// A private directory covers one that exists, and none that processes cannot do without.
fn private_dir(dir: &Path) -> Result<(), SandboxError> {
    let bad = |why: &str, fix: &str| {
        Err(SandboxError::BadArgument {
            what: format!("{} cannot be a private directory: {why}", dir.display()),
            fix: fix.to_owned(),
        })
    };
    let absolute = dir.is_absolute() && dir.as_os_str().len() <= MOST_PATH;
    if !absolute || dir.components().any(|part| part == Component::ParentDir) {
        return bad("it is no absolute path", "write it from the root, without `..`");
    }
    let plain: PathBuf = dir.components().collect();
    if ["/", "/proc", "/sys", "/dev", "/etc"]
        .iter()
        .any(|taken| plain == Path::new(taken))
    {
        return bad("every program needs it", "name a directory below it");
    }
    match std::fs::metadata(dir) {
        Ok(found) if found.is_dir() => Ok(()),
        _ => bad("there is no such directory", "make it first, or name another"),
    }
}

/// Turns the name of a network parameter into its path.
pub(super) fn sysctl(key: &str) -> Result<PathBuf, SandboxError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let mut parts = key.split('.');
    let named = parts.next() == Some("net")
        && key.len() <= 256
        && parts.clone().count() > 0
        && parts.all(|part| !part.is_empty() && part.bytes().all(fits));
    if !named {
        return Err(SandboxError::BadArgument {
            what: format!("{key:?} is no kernel parameter of a network"),
            fix: "write it with dots, such as net.ipv4.ip_forward".to_owned(),
        });
    }
    Ok(Path::new("/proc/sys").join(key.replace('.', "/")))
}

/// Refuses what cannot be the value of a kernel parameter.
pub(super) fn value(key: &str, value: &str) -> Result<(), SandboxError> {
    if value.len() < MOST_VALUE && !value.contains('\0') {
        return Ok(());
    }
    Err(refused(format!(
        "the value for {key} is too long or contains a NUL byte"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_of_the_network_have_a_path() {
        let path = sysctl("net.ipv4.conf.eth0.rp_filter").unwrap();
        assert_eq!(path, Path::new("/proc/sys/net/ipv4/conf/eth0/rp_filter"));
        for key in [
            "kernel.hostname",
            "net",
            "net.",
            "net..kernel",
            "net.ipv4/../../kernel/hostname",
            "net/ipv4/ip_forward",
            ".net.ipv4",
            "net.ipv4.a b",
            "",
        ] {
            assert!(sysctl(key).is_err(), "{key}");
        }
    }

    #[test]
    fn a_private_directory_exists_and_is_not_one_all_need() {
        for dir in ["/tmp", "/run"] {
            private_dir(Path::new(dir)).unwrap();
        }
        for dir in [
            "/",
            "/proc",
            "/proc/",
            "//",
            "/sys",
            "/dev",
            "tmp",
            "/tmp/..",
            "/no-such",
            "/etc/passwd",
        ] {
            assert!(private_dir(Path::new(dir)).is_err(), "{dir}");
        }
    }
}
