use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use vnet_sys::mount;
use vnet_sys::namespace::{self, Kind};

use super::isolate::{Own, patiently};
use super::{failed, failed_io, not_isolated};
use crate::SandboxError;
use crate::lab::NodeSetup;

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The mounts and the host name that the commands of a node see.
#[derive(Debug)]
pub(super) struct View {
    pub(super) mount: OwnedFd,
    pub(super) uts: OwnedFd,
}

impl View {
    /// Makes this process's view its own once more.
    pub(super) fn enter(&self) -> Result<(), Errno> {
        namespace::enter(self.mount.as_fd(), Kind::Mount)?;
        namespace::enter(self.uts.as_fd(), Kind::Uts)
    }

    /// Makes the view of a node. This process is in the node's network namespace.
    ///
    /// It comes back to the lab's own view in any case; where it cannot, it ends, and the
    /// lab with it.
    pub(super) fn make(lab: &Own, space: u32, setup: &NodeSetup) -> Result<Self, SandboxError> {
        let made = Self::build(lab, space, setup);
        if let Err(errno) = lab.view.enter() {
            // Every later command would run in the wrong place.
            panic!("cannot return to the lab's own namespaces: {errno}");
        }
        made
    }

    fn build(lab: &Own, space: u32, setup: &NodeSetup) -> Result<Self, SandboxError> {
        let node = &setup.name;
        let cannot = |what: &str| format!("cannot {what} for node {node}");
        let copy = |file: &str| {
            lab.files
                .copy(file)
                .map_err(|e| failed(cannot(&format!("copy {file}")), e))
        };
        let hosts = setup.hosts.then(|| copy("hosts")).transpose()?;
        let resolv = setup
            .resolv_conf
            .is_some()
            .then(|| copy(&resolv_name(space)))
            .transpose()?;

        for kind in [Kind::Mount, Kind::Uts] {
            patiently(&[kind], || namespace::make(kind)).map_err(|e| not_isolated(kind, node, e))?;
        }
        namespace::set_hostname(&setup.hostname).map_err(|e| failed(cannot("set the host name"), e))?;
        if lab.fresh_sysfs {
            mount::fresh("sysfs", Path::new("/sys")).map_err(|e| failed(cannot("mount /sys"), e))?;
        }
        for dir in &setup.private_dirs {
            mount::memory(dir, mode(dir))
                .map_err(|e| failed(cannot(&format!("make a private {}", dir.display())), e))?;
        }
        if let Some(hosts) = hosts {
            mount::attach(hosts.as_fd(), Path::new(HOSTS))
                .map_err(|e| failed(cannot(&format!("mount {HOSTS}")), e))?;
        }
        if let Some(resolv) = resolv {
            make_place(setup)
                .map_err(|e| failed_io(cannot(&format!("make a place for {RESOLV_CONF}")), e))?;
            mount::attach(resolv.as_fd(), Path::new(RESOLV_CONF))
                .map_err(|e| failed(cannot(&format!("mount {RESOLV_CONF}")), e))?;
        }
        let own = |kind: Kind| {
            namespace::own(kind).map_err(|e| failed(cannot(&format!("hold the {}", kind.name())), e))
        };
        Ok(Self {
            mount: own(Kind::Mount)?,
            uts: own(Kind::Uts)?,
        })
    }
}

/// Returns the name of a node's own resolv.conf among the files of the lab.
pub(super) fn resolv_name(space: u32) -> String {
    format!("resolv.{space}")
}

/// Returns the permissions of a private directory.
fn mode(dir: &Path) -> u32 {
    if dir == Path::new("/tmp") || dir == Path::new("/var/tmp") {
        0o1777
    } else {
        0o755
    }
}

/// Makes sure that there is a file to mount a resolv.conf over.
///
/// It is often a symbolic link to a file in /run, which is not there when the node's /run
/// is its own. A file is made in a private directory only, never on the machine's disk.
fn make_place(setup: &NodeSetup) -> io::Result<()> {
    if fs::metadata(RESOLV_CONF).is_ok() {
        return Ok(());
    }
    let target = Path::new("/etc").join(fs::read_link(RESOLV_CONF)?);
    let target = plain(&target);
    if !setup.private_dirs.iter().any(|dir| target.starts_with(dir)) {
        return Err(io::ErrorKind::NotFound.into());
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(target, "")
}

/// Takes `.` and `..` out of an absolute path, as if it had no symbolic links.
fn plain(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::Normal(name) => plain.push(name),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_link_leads_where_it_should() {
        let path = |link: &str| plain(&Path::new("/etc").join(link));
        assert_eq!(
            path("../run/systemd/resolve/stub-resolv.conf"),
            Path::new("/run/systemd/resolve/stub-resolv.conf")
        );
        assert_eq!(path("/run/x"), Path::new("/run/x"));
        assert_eq!(path("../../../run/./x"), Path::new("/run/x"));
    }
}
