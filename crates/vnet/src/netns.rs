//! Where devices live and commands run.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use vnet_netlink::Cidr;
use vnet_sandbox::{Lab, Namespace, Space};
use vnet_sys::{NetNs, caps};

use crate::error::Error;
use crate::sandbox;

/// Names a network namespace.
#[derive(Clone, Debug, Default)]
pub enum Netns {
    /// The namespace this thread is in where this process has CAP_NET_ADMIN there, else this process's private sandbox.
    #[default]
    Current,
    /// The namespace this thread is in, said explicitly: never the private sandbox.
    Host,
    /// This process's private sandbox, which works for an ordinary user; made on first use.
    Sandbox,
    /// A namespace file such as `/run/netns/blue` or `/proc/1234/ns/net`.
    Path(PathBuf),
    /// An open namespace file.
    Fd(Arc<OwnedFd>),
    /// A part of a lab; see [`Netns::node`].
    Node(LabPlace),
}

/// A part of a lab, such as a node of a network.
#[derive(Clone, Debug)]
pub struct LabPlace {
    lab: Arc<Lab>,
    space: Space,
    name: Arc<str>,
}

impl Netns {
    /// Names a part of a lab; `name` says in words which, such as `h1`.
    #[must_use]
    pub fn node(lab: Arc<Lab>, space: Space, name: &str) -> Self {
        Netns::Node(LabPlace {
            lab,
            space,
            name: name.into(),
        })
    }

    /// Makes a namespace with nothing in it; it lives as long as this value, or a device or command in it. An ordinary user
    /// gets one in a sandbox.
    ///
    /// # Errors
    /// [`Error::Privilege`] where a sandbox cannot be made either.
    pub fn private() -> Result<Self, Error> {
        if !caps::has_sys_admin() {
            return sandbox::open("private").map(|(lab, space)| Self::node(lab, space, "a private sandbox"));
        }
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
            Netns::Node(place) => f.write_str(&place.name),
        }
    }
}

/// A namespace that is open, and where it is in words.
pub(crate) struct Home {
    pub namespace: Namespace,
    pub place: String,
}

/// Where a namespace is, as far as reaching it goes.
pub(crate) enum Way {
    /// A namespace this process may enter.
    Here(NetNs),
    /// A part of a lab, reached through its helper.
    Lab(Arc<Lab>, Space),
}

const NEEDS: &str = "CAP_NET_ADMIN in the current network namespace";
const FIX: &str = "run as root, or name no namespace to use this process's private sandbox";

impl Netns {
    /// Opens the namespace to configure it; `what` says what for.
    pub(crate) fn home(&self, what: &str) -> Result<Home, Error> {
        if matches!(self, Netns::Host) && !caps::has_net_admin() {
            return Err(Error::Privilege {
                what: format!("cannot {what}"),
                reason: format!("this process lacks {NEEDS}"),
                fix: FIX.into(),
            });
        }
        let way = self.way()?;
        let place = self.place(&way);
        let namespace = match way {
            Way::Here(ns) => Namespace::at(ns)?.kept(),
            Way::Lab(lab, space) => Namespace::in_lab(lab, space)?,
        };
        Ok(Home { namespace, place })
    }

    /// Opens the namespace to look at it, which needs no privilege in the one this thread is in and makes no sandbox.
    pub(crate) fn look(&self) -> Result<Namespace, Error> {
        let way = match self {
            Netns::Current => Way::Here(NetNs::current()?),
            other => other.way()?,
        };
        Ok(match way {
            Way::Here(ns) => Namespace::at(ns)?,
            Way::Lab(lab, space) => Namespace::in_lab(lab, space)?,
        })
    }

    /// Finds the namespace, and makes the sandbox where it is that.
    pub(crate) fn way(&self) -> Result<Way, Error> {
        Ok(match self {
            Netns::Current if !caps::has_net_admin() => {
                let (lab, space) = sandbox::current(sandbox::Asked::Implied)?;
                Way::Lab(lab, space)
            }
            Netns::Current | Netns::Host => Way::Here(NetNs::current()?),
            Netns::Sandbox => {
                let (lab, space) = sandbox::current(sandbox::Asked::ByName)?;
                Way::Lab(lab, space)
            }
            Netns::Path(path) if !path.exists() => {
                return Err(Error::NotFound {
                    what: format!("network namespace {} does not exist", path.display()),
                    hint: Some("make it with `ip netns add NAME`, or name /proc/PID/ns/net".into()),
                });
            }
            Netns::Path(path) => Way::Here(NetNs::open(path)?),
            Netns::Fd(fd) => {
                let fd = fd
                    .try_clone()
                    .map_err(|error| Error::io("cannot duplicate a namespace descriptor", &error))?;
                Way::Here(NetNs::from_fd(fd)?)
            }
            Netns::Node(place) => Way::Lab(Arc::clone(&place.lab), place.space),
        })
    }

    fn place(&self, way: &Way) -> String {
        match (self, way) {
            (Netns::Path(path), _) => path.display().to_string(),
            (Netns::Node(place), _) => place.name.to_string(),
            (_, Way::Here(ns)) => place(ns),
            (_, Way::Lab(..)) => "sandbox".into(),
        }
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
    fn a_missing_namespace_is_refused_in_words() {
        let missing = "no-such".parse::<Netns>().unwrap().look().unwrap_err();
        assert!(missing.to_string().contains("/run/netns/no-such"), "{missing}");
        assert_eq!(missing.exit_code(), 2);
    }
}
