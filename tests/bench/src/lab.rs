//! Two network namespaces joined in one way or another.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::Duration;

use vnet_datapath::{Direction, Pipeline, Place, Port, PortInfo};
use vnet_lab::{At, Network, NetworkOptions, never};
use vnet_netlink::{BridgeSpec, Cidr, Mac, Netlink, VethEnd, VethSpec};
use vnet_packet::Layer;
use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};
use vnet_sys::tun::Mode;
use vnet_sys::{NetNs, TunConfig, TunTap};
use vnet_topology::{EndSpec, LinkSpec, NodeKind, NodeSpec, Spec};

use crate::bare::BareLoop;
use crate::peer::{Peer, Places, without_offloads};
use crate::{plain, uring};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Address of the receiving side.
pub const B: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
/// Address of the sending side.
pub const A: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// Interfaces of the third namespace.
const PORTS: [&str; 2] = ["pa", "pb"];
/// Ethernet addresses of the two sides.
pub const MAC_A: Mac = Mac([2, 0, 0, 0, 0x99, 1]);
pub const MAC_B: Mac = Mac([2, 0, 0, 0, 0x99, 2]);

/// What lies between the two namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// One veth pair.
    Veth,
    /// Two veth pairs and a kernel bridge in a third namespace.
    Bridge,
    /// Two TAPs joined by a plain loop of `read` and `write`, without offloads.
    Plain,
    /// The same with a virtio-net header, all offloads and an io_uring for the writes.
    Uring,
    /// Two TAPs joined by a vnet wire, with this plugin file of the repository's `plugins`.
    Wire(Option<&'static str>),
    /// A link of a lab: the kernel moves its frames, or the engine because of this plugin file.
    Link(Option<&'static str>, Tuning),
    /// Two veth pairs and a program of `tests/bench/peers` with these arguments in a third namespace.
    Peer(&'static str, &'static [&'static str], Offloads),
    /// A program that makes the two TAPs itself.
    TapPeer(&'static str),
}

/// What else a link is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tuning {
    /// Nothing, in an ordinary user's lab.
    None,
    /// To be root's.
    Root,
    /// To let its hosts send IPv4 super-frames of 180,000 bytes.
    BigTcp,
    /// To look for more frames for 50 µs before its engine sleeps.
    BusyPoll,
}

/// Whether a peer takes frames whose checksums and segmentation are still to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offloads {
    Kept,
    Off,
}

enum Hop {
    Kernel,
    Bridge { _ns: NetNs },
    Bare(BareLoop),
    Wire(Pipeline),
    Lab { _network: Network, plugin: bool },
    Peer { _peer: Peer, _ns: NetNs },
}

/// The two namespaces and what joins them; dropping it leaves nothing.
pub struct Lab {
    pub a: NetNs,
    pub b: NetNs,
    hop: Hop,
}

/// CPU time and frames of the thread between the namespaces.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub cpu: Duration,
    pub frames: u64,
}

impl Lab {
    pub fn build(path: Between, places: &Places) -> Result<Self> {
        let (mut a, mut b) = (NetNs::create()?, NetNs::create()?);
        let hop = match path {
            Between::Link(plugin, tuning) => {
                let network = link(tuning)?;
                if let Some(file) = plugin {
                    let at = At::Link("link".into());
                    network.attach(
                        &at,
                        stage(&places.plugins.join(file), 2, serde_json::json!({}))?,
                        Direction::Both,
                        None,
                    )?;
                }
                let lab = network.lab()?;
                a = lab.netns(network.space("a")?)?;
                b = lab.netns(network.space("b")?)?;
                Hop::Lab {
                    _network: network,
                    plugin: plugin.is_some(),
                }
            }
            Between::Veth => {
                let spec = VethSpec {
                    a: VethEnd {
                        name: "end".into(),
                        ns: None,
                        mac: Some(MAC_A),
                        index: None,
                    },
                    b: VethEnd {
                        name: "end".into(),
                        ns: Some(b.clone()),
                        mac: Some(MAC_B),
                        index: None,
                    },
                    ..VethSpec::default()
                };
                Netlink::open(Some(&a))?.create_veth(&spec)?;
                Hop::Kernel
            }
            Between::Bridge => {
                let middle = middle(&a, &b)?;
                let netlink = Netlink::open(Some(&middle))?;
                let bridge = netlink.create_bridge(&BridgeSpec {
                    name: "br0".into(),
                    ..BridgeSpec::default()
                })?;
                for port in PORTS {
                    netlink.add_port(bridge.index, netlink.link(port)?.index)?;
                }
                netlink.set_up(bridge.index)?;
                Hop::Bridge { _ns: middle }
            }
            Between::Plain => {
                let loop_ = plain::start(tap(&a, false)?.into_fd(), tap(&b, false)?.into_fd())?;
                Hop::Bare(loop_)
            }
            Between::Uring => {
                let loop_ = uring::start(tap(&a, true)?.into_fd(), tap(&b, true)?.into_fd())?;
                Hop::Bare(loop_)
            }
            Between::Wire(plugin) => {
                let pipeline = wire(&a, &b)?;
                if let Some(file) = plugin {
                    let stage = stage(&places.plugins.join(file), 2, serde_json::json!({}))?;
                    pipeline.attach(Place::Wire(Direction::Both), stage, None)?;
                }
                Hop::Wire(pipeline)
            }
            Between::Peer(program, flags, offloads) => {
                let middle = middle(&a, &b)?;
                if offloads == Offloads::Off {
                    without_offloads(&a)?;
                    without_offloads(&b)?;
                }
                let peer = Peer::start(places, &middle, program, &[&PORTS, flags].concat())?;
                Hop::Peer {
                    _peer: peer,
                    _ns: middle,
                }
            }
            Between::TapPeer(program) => {
                let files =
                    [&a, &b].map(|ns| format!("/proc/{}/fd/{}", std::process::id(), ns.as_fd().as_raw_fd()));
                let peer = Peer::start(places, &a, program, &[&files[0], &files[1]])?;
                Hop::Peer {
                    _peer: peer,
                    _ns: a.clone(),
                }
            }
        };
        for (ns, ip, mac, peer, peer_mac) in [(&a, A, MAC_A, B, MAC_B), (&b, B, MAC_B, A, MAC_A)] {
            let netlink = Netlink::open(Some(ns))?;
            let index = netlink.link("end")?.index;
            netlink.set_mac(index, mac)?;
            netlink.add_address(index, Cidr::new(IpAddr::V4(ip), 24)?)?;
            netlink.set_up(index)?;
            netlink.add_neighbour(index, IpAddr::V4(peer), peer_mac)?;
        }
        for ns in [&a, &b] {
            let netlink = Netlink::open(Some(ns))?;
            netlink.wait_operstate(netlink.link("end")?.index, true, Duration::from_secs(5))?;
        }
        Ok(Self { a, b, hop })
    }

    /// What the thread in between has done so far; `None` where the kernel carries the frames, or another process.
    pub fn work(&self) -> Result<Option<Work>> {
        Ok(match &self.hop {
            Hop::Kernel | Hop::Bridge { .. } | Hop::Peer { .. } => None,
            Hop::Bare(bare) => Some(bare.work()),
            Hop::Wire(pipeline) => Some(Work {
                cpu: workers_cpu_time()?,
                frames: pipeline.stats()?.ports.iter().map(|p| p.rx_packets).sum(),
            }),
            Hop::Lab { plugin: false, .. } => None,
            // What the link drops was dropped by its socket: the engine has not seen it.
            Hop::Lab { .. } => Some(Work {
                cpu: workers_cpu_time()?,
                frames: self.delivered()?,
            }),
        })
    }

    /// Frames that the receiving interface has taken in.
    pub fn delivered(&self) -> Result<u64> {
        Ok(Netlink::open(Some(&self.b))?.link("end")?.stats.rx_packets)
    }
}

/// Returns the CPU time of the engine's threads, whose names begin with `vnet-worker`: of the side at work, for the others are idle.
fn workers_cpu_time() -> Result<Duration> {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // A thread may end in between.
        let Ok(name) = std::fs::read_to_string(task.join("comm")) else {
            continue;
        };
        if name.starts_with("vnet-worker") {
            let schedstat = std::fs::read_to_string(task.join("schedstat"))?;
            sum += schedstat.split(' ').next().unwrap_or("0").parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(sum))
}

/// Makes a TAP named `end` in a namespace.
pub fn tap(ns: &NetNs, vnet_hdr: bool) -> Result<TunTap> {
    let config = TunConfig {
        vnet_hdr,
        ..TunConfig::new("end", Mode::Tap)
    };
    Ok(ns.run(|| TunTap::create(&config))??)
}

fn wire(a: &NetNs, b: &NetNs) -> Result<Pipeline> {
    let port = |ns, name: &str| -> Result<Port> {
        let info = PortInfo {
            name: name.into(),
            layer: Layer::L2,
            mtu: 1500,
        };
        Ok(Port::tap(tap(ns, true)?.into_fd(), info))
    };
    Ok(Pipeline::wire(port(a, "a")?, port(b, "b")?)?)
}

/// Starts a lab of two hosts without addresses and a link.
fn link(tuning: Tuning) -> Result<Network> {
    let end = |node: &str| EndSpec {
        interface: Some("end".into()),
        ..EndSpec::new(node)
    };
    let spec = Spec {
        ipv4: None,
        ipv6: None,
        nodes: ["a", "b"].map(|node| NodeSpec::new(node, NodeKind::Host)).into(),
        links: vec![LinkSpec {
            name: Some("link".into()),
            a: end("a"),
            b: end("b"),
            big_tcp: tuning == Tuning::BigTcp,
            busy_poll_ns: (tuning == Tuning::BusyPoll).then_some(50_000),
            ..LinkSpec::new("a", "b")
        }],
        ..Spec::default()
    };
    let network = Network::new(NetworkOptions {
        spec,
        rootless: Some(tuning != Tuning::Root),
        ..NetworkOptions::default()
    })?;
    network.start(&never)?;
    Ok(network)
}

/// Makes a third namespace with the other ends of two veth pairs, up and without any address.
fn middle(a: &NetNs, b: &NetNs) -> Result<NetNs> {
    let middle = NetNs::create()?;
    let netlink = Netlink::open(Some(&middle))?;
    for (port, ns, mac) in [(PORTS[0], a, MAC_A), (PORTS[1], b, MAC_B)] {
        let spec = VethSpec {
            a: VethEnd {
                name: port.into(),
                ns: None,
                mac: None,
                index: None,
            },
            b: VethEnd {
                name: "end".into(),
                ns: Some(ns.clone()),
                mac: Some(mac),
                index: None,
            },
            ..VethSpec::default()
        };
        let (end, _) = netlink.create_veth(&spec)?;
        netlink.set_up(end.index)?;
    }
    Ok(middle)
}

/// Loads a plugin file as one stage of a chain over `ports` ports.
pub fn stage(file: &Path, ports: u16, config: serde_json::Value) -> Result<Stage> {
    let module = Module::load(&Source::File(file.to_owned()), &LoadOptions::default())?;
    Ok(Stage::new(
        &module,
        StageOptions {
            ports,
            config,
            ..StageOptions::default()
        },
    )?)
}
