//! Making and opening devices.

use pyo3::prelude::*;

use crate::convert::{Int, MTU, NetnsArg, Time, netns};
use crate::device::Device;
use crate::error::OrRaise;

/// Makes a TAP or a TUN.
#[pyfunction]
#[pyo3(signature = (name, mode, *, ip, mac, mtu, netns, persist, up, owner, group, multi_queue, busy_poll))]
#[expect(
    clippy::too_many_arguments,
    reason = "one for each option of a device, by keyword"
)]
pub(crate) fn make_tap(
    py: Python<'_>,
    name: String,
    mode: &str,
    ip: Vec<String>,
    mac: Option<String>,
    mtu: Int,
    netns: Option<NetnsArg>,
    persist: bool,
    up: bool,
    owner: Option<u32>,
    group: Option<u32>,
    multi_queue: bool,
    busy_poll: Option<Time>,
) -> PyResult<Device> {
    let mtu = mtu.within("mtu", MTU)?;
    let netns = self::netns(netns)?;
    let busy_poll = busy_poll.map(|time| time.duration("busy_poll")).transpose()?;
    let busy_poll = busy_poll.unwrap_or_default();
    let device = if mode == "tun" {
        let tun = vnet::Tun {
            name,
            ip,
            mtu,
            netns,
            persist,
            up,
            owner,
            group,
            multi_queue,
            busy_poll,
        };
        py.detach(|| tun.create())
    } else {
        let tap = vnet::Tap {
            name,
            ip,
            mac,
            mtu,
            netns,
            persist,
            up,
            owner,
            group,
            multi_queue,
            busy_poll,
        };
        py.detach(|| tap.create())
    };
    device.or_raise().map(Device)
}

/// Makes a veth pair.
#[pyfunction]
#[pyo3(signature = (name, peer, *, ip, peer_ip, mac, peer_mac, mtu, netns, peer_netns, up, persist))]
#[expect(
    clippy::too_many_arguments,
    reason = "one for each option of a device, by keyword"
)]
pub(crate) fn make_veth(
    py: Python<'_>,
    name: String,
    peer: String,
    ip: Vec<String>,
    peer_ip: Vec<String>,
    mac: Option<String>,
    peer_mac: Option<String>,
    mtu: Int,
    netns: Option<NetnsArg>,
    peer_netns: Option<NetnsArg>,
    up: bool,
    persist: bool,
) -> PyResult<(Device, Device)> {
    let mtu = mtu.within("mtu", MTU)?;
    let peer_netns = peer_netns.map(|place| self::netns(Some(place))).transpose()?;
    let netns = self::netns(netns)?;
    let veth = vnet::Veth {
        name,
        peer,
        ip,
        peer_ip,
        mac,
        peer_mac,
        mtu,
        netns,
        peer_netns,
        up,
        persist,
    };
    let (a, b) = py.detach(|| veth.create()).or_raise()?;
    Ok((Device(a), Device(b)))
}

/// Makes a bridge.
#[pyfunction]
#[pyo3(signature = (name, *, ports, ip, mac, mtu, netns, up, persist))]
#[expect(
    clippy::too_many_arguments,
    reason = "one for each option of a device, by keyword"
)]
pub(crate) fn make_bridge(
    py: Python<'_>,
    name: String,
    ports: Vec<Bound<'_, Device>>,
    ip: Vec<String>,
    mac: Option<String>,
    mtu: Option<Int>,
    netns: Option<NetnsArg>,
    up: bool,
    persist: bool,
) -> PyResult<Device> {
    let mtu = mtu.map(|mtu| mtu.within("mtu", MTU)).transpose()?;
    let ports = ports.iter().map(|port| port.get().0.clone()).collect();
    let netns = self::netns(netns)?;
    let bridge = vnet::Bridge {
        name,
        ports,
        ip,
        mac,
        mtu,
        netns,
        up,
        persist,
    };
    py.detach(|| bridge.create()).or_raise().map(Device)
}

/// Opens an existing interface.
#[pyfunction]
#[pyo3(signature = (name, netns))]
pub(crate) fn open_device(py: Python<'_>, name: &str, netns: Option<NetnsArg>) -> PyResult<Device> {
    let netns = self::netns(netns)?;
    py.detach(|| vnet::open(name, &netns)).or_raise().map(Device)
}
