"""vnet: real Linux TUN, TAP, veth and bridge devices with WebAssembly plugins on every packet.

::

    import vnet

    with vnet.Tap("tap0", ip="10.0.0.1/24") as tap:
        answer = tap.attach("icmp_echo")
        print(vnet.run("ping -c1 10.0.0.2", check=True).stdout)
        print(answer.stats)

Networks
    :class:`Network` makes a private lab of hosts, switches, routers and links, for ordinary users too::

        with vnet.Network() as net:
            h1, h2 = net.host("h1"), net.host("h2")
            net.link(h1, h2).attach("drop_bcast")
            print(h1.run(["ping", "-c1", h2.ip]).stdout)

Links
    :class:`Impairments` of :meth:`Network.link`, :meth:`Link.set` and :class:`Wire`, measured in :class:`LineStats`.
Devices
    :class:`Tap`, :class:`Tun`, :class:`Veth`, :class:`Bridge`, :func:`open`; all are a :class:`Device`.
Packets
    :meth:`Device.send`, :meth:`Device.recv`, iteration (``for f in tap``, ``async for f in tap``), :class:`Frame`,
    :meth:`Device.record`.
Plugins
    :meth:`Device.attach`, :class:`Wire`, :class:`Plugin`, :class:`Attachment`, :class:`Map`, :func:`replay`, :func:`shipped`;
    Python callables in their place by :func:`stage`;
    hot swap by :meth:`Attachment.swap` and :func:`swap`, and what happens to them as :class:`Events`.
Around
    :func:`run`, :func:`arun`, :func:`doctor`.
Views
    Everything shows itself in a notebook: networks as pictures, frames as trees of headers, results as tables and charts.
    :func:`ladder` draws who said what to whom in a capture.

Units: bytes, seconds, and nanoseconds where a name ends in ``_ns``. Every exception is a :class:`Error` and says what failed, on
which thing, and what to do.
"""

from __future__ import annotations

import os as _os
from typing import Any as _Any

from vnet import _vnet
from vnet._attachment import Attachment, LogRecord
from vnet._bridge import Bridge
from vnet._collection import Collection
from vnet._device import Device
from vnet._doctor import DoctorReport, Finding, StaleInterface, doctor
from vnet._errors import (
    Closed,
    CommandFailed,
    DeviceBusy,
    Error,
    Gone,
    InvalidValue,
    LabFileError,
    MapError,
    NoSuchMap,
    NotFound,
    PluginError,
    PluginRejected,
    PluginTimeout,
    PluginTrap,
    PrivilegeError,
    SystemFailure,
    TimeoutError,
    Unsupported,
)
from vnet._events import Event, Events
from vnet._forward import Forward
from vnet._impair import Impairments, LinkImpairments
from vnet._iperf import IperfInterval, IperfResult
from vnet._ladder import Ladder, LadderMessage, ladder
from vnet._linestats import LineDelay, LineStats, LossBursts, Spread
from vnet._link import Link, LinkState, NodeInterface
from vnet._live import Live
from vnet._maps import Map, Maps
from vnet._netstats import Count, InterfaceStats, LinkStats, NetworkStats
from vnet._network import Network
from vnet._node import Host, Node, Router, Switch
from vnet._open import Interface, open
from vnet._packet import Packet
from vnet._packets import Packets
from vnet._ping import PingMatrix, PingResult
from vnet._plugin import Plugin, Trip
from vnet._process import Process
from vnet._recording import Recorded, Recording
from vnet._replay import Change, ReplayReport, replay
from vnet._run import Completed, arun, run
from vnet._series import StatsSeries
from vnet._shipped import ShippedPlugin, shipped
from vnet._stage import Stage, stage
from vnet._stats import DeviceState, DeviceStats, Fault, KernelStats, PipelineStats, PortStats, StageStats
from vnet._swap import Carried, Swapped, Watch, swap
from vnet._tap import Tap, Tun
from vnet._veth import Veth, VethEnd
from vnet._vnet import Frame
from vnet._walk import Hop, Walk
from vnet._walks import Walks
from vnet._wire import Wire

__all__ = [
    "Attachment",
    "Bridge",
    "Carried",
    "Change",
    "Closed",
    "Collection",
    "CommandFailed",
    "Completed",
    "Count",
    "Device",
    "DeviceBusy",
    "DeviceState",
    "DeviceStats",
    "DoctorReport",
    "Error",
    "Event",
    "Events",
    "Fault",
    "Finding",
    "Forward",
    "Frame",
    "Gone",
    "Hop",
    "Host",
    "Impairments",
    "Interface",
    "InterfaceStats",
    "InvalidValue",
    "IperfInterval",
    "IperfResult",
    "KernelStats",
    "LabFileError",
    "Ladder",
    "LadderMessage",
    "LineDelay",
    "LineStats",
    "Link",
    "LinkImpairments",
    "LinkState",
    "LinkStats",
    "Live",
    "LogRecord",
    "LossBursts",
    "Map",
    "MapError",
    "Maps",
    "Network",
    "NetworkStats",
    "NoSuchMap",
    "Node",
    "NodeInterface",
    "NotFound",
    "Packet",
    "Packets",
    "PingMatrix",
    "PingResult",
    "PipelineStats",
    "Plugin",
    "PluginError",
    "PluginRejected",
    "PluginTimeout",
    "PluginTrap",
    "PortStats",
    "PrivilegeError",
    "Process",
    "Recorded",
    "Recording",
    "ReplayReport",
    "Router",
    "ShippedPlugin",
    "Spread",
    "Stage",
    "StageStats",
    "StaleInterface",
    "StatsSeries",
    "Swapped",
    "Switch",
    "SystemFailure",
    "Tap",
    "TimeoutError",
    "Trip",
    "Tun",
    "Unsupported",
    "Veth",
    "VethEnd",
    "Walk",
    "Walks",
    "Watch",
    "Wire",
    "arun",
    "doctor",
    "ladder",
    "open",
    "replay",
    "run",
    "shipped",
    "stage",
    "swap",
]

__version__ = _vnet.__version__


def load_ipython_extension(ipython: _Any) -> None:
    """Give a notebook the magics: ``%load_ext vnet``, then ``%h1 ip route``, ``%%h1``, ``%vnet doctor``, ``%%vnet_plugin``."""
    from vnet import _magics

    _magics.load(ipython)


def unload_ipython_extension(ipython: _Any) -> None:
    """Take the magics back: ``%unload_ext vnet``."""
    from vnet import _magics

    _magics.unload(ipython)


# Commands run under vnet-helper, which kills what they started when this process dies.
_helper = _os.path.join(_os.path.dirname(__file__), "_bin", "vnet-helper")
if _os.path.exists(_helper):
    _vnet.set_helper_path(_helper)

# Errors and reprs show the names users import.
for _name in __all__:
    _object = globals()[_name]
    if isinstance(_object, type) and _object.__module__.startswith("vnet._"):
        _object.__module__ = "vnet"
del _name, _object
