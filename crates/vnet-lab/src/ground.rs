use vnet_netlink::NetlinkError;
use vnet_sandbox::{Lab, SandboxError, Space, Step};
use vnet_topology::{FORWARDING, NodeKind, ResolvedNode};

/// What this kernel and this user's rights let a lab do, found out once when it is opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ground {
    /// Whether the kernel has IPv6.
    pub ipv6: bool,
    /// Whether /proc/sys can be written; in many containers it cannot.
    pub writable: bool,
    /// Kernel settings of every node, before those it declares.
    settings: Vec<(&'static str, String)>,
}

/// Without IPv6 the lab's own namespace is silent: nothing but patched frames passes its interfaces.
const NO_IPV6: &str = "net.ipv6.conf.default.disable_ipv6";

/// What else would look at the frames that a bridge forwards (br_netfilter): it drops those with bad IP checksums.
const FILTERS: [&str; 3] = [
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-arptables",
];

/// Keeps a thousand hosts on one switch from flooding each other with their first words: no solicitation of routers, and all
/// reports of multicast groups (RFC 3810 §6.1) at once, before the link is patched.
const QUIET: [(&str, &str); 2] = [
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.default.mldv2_unsolicited_report_interval", "0"),
];

impl Ground {
    /// Finds out, and silences the lab's own namespace.
    ///
    /// Where /proc/sys cannot be written nodes keep the kernel's settings.
    pub(crate) fn find(lab: &Lab) -> Result<Self, SandboxError> {
        let read = |key| lab.sysctl(Space::LAB, key).ok();
        let before = read(NO_IPV6);
        let ipv6 = before.is_some();
        let forwards = read("net.ipv4.ip_forward").is_some_and(|value| value.trim() != "0");
        let (key, value) = if ipv6 {
            (NO_IPV6, "1")
        } else {
            ("net.ipv4.ip_forward", "0")
        };
        if !write(lab, key, value)? {
            return Ok(Self {
                ipv6,
                ..Self::default()
            });
        }
        for key in FILTERS {
            if read(key).is_some_and(|value| value != "0") {
                write(lab, key, "0")?;
            }
        }
        let mut settings = Vec::new();
        if ipv6 {
            settings.extend(QUIET.map(|(key, value)| (key, value.to_owned())));
        }
        // A fresh namespace may take these over from the machine.
        if before.is_some_and(|value| value.trim() == "1") {
            settings.push((NO_IPV6, "0".to_owned()));
            settings.push(("net.ipv6.conf.all.disable_ipv6", "0".to_owned()));
        }
        if forwards {
            settings.push(("net.ipv4.ip_forward", "0".to_owned()));
        }
        Ok(Self {
            ipv6,
            writable: true,
            settings,
        })
    }

    /// Whether a node has IPv6: its kernel does, and its own settings do not turn it off.
    pub(crate) fn has_ipv6(&self, node: &ResolvedNode) -> bool {
        let off = |scope| {
            let key = format!("net.ipv6.conf.{scope}.disable_ipv6");
            node.sysctls.get(&key).is_some_and(|value| value.trim() == "1")
        };
        self.ipv6 && !off("all") && !off("default")
    }

    /// Whether the interfaces of a node are told one by one to forward IPv4, since the node as a whole cannot be told.
    pub(crate) fn forwards_by_interface(&self, node: &ResolvedNode) -> bool {
        let forwards = |(key, value): &(&str, &str)| node.sysctls.get(*key).is_some_and(|set| set == value);
        !self.writable && node.kind == NodeKind::Router && FORWARDING.iter().all(forwards)
    }

    /// The settings of every node.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.settings.iter().map(|(key, value)| (*key, value.as_str()))
    }
}

/// Writes a setting of the lab's own namespace; false where that is not allowed.
fn write(lab: &Lab, key: &str, value: &str) -> Result<bool, SandboxError> {
    let step = Step::Sysctl {
        space: Space::LAB.0,
        key: key.to_owned(),
        value: value.to_owned(),
    };
    match lab.apply(&[step]) {
        Ok(()) => Ok(true),
        Err(refused) => match refused.error {
            SandboxError::Sys(_) | SandboxError::Netlink(NetlinkError::Privilege { .. }) => Ok(false),
            error => Err(error),
        },
    }
}
