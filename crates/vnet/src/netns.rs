//! Where devices live and commands run.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use vnet_netlink::Cidr;
use vnet_sandbox::Namespace;
use vnet_sys::NetNs;

use crate::error::Error;

/// Names a network namespace.
#[derive(Clone, Debug, Default)]
pub enum Netns {
    /// The namespace this thread is in; needs CAP_NET_ADMIN there.
    #[default]
    Current,
    /// The namespace this thread is in, said explicitly: never the private sandbox.
    Host,
    /// This process's private sandbox, which works for an ordinary user.
    Sandbox,
    /// A namespace file such as `/run/netns/blue` or `/proc/1234/ns/net`.
    Path(PathBuf),
    /// An open namespace file.
    Fd(Arc<OwnedFd>),
}

impl Netns {
    /// Makes a namespace with nothing in it; it lives as long as this value, or a device or command in it.
    ///
    /// # Errors
    /// [`Error::Privilege`] without CAP_SYS_ADMIN.
    pub fn private() -> Result<Self, Error> {
        let fd = vnet_sys::NetNs::create()?.as_fd().try_clone_to_owned();
        let fd = fd.map_err(|error| Error::io("cannot duplicate a namespace's descriptor", &error))?;
        Ok(Netns::Fd(Arc::new(fd)))
    }
}

impl FromStr for Netns {
    type Err = Error;

    /// Reads `host`, `sandbox`, a path, or a bare name as `ip netns` keeps it in `/run/netns`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "" => Err(Error::Invalid {
                what: "the namespace name is empty".into(),
                hint: Some("write host, sandbox, a name in /run/netns, or a path".into()),
            }),
            "host" => Ok(Netns::Host),
            "sandbox" => Ok(Netns::Sandbox),
            path if path.contains('/') => Ok(Netns::Path(path.into())),
            name => Ok(Netns::Path(PathBuf::from("/run/netns").join(name))),
        }
    }
}

impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Netns::Current => f.write_str("the current namespace"),
            Netns::Host => f.write_str("host"),
            Netns::Sandbox => f.write_str("sandbox"),
            Netns::Path(path) => write!(f, "{}", path.display()),
            Netns::Fd(fd) => write!(f, "fd {}", fd.as_raw_fd()),
        }
    }
}

/// A namespace that is open, and where it is in words.
pub(crate) struct Home {
    pub namespace: Namespace,
    pub place: String,
}

const NEEDS: &str = "CAP_NET_ADMIN in the current network namespace";
const FIX: &str = "run as root, or give netns= a namespace you may configure";

impl Netns {
    /// Opens the namespace to configure it; `what` says what for.
    pub(crate) fn home(&self, what: &str) -> Result<Home, Error> {
        let home = self.enter()?;
        if matches!(self, Netns::Current | Netns::Host) && !vnet_sys::caps::has_net_admin() {
            return Err(Error::Privilege {
                what: format!("cannot {what}"),
                reason: format!("this process lacks {NEEDS}"),
                fix: FIX.into(),
            });
        }
        Ok(home)
    }

    /// Opens the namespace to run a command there, which needs no privilege in the one this thread is in.
    pub(crate) fn for_command(&self) -> Result<NetNs, Error> {
        match self {
            Netns::Host => Ok(NetNs::current()?),
            Netns::Current if !vnet_sys::caps::has_net_admin() => Err(Error::Privilege {
                what: "cannot run a command in the current namespace".into(),
                reason: format!("this process lacks {NEEDS}"),
                fix: "run as root, or give netns=\"host\" to run it where this process is, without privilege"
                    .into(),
            }),
            _ => Ok(self.enter()?.namespace.netns().clone()),
        }
    }

    /// Opens the namespace to look at it.
    pub(crate) fn look(&self) -> Result<Namespace, Error> {
        Ok(self.enter()?.namespace)
    }

    fn enter(&self) -> Result<Home, Error> {
        let namespace = match self {
            Netns::Current | Netns::Host => Namespace::current()?,
            Netns::Path(path) if !path.exists() => {
                return Err(Error::NotFound {
                    what: format!("network namespace {} does not exist", path.display()),
                    hint: Some("make it with `ip netns add NAME`, or name /proc/PID/ns/net".into()),
                });
            }
            Netns::Path(path) => Namespace::at_path(path)?,
            Netns::Fd(fd) => {
                let fd = fd
                    .try_clone()
                    .map_err(|error| Error::io("cannot duplicate a namespace descriptor", &error))?;
                Namespace::at_fd(fd)?
            }
            Netns::Sandbox => {
                return Err(Error::Unsupported {
                    what: "the private sandbox (netns=\"sandbox\") is not in this version".into(),
                    hint: Some(
                        "as root, leave netns out, or name a namespace made with `ip netns add`".into(),
                    ),
                });
            }
        };
        let place = match self {
            Netns::Path(path) => path.display().to_string(),
            _ => place(namespace.netns()),
        };
        Ok(Home { namespace, place })
    }
}

/// Says in words where a namespace is: `host` is the one the machine's init process is in.
fn place(ns: &NetNs) -> String {
    match NetNs::open(Path::new("/proc/1/ns/net")) {
        Ok(init) if init.same_as(ns) => "host".into(),
        _ => format!("net:[{}]", ns.inode()),
    }
}

/// Reads addresses.
pub(crate) fn addresses(texts: &[String]) -> Result<Vec<Cidr>, Error> {
    texts.iter().map(|text| Ok(text.parse()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_one_of_ip_netns() {
        assert_eq!("blue".parse::<Netns>().unwrap().to_string(), "/run/netns/blue");
        assert_eq!(
            "/proc/1/ns/net".parse::<Netns>().unwrap().to_string(),
            "/proc/1/ns/net"
        );
        assert!(matches!("host".parse(), Ok(Netns::Host)));
        assert!(matches!("sandbox".parse(), Ok(Netns::Sandbox)));
        assert_eq!("".parse::<Netns>().unwrap_err().kind(), crate::ErrorKind::Invalid);
    }

    #[test]
    fn the_sandbox_and_a_missing_namespace_are_refused_in_words() {
        let sandbox = Netns::Sandbox.look().unwrap_err();
        assert!(sandbox.to_string().contains("not in this version"), "{sandbox}");
        let missing = "no-such".parse::<Netns>().unwrap().look().unwrap_err();
        assert!(missing.to_string().contains("/run/netns/no-such"), "{missing}");
        assert_eq!(missing.exit_code(), 2);
    }
}
