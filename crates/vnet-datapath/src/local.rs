//! A wire that the calling thread carries itself, for measurements.

use vnet_packet::Layer;
use vnet_packet::gso::Offload;
use vnet_runtime::Stage;

use crate::error::EngineError;
use crate::forward::{Forwarder, Place, Scratch};
use crate::path::Shape;
use crate::port::{MemoryEnd, Port, PortInfo};
use crate::stage::{Direction, StageBox};

/// A wire between two ports in memory, with a chain of plugins on it, as the engine's workers carry it.
///
/// No thread and no device takes part, so that what it takes is what the engine and the plugins do.
pub struct LocalWire {
    forwarder: Forwarder,
    from: MemoryEnd,
    to: MemoryEnd,
}

impl std::fmt::Debug for LocalWire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalWire").finish_non_exhaustive()
    }
}

impl LocalWire {
    /// Makes a wire whose frames of either direction go through `chain`.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where a port cannot be made.
    pub fn new(chain: Vec<Stage>) -> Result<Self, EngineError> {
        let port = |name: &str| {
            Port::memory(PortInfo {
                name: name.to_owned(),
                layer: Layer::L2,
                mtu: 1500,
            })
        };
        let ((a, from), (b, to)) = (port("a")?, port("b")?);
        let mut forwarder = Forwarder::new(vec![a, b], Shape::Wire, Layer::L2, None);
        forwarder.scratch = Scratch::new();
        for stage in chain {
            let place = Place::Wire(Direction::Ingress);
            forwarder.attach(place, StageBox::new(stage, Direction::Ingress), None);
        }
        Ok(Self { forwarder, from, to })
    }

    /// Puts a frame into the first port; false where its queue is full.
    #[must_use]
    pub fn push(&mut self, frame: &[u8]) -> bool {
        self.from.push(frame, Offload::default())
    }

    /// Carries all frames that wait at the first port; `now_ns` is the time on the lab's clock.
    pub fn carry(&mut self, now_ns: u64) {
        while self.forwarder.pump(0, now_ns) {}
    }

    /// Takes a frame out of the second port.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        self.to.pop()
    }
}
