"""Networks in a private lab."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import warnings
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from vnet import _lifetime, _logs, _magics, _progress, _vnet
from vnet._attachment import Attachment
from vnet._collection import Collection
from vnet._device import Device
from vnet._errors import Error, InvalidValue, TimeoutError
from vnet._events import Events
from vnet._graph import from_networkx, to_networkx
from vnet._html import Html, folded, mark, strong, table
from vnet._impair import Impairments, changes, events
from vnet._link import Link, pair
from vnet._live import Live
from vnet._netstats import NetworkStats, link_table
from vnet._node import Host, Node, Router, Switch, wrap
from vnet._picture import Attached, notes
from vnet._ping import PingMatrix
from vnet._plugin import PluginLike
from vnet._recording import Capturable
from vnet._series import StatsSeries
from vnet._shown import Shown, headed, titled
from vnet._stage import stage
from vnet._stats import StageStats, stage_mark
from vnet._swap import Swapped, swap
from vnet._tap import addresses
from vnet._uses import PluginUses, uses
from vnet._walks import Walks

__all__ = ["Network"]

_D = TypeVar("_D", bound=Device)
Ends = tuple[str | None, str | None]


class Network(Shown, Capturable):
    """Hosts, switches, routers and links in a private lab; an ordinary user may make one.

    ::

        with vnet.Network() as net:
            h1, h2, s1 = net.host("h1", ip="10.0.0.1/24"), net.host("h2"), net.switch("s1")
            net.link(h1, s1), net.link(h2, s1)
            print(h1.run(["ping", "-c1", h2.ip], check=True).stdout)

    What is declared is made by :meth:`start`, or by the first use of a node or link, whole or not at all; what is declared
    after that is made at once. Addresses, Ethernet addresses and routes that are not given are automatic. Two networks never
    see each other. Nothing of it outlives :meth:`close`, a ``with`` block, or this process, however it ends; forgetting it
    without that is a ``ResourceWarning``, and closes it all the same.

    ``seed`` is that of everything random in it, drawn where it is None: see :attr:`seed`. ``ipv4`` and ``ipv6`` are the pools
    of automatic networks (``10.0.0.0/8`` and ``fd00::/48`` when None), or False for none. ``routing="none"`` leaves the
    routes of routers to a routing daemon. ``private_tmp`` gives every node a ``/tmp`` and ``/run`` of its own.
    ``rootless=True`` makes the lab as an ordinary user's even for root, False insists on root's; None takes what this process
    may. ``busy_poll``, a time such as ``"20us"`` or a number of seconds, has the engine look for more frames that long before
    it sleeps: a shorter way through links with plugins or impairments, for more CPU time.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        seed: int | None = None,
        ipv4: str | Literal[False] | None = None,
        ipv6: str | Literal[False] | None = None,
        routing: Literal["static", "none"] = "static",
        private_tmp: bool = True,
        rootless: bool | None = None,
        busy_poll: str | float | None = None,
    ) -> None:
        if seed is not None and not 0 <= seed < 1 << 63:
            raise InvalidValue(f"seed {seed} is not a number from 0 to 2**63 - 1")
        self._own(
            _vnet.Network(
                name=name,
                seed=seed,
                ipv4="off" if ipv4 is False else ipv4,
                ipv6="off" if ipv6 is False else ipv6,
                routing=routing,
                private_tmp=private_tmp,
                rootless=rootless,
                busy_poll=busy_poll,
            )
        )

    def _own(self, native: _vnet.Network) -> None:
        self._native = native
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._devices: weakref.WeakSet[Device] = weakref.WeakSet()
        self._attached = Attached()
        native.on_progress(_progress.show)
        _lifetime.adopt(self)
        _logs.start()

    @classmethod
    def _wrap(cls, native: _vnet.Network) -> Self:
        network = cls.__new__(cls)
        network._own(native)
        _magics.learn(network.nodes.names)
        return network

    # Other forms of a declaration

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, rootless: bool | None = None) -> Self:
        """Return the network that a lab file declares: TOML, or JSON when its name ends in ``.json``.

        Raises LabFileError with ``.file``, ``.line`` and ``.key``, NotFound when there is no such file.
        """
        return cls._wrap(_vnet.Network.load(os.fspath(path), rootless=rootless))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, rootless: bool | None = None) -> Self:
        """Return the network that a dict declares, in the form that :meth:`to_dict` returns."""
        try:
            text = json.dumps(dict(data))
        except (TypeError, ValueError) as error:
            message = f"the declaration of a network is not JSON: {error}"
            raise InvalidValue(message, hint="use str, int, float, bool, None, list and dict only") from error
        return cls._wrap(_vnet.Network.from_json(text, rootless=rootless))

    @classmethod
    def from_networkx(cls, graph: Any, *, rootless: bool | None = None) -> Self:
        """Return a network with a node for each node of a NetworkX graph, and a link for each edge.

        A node's attribute ``kind`` is ``"host"`` (the default), ``"switch"`` or ``"router"``; other attributes that
        :meth:`host` or :meth:`link` take are handed to them, the rest is ignored. Names are made of the nodes by ``str``.
        """
        network = cls(str(graph.graph["name"]) if graph.graph.get("name") else None, rootless=rootless)
        from_networkx(network, graph)
        return network

    def _record(self, to: str | int, options: _vnet.CaptureOptions) -> _vnet.Recording:
        return self._native.capture(to, options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the declaration as it is just now to a lab file, which :meth:`load` reads again."""
        self._native.save(os.fspath(path))

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration as it is just now as plain dicts, lists, strings and numbers."""
        return self._native.spec()

    def to_networkx(self) -> Any:
        """Return the declaration as a NetworkX graph: a ``MultiGraph`` when two links join the same nodes."""
        return to_networkx(self.to_dict())

    # Declaring

    def host(
        self,
        name: str,
        *,
        ip: str | Sequence[str] | None = None,
        mac: str | None = None,
        gateway: str | Sequence[str] | Literal[False] | None = None,
        routes: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        dns: str | Sequence[str] | None = None,
        sysctls: Mapping[str, str | int] | None = None,
        private_dirs: Sequence[str | os.PathLike[str]] = (),
        run: str | Sequence[str] = (),
    ) -> Host:
        """Add an end system. ``name`` is its host name: 1 to 63 of ``A-Z a-z 0-9 . _ -``.

        ``ip`` and ``mac`` are of its first interface. ``gateway`` is the neighbour its default route leads through: the
        first router beside it when None, none when False. ``routes`` are further ones, such as
        ``{"10.9.0.0/16": "10.0.0.254"}``. ``private_dirs`` are empty directories of its own, such as ``["/var/lib/dhcp"]``.
        ``run`` are shell commands that are started in it once the network is up, and end with it.
        Raises InvalidValue for a name that is taken or cannot be.
        """
        native = self._add("host", name, ip, mac, gateway, routes, dns, sysctls, private_dirs, None, run)
        return Host(native, self)

    def router(
        self,
        name: str,
        *,
        ip: str | Sequence[str] | None = None,
        mac: str | None = None,
        gateway: str | Sequence[str] | Literal[False] | None = None,
        routes: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        dns: str | Sequence[str] | None = None,
        sysctls: Mapping[str, str | int] | None = None,
        private_dirs: Sequence[str | os.PathLike[str]] = (),
        routing: Literal["static", "none"] | None = None,
        run: str | Sequence[str] = (),
    ) -> Router:
        """Add a system that forwards packets between its interfaces; options are those of :meth:`host`.

        It gets shortest-path routes to every network, unless ``routing="none"``, here or for the whole network.
        """
        native = self._add("router", name, ip, mac, gateway, routes, dns, sysctls, private_dirs, routing, run)
        return Router(native, self)

    def switch(self, name: str, *, plugins: PluginUses = ()) -> Switch:
        """Add a switch, which forwards frames by the Ethernet addresses it learns.

        ``plugins`` judge what arrives at its ports once the network runs; they are given as to :meth:`link`.
        """
        return Switch(self._add("switch", name, None, None, None, (), None, None, (), None, (), plugins), self)

    def _add(
        self,
        kind: str,
        name: str,
        ip: str | Sequence[str] | None,
        mac: str | None,
        gateway: str | Sequence[str] | Literal[False] | None,
        routes: Mapping[str, str] | Sequence[tuple[str, str]],
        dns: str | Sequence[str] | None,
        sysctls: Mapping[str, str | int] | None,
        private_dirs: Sequence[str | os.PathLike[str]],
        routing: str | None,
        run: str | Sequence[str],
        plugins: PluginUses = (),
    ) -> _vnet.Node:
        native = self._native.add_node(
            kind,
            name,
            ip=addresses(ip),
            mac=mac,
            gateway=None if gateway is None else addresses(gateway or None),
            routes=list(routes.items() if isinstance(routes, Mapping) else routes),
            dns=addresses(dns),
            sysctls={key: str(value) for key, value in (sysctls or {}).items()},
            private_dirs=[os.fspath(path) for path in private_dirs],
            routing=routing,
            run=[run] if isinstance(run, str) else list(run),
            plugins=uses(plugins),
        )
        _magics.learn([name])
        return native

    def link(
        self,
        a: Node | str,
        b: Node | str,
        *,
        name: str | None = None,
        ip: tuple[str | Sequence[str] | None, str | Sequence[str] | None] | None = None,
        mac: Ends | None = None,
        interfaces: Ends | None = None,
        mtu: int | None = None,
        up: bool = True,
        schedule: Sequence[Mapping[str, Any]] = (),
        big_tcp: bool = False,
        busy_poll: str | float | None = None,
        plugins: PluginUses = (),
        **impairments: Unpack[Impairments],
    ) -> Link:
        """Join two nodes: each gets an interface, ``eth0``, ``eth1``, ... or as ``interfaces`` says, and a switch gets a port.

        What belongs to one end is given as a pair, for ``a`` and ``b``: ``ip=("10.0.1.1/24", "10.0.1.2/24")``. ``mtu`` in
        bytes is of both. ``up=False`` leaves it unplugged. Its name is made of theirs when None: ``h1-s1``.

        Impairments are netem's, in its words, for both directions or as a pair (a to b, b to a); :class:`Impairments` lists
        them::

            net.link(h1, s1, delay="10ms", jitter="1ms", loss=(0.01, None), rate="10mbit", queue=50)

        ``schedule`` has things happen at their time, counted from the network's start: ``{"at": "5s", "delay": "50ms"}``,
        ``{"at": "10s", "down": True}``, ``{"every": "10s", "down": "1s"}``; see :meth:`Link.schedule`. ``big_tcp=True`` lets
        its hosts send IPv4 super-frames of up to 180,000 bytes. ``busy_poll`` is the network's for this link alone.

        ``plugins`` judge its frames from the start and are part of the declaration, as in a lab file: names of plugins that
        ship with vnet, paths of ``.wasm`` files, and dicts such as ``{"plugin": "acl", "config": {...}, "direction":
        "ingress"}``, also with ``on_fault``, ``grants`` and ``module_cap``. :meth:`Link.attach` adds others while it runs.

        Raises InvalidValue for an unknown node, a link of a node to itself, addresses that cannot be, and impairments with a
        wrong unit, or that do not go together.
        """
        ip_a, ip_b = pair(ip, "ip")
        native = self._native.add_link(
            self._name_of(a),
            self._name_of(b),
            name=name,
            interfaces=pair(interfaces, "interfaces"),
            ip=(addresses(ip_a), addresses(ip_b)),
            mac=pair(mac, "mac"),
            mtu=mtu,
            up=up,
            impair=changes(impairments, "link"),
            schedule=events(schedule),
            big_tcp=big_tcp,
            busy_poll=busy_poll,
            plugins=uses(plugins),
        )
        return Link(native, self)

    def _name_of(self, node: Node | str) -> str:
        if isinstance(node, str):
            return node
        if node.network is not self:
            raise InvalidValue(f"{node!r} is part of another network", hint="a link joins two nodes of one network")
        return node.name

    def remove(self, part: Node | Link | str) -> None:
        """Take a node with its links, or a link, out of the network, at once when it runs."""
        if isinstance(part, str):
            part = self.links[part] if part in self.links else self[part]
        if part.network is not self:
            raise InvalidValue(f"{part!r} is part of another network")
        part.remove()

    # What is declared

    @property
    def name(self) -> str:
        """The lab's name, for :func:`repr` and ``vnet ls``; networks may share one."""
        return self._native.name

    @property
    def seed(self) -> int:
        """The seed of everything random in it: the one that was given, or the one that was drawn.

        With one seed the n-th frame of a link's direction meets the same fate in every run.
        """
        return self._native.seed

    @property
    def nodes(self) -> Collection[Node]:
        """All nodes."""
        return Collection("node", [wrap(native, self) for native in self._native.nodes()])

    @property
    def hosts(self) -> Collection[Host]:
        """The hosts among the nodes."""
        return Collection("host", [node for node in self.nodes if isinstance(node, Host)])

    @property
    def switches(self) -> Collection[Switch]:
        """The switches among the nodes."""
        return Collection("switch", [node for node in self.nodes if isinstance(node, Switch)])

    @property
    def routers(self) -> Collection[Router]:
        """The routers among the nodes."""
        return Collection("router", [node for node in self.nodes if isinstance(node, Router)])

    @property
    def links(self) -> Collection[Link]:
        """All links."""
        return Collection("link", [Link(native, self) for native in self._native.links()])

    def __getitem__(self, name: str) -> Node:
        """Return the node of that name; raises NotFound."""
        return wrap(self._native.node(name), self)

    def __contains__(self, name: object) -> bool:
        return name in self.nodes

    # Living

    def start(self) -> Self:
        """Make everything that is declared, and return itself; does nothing where that is done already.

        Raises PrivilegeError, Unsupported or SystemFailure with the cause and the fix where no lab can be made. What was
        made until then is undone.
        """
        self._native.start()
        return self

    @property
    def started(self) -> bool:
        """Whether it runs."""
        return self._native.started

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._native.closed

    @property
    def backend(self) -> Literal["host", "tap", "packet"]:
        """How it is made: ``"host"`` with root's rights, else in a user namespace. Starts the network.

        There ``node.tap()`` is a real TAP (``"tap"``) or, where ``/dev/net/tun`` cannot be opened, a veth (``"packet"``).
        """
        if not self._native.rootless():
            return "host"
        try:
            os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
        except OSError:
            return "packet"
        return "tap"

    def graph(self, format: Literal["text", "svg", "dot"] = "text") -> str:
        """Draw nodes, links and addresses: as lines of text, as an SVG picture, or for Graphviz. Starts nothing."""
        return self._native.graph(format)

    def ping_all(
        self,
        hosts: Sequence[Node | str] = (),
        *,
        timeout: float = 1.0,
        ipv4: bool = True,
        ipv6: bool = False,
        check: bool = False,
    ) -> PingMatrix:
        """Send an echo request from every host, or each of ``hosts``, to every other, and wait ``timeout`` seconds for answers.

        The result is true when all were answered; ``check=True`` raises TimeoutError when one was not.
        """
        names = [self._name_of(host) for host in hosts]
        data = self._native.ping_all(hosts=names, ipv4=ipv4, ipv6=ipv6, timeout=timeout)
        matrix = PingMatrix._read(data)
        if check and not matrix:
            pairs = ", ".join(f"{source} -> {target}" for source, target in matrix.failed[:5])
            more = f" and {len(matrix.failed) - 5} more" if len(matrix.failed) > 5 else ""
            raise TimeoutError(f"{len(matrix.failed)} of {matrix.sent} pings were not answered: {pairs}{more}")
        return matrix

    @property
    def events(self) -> Events:
        """What happens to the plugins at work in it: faults, restarts, trips, swaps."""
        return Events(self._native.scope)

    @staticmethod
    def swap(plugins: Mapping[Attachment, PluginLike], carry: bool = True) -> dict[Attachment, Swapped]:
        """Put other plugins in the places of several of one link or switch, all in one step: see :func:`vnet.swap`."""
        return swap(plugins, carry)

    # A callable that judges packets, on anything in it: see the function.
    stage = staticmethod(stage)

    @overload
    def stats(self) -> NetworkStats: ...

    @overload
    def stats(self, *, every: str | float, last: str | float = ...) -> StatsSeries: ...

    def stats(self, *, every: str | float | None = None, last: str | float = 60.0) -> NetworkStats | StatsSeries:
        """Return the counters of every interface, link and plugin up to this moment, or begin to sample them.

        With ``every``, a time such as ``"100ms"`` or a number of seconds, a thread takes a sample that often, and what is
        returned keeps those of the last ``last``: see :class:`StatsSeries`. Both are tables for pandas, polars and duckdb.
        """
        if every is None:
            return NetworkStats._read(*self._native.stats())
        return StatsSeries(self._native.series(every=every, last=last), self.name)

    def live(self, *, every: float = 0.1, packets: bool = True) -> Live:
        """Show the network at work in a notebook: traffic on its links, queues, drops, plugins, and the last packets. Starts it.

        ``every`` is the time between two looks in seconds, 0.05 or more. ``packets=False`` reads no packets. See :class:`Live`.
        """
        return Live(self, every=every, packets=packets)

    def walk(self, filter: str = "", *, timeout: float = 10.0, count: int | None = 1) -> Walks:
        """Watch the network for packets that a filter takes, and follow each from hop to hop.

        ::

            with net.walk("icmp and host h1") as walks:
                h1.ping(h2)
            print(walks.first)

        ``filter`` are the words of pcap-filter(7), where a node's name stands for its addresses; a packet is meant when it is so
        anywhere on its way. A ``with`` block watches while it runs. Iterated without one, it yields each walk once its packet's
        fate is known, ends after ``timeout`` seconds, and both end after ``count`` walks; None means all. Starts the network.
        Raises InvalidValue when the filter is none.
        """
        return Walks(self, filter, timeout, count)._check()

    def close(self) -> None:
        """End every program in it, take it down and wait until it is gone. Doing it again does nothing."""
        for device in list(self._devices):
            # What was in the lab goes with it, whatever a single device says.
            with contextlib.suppress(Error):
                device.close()
        self._native.close()

    async def aclose(self) -> None:
        """Close it as :meth:`close` does, without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _remember(self, attachment: Attachment) -> Attachment:
        """Sees that a plugin is in the network's picture while it is at work."""
        self._attached.add(attachment._native, attachment._on)
        return attachment

    @property
    def _runs(self) -> bool:
        return self.started and not self.closed

    def _stages_on(self, part: str) -> list[StageStats]:
        """Returns the counters of the plugins on a link, or on a node and its interfaces."""
        return [StageStats._read(data) for on, data in self._attached.stages() if on.partition(":")[0] == part]

    def _svg(self) -> str:
        if self._runs:
            return self._native.picture(notes(self.stats(), self._attached.stages()))
        return self._native.picture(notes(None, ()))

    def _html(self) -> Html:
        state = "closed" if self.closed else "running" if self.started else "declared"
        title = headed(self, self.name, mark(state, "good" if state == "running" else "plain"))
        parts: list[object] = [Html(self._svg())]
        if self._runs:
            stages = [(on, StageStats._read(data)) for on, data in self._attached.stages()]
            if stages:
                rows = [(on, strong(s.name), stage_mark(s), s.packets_in, s.dropped, s.drops) for on, s in stages]
                parts.append(table(["on", "plugin", "state", "packets in", "dropped", "drops"], rows))
            links = self.stats().links
            if links:
                parts.append(folded(f"counters of {_count(len(links), 'link')}", link_table(links.values())))
        return titled(self, title, *parts)

    def _hold(self, device: _D, node: str) -> _D:
        """Sees that a device in a node is closed with the network, and keeps the network while the device is referenced."""
        self._devices.add(device)
        device._home = self
        device._native.belong(self._native.scope, f"{node}:{device.name}")
        return device

    def _keep(self, opened: socket.socket) -> socket.socket:
        """Sees that a socket of a node is closed in forked children, where it would keep the node alive."""
        self._sockets.add(opened)
        return opened

    def _descriptors(self) -> list[int]:
        sockets = []
        for opened in list(self._sockets):
            with contextlib.suppress(OSError):
                if opened.fileno() >= 0:
                    sockets.append(opened.detach())
        return [*sockets, *self._native.fds()]

    def _abandon(self) -> None:
        if self._native.started:
            try:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            finally:
                self.close()

    def __del__(self) -> None:
        # Without the attribute the constructor failed.
        if hasattr(self, "_native"):
            self._abandon()

    def __repr__(self) -> str:
        try:
            kinds = [node.kind for node in self._native.nodes()]
            links = len(self._native.links())
        except Exception as error:
            return f"<vnet.Network {self.name}: {error}>"
        counts = [_count(kinds.count(kind), kind) for kind in ("host", "switch", "router") if kind in kinds]
        state = "closed" if self.closed else "running" if self.started else "declared"
        return f"<vnet.Network {self.name} {state}: {', '.join([*counts, _count(links, 'link')])}>"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}{'es' if what == 'switch' else 's'}"
