//! Switches and wires over in-memory ports whose clock the test sets.

use std::path::Path;

use vnet_packet::Layer;
use vnet_packet::gso::Offload;
use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};

use super::{Forwarder, Place, Scratch};
use crate::frame::Accepts;
use crate::path::Shape;
use crate::pipeline::SWITCH_STAGE_PORTS;
use crate::port::{Io, MemoryEnd, Port, PortInfo};
use crate::stage::{Direction, StageBox, StageId};

pub(super) const PASS: &str = r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)))"#;

pub(super) struct Rig {
    pub forwarder: Forwarder,
    pub ends: Vec<MemoryEnd>,
}

impl Rig {
    /// A switch.
    pub(super) fn new(ports: usize) -> Self {
        Self::shaped(Shape::Switch, ports)
    }

    pub(super) fn wire() -> Self {
        Self::shaped(Shape::Wire, 2)
    }

    fn shaped(shape: Shape, ports: usize) -> Self {
        let (ports, ends) = (0..ports).map(port).unzip();
        let mut forwarder = Forwarder::new(ports, shape, Layer::L2, None);
        forwarder.scratch = Scratch::new();
        Self { forwarder, ends }
    }

    pub(super) fn add(&mut self) -> usize {
        let (port, end) = port(self.ends.len());
        self.ends.push(end);
        self.forwarder.add_port(port)
    }

    /// Lets a port take super-frames and partial sums, as those of real devices do.
    pub(super) fn accept_all(&mut self, port: usize) {
        if let Io::Memory(memory) = &mut self.forwarder.ports[port].io {
            memory.accepts = Accepts::ALL;
        }
    }

    pub(super) fn attach(&mut self, place: Place, source: &Source) -> StageId {
        let (direction, ports) = match place {
            Place::Port(_, direction) => (direction, 1),
            Place::Wire(direction) | Place::Link(_, direction, _) => (direction, 2),
            Place::Switch(_) => (Direction::Ingress, SWITCH_STAGE_PORTS),
        };
        let options = LoadOptions {
            cache: false,
            ..LoadOptions::default()
        };
        let module = Module::load(source, &options).unwrap();
        let options = StageOptions {
            ports,
            ..StageOptions::default()
        };
        let stage = Stage::new(&module, options).unwrap();
        self.forwarder
            .attach(place, StageBox::new(stage, direction), None)
    }

    pub(super) fn push(&mut self, port: usize, frame: &[u8]) {
        assert!(self.ends[port].push(frame, Offload::default()));
    }

    /// Carries all that waits at a port, and checks that nothing stays on the way.
    pub(super) fn pump(&mut self, port: usize, now: u64) {
        while self.forwarder.pump(port, now) {}
        assert!(self.forwarder.is_idle());
        let stats = self.forwarder.stats();
        assert_eq!(stats.balance(), 0, "{stats:?}");
    }

    /// Takes what left by each port.
    pub(super) fn left(&mut self) -> Vec<Vec<Vec<u8>>> {
        let all = |end: &mut MemoryEnd| std::iter::from_fn(|| end.pop()).collect();
        self.ends.iter_mut().map(all).collect()
    }
}

fn port(number: usize) -> (Port, MemoryEnd) {
    Port::memory(PortInfo {
        name: format!("p{number}"),
        layer: Layer::L2,
        mtu: 1500,
    })
    .unwrap()
}

pub(super) fn text(wat: &str) -> Source {
    Source::Bytes {
        name: "test".into(),
        bytes: wat.as_bytes().to_vec(),
    }
}

pub(super) fn shipped(name: &str) -> Source {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/shipped");
    Source::File(dir.join(name))
}
