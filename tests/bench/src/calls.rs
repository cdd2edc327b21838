//! What the system calls of a hop cost by themselves: 60-byte frames, one kind of call at a time.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vnet_netlink::{Cidr, Netlink};
use vnet_sys::packet::BATCH;
use vnet_sys::thread::thread_cpu_time;
use vnet_sys::uring::{DEPTH, Target};
use vnet_sys::{NetNs, PacketOptions, PacketSocket, RecvSlot, VnetHdr, WriteRing};

use crate::lab::{A, B, Between, Lab, MAC_A, MAC_B, Result, tap};
use crate::peer::Places;

/// Frames that fit into a TAP's queue, and into the buffer of a socket.
const FRAMES: usize = 400;
/// Times that a queue is filled for a figure.
const TURNS: usize = 50;
const FRAME: usize = 60;

/// Returns the name and the nanoseconds of CPU time of each call, a frame.
pub fn ns_per_frame() -> Result<Vec<(&'static str, f64)>> {
    let mut found = taps()?;
    found.extend(sockets()?);
    found.push(("copy of 1500 bytes", copy()));
    Ok(found)
}

/// Adds up the time of `work`, which handles [`FRAMES`] frames, after each `prepare`.
fn timed(mut prepare: impl FnMut() -> Result<()>, mut work: impl FnMut() -> Result<usize>) -> Result<f64> {
    let (mut spent, mut frames) = (Duration::ZERO, 0);
    for _ in 0..TURNS {
        prepare()?;
        let begun = thread_cpu_time();
        frames += work()?;
        spent += thread_cpu_time() - begun;
    }
    Ok(spent.as_nanos() as f64 / frames as f64)
}

/// A socket in `ns` that sends the smallest frames to a neighbour that need not be there.
fn sender(ns: &NetNs) -> Result<UdpSocket> {
    Ok(ns.run(|| -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind((A, 0))?;
        socket.connect((B, 9))?;
        Ok(socket)
    })??)
}

fn fill(sender: &UdpSocket) -> Result<()> {
    for _ in 0..FRAMES {
        sender.send(&[0; 18])?;
    }
    Ok(())
}

fn taps() -> Result<Vec<(&'static str, f64)>> {
    let ns = NetNs::create()?;
    let tap: OwnedFd = tap(&ns, true)?.into_fd();
    let netlink = Netlink::open(Some(&ns))?;
    let index = netlink.link("end")?.index;
    netlink.set_mac(index, MAC_A)?;
    netlink.add_address(index, Cidr::new(A.into(), 24)?)?;
    netlink.set_up(index)?;
    netlink.add_neighbour(index, B.into(), MAC_B)?;
    let sender = sender(&ns)?;
    let mut buffer = [0; 2048];
    let mut drain = || {
        let mut frames = 0;
        while let Ok(n) = rustix::io::read(tap.as_fd(), &mut buffer[..]) {
            frames += usize::from(n > 0);
        }
        Ok(frames)
    };
    drain()?;
    let read = timed(|| fill(&sender), &mut drain)?;
    let ready = timed(
        || fill(&sender),
        || {
            for _ in 0..FRAMES {
                let mut fds = [PollFd::new(&tap, PollFlags::IN)];
                poll(&mut fds, Some(&Timespec::default()))?;
            }
            Ok(FRAMES)
        },
    )?;
    drain()?;
    let sink = ns.run(|| UdpSocket::bind((A, 0)))??;
    let mut frame = vec![0; vnet_sys::vnet_hdr::LEN];
    frame.extend(to_a_socket([A, B], [MAC_A.0, MAC_B.0], sink.local_addr()?.port()));
    let write = timed(
        || Ok(()),
        || {
            for _ in 0..FRAMES {
                rustix::io::write(&tap, &frame)?;
            }
            Ok(FRAMES)
        },
    )?;
    let mut ring = WriteRing::new()?;
    let mut results = [None; DEPTH];
    let ringed = timed(
        || Ok(()),
        || {
            for _ in 0..FRAMES / DEPTH {
                let list = std::iter::repeat_n((Target::Fd(tap.as_fd()), &frame[..]), DEPTH);
                ring.write(list, &mut results)?;
            }
            Ok(FRAMES / DEPTH * DEPTH)
        },
    )?;
    Ok(vec![
        ("poll that finds a frame", ready),
        ("read from a TAP", read),
        ("write to a TAP", write),
        ("write to a TAP, 64 by io_uring", ringed),
    ])
}

/// A UDP packet from B to a port of A that nobody reads: the kernel carries it to the socket's full buffer.
fn to_a_socket([to, from]: [Ipv4Addr; 2], macs: [[u8; 6]; 2], port: u16) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    frame[..6].copy_from_slice(&macs[0]);
    frame[6..12].copy_from_slice(&macs[1]);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14] = 0x45;
    frame[17] = (FRAME - 14) as u8;
    frame[22] = 64;
    frame[23] = 17;
    frame[26..30].copy_from_slice(&from.octets());
    frame[30..34].copy_from_slice(&to.octets());
    frame[34..36].copy_from_slice(&[0x12, 0x34]);
    frame[36..38].copy_from_slice(&port.to_be_bytes());
    frame[39] = (FRAME - 34) as u8;
    vnet_packet::checksum::fix(&mut frame, vnet_packet::Layer::L2);
    frame
}

fn sockets() -> Result<Vec<(&'static str, f64)>> {
    let lab = Lab::build(Between::Veth, &Places::default())?;
    let index = Netlink::open(Some(&lab.b))?.link("end")?.index;
    let mut socket = lab
        .b
        .run(|| PacketSocket::open(index, PacketOptions::default()))??;
    let _sink = lab.b.run(|| UdpSocket::bind((B, 9)))??;
    let sender = sender(&lab.a)?;
    let mut buffers = vec![[0u8; 2048]; BATCH];
    let mut drain = || {
        let mut slots: Vec<_> = buffers.iter_mut().map(|buffer| RecvSlot::new(buffer)).collect();
        let mut frames = 0;
        while let Ok(n @ 1..) = socket.recv_batch(&mut slots) {
            frames += n;
        }
        Ok(frames)
    };
    drain()?;
    let receive = timed(|| fill(&sender), &mut drain)?;
    let mut out = lab.b.run(|| PacketSocket::open_sender(index))??;
    let sink = lab.a.run(|| UdpSocket::bind((A, 0)))??;
    let frame = to_a_socket([A, B], [MAC_A.0, MAC_B.0], sink.local_addr()?.port());
    let send = timed(
        || Ok(()),
        || {
            let mut frames = 0;
            while frames < FRAMES {
                let list = std::iter::repeat_n((VnetHdr::default(), &frame[..]), BATCH);
                frames += out.send_batch(list)?;
            }
            Ok(frames)
        },
    )?;
    Ok(vec![
        ("recvmmsg of 64 from a packet socket", receive),
        ("sendmmsg of 64 to a packet socket", send),
    ])
}

fn copy() -> f64 {
    const COPIES: u32 = 100_000;
    let (from, mut to) = (vec![7u8; 1500], vec![0u8; 1500]);
    let begun = thread_cpu_time();
    for _ in 0..COPIES {
        std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
    }
    (thread_cpu_time() - begun).as_nanos() as f64 / f64::from(COPIES)
}
