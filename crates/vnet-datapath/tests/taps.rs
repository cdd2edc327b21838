//! A wire between TAPs in two namespaces, written through an io_uring, without one, and where one is refused.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest, Sha256};
use support::lan::can_run;
use support::wait_for;
use vnet_datapath::{Direction, Pipeline, PipelineStats, Place, Port, PortInfo};
use vnet_netlink::{Cidr, Mac, Netlink};
use vnet_packet::Layer;
use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};
use vnet_sys::tun::Mode;
use vnet_sys::{NetNs, TunConfig, TunTap, WriteRing};

/// Set in the processes that run one way each.
const WAY: &str = "VNET_TEST_WAY";

const FRAMES: u32 = 20_000;
const BYTES: usize = 16 << 20;

struct Pair {
    wire: Pipeline,
    nodes: [NetNs; 2],
}

fn address(node: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, node + 1)
}

impl Pair {
    fn new() -> Self {
        let nodes = [NetNs::create().unwrap(), NetNs::create().unwrap()];
        let port = |node: usize| {
            let config = TunConfig {
                vnet_hdr: true,
                ..TunConfig::new("end", Mode::Tap)
            };
            let tap = nodes[node].run(|| TunTap::create(&config)).unwrap().unwrap();
            let info = PortInfo {
                name: format!("n{node}"),
                layer: Layer::L2,
                mtu: 1500,
            };
            Port::tap(tap.into_fd(), info)
        };
        let wire = Pipeline::wire(port(0), port(1)).unwrap();
        let mac = |node: u8| Mac([2, 0, 0, 0, 0, node + 1]);
        for node in [0, 1] {
            let netlink = Netlink::open(Some(&nodes[usize::from(node)])).unwrap();
            let index = netlink.link("end").unwrap().index;
            netlink.set_mac(index, mac(node)).unwrap();
            let cidr = Cidr::new(IpAddr::V4(address(node)), 24).unwrap();
            netlink.add_address(index, cidr).unwrap();
            netlink.set_up(index).unwrap();
            netlink
                .add_neighbour(index, address(1 - node).into(), mac(1 - node))
                .unwrap();
            netlink
                .wait_operstate(index, true, Duration::from_secs(10))
                .unwrap();
        }
        Self { wire, nodes }
    }

    /// Opens a socket that receives at the second node and one that sends to it from the first.
    fn sockets(&self) -> [UdpSocket; 2] {
        let sink = self.nodes[1]
            .run(|| UdpSocket::bind((address(1), 0)).unwrap())
            .unwrap();
        sink.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let source = self.nodes[0]
            .run(|| UdpSocket::bind((address(0), 0)).unwrap())
            .unwrap();
        source.connect(sink.local_addr().unwrap()).unwrap();
        [sink, source]
    }

    /// Sends numbered datagrams in bursts and checks that those that arrive do so once and in order.
    fn flood([sink, source]: &[UdpSocket; 2]) {
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut buffer, mut next, mut got) = ([0; 8], 0, 0);
                while next < FRAMES
                    && let Ok(4) = sink.recv(&mut buffer)
                {
                    let number = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
                    assert!(number >= next, "{number} after {next}");
                    (next, got) = (number + 1, got + 1);
                }
                got
            });
            for number in 0..FRAMES {
                source.send(&number.to_be_bytes()).unwrap();
                if number % 100 == 99 {
                    // Bursts that fit the queue of a TAP (500 to 1000 frames).
                    thread::sleep(Duration::from_micros(300));
                }
            }
            // A busy machine fills the queues of TAP and socket, whose overflow is the kernel's.
            assert!(reader.join().unwrap() > FRAMES / 20);
        });
    }

    /// Sends a file by TCP and compares hashes.
    fn transfer(&self, from: u8, to: u8) {
        let listener = self.nodes[usize::from(to)]
            .run(|| TcpListener::bind((address(to), 0)).unwrap())
            .unwrap();
        let peer = listener.local_addr().unwrap();
        let file: Vec<u8> = (0..BYTES).map(|i| (i ^ (i >> 9) ^ (i >> 17)) as u8).collect();
        thread::scope(|scope| {
            let received = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).unwrap();
                Sha256::digest(bytes)
            });
            let mut stream = self.nodes[usize::from(from)]
                .run(|| TcpStream::connect(peer).unwrap())
                .unwrap();
            stream.write_all(&file).unwrap();
            drop(stream);
            assert_eq!(received.join().unwrap(), Sha256::digest(&file));
        });
    }

    fn quiet_stats(&self) -> PipelineStats {
        wait_for("nothing to be under way", || {
            let stats = self.wire.stats().unwrap();
            (stats.balance() == 0).then_some(stats)
        })
    }
}

/// How many rings this process has.
fn rings() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    links
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|to| to.to_string_lossy().contains("io_uring"))
        .count()
}

/// Opens files until there is no room for another.
fn fill_files() -> Vec<File> {
    let hard = getrlimit(Resource::Nofile).maximum;
    let few = Rlimit {
        current: Some(256),
        maximum: hard,
    };
    setrlimit(Resource::Nofile, few).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn frames_stay_in_order_and_files_whole_whichever_way_they_are_written() {
    if !can_run() || !Path::new("/dev/net/tun").exists() {
        return eprintln!("skipped: needs /dev/net/tun");
    }
    let Ok(way) = std::env::var(WAY) else {
        for (way, choice) in [
            ("ring", "on"),
            ("calls", "off"),
            ("refused", "on"),
            ("chosen", ""),
        ] {
            let name = "frames_stay_in_order_and_files_whole_whichever_way_they_are_written";
            let ran = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(WAY, way)
                .env("VNET_IO_URING", choice)
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "{way}: {text}");
        }
        return;
    };
    let pair = Pair::new();
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/shipped/count.wasm");
    let has_io_uring = WriteRing::new().is_ok();
    let sockets = pair.sockets();
    // The worker asks for a ring with its first batch.
    let filled = if way == "refused" {
        fill_files()
    } else {
        Vec::new()
    };
    Pair::flood(&sockets);
    drop(filled);
    let stats = pair.quiet_stats();
    assert!(stats.ports[1].tx_packets >= u64::from(FRAMES / 20), "{stats:?}");
    pair.transfer(0, 1);
    pair.transfer(1, 0);
    let options = LoadOptions {
        cache: false,
        ..LoadOptions::default()
    };
    let module = Module::load(&Source::File(plugin), &options).unwrap();
    let options = StageOptions {
        ports: 2,
        ..StageOptions::default()
    };
    let stage = Stage::new(&module, options).unwrap();
    pair.wire
        .attach(Place::Wire(Direction::Both), stage, None)
        .unwrap();
    Pair::flood(&sockets);
    pair.transfer(0, 1);
    let stats = pair.quiet_stats();
    assert_eq!(stats.segmented, 0, "nothing on the way needs segments");
    // The first interface may speak up before the second is up.
    let drops = &stats.ports[1].drops;
    assert!(drops.keys().all(|cause| cause == "down"), "{stats:?}");
    match way.as_str() {
        "ring" => assert_eq!(rings() > 0, has_io_uring),
        "chosen" => {}
        _ => assert_eq!(rings(), 0),
    }
}
