//! TUN and TAP devices (`linux/if_tun.h`, drivers/net/tun.c).
//!
//! The device lives as long as the descriptor, unless it is persistent. It has
//! carrier only while a descriptor is attached to it: a persistent TAP nobody
//! holds shows `NO-CARRIER` and state `DOWN` in `ip link`.

mod holder;
mod ioctl;
mod offload;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode as FileMode, OFlags};
use rustix::io::Errno;

use crate::{SysError, check_name, ethtool, vnet_hdr};
pub use holder::holder;
pub use offload::{OffloadMask, set_offload};

const NEEDS: &str = "CAP_NET_ADMIN in the user namespace that owns the network namespace";

/// What the device carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Ethernet frames (`IFF_TAP`).
    Tap,
    /// IP packets without a link-layer header (`IFF_TUN`).
    Tun,
}

impl Mode {
    fn flag(self) -> i32 {
        match self {
            Self::Tap => libc::IFF_TAP,
            Self::Tun => libc::IFF_TUN,
        }
    }

    /// Returns `"tap"` or `"tun"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::Tun => "tun",
        }
    }
}

/// What kind of device to make.
#[derive(Clone, Debug)]
pub struct TunConfig {
    /// The interface name, 1 to 15 bytes.
    pub name: String,
    /// TAP or TUN.
    pub mode: Mode,
    /// Puts a [`VnetHdr`](crate::VnetHdr) before every frame; offloads need it.
    pub vnet_hdr: bool,
    /// Lets several descriptors attach, one queue each.
    pub multi_queue: bool,
    /// Keeps the device when the descriptor is closed.
    pub persist: bool,
    /// The user id that may attach to the device without CAP_NET_ADMIN.
    pub owner: Option<u32>,
    /// The group id that may attach to the device without CAP_NET_ADMIN.
    pub group: Option<u32>,
    /// The character device 10:200, mode 0666 on most systems.
    pub device: PathBuf,
    /// The interface number of a device that is made, or one the kernel chooses.
    pub index: Option<u32>,
}

impl TunConfig {
    /// Describes a device with the vnet header, one queue, gone when closed.
    #[must_use]
    pub fn new(name: &str, mode: Mode) -> Self {
        Self {
            name: name.to_owned(),
            mode,
            vnet_hdr: true,
            multi_queue: false,
            persist: false,
            owner: None,
            group: None,
            device: PathBuf::from("/dev/net/tun"),
            index: None,
        }
    }
}

/// An open TUN or TAP device; closing it deletes the interface unless it is
/// persistent.
#[derive(Debug)]
pub struct TunTap {
    fd: OwnedFd,
    name: String,
    mode: Mode,
    adopted: bool,
}

impl TunTap {
    /// Makes the device in the calling thread's network namespace, or attaches to
    /// the persistent one of that name and mode.
    ///
    /// The descriptor is non-blocking and close-on-exec, without packet
    /// information (`IFF_NO_PI`); all offloads are off, also those a former holder
    /// of a persistent device left on.
    ///
    /// # Errors
    /// [`SysError::BadName`]; [`SysError::MissingDevice`] without a device node or
    /// driver; [`SysError::Privilege`] when the node may not be opened or
    /// CAP_NET_ADMIN is missing; [`SysError::Busy`] with the holder's pid and
    /// command where /proc tells; [`SysError::WrongKind`] when an interface of that
    /// name is something else.
    pub fn create(config: &TunConfig) -> Result<Self, SysError> {
        check_name(&config.name)?;
        let fd = open_node(&config.device)?;
        let mut flags = config.mode.flag() | libc::IFF_NO_PI;
        if config.vnet_hdr {
            flags |= libc::IFF_VNET_HDR;
        }
        if config.multi_queue {
            flags |= libc::IFF_MULTI_QUEUE;
        }
        let adopted = attach(fd.as_fd(), config, flags)?;
        let device = Self {
            fd,
            name: config.name.clone(),
            mode: config.mode,
            adopted,
        };
        device.configure(config)?;
        Ok(device)
    }

    fn configure(&self, config: &TunConfig) -> Result<(), SysError> {
        let os = |what: &str, e| SysError::privileged(format!("{what} of {}", self.name), NEEDS, e);
        if config.vnet_hdr {
            ioctl::set_vnet_hdr_size(self.fd.as_fd(), vnet_hdr::LEN as i32)
                .map_err(|e| os("cannot set the vnet header size", e))?;
        }
        self.set_offload(OffloadMask::NONE)?;
        if let Some(uid) = config.owner {
            ioctl::set_owner(self.fd.as_fd(), uid).map_err(|e| os("cannot set the owner", e))?;
        }
        if let Some(gid) = config.group {
            ioctl::set_group(self.fd.as_fd(), gid).map_err(|e| os("cannot set the group", e))?;
        }
        // A persistent device that was only attached to stays persistent.
        if config.persist && !self.adopted {
            self.set_persist(true)?;
        }
        Ok(())
    }

    /// Returns the interface name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells TAP from TUN.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Tells whether the interface existed before, so that closing this leaves it.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// Sets what the kernel may leave undone in the frames it hands over, and
    /// returns what it granted; see [`set_offload`].
    ///
    /// # Errors
    /// [`SysError::Os`] when not even the last fallback is taken.
    pub fn set_offload(&self, mask: OffloadMask) -> Result<OffloadMask, SysError> {
        set_offload(self.fd.as_fd(), mask)
    }

    /// Decides whether the device outlives its descriptor.
    ///
    /// # Errors
    /// [`SysError::Privilege`] without CAP_NET_ADMIN.
    pub fn set_persist(&self, persist: bool) -> Result<(), SysError> {
        ioctl::set_persist(self.fd.as_fd(), persist)
            .map_err(|e| SysError::privileged(format!("cannot set persistence of {}", self.name), NEEDS, e))
    }

    /// Gives the descriptor away; closing it ends the device.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for TunTap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Sets or clears the carrier of an attached device, as pulling its cable would
/// (`TUNSETCARRIER`, since kernel 5.0).
///
/// # Errors
/// [`SysError::Os`].
pub fn set_carrier(fd: BorrowedFd<'_>, carrier: bool) -> Result<(), SysError> {
    ioctl::set_carrier(fd, carrier).map_err(|e| {
        SysError::os(
            format!("cannot set the carrier of descriptor {}", fd.as_raw_fd()),
            e,
        )
    })
}

/// Returns the interface name behind an attached descriptor, or nothing when the
/// device is gone.
#[must_use]
pub fn name_of(fd: BorrowedFd<'_>) -> Option<String> {
    ioctl::get_iff(fd).ok()
}

fn open_node(path: &Path) -> Result<OwnedFd, SysError> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::open(path, flags, FileMode::empty()).map_err(|e| node_error(path, e))
}

fn node_error(path: &Path, errno: Errno) -> SysError {
    let shown = path.display();
    let mknod = format!(
        "make it as root: mkdir -p {} && mknod {shown} c 10 200 && chmod 0666 {shown}, and `modprobe tun` where the driver is a module",
        path.parent().unwrap_or(Path::new("/")).display()
    );
    let missing = |reason: &'static str, fix| SysError::MissingDevice {
        path: path.to_owned(),
        reason: reason.into(),
        fix,
        errno: errno.raw_os_error(),
    };
    match errno {
        Errno::NOENT | Errno::NOTDIR => missing("the TUN/TAP device node does not exist", mknod),
        Errno::NXIO | Errno::NODEV => missing(
            "the kernel has no TUN/TAP driver behind this device node",
            "load it as root: modprobe tun".to_owned(),
        ),
        Errno::ACCESS => SysError::Privilege {
            what: format!("cannot open {shown}"),
            needs: "read and write permission on the device node".to_owned(),
            fix: format!("run as root, or have root run: chmod 0666 {shown}"),
            errno: errno.raw_os_error(),
        },
        Errno::PERM => SysError::Privilege {
            what: format!("cannot open {shown}"),
            needs: "a device cgroup that allows character device 10:200".to_owned(),
            fix: format!("start the container with --device {shown}"),
            errno: errno.raw_os_error(),
        },
        _ => SysError::os(format!("cannot open {shown}"), errno),
    }
}

/// Attaches `fd`; returns whether the interface existed before.
fn attach(fd: BorrowedFd<'_>, config: &TunConfig, flags: i32) -> Result<bool, SysError> {
    let name = &config.name;
    if let Some(index) = config.index {
        ioctl::set_ifindex(fd, index)
            .map_err(|e| SysError::os(format!("cannot give {name} the number {index}"), e))?;
    }
    match ioctl::set_iff(fd, name, flags | libc::IFF_TUN_EXCL) {
        Ok(()) => return Ok(false),
        // With IFF_TUN_EXCL the kernel says so of any interface of that name.
        Err(Errno::BUSY) => {}
        Err(e) => return Err(attach_error(config, false, e)),
    }
    ioctl::set_iff(fd, name, flags)
        .map(|()| true)
        .map_err(|e| attach_error(config, true, e))
}

fn attach_error(config: &TunConfig, exists: bool, errno: Errno) -> SysError {
    let name = config.name.clone();
    let wanted = format!(
        "a {}{}",
        if config.multi_queue { "multi-queue " } else { "" },
        config.mode.as_str()
    );
    match errno {
        Errno::BUSY => SysError::Busy {
            owner: holder(&name).map(|h| h.to_string()),
            name,
        },
        Errno::TOOBIG => SysError::Busy {
            name,
            owner: Some("as many descriptors as it has queues".to_owned()),
        },
        Errno::INVAL if exists => match ethtool::driver(&name) {
            Ok(info) if info.is_tun() && info.bus == config.mode.as_str() => SysError::WrongKind {
                name,
                found: format!(
                    "a {} with {} queue(s)",
                    info.bus,
                    if config.multi_queue { "one" } else { "several" }
                ),
                wanted,
            },
            Ok(info) => SysError::WrongKind {
                name,
                found: info.describe(),
                wanted,
            },
            Err(_) => SysError::WrongKind {
                name,
                found: "an interface of another kind".to_owned(),
                wanted,
            },
        },
        Errno::PERM | Errno::ACCESS if exists => SysError::Privilege {
            what: format!("cannot attach to the {} {name}", config.mode.as_str()),
            needs: "to be its owner, in its group, or CAP_NET_ADMIN".to_owned(),
            fix: format!(
                "run as root, or have root make it with: ip tuntap add {name} mode {} user $USER",
                config.mode.as_str()
            ),
            errno: errno.raw_os_error(),
        },
        _ => SysError::privileged(
            format!("cannot make the {} {name}", config.mode.as_str()),
            NEEDS,
            errno,
        ),
    }
}
