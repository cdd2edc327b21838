//! What drives an interface (`linux/ethtool.h`, `ETHTOOL_GDRVINFO`).

use std::os::fd::AsRawFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::error::last_errno;
use crate::{SysError, check_name};

/// `ETHTOOL_GDRVINFO`, `linux/ethtool.h`.
const ETHTOOL_GDRVINFO: u32 = 3;

/// The first three texts of `struct ethtool_drvinfo`, the bus, and room for the rest.
#[repr(C)]
struct DrvInfo {
    cmd: u32,
    driver: [u8; 32],
    version: [u8; 32],
    fw_version: [u8; 32],
    bus_info: [u8; 32],
    rest: [u8; 64],
}

/// The driver behind an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The driver's name: `tun`, `veth`, `bridge`, `virtio_net`.
    pub name: String,
    /// Where the device is; of a TUN/TAP device, `tun` or `tap`.
    pub bus: String,
}

impl Driver {
    /// Tells whether this is a TUN or TAP device.
    #[must_use]
    pub fn is_tun(&self) -> bool {
        self.name == "tun"
    }

    /// Names the kind of interface in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.name.as_str() {
            "tun" => format!("a {}", self.bus),
            "" => "an interface of another kind".to_owned(),
            name => format!("a {name} interface"),
        }
    }
}

/// Asks which driver is behind the interface `name` of the calling thread's
/// network namespace.
///
/// # Errors
/// [`SysError::Os`]: `ENODEV` when there is no such interface, `EOPNOTSUPP` when
/// its driver does not say.
pub fn driver(name: &str) -> Result<Driver, SysError> {
    check_name(name)?;
    let what = || format!("cannot ask for the driver of {name}");
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|e| SysError::os(what(), e))?;
    let mut info = DrvInfo {
        cmd: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        version: [0; 32],
        fw_version: [0; 32],
        bus_info: [0; 32],
        rest: [0; 64],
    };
    // SAFETY: ifreq is plain data, valid when zeroed.
    let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in req.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    req.ifr_ifru.ifru_data = (&raw mut info).cast();
    // SAFETY: `req` and the DrvInfo it points to outlive the call; the kernel writes one
    // struct ethtool_drvinfo (196 bytes), which DrvInfo is as large as.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut req) } < 0 {
        return Err(SysError::os(what(), last_errno()));
    }
    Ok(Driver {
        name: text(&info.driver),
        bus: text(&info.bus_info),
    })
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

const _: () = assert!(size_of::<DrvInfo>() == 196);
