//! The private sandbox: a lab that is made, looked at and thrown away.

use std::sync::Arc;

use vnet_netlink::{Change, Into as Door};
use vnet_sandbox::{BridgeSpec, Command, Lab, Namespace, Space, Stdio, Step, TapSpec, VethSpec};
use vnet_sys::PacketOptions;
use vnet_sys::tun::Mode;

use super::{Finding, Severity, Way, failure, fine, host, refused, warning};
use crate::error::Error;
use crate::sandbox;

const NODE: &str = "/dev/net/tun";

/// What could be done in one.
pub(super) struct Probe(Result<Open, Error>);

struct Open {
    lab: Arc<Lab>,
    namespace: Namespace,
    tap: Result<(), Error>,
    packet: Result<(), Error>,
}

impl Probe {
    pub(super) fn open() -> Self {
        Self(Open::new())
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.is_ok()
    }

    /// Returns what stands for a TAP in a sandbox.
    pub(super) fn backend(&self) -> Option<Way> {
        let open = self.0.as_ref().ok()?;
        if open.tap.is_ok() {
            Some(Way::Tap)
        } else {
            open.packet.is_ok().then_some(Way::Packet)
        }
    }

    pub(super) fn findings(&self, host: &host::Probe<'_>) -> Vec<Finding> {
        const CHECK: &str = "sandbox";
        let open = match &self.0 {
            Ok(open) => open,
            Err(error) => {
                let effect = if host.may_configure() {
                    "no Network can be started; devices in this network namespace work"
                } else {
                    "no device can be made and no Network started; captures can be replayed"
                };
                return vec![refused(CHECK, Severity::Failure, error, effect), host_tun(host)];
            }
        };
        let kind = if open.lab.info().rootless {
            "can be made, in a user namespace"
        } else {
            "can be made, without a user namespace"
        };
        let mut findings = vec![
            fine(CHECK, kind),
            open.tun(host),
            open.packet_tap(),
            open.commands(),
        ];
        findings.extend(open.views());
        findings.push(open.ids());
        findings.extend(KINDS.map(|kind| open.kernel_feature(kind)));
        findings
    }
}

impl Open {
    fn new() -> Result<Self, Error> {
        let (lab, space) = sandbox::open("doctor")?;
        let namespace = Namespace::in_lab(Arc::clone(&lab), space)?;
        let tap = namespace.make_tap(&TapSpec::new("probe0", Mode::Tap));
        let packet = namespace.make_packet_tap(&TapSpec::new("probe1", Mode::Tap), PacketOptions::default());
        Ok(Self {
            tap: tap.map(drop).map_err(Error::from),
            packet: packet.map(drop).map_err(Error::from),
            lab,
            namespace,
        })
    }

    fn tun(&self, host: &host::Probe<'_>) -> Finding {
        if let Some(error) = host.tap_error() {
            return refused(
                NODE,
                Severity::Warning,
                error,
                "no TAP or TUN can be made in this network namespace; in a sandbox a veth stands for it",
            );
        }
        match (&self.tap, &self.packet) {
            (Ok(()), _) => fine(NODE, "a TAP can be made"),
            (Err(error), Ok(())) => refused(
                NODE,
                Severity::Warning,
                error,
                "a veth stands for each TAP and TUN (backend packet): the same frames at lower speed, and programs in nodes \
                 that open the node themselves (OpenVPN, QEMU) fail",
            ),
            (Err(error), Err(_)) => refused(NODE, Severity::Failure, error, "no TAP or TUN can be made"),
        }
    }

    fn packet_tap(&self) -> Finding {
        const CHECK: &str = "packet sockets in the sandbox";
        match &self.packet {
            Ok(()) => fine(CHECK, "can be opened, with vnet header"),
            Err(error) => refused(
                CHECK,
                Severity::Failure,
                error,
                "no veth end can be read, and plugins and captures on links do not work",
            ),
        }
    }

    fn commands(&self) -> Finding {
        const CHECK: &str = "commands in nodes";
        let (stdin, stdout, stderr) = (Stdio::Null, Stdio::Null, Stdio::Null);
        let command = Command {
            stdin,
            stdout,
            stderr,
            ..Command::new(["/bin/sh", "-c", "exit 0"])
        };
        let (_, space) = self.namespace.lab().unwrap_or((&self.lab, Space::LAB));
        let ended = self
            .lab
            .spawn(space, command)
            .and_then(|child| child.wait(Some(std::time::Duration::from_secs(10))));
        match ended {
            Ok(Some(exit)) if exit.success() => fine(CHECK, "run"),
            Ok(exit) => failure(
                CHECK,
                format!("`sh -c 'exit 0'` ended with {exit:?}"),
                "commands in nodes do not run as they should",
                None,
            ),
            Err(error) => refused(
                CHECK,
                Severity::Failure,
                &error.into(),
                "no command runs in a node",
            ),
        }
    }

    /// What /proc and /sys show in a node.
    fn views(&self) -> [Finding; 3] {
        let info = self.lab.info();
        let proc = if info.fresh_proc {
            fine("/proc in nodes", "shows the lab's own processes")
        } else {
            warning(
                "/proc in nodes",
                "the kernel refuses a fresh one, because parts of this one are covered, as in a container"
                    .into(),
                "ps and top in a node show the machine's processes; the rest works",
                Some(
                    "start the container with --security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL \
                     (podman)",
                ),
            )
        };
        let sys = if info.fresh_sysfs {
            fine("/sys in nodes", "shows each node's own interfaces")
        } else {
            warning(
                "/sys in nodes",
                "the kernel refuses a fresh one, because parts of this one are covered, as in a container"
                    .into(),
                "/sys/class/net in a node shows the machine's interfaces; ip and sockets see the node's own",
                Some(
                    "start the container with --security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL \
                     (podman)",
                ),
            )
        };
        [proc, sys, self.settings()]
    }

    fn settings(&self) -> Finding {
        const CHECK: &str = "/proc/sys in nodes";
        let (_, space) = self.namespace.lab().unwrap_or((&self.lab, Space::LAB));
        let step = Step::Sysctl {
            space: space.0,
            key: "net.ipv4.ip_forward".into(),
            value: "1".into(),
        };
        match self.lab.apply(&[step]) {
            Ok(()) => fine(CHECK, "can be written"),
            Err(failed) => warning(
                CHECK,
                failed.error.to_string(),
                "routers forward IPv4 alone and sysctl() of a node fails; all else works",
                Some(
                    "start the container with --security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL \
                     (podman)",
                ),
            ),
        }
    }

    fn ids(&self) -> Finding {
        const CHECK: &str = "users in nodes";
        if !self.lab.info().rootless {
            return fine(CHECK, "all");
        }
        let uid = rustix::process::getuid().as_raw();
        fine(
            CHECK,
            &format!(
                "one, uid {uid}: a daemon that changes its user is told to stay (dnsmasq --user, FRR's daemons -u), and sudo \
                 has no effect"
            ),
        )
    }

    fn kernel_feature(&self, (check, make, effect): Kind) -> Finding {
        match make(self) {
            Ok(()) => fine(check, "works"),
            Err(error) => failure(
                check,
                error.to_string(),
                effect,
                Some("sudo modprobe -a veth bridge cls_u32 act_mirred sch_ingress"),
            ),
        }
    }

    fn apply(&self, changes: Vec<Change>) -> Result<(), Error> {
        let net = |change| Step::Net {
            space: Space::LAB.0,
            change,
        };
        let steps: Vec<_> = changes.into_iter().map(net).collect();
        Ok(self.lab.apply(&steps).map_err(|failed| failed.error)?)
    }
}

/// What is without a sandbox still known of the device node.
fn host_tun(host: &host::Probe<'_>) -> Finding {
    match host.tap_error() {
        None if host.may_configure() => fine(NODE, "a TAP can be made"),
        None => match std::fs::File::options().read(true).write(true).open(NODE) {
            Ok(_) => fine(NODE, "can be opened"),
            Err(error) => warning(
                NODE,
                format!("cannot be opened: {error}"),
                "once the sandbox works, a veth stands for each TAP and TUN",
                Some(&format!(
                    "sudo sh -c 'mkdir -p /dev/net; test -e {NODE} || mknod {NODE} c 10 200; chmod 0666 {NODE}'; in a \
                     container: --device {NODE}"
                )),
            ),
        },
        Some(error) => refused(NODE, Severity::Failure, error, "no TAP or TUN can be made"),
    }
}

/// Something of the kernel's, how it is made, and what is missing without it.
type Kind = (&'static str, fn(&Open) -> Result<(), Error>, &'static str);

/// Numbers of the interfaces the probes make in the lab's own namespace.
const A: u32 = 901;
const B: u32 = 902;

const KINDS: [Kind; 4] = [
    (
        "kernel: veth",
        |open| {
            let made = open
                .namespace
                .make_veth(&VethSpec::new("probe2", "probe3"), &open.namespace);
            Ok(made.map(drop)?)
        },
        "no veth pair can be made, and no Network",
    ),
    (
        "kernel: bridge",
        |open| Ok(open.namespace.make_bridge(&BridgeSpec::new("probe4")).map(drop)?),
        "no bridge can be made, and no switch",
    ),
    (
        "kernel: tc redirect",
        |open| {
            open.apply(vec![
                bridge(A),
                bridge(B),
                Change::IngressQdisc { index: A },
                Change::Redirect {
                    index: A,
                    prio: 2,
                    to: B,
                    into: Door::Egress,
                },
            ])
        },
        "no link between two hosts can be made (sch_ingress, cls_u32 and act_mirred are missing)",
    ),
    (
        "kernel: ifb",
        |open| {
            let ifb = open.apply(vec![Change::Ifb {
                index: B + 1,
                name: "probe5".into(),
            }]);
            // A bridge without ports does the same.
            ifb.or_else(|_| open.apply(vec![bridge(B + 2)]))
        },
        "no plugin can be attached to a link",
    ),
];

fn bridge(index: u32) -> Change {
    Change::Bridge {
        index,
        name: format!("probe{index}"),
        mac: None,
        mtu: None,
    }
}
