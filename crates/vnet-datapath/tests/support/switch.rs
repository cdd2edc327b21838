//! A switch over in-memory ports.

use vnet_datapath::{MemoryEnd, Pipeline, PipelineStats, Place, StageId};
use vnet_packet::gso::Offload;
use vnet_runtime::Stage;

use super::{port, settled, wait_for};

/// A frame from one station to another (255 is everybody) that tells itself apart by a number.
pub fn eth(from: u8, to: u8, number: u8) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from]);
    if to == 0xff {
        frame[..6].fill(0xff);
    }
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame[14] = number;
    frame
}

pub struct Bench {
    pub switch: Pipeline,
    pub ends: Vec<MemoryEnd>,
    came: u64,
}

impl Bench {
    pub fn new(ports: usize) -> Self {
        let bench = Self::held(ports);
        bench.switch.start().unwrap();
        bench
    }

    pub fn held(ports: usize) -> Self {
        let (ports, ends) = (0..ports).map(|n| port(&format!("p{n}"))).unzip();
        Self {
            switch: Pipeline::switch_held("s1", ports).unwrap(),
            ends,
            came: 0,
        }
    }

    pub fn add(&mut self) -> usize {
        let (port, end) = port(&format!("p{}", self.ends.len()));
        self.ends.push(end);
        self.switch.add_port(port).unwrap()
    }

    pub fn attach(&self, place: Place, stage: Stage) -> StageId {
        self.switch.attach(place, stage, None).unwrap()
    }

    pub fn push(&mut self, port: usize, frame: &[u8]) -> &mut Self {
        assert!(self.ends[port].push(frame, Offload::default()));
        self.came += 1;
        self
    }

    /// Waits for a frame at a port.
    pub fn take(&mut self, port: usize) -> Vec<u8> {
        wait_for("frame", || self.ends[port].pop())
    }

    /// Waits until all that was pushed is accounted for.
    pub fn settled(&self) -> PipelineStats {
        settled(&self.switch, self.came)
    }

    /// Waits until all is accounted for, and takes what left, with its port.
    pub fn taken(&mut self) -> Vec<(usize, Vec<u8>)> {
        self.settled();
        let ends = self.ends.iter_mut().enumerate();
        ends.flat_map(|(port, end)| std::iter::from_fn(move || end.pop().map(|frame| (port, frame))))
            .collect()
    }

    /// Lets a frame arrive and checks by which ports which frame leaves.
    pub fn exchange(&mut self, port: usize, frame: &[u8], out: &[usize], leaves: &[u8]) {
        let expected: Vec<_> = out.iter().map(|port| (*port, leaves.to_vec())).collect();
        assert_eq!(self.push(port, frame).taken(), expected, "from port {port}");
    }

    /// Lets a frame arrive and checks by which ports it leaves as it is.
    pub fn sends(&mut self, port: usize, frame: &[u8], out: &[usize]) {
        self.exchange(port, frame, out, frame);
    }
}
