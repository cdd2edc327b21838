//! What only a switch does: ports that come and go, and its forwarding table.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use vnet_packet::Layer;

use super::{Pipeline, check_fit};
use crate::error::EngineError;
use crate::fdb::Learned;
use crate::path::Shape;
use crate::port::Port;

/// What a stage at [`Place::Switch`](crate::Place::Switch) is made with as its number of ports: port numbers only grow.
///
/// A frame redirected to a number that no port has is dropped as `no_port`.
pub const SWITCH_STAGE_PORTS: u16 = u16::MAX;

/// Most ports of a switch at one time.
const MOST_PORTS: usize = 1024;

impl Pipeline {
    /// Makes a learning switch of Ethernet ports that reads no frame before [`Pipeline::start`].
    ///
    /// It learns addresses for each VLAN by itself, remembers them for 300 s and at most 8,192 of them, floods frames for
    /// others, never forwards a frame to the port it came by, and forwards none to 01:80:c2:00:00:00 to 0f. Stages at its
    /// ports, on their links and at its entrance judge frames before; see [`Place`](crate::Place). The ports are numbered
    /// in order.
    ///
    /// # Errors
    /// [`EngineError::NotEthernet`], [`EngineError::TooManyPorts`] beyond 1,024, [`EngineError::Os`].
    pub fn switch_held(name: &str, ports: Vec<Port>) -> Result<Self, EngineError> {
        for (i, port) in ports.iter().enumerate() {
            check_port(name, port, i)?;
        }
        Self::prepare(name.to_owned(), Shape::Switch, ports, None)
    }

    /// Adds a port to a switch and returns its number, which no port had before; it is read at once where the switch was
    /// started. A port that is refused is closed.
    ///
    /// # Errors
    /// [`EngineError::NotASwitch`], [`EngineError::NotEthernet`], [`EngineError::TooManyPorts`],
    /// [`EngineError::PluginTooSmall`] when the port's MTU does not fit a stage at the entrance, [`EngineError::Os`],
    /// [`EngineError::Ended`].
    pub fn add_port(&self, port: Port) -> Result<usize, EngineError> {
        self.check_switch()?;
        // Held until the port is in, so that no stage comes meanwhile.
        let mut infos = self.infos.write().unwrap_or_else(PoisonError::into_inner);
        check_port(&self.name, &port, infos.iter().flatten().count())?;
        if infos.len() >= usize::from(vnet_abi::FLOOD) {
            return Err(too_many(&self.name, &port));
        }
        let info = port.info.clone();
        let number = self.ask({
            let info = info.clone();
            move |worker| {
                if let Some((plugin, max)) = worker.forwarder.narrowest() {
                    check_fit(plugin, max, &info)?;
                }
                worker.add_port(port).map_err(|errno| EngineError::Os {
                    what: "watch the descriptor",
                    port: info.name,
                    source: errno.into(),
                })
            }
        })??;
        infos.resize(number, None);
        infos.push(Some(info));
        Ok(number)
    }

    /// Takes a port out of a switch and forgets what was learned there. Its number stays unused, and its counters stay in
    /// [`Pipeline::stats`].
    ///
    /// Stages attached to the port are still on it; those attached to its link end here.
    ///
    /// # Errors
    /// [`EngineError::NotASwitch`], [`EngineError::NoSuchPlace`], [`EngineError::Ended`].
    pub fn remove_port(&self, port: usize) -> Result<Port, EngineError> {
        self.check_switch()?;
        let mut infos = self.infos.write().unwrap_or_else(PoisonError::into_inner);
        let seat = infos.get_mut(port).filter(|seat| seat.is_some());
        let seat = seat.ok_or_else(|| self.no_place(format!("port {port}")))?;
        // The link's instances are dropped here, on the caller's thread.
        let (taken, _link) = self.ask(move |worker| worker.remove_port(port))?;
        *seat = None;
        Ok(taken)
    }

    /// Puts entries into a switch's forwarding table as if they had been learned just then: address, VLAN, port.
    ///
    /// Group addresses, ports that do not exist and what the table has no room for are left out.
    ///
    /// # Errors
    /// [`EngineError::NotASwitch`], [`EngineError::Ended`].
    pub fn seed_fdb(&self, entries: Vec<([u8; 6], Option<u16>, usize)>) -> Result<(), EngineError> {
        self.check_switch()?;
        self.ask(move |worker| worker.seed_fdb(&entries))
    }

    /// Forgets what was learned at a port, after what waits there was carried: frames for the stations behind it are flooded
    /// until they are heard again.
    ///
    /// A switch does so itself when it finds that a port's device is down or away, which it may do no sooner than it sends
    /// there.
    ///
    /// # Errors
    /// [`EngineError::NotASwitch`], [`EngineError::NoSuchPlace`], [`EngineError::Ended`].
    pub fn forget_learned(&self, port: usize) -> Result<(), EngineError> {
        self.check_switch()?;
        self.on_info(port, |_| ())?;
        self.ask(move |worker| worker.forget_learned(port))
    }

    /// Returns what a switch has learned, in the order of VLANs and addresses.
    ///
    /// # Errors
    /// [`EngineError::NotASwitch`], [`EngineError::Ended`].
    pub fn fdb(&self) -> Result<Vec<Learned>, EngineError> {
        self.check_switch()?;
        self.ask(|worker| worker.learned())
    }

    /// Waits until no frame has come by a port for `idle`; false when that did not happen within `limit`.
    ///
    /// What waits at the port is carried on first. Before [`Pipeline::start`] nothing comes.
    ///
    /// # Errors
    /// [`EngineError::NoSuchPlace`], [`EngineError::Ended`].
    pub fn settle(&self, port: usize, idle: Duration, limit: Duration) -> Result<bool, EngineError> {
        self.on_info(port, |_| ())?;
        let start = Instant::now();
        loop {
            let quiet = self.ask(move |worker| worker.quiet(port))?;
            if quiet >= idle {
                return Ok(true);
            }
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            std::thread::sleep((idle - quiet).min(left));
        }
    }

    fn check_switch(&self) -> Result<(), EngineError> {
        if self.shape == Shape::Switch {
            return Ok(());
        }
        Err(EngineError::NotASwitch {
            port: self.name.clone(),
        })
    }
}

/// Refuses what cannot be one more port of a switch that has `present`.
fn check_port(switch: &str, port: &Port, present: usize) -> Result<(), EngineError> {
    if port.info.layer != Layer::L2 {
        return Err(EngineError::NotEthernet {
            port: port.info.name.clone(),
        });
    }
    if present >= MOST_PORTS {
        return Err(too_many(switch, port));
    }
    Ok(())
}

fn too_many(switch: &str, port: &Port) -> EngineError {
    EngineError::TooManyPorts {
        switch: switch.to_owned(),
        port: port.info.name.clone(),
        most: MOST_PORTS,
    }
}
