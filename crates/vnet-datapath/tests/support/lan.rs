//! Network namespaces whose interfaces a switch of the engine joins, taken over as a lab takes them over.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};
use vnet_datapath::{Pipeline, Port, PortInfo};
use vnet_netlink::{Batch, Change, Cidr, Into, LinkSet, Netlink, PeerEnd};
use vnet_packet::Layer;
use vnet_sys::{NetNs, PacketOptions, PacketSocket, caps};

/// Number of a node's interface in its namespace.
pub const NODE_END: u32 = 16;

/// Some nodes, each at a port of one switch by the same number.
pub struct Lan {
    pub switch: Pipeline,
    /// The namespace of the veths' other ends.
    pub lab: NetNs,
    pub nodes: Vec<NetNs>,
    /// Bytes of the longest super-frame over IPv4 that its interfaces take, where that is not the usual.
    big: Option<u32>,
}

/// Number of the veth's end that is the node's cable into the lab.
pub fn lab_end(node: usize) -> u32 {
    100 + node as u32
}

/// Number of the device that the engine reads a node's frames from.
pub fn shadow(node: usize) -> u32 {
    200 + node as u32
}

pub fn address(node: usize) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, node as u8 + 1).into()
}

pub fn can_run() -> bool {
    let can = caps::has_sys_admin();
    if !can {
        eprintln!("skipped: needs CAP_SYS_ADMIN");
    }
    can
}

fn up(index: u32, up: bool) -> Change {
    let set = LinkSet {
        up: Some(up),
        noarp: Some(index != NODE_END),
        ..LinkSet::default()
    };
    Change::Link { index, set }
}

impl Lan {
    /// Builds it; the switch was not started.
    pub fn held(nodes: usize) -> Self {
        let mut lan = Self {
            switch: Pipeline::switch_held("s1", Vec::new()).unwrap(),
            lab: NetNs::create().unwrap(),
            nodes: Vec::new(),
            big: None,
        };
        for _ in 0..nodes {
            lan.add_node();
        }
        lan
    }

    pub fn started(nodes: usize) -> Self {
        let lan = Self::held(nodes);
        lan.switch.start().unwrap();
        lan
    }

    /// Builds it with links that carry BIG TCP; the switch was not started.
    pub fn big(nodes: usize) -> Self {
        let mut lan = Self::held(0);
        lan.big = Some(180_000);
        for _ in 0..nodes {
            lan.add_node();
        }
        lan
    }

    /// Lets nodes that are added from here on have links as usual.
    pub fn be_ordinary(&mut self) {
        self.big = None;
    }

    /// Adds a node at a new port.
    pub fn add_node(&mut self) -> usize {
        let number = self.nodes.len();
        self.nodes.push(NetNs::create().unwrap());
        let (end, x) = (lab_end(number), shadow(number));
        self.change(&[
            Change::Veth {
                index: end,
                name: format!("v{end}"),
                mac: None,
                mtu: None,
                peer: PeerEnd {
                    space: number as u32,
                    index: NODE_END,
                    name: "eth0".into(),
                    mac: None,
                },
            },
            up(end, true),
            Change::IngressQdisc { index: end },
            Change::Ifb {
                index: x,
                name: format!("x{x}"),
            },
            up(x, true),
        ]);
        let ns = &self.nodes[number];
        let mine = [
            Change::AddAddress {
                index: NODE_END,
                address: Cidr::new(address(number), 24).unwrap(),
            },
            up(NODE_END, true),
        ];
        ns.run(|| {
            Batch::open().unwrap().apply(&mine.each_ref(), &|_| None).unwrap();
        })
        .unwrap();
        if self.big.is_some() {
            let sized = |index| Change::Link {
                index,
                set: LinkSet {
                    gso_ipv4_max: self.big,
                    ..LinkSet::default()
                },
            };
            self.change(&[sized(end)]);
            ns.run(|| {
                Batch::open()
                    .unwrap()
                    .apply(&[&sized(NODE_END)], &|_| None)
                    .unwrap();
            })
            .unwrap();
        }
        let port = self.port(number);
        let port = if self.big.is_some() { port.big() } else { port };
        let seat = self.switch.add_port(port).unwrap();
        assert_eq!(seat, number);
        self.change(&[Change::Redirect {
            index: end,
            prio: 1,
            to: x,
            into: Into::Ingress,
        }]);
        for (ns, index) in [(&self.nodes[number], NODE_END), (&self.lab, end)] {
            Netlink::open(Some(ns))
                .unwrap()
                .wait_operstate(index, true, Duration::from_secs(10))
                .unwrap();
        }
        number
    }

    fn port(&self, node: usize) -> Port {
        let (rx, tx) = self
            .lab
            .run(|| {
                let options = PacketOptions {
                    promisc: false,
                    ..PacketOptions::default()
                };
                let rx = PacketSocket::open(shadow(node), options).unwrap();
                (rx, PacketSocket::open_sender(lab_end(node)).unwrap())
            })
            .unwrap();
        let info = PortInfo {
            name: format!("h{node}"),
            layer: Layer::L2,
            mtu: 1500,
        };
        Port::pair(rx, tx, info)
    }

    /// Makes changes in the lab's own namespace.
    pub fn change(&self, changes: &[Change]) {
        let changes: Vec<&Change> = changes.iter().collect();
        let find = |space: u32| self.nodes.get(space as usize).map(AsFd::as_fd);
        self.lab
            .run(|| Batch::open().unwrap().apply(&changes, &find).unwrap())
            .unwrap();
    }

    pub fn set_up(&self, index: u32, is_up: bool) {
        self.change(&[up(index, is_up)]);
    }

    /// Sends `len` bytes from one node to another by TCP and compares hashes.
    pub fn transfer(&self, from: usize, to: usize, len: usize) {
        let listener = self.nodes[to]
            .run(|| TcpListener::bind((address(to), 0)).unwrap())
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::scope(|scope| {
            let received = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let (mut hash, mut buf, mut sum) = (Sha256::new(), vec![0; 1 << 16], 0);
                loop {
                    match stream.read(&mut buf).unwrap() {
                        0 => return (sum, hash.finalize()),
                        n => {
                            sum += n;
                            hash.update(&buf[..n]);
                        }
                    }
                }
            });
            let peer = SocketAddr::new(address(to), port);
            let mut stream = self.nodes[from]
                .run(|| TcpStream::connect_timeout(&peer, Duration::from_secs(20)).unwrap())
                .unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut hash = Sha256::new();
            let mut state = len as u64 + from as u64;
            let mut left = len;
            while left > 0 {
                let chunk: Vec<u8> = (0..left.min(1 << 16))
                    .map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        (state >> 56) as u8
                    })
                    .collect();
                stream.write_all(&chunk).unwrap();
                hash.update(&chunk);
                left -= chunk.len();
            }
            drop(stream);
            assert_eq!(received.join().unwrap(), (len, hash.finalize()));
        });
    }
}
