//! The checks, one function each.

use std::fs;
use std::path::Path;

use vnet_netlink::Netlink;
use vnet_sandbox::{Namespace, Stale};
use vnet_sys::tun::{Mode, TunConfig, TunTap};
use vnet_sys::{NetNs, PacketOptions, PacketSocket, caps};

use super::{Finding, Severity};

/// Bytes of packet-socket buffer below which frames are lost under load; the default 208 KiB lost 2 % of 855 kpps.
const RCVBUF_WANTED: u64 = 4 << 20;

const TUN: &str = "/dev/net/tun";

/// Returns the kernel's release.
pub(super) fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
}

/// Runs all checks that need no list of stale interfaces.
pub(super) fn all(namespace: &Namespace) -> Vec<Finding> {
    let scratch = NetNs::create();
    let mut findings = vec![
        net_admin(namespace.netns()),
        tun(scratch.as_ref().ok()),
        netlink(namespace),
        packet_socket(namespace),
    ];
    findings.push(receive_buffer());
    findings.push(helper());
    match scratch {
        Ok(scratch) => findings.extend(KINDS.map(|kind| kernel_feature(&scratch, kind))),
        Err(error) => findings.push(warning(
            "kernel features",
            format!("not looked at: {error}"),
            "whether veth pairs and bridges can be made is not known",
            Some("run vnet doctor as root"),
        )),
    }
    findings
}

/// Reports what dead processes left.
pub(super) fn stale(stale: &[Stale]) -> Finding {
    if stale.is_empty() {
        return fine("stale interfaces", "none");
    }
    let names: Vec<_> = stale.iter().map(|stale| stale.interface.name.as_str()).collect();
    warning(
        "stale interfaces",
        format!(
            "{} of vnet processes that have ended: {}",
            stale.len(),
            names.join(", ")
        ),
        "their names are taken",
        Some("vnet doctor --remove-stale"),
    )
}

fn net_admin(ns: &NetNs) -> Finding {
    const CHECK: &str = "CAP_NET_ADMIN";
    match ns.run(caps::has_net_admin) {
        Ok(true) => fine(CHECK, "held in this network namespace"),
        _ => failure(
            CHECK,
            "not held in this network namespace".into(),
            "no device can be made or configured here; captures can be replayed",
            Some("run as root"),
        ),
    }
}

fn tun(scratch: Option<&NetNs>) -> Finding {
    const CHECK: &str = TUN;
    if !Path::new(TUN).exists() {
        return failure(
            CHECK,
            "does not exist".into(),
            "no TAP or TUN can be made",
            Some(
                "mkdir -p /dev/net && mknod /dev/net/tun c 10 200, or start the container with --device /dev/net/tun",
            ),
        );
    }
    let probe =
        |scratch: &NetNs| scratch.run(|| TunTap::create(&TunConfig::new("probe", Mode::Tap)).map(drop));
    let made = match scratch {
        Some(scratch) => probe(scratch)
            .and_then(|made| made)
            .map_err(|error| error.to_string()),
        None => fs::File::options()
            .read(true)
            .write(true)
            .open(TUN)
            .map(drop)
            .map_err(|error| error.to_string()),
    };
    match made {
        Ok(()) => fine(CHECK, "a TAP can be made"),
        Err(error) => failure(
            CHECK,
            error,
            "no TAP or TUN can be made",
            Some("run as root; in a container also allow the device: --device /dev/net/tun"),
        ),
    }
}

fn netlink(namespace: &Namespace) -> Finding {
    match namespace.netlink().links() {
        Ok(links) => fine("netlink", &format!("{} interfaces seen", links.len())),
        Err(error) => failure(
            "netlink",
            error.to_string(),
            "no interface can be configured",
            Some("allow AF_NETLINK sockets"),
        ),
    }
}

fn packet_socket(namespace: &Namespace) -> Finding {
    const CHECK: &str = "packet socket";
    let Ok(loopback) = namespace.netlink().link("lo") else {
        return warning(CHECK, "not looked at: there is no lo".into(), "unknown", None);
    };
    let opened = namespace
        .netns()
        .run(|| PacketSocket::open(loopback.index, PacketOptions::default()).map(drop));
    match opened.and_then(|opened| opened) {
        Ok(()) => fine(CHECK, "can be opened, with vnet header"),
        Err(error) => failure(
            CHECK,
            error.to_string(),
            "veth ends, bridges and existing interfaces cannot be read, filtered or wired",
            Some("run as root, or: setcap cap_net_raw+ep on the program"),
        ),
    }
}

fn receive_buffer() -> Finding {
    const CHECK: &str = "net.core.rmem_max";
    let most = fs::read_to_string("/proc/sys/net/core/rmem_max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    match most {
        // Root sets a larger buffer whatever the limit says (SO_RCVBUFFORCE).
        _ if rustix::process::geteuid().is_root() && caps::has_net_admin() => {
            fine(CHECK, "does not limit this process")
        }
        Some(most) if most >= RCVBUF_WANTED => fine(CHECK, &format!("{most} bytes")),
        Some(most) => warning(
            CHECK,
            format!("{most} bytes"),
            "packet sockets lose frames under load; they are counted as kernel_drops",
            Some("sysctl -w net.core.rmem_max=4194304"),
        ),
        None => warning(
            CHECK,
            "cannot be read".into(),
            "packet sockets may lose frames under load",
            None,
        ),
    }
}

fn helper() -> Finding {
    const CHECK: &str = "vnet-helper";
    let path = vnet_sandbox::helper_path();
    match rustix::fs::access(&path, rustix::fs::Access::EXEC_OK) {
        Ok(()) => fine(CHECK, &path.display().to_string()),
        Err(errno) => failure(
            CHECK,
            format!("{}: {errno}", path.display()),
            "no command can be run",
            Some("name it in the environment variable VNET_HELPER, or install vnet again"),
        ),
    }
}

/// A kind of interface and how it is made.
type Kind = (
    &'static str,
    fn(&Netlink) -> Result<(), vnet_netlink::NetlinkError>,
    &'static str,
);

const KINDS: [Kind; 2] = [
    (
        "kernel: veth",
        |netlink| {
            netlink
                .create_veth(&vnet_netlink::VethSpec::new("probe0", "probe1"))
                .map(drop)
        },
        "no veth pair can be made",
    ),
    (
        "kernel: bridge",
        |netlink| {
            let spec = vnet_netlink::BridgeSpec {
                name: "probe2".into(),
                mac: None,
                mtu: None,
                alias: None,
            };
            netlink.create_bridge(&spec).map(drop)
        },
        "no bridge can be made",
    ),
];

fn kernel_feature(scratch: &NetNs, (check, make, effect): Kind) -> Finding {
    match Netlink::open(Some(scratch)).and_then(|netlink| make(&netlink)) {
        Ok(()) => fine(check, "works"),
        Err(error) => failure(
            check,
            error.to_string(),
            effect,
            Some("load the kernel module, as in: modprobe veth bridge"),
        ),
    }
}

fn fine(check: &'static str, cause: &str) -> Finding {
    Finding {
        check,
        severity: Severity::Ok,
        cause: cause.into(),
        effect: "works".into(),
        fix: None,
    }
}

fn warning(check: &'static str, cause: String, effect: &str, fix: Option<&str>) -> Finding {
    Finding {
        check,
        severity: Severity::Warning,
        cause,
        effect: effect.into(),
        fix: fix.map(str::to_owned),
    }
}

fn failure(check: &'static str, cause: String, effect: &str, fix: Option<&str>) -> Finding {
    Finding {
        check,
        severity: Severity::Failure,
        cause,
        effect: effect.into(),
        fix: fix.map(str::to_owned),
    }
}
