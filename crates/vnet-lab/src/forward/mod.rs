//! Ports of this machine that lead into a node.

mod connection;
mod pipe;
mod relay;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use serde::Serialize;

use crate::cancel::never;
use crate::error::LabError;
use crate::network::Network;
pub(crate) use relay::Relay;

/// Where a forward listens and leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardOptions {
    /// The address of this machine it listens on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address in the node's eyes it leads to; `None`: the first of the node's loopback and own addresses where
    /// somebody listens.
    pub to: Option<IpAddr>,
}

impl Default for ForwardOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
            to: None,
        }
    }
}

/// A TCP port of this machine that leads to one in a node.
///
/// It ends with [`Forward::close`] or with the network, which keeps it while no handle does.
#[derive(Clone)]
pub struct Forward {
    relay: Arc<Relay>,
}

/// What a forward has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ForwardStats {
    /// Connections that came.
    pub accepted: u64,
    /// Those that are open.
    pub open: u64,
    /// Those that found nobody listening in the node, or that broke.
    pub failed: u64,
    /// Bytes carried into the node.
    pub bytes_in: u64,
    /// Bytes carried out of it.
    pub bytes_out: u64,
}

impl Network {
    /// Listens on a TCP port of this machine and carries each connection to `port` of a node, both ways, each way until its
    /// sender ends it. Starts the network if need be.
    ///
    /// # Errors
    /// [`LabError::Os`] when the address is taken, [`LabError::Unknown`], and as [`Network::start`].
    pub fn forward(&self, node: &str, port: u16, options: &ForwardOptions) -> Result<Forward, LabError> {
        if port == 0 {
            return Err(LabError::bad(
                format!("nothing listens on port 0 of {node}"),
                "give the port of a service",
            ));
        }
        self.inner.live(&never, |live, _| {
            let place = live.place(node)?;
            let own = live.plan.node(node).into_iter().flat_map(|(_, found)| {
                let interfaces = found.interfaces.iter();
                interfaces.flat_map(|interface| interface.addresses.iter().map(|address| address.ip))
            });
            let candidates: Vec<SocketAddr> = match options.to {
                Some(to) => vec![to],
                None => [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
                    .into_iter()
                    .chain(own)
                    .collect(),
            }
            .into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect();
            let listener = TcpListener::bind(options.listen)
                .map_err(|error| LabError::os(format!("cannot listen on {}", options.listen), error))?;
            let relay = Arc::new(Relay::start(listener, place, candidates, &live.sockets)?);
            live.forwards.retain(|relay| !relay.is_closed());
            live.forwards.push(Arc::clone(&relay));
            Ok(Forward { relay })
        })
    }
}

impl Forward {
    /// Returns the address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.relay.address()
    }

    /// Ends it and its connections. Doing it again does nothing.
    pub fn close(&self) {
        self.relay.close();
    }

    /// Returns whether it has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.relay.is_closed()
    }

    /// Returns what it has carried.
    #[must_use]
    pub fn stats(&self) -> ForwardStats {
        self.relay.stats()
    }
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Forward").field(&self.local_addr()).finish()
    }
}
