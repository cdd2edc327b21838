"""Hosts, switches and routers of a network."""

from __future__ import annotations

import os
import socket as _socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from vnet import _logs, _vnet
from vnet._attachment import Attachment, attach
from vnet._collection import Collection
from vnet._errors import NotFound, TimeoutError
from vnet._forward import Forward
from vnet._html import Html, fields, mark, strong, table
from vnet._iperf import IperfResult
from vnet._link import Link, NodeInterface
from vnet._ping import PingResult
from vnet._plugin import Direction, OnFault, PluginLike, Trip, TripLike, chosen
from vnet._process import Process, Stream
from vnet._process import start as _start
from vnet._recording import Recording
from vnet._run import CommandLine, Completed, arun, run
from vnet._shown import Shown, headed, titled
from vnet._stats import stage_table
from vnet._tap import Tap, Tun
from vnet._walk import Walk
from vnet._walks import trace

if TYPE_CHECKING:
    from vnet._network import Network

__all__ = ["Host", "Node", "Router", "Switch"]

Address: TypeAlias = tuple[Any, ...]
"""An address as :mod:`socket` writes it: ``("10.0.0.1", 80)``."""


class Node(Shown):
    """A host, switch or router of a :class:`Network`; ``net["h1"]`` returns it.

    A host or router is a network namespace with a host name, ``/etc/hosts``, ``/tmp`` and ``/run`` of its own; everything else it
    shares with this process, files above all. The first use of a node starts its network. A switch runs no programs in this
    version: what needs a place to run raises Unsupported there.
    """

    __slots__ = ("__weakref__", "_name", "_native", "_network")

    def __init__(self, native: _vnet.Node, network: Network) -> None:
        self._native = native
        self._network = network
        self._name = native.name

    # What it is

    @property
    def name(self) -> str:
        """Its name, which is its host name too."""
        return self._name

    @property
    def kind(self) -> Literal["host", "switch", "router"]:
        """What it is."""
        return self._native.kind

    @property
    def network(self) -> Network:
        """The network it is part of."""
        return self._network

    @property
    def links(self) -> Collection[Link]:
        """The links that end here."""
        here = self._name
        return Collection("link", [link for link in self._network.links if here in link.ends])

    @property
    def interfaces(self) -> Collection[NodeInterface]:
        """Its interfaces but ``lo``, as they are just now. Starts the network."""
        found = [NodeInterface(self._native, self, data) for data in self._native.interfaces()]
        return Collection(f"interface on {self._name}", found)

    def interface(self, name: str) -> NodeInterface:
        """Return the interface of that name, such as ``"eth0"``; raises NotFound. Starts the network."""
        return self.interfaces[name]

    @property
    def ip(self) -> str:
        """Its first IPv4 address, without prefix length; raises NotFound when it has none. Starts the network."""
        return self._address(".", "IPv4")

    @property
    def ip6(self) -> str:
        """Its first IPv6 address but those of a single link; raises NotFound when it has none. Starts the network."""
        return self._address(":", "IPv6")

    def _address(self, mark: str, family: str) -> str:
        for interface in self.interfaces:
            for address in interface.addresses:
                if mark in address and not address.startswith("fe80:"):
                    return address.split("/")[0]
        hint = f"give it one with ip= or add_address, or leave {family} on for the network"
        if not self.links:
            hint = "link it to another node: addresses are those of interfaces, which come with links"
        raise NotFound(f"{self.kind} {self._name} has no {family} address", hint=hint)

    @property
    def mac(self) -> str:
        """Ethernet address of its first interface; raises NotFound when it has none. Starts the network."""
        for interface in self.interfaces:
            return interface.mac
        raise NotFound(f"{self.kind} {self._name} has no interface", hint="link it to another node")

    # Programs

    def run(
        self,
        command: CommandLine,
        *,
        check: bool = False,
        timeout: float | None = None,
        input: str | bytes | None = None,
        capture: bool = True,
        text: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> Completed:
        """Run a command here, wait for it and return what it wrote, as :func:`run` does.

        After ``timeout`` seconds and on Ctrl-C the command is killed with its process group. A process it left in the
        background lives until the network is closed.
        """
        return run(
            command,
            check=check,
            timeout=timeout,
            netns=self,
            input=input,
            capture=capture,
            text=text,
            env=env,
            cwd=cwd,
        )

    async def arun(
        self,
        command: CommandLine,
        *,
        check: bool = False,
        timeout: float | None = None,
        input: str | bytes | None = None,
        capture: bool = True,
        text: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> Completed:
        """Run a command as :meth:`run` does, without blocking the event loop; cancelling it kills the command."""
        return await arun(
            command,
            check=check,
            timeout=timeout,
            netns=self,
            input=input,
            capture=capture,
            text=text,
            env=env,
            cwd=cwd,
        )

    def popen(
        self,
        command: CommandLine,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        text: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> Process:
        """Start a command here and return at once, as :class:`subprocess.Popen` does.

        The streams are ``subprocess.PIPE``, ``subprocess.DEVNULL``, a file, a descriptor, or ``subprocess.STDOUT`` for standard
        error. None is this process's own stream for output, and nothing for input. ``text=True`` makes pipes UTF-8 text.
        Raises NotFound when the program does not exist.
        """
        return _start(
            self, self._native, command, stdin=stdin, stdout=stdout, stderr=stderr, text=text, env=env, cwd=cwd
        )

    # Sockets and devices

    def socket(
        self,
        family: int = _socket.AF_INET,
        type: int = _socket.SOCK_STREAM,
        proto: int = 0,
        *,
        bind: Address | None = None,
        device: str | None = None,
    ) -> _socket.socket:
        """Return an ordinary Python socket that lives here: what it sends leaves through this node's interfaces.

        ``bind`` is the address it is bound to, which may be a port below 1024, and ``device`` the interface: for
        ``AF_PACKET`` the one it sees the frames of. The caller closes it; the network's end cuts it off.
        """
        address = None if bind is None else (str(bind[0]), int(bind[1]))
        descriptor = self._native.socket(int(family), int(type), proto, bind=address, device=device)
        return self._network._keep(_socket.socket(fileno=descriptor))

    def tap(
        self,
        name: str = "tap0",
        *,
        ip: str | Sequence[str] | None = None,
        mac: str | None = None,
        mtu: int = 1500,
        up: bool = True,
    ) -> Tap:
        """Make a TAP device here: :class:`Tap` with ``netns=`` this node. The network closes it, too."""
        return self._network._hold(Tap(name, ip=ip, mac=mac, mtu=mtu, up=up, netns=self), self._name)

    def tun(
        self, name: str = "tun0", *, ip: str | Sequence[str] | None = None, mtu: int = 1500, up: bool = True
    ) -> Tun:
        """Make a TUN device here: :class:`Tun` with ``netns=`` this node. The network closes it, too."""
        return self._network._hold(Tun(name, ip=ip, mtu=mtu, up=up, netns=self), self._name)

    # Measuring

    def ping(
        self,
        target: Node | str,
        *,
        count: int = 1,
        interval: float = 0.2,
        timeout: float = 1.0,
        size: int = 56,
        ipv6: bool = False,
        check: bool = False,
    ) -> PingResult:
        """Send ``count`` echo requests to a node or address, ``interval`` seconds apart, and wait ``timeout`` for each answer.

        ``size`` is that of the payload in bytes. ``ipv6=True`` takes a node's IPv6 address. The result is true when every
        request was answered; ``check=True`` raises TimeoutError when one was not. It needs no ``ping`` program.
        """
        to = target.name if isinstance(target, Node) else target
        data = self._native.ping(to, count=count, interval=interval, timeout=timeout, size=size, ipv6=ipv6)
        result = PingResult._read(data)
        if check and not result:
            raise TimeoutError(
                f"ping {result}", hint="see the routes with .run('ip route'), the links with net.graph()"
            )
        return result

    def trace_to(
        self,
        target: Node | str,
        *,
        proto: Literal["icmp", "udp", "tcp"] = "icmp",
        port: int | None = None,
        size: int | None = None,
        timeout: float = 2.0,
    ) -> Walk:
        """Send one packet to a node or address, and return its walk: each hop it took, and what became of it.

        It is a real one: an echo request, a datagram to ``port`` (33434 when None), or TCP's attempt to connect to ``port`` (80
        when None). ``size`` is that of the payload in bytes; ``timeout`` in seconds is how long an answer is waited for, whose
        walk is ``walk.answer``. Raises TimeoutError when this node's kernel sent nothing, as without a route.
        """
        return trace(self, target, proto, port, size, timeout)

    def iperf(
        self,
        target: Node | str,
        *,
        seconds: float = 2.0,
        udp: bool = False,
        rate: float | None = None,
        streams: int = 1,
        length: int | None = None,
        ipv6: bool = False,
    ) -> IperfResult:
        """Measure how much payload reaches another node in ``seconds``, over ``streams`` TCP connections or by UDP.

        ``rate`` is what is offered in bit/s: as much as possible when None, and 1 Mbit/s with UDP. ``length`` is that of one
        write or datagram in bytes. It needs no ``iperf`` program.
        """
        to = target.name if isinstance(target, Node) else target
        data = self._native.iperf(to, seconds=seconds, udp=udp, rate=rate, streams=streams, length=length, ipv6=ipv6)
        return IperfResult._read(data)

    def forward(self, port: int, *, listen: str = "127.0.0.1", listen_port: int = 0, to: str | None = None) -> Forward:
        """Make a TCP service that listens on ``port`` here reachable from outside the network.

        ``listen`` and ``listen_port`` are where this process listens for it; port 0 is any that is free, told by
        ``forward.port``. ``to`` is the address of the service here, ``127.0.0.1`` or ``::1`` when None.
        """
        native = self._native.forward(port, listen=listen, listen_port=listen_port, to=to)
        return Forward(native, self._network, f"{self._name}:{port}")

    # Plugins and captures

    def attach(
        self,
        plugin: PluginLike,
        *,
        config: dict[str, Any] | None = None,
        on_fault: OnFault | None = None,
        direction: Direction = "ingress",
        trip: TripLike | None = Trip(),
        grants: tuple[str, ...] = (),
        seed: int = 0,
        position: int | None = None,
    ) -> Attachment:
        """Put a plugin on the frames of its only interface, or on all frames of a switch, as :meth:`Device.attach` does.

        What the node sends is ingress, what it gets is egress. Raises InvalidValue, naming the interfaces, when it has
        several: then use ``node.interface("eth1").attach``.
        """
        plugin = chosen(plugin, config, on_fault, trip, grants, seed)
        place = _vnet.Place(self._native, None)
        ports = () if isinstance(self, Switch) else (self._name,)
        return self._network._remember(attach(place, self, self._name, plugin, direction, position, ports))

    def capture(
        self,
        path: str | os.PathLike[str] | int | None = None,
        *,
        interfaces: Sequence[str] | None = None,
        filter: str | None = None,
        snaplen: int | None = None,
        dropped: bool = False,
        stages: bool = False,
        rotate: str | None = None,
        keep: int | None = None,
    ) -> Recording:
        """Copy every frame of its interfaces, all but loopback or those named, to a pcapng file until it is stopped.

        Of a switch that is every frame that enters or leaves by its ports.

        ``path`` is a file, or the descriptor of a pipe that takes a stream; None makes a private file that goes with the
        recording. ``filter`` are the words of pcap-filter(7), ``snaplen`` the most bytes of a frame, ``rotate`` the size or time
        of a file (``"10MB"``, ``"60s"``), of which the newest ``keep`` stay. ``dropped`` adds what plugins, impairments and the
        engine dropped, ``stages`` what each of them did; docs/captures.md says how. It is armed when this returns.
        """
        _logs.start()
        options = _vnet.CaptureOptions(filter, snaplen, dropped, stages, rotate, keep)
        wanted = None if interfaces is None else list(interfaces)
        return Recording._begin(path, lambda to: self._native.capture(wanted, to, options))

    # Configuration

    def add_route(
        self, to: str, via: str | None = None, *, interface: str | None = None, metric: int | None = None
    ) -> None:
        """Add or replace a route: ``add_route("10.9.0.0/16", "10.0.0.254")``; ``"default"`` is the default route.

        One of ``via`` and ``interface`` must be given.
        """
        self._native.add_route(to, via, interface, metric)

    def del_route(
        self, to: str, via: str | None = None, *, interface: str | None = None, metric: int | None = None
    ) -> None:
        """Delete a route; raises NotFound when there is none such."""
        self._native.del_route(to, via, interface, metric)

    def add_address(self, address: str, *, interface: str | None = None) -> None:
        """Add an address such as ``"10.0.0.2/24"``, to its only interface or the named one."""
        self._native.add_address(interface, address)

    def del_address(self, address: str, *, interface: str | None = None) -> None:
        """Delete an address; raises NotFound when the interface does not have it."""
        self._native.del_address(interface, address)

    def add_neighbour(self, ip: str, mac: str, *, interface: str | None = None) -> None:
        """Say which Ethernet address belongs to ``ip``, so that nobody need ask for it."""
        self._native.add_neighbour(interface, ip, mac)

    def del_neighbour(self, ip: str, *, interface: str | None = None) -> None:
        """Forget which Ethernet address belongs to ``ip``."""
        self._native.del_neighbour(interface, ip)

    def sysctl(self, key: str, value: str | int | None = None) -> str:
        """Return a kernel setting such as ``"net.ipv4.ip_forward"``, after setting it when ``value`` is given.

        Only keys below ``net.`` belong to a node. Raises NotFound for a key that this kernel does not have.
        """
        if value is not None:
            self._native.set_sysctl(key, str(value))
        return self._native.sysctl(key)

    def remove(self) -> None:
        """Take it out of the network, with its links and the programs that run in it."""
        self._native.remove()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return self._network is other._network and self._name == other._name

    def __hash__(self) -> int:
        return hash((id(self._network), self._name))

    def __repr__(self) -> str:
        return f"<vnet.{type(self).__name__} {self._native.describe()}>"

    def _html(self) -> Html:
        if not self._network._runs:
            # What is to be: name and addresses.
            about = [("is to be", self._native.describe()), ("links", self.links.names)]
            return titled(self, headed(self, self._name, mark("declared", "plain")), fields(about))
        stages = self._network._stages_on(self._name)
        plugins = [stage_table(stages)] if stages else []
        title = headed(self, self._name, mark("running", "good"))
        return titled(self, title, self._ends_table(), *plugins)

    def _ends_table(self) -> Html:
        """Returns its interfaces, or the ports of a switch."""
        names = ["interface", "addresses", "mac", "link", "rx packets", "tx packets", "rx bytes", "tx bytes", "dropped"]
        rows = []
        for interface in self.interfaces:
            stats = interface.stats
            counts = (stats.rx_packets, stats.tx_packets, stats.rx_bytes, stats.tx_bytes)
            about = (strong(interface.name), interface.addresses, interface.mac, str(interface._data["link"]))
            rows.append((*about, *counts, stats.rx_dropped + stats.tx_dropped))
        return table(names, rows) if rows else fields([("links", self.links.names)])


class Host(Node):
    """An end system, made by :meth:`Network.host`."""

    __slots__ = ()


class Router(Node):
    """Forwards packets by their IP address, made by :meth:`Network.router`."""

    __slots__ = ()


class Switch(Node):
    """Forwards frames by their Ethernet address, made by :meth:`Network.switch`.

    It is a bridge of the kernel until a plugin or a capture is on it or on one of its links; then it is the engine's.
    """

    __slots__ = ()

    @property
    def ports(self) -> tuple[str, ...]:
        """Names of the links that end here, in the order of its ports."""
        return self.links.names

    @property
    def fdb(self) -> dict[str, str]:
        """What it has learned: the name of a link for each Ethernet address. Starts the network."""
        return {mac: link for mac, link in self._native.fdb()}

    def _ends_table(self) -> Html:
        learned: dict[str, list[str]] = {}
        for mac, link in self.fdb.items():
            learned.setdefault(link, []).append(mac)
        return table(["port", "has learned"], [(strong(link), learned.get(link, ())) for link in self.ports])


_CLASSES: dict[str, type[Node]] = {"host": Host, "router": Router, "switch": Switch}


def wrap(native: _vnet.Node, network: Network) -> Node:
    """Return the handle to a node by its kind."""
    return _CLASSES[native.kind](native, network)
