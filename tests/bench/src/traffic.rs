//! Load from one namespace to the other: a flood of the smallest frames, and one of them to and fro.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::lab::{A, B, Lab, Result};

/// Time that a round trip is tried before it is measured.
const WARM_UP: Duration = Duration::from_millis(50);

/// Bytes of UDP payload that make an Ethernet frame of 60 bytes.
const SMALLEST: usize = 18;

/// What a flood came to.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// Frames per second that reached the other namespace.
    pub delivered: f64,
    /// CPU nanoseconds per frame of the thread in between; `None` where the kernel carries the frames.
    pub cpu_ns: Option<f64>,
}

/// Sends 60-byte frames as fast as one thread can.
pub fn flood(lab: &Lab, time: Duration) -> Result<Flood> {
    // Nobody reads it: the kernel counts the frame and drops its payload.
    let sink = lab.b.run(|| UdpSocket::bind((B, 0)))??;
    let to: SocketAddr = sink.local_addr()?;
    let source = lab.a.run(|| -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind((A, 0))?;
        socket.connect(to)?;
        Ok(socket)
    })??;
    let payload = [0; SMALLEST];
    let send_for = |time: Duration| {
        let start = Instant::now();
        while start.elapsed() < time {
            for _ in 0..64 {
                // A full queue is part of a flood.
                let _ = source.send(&payload);
            }
        }
        start.elapsed()
    };
    send_for(Duration::from_millis(50));
    let (before, work_before) = (lab.delivered()?, lab.work()?);
    let took = send_for(time);
    let (after, work_after) = (lab.delivered()?, lab.work()?);
    drain(lab)?;
    let cpu_ns = match (work_before, work_after) {
        (Some(x), Some(y)) if y.frames > x.frames => {
            Some((y.cpu - x.cpu).as_nanos() as f64 / (y.frames - x.frames) as f64)
        }
        _ => None,
    };
    Ok(Flood {
        delivered: (after - before) as f64 / took.as_secs_f64(),
        cpu_ns,
    })
}

/// Waits until what the hop had taken in before the flood ended has come through, so that the next side has the machine.
fn drain(lab: &Lab) -> Result<()> {
    let mut delivered = lab.delivered()?;
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(20));
        let before = std::mem::replace(&mut delivered, lab.delivered()?);
        if delivered <= before + 2 {
            break;
        }
    }
    Ok(())
}

/// Returns the median time in microseconds that a frame of 60 bytes takes to the other namespace and back to the program that
/// sent it.
pub fn round_trip(lab: &Lab, time: Duration) -> Result<f64> {
    let patience = Some(Duration::from_millis(200));
    let echo = lab.b.run(|| UdpSocket::bind((B, 0)))??;
    let to = echo.local_addr()?;
    let socket = lab.a.run(|| UdpSocket::bind((A, 0)))??;
    socket.connect(to)?;
    socket.set_read_timeout(patience)?;
    echo.set_read_timeout(patience)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut packet = [0; SMALLEST];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((_, from)) = echo.recv_from(&mut packet) {
                    let _ = echo.send_to(&packet, from);
                }
            }
        });
        let times = to_and_fro(&socket, time);
        stop.store(true, Ordering::Relaxed);
        Ok(median(&times?) / 1e3)
    })
}

/// Returns nanoseconds of each answered packet.
fn to_and_fro(socket: &UdpSocket, time: Duration) -> Result<Vec<f64>> {
    let mut packet = [0; SMALLEST];
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < WARM_UP + time {
        let sent = Instant::now();
        socket.send(&packet)?;
        if socket.recv(&mut packet).is_ok() && begun.elapsed() > WARM_UP {
            times.push(sent.elapsed().as_nanos() as f64);
        }
    }
    if times.len() < 50 {
        return Err("nearly no packet came back".into());
    }
    Ok(times)
}

/// Returns the middle one of at least one value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
