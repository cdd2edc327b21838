use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use vnet_sys::PacketSocket;

/// A socket to open in a space. Numbers are those of socket(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketSpec {
    /// The address family, such as `AF_INET`.
    pub domain: i32,
    /// The type, such as `SOCK_STREAM`, with or without `SOCK_NONBLOCK`.
    pub kind: i32,
    /// The protocol, or 0.
    pub protocol: i32,
    /// The address it is bound to, with SO_REUSEADDR on a stream socket; a number
    /// below 1024 needs no privilege of the caller.
    pub bind: Option<SocketAddr>,
    /// The interface it is bound to by name (SO_BINDTODEVICE).
    pub device: Option<String>,
}

/// A lab end taken over: what arrives at it comes to `rx` once a redirect sends it to
/// the shadow device, and `tx` sends to the other end of its veth.
#[derive(Debug)]
pub struct TakenPort {
    /// Bound to the shadow device.
    pub rx: PacketSocket,
    /// Bound to the lab end; it never receives.
    pub tx: PacketSocket,
}
