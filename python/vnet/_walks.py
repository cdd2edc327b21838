"""The walks of packets that a network carries: watched, or of a probe that is sent."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import re
import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, overload

from vnet import _vnet
from vnet._errors import Closed, InvalidValue, TimeoutError
from vnet._evidence import Counters
from vnet._html import Html
from vnet._packets import nodes_of
from vnet._shown import Shown, headed, titled
from vnet._walk import Walk

if TYPE_CHECKING:
    from vnet._network import Network
    from vnet._node import Node
    from vnet._recording import Recording

__all__ = ["Walks"]


class Plan(NamedTuple):
    """Where a capture's interfaces stand in a network.

    ``nodes`` are names with their addresses and Ethernet addresses; ``places`` an interface's name in captures, its node, its
    name there, whether it is a switch's port, and its Ethernet address, empty where none is known; ``links`` a link's name and
    the places at its ends.
    """

    nodes: list[tuple[str, list[str], list[str]]]
    places: list[tuple[str, str, str, bool, str]]
    links: list[tuple[str, str, str]]


def plan(network: Network) -> Plan:
    """Return where a capture's interfaces stand."""
    switches = set(network.switches.names)
    places: dict[str, tuple[str, str, str, bool, str]] = {}
    links = []
    for link in network.stats().links.values():
        ends = []
        for end in (link.a, link.b):
            node, interface = end.split(":", 1)
            name = f"{node}-{interface}"
            places[name] = (name, node, interface, node in switches, "")
            ends.append(name)
        links.append((link.name, ends[0], ends[1]))
    for host in [*network.hosts, *network.routers]:
        for one in host.interfaces:
            name = f"{host.name}-{one.name}"
            places[name] = (name, host.name, one.name, False, one.mac)
    return Plan(nodes_of(network), list(places.values()), links)


class Walks(Shown):
    """The walks of packets that a filter takes, as :meth:`Network.walk` returns it.

    As a ``with`` block it watches until the block ends, and then holds the walks; iterated without one it begins to watch,
    yields each walk as soon as its packet's fate is known, and ends after ``count`` of them or ``timeout`` seconds.
    """

    __slots__ = (
        "_count",
        "_counters",
        "_filter",
        "_found",
        "_lost",
        "_network",
        "_plan",
        "_recording",
        "_timeout",
    )

    def __init__(self, network: Network, filter: str, timeout: float, count: int | None) -> None:
        if count is not None and count < 1:
            raise InvalidValue(f"count={count} is no number of walks: give 1 or more, or None for all")
        self._network = network
        self._filter = filter
        self._timeout = timeout
        self._count = count
        self._recording: Recording | None = None
        self._found: list[Walk] | None = None
        # Records that the capture had no room for, once that is known.
        self._lost = 0

    def _check(self) -> Self:
        """Raise InvalidValue where the filter is none."""
        _vnet.check_filter(self._filter, nodes_of(self._network))
        return self

    def _begin(self) -> Recording:
        network = self._network
        self._check()
        self._plan = plan(network)
        self._counters = Counters(network)
        self._recording = recording = network.capture(stages=True, dropped=True, snaplen=SNAPLEN)
        return recording

    def _end(self) -> None:
        if self._recording is not None:
            recording, self._recording = self._recording, None
            # What is on its way is to be seen arriving, too.
            time.sleep(_SETTLE)
            with contextlib.suppress(Closed):
                self._lost = recording.stop().lost
            self._found = self._read(recording)

    def _read(self, recording: Recording, first: int = 0) -> list[Walk]:
        """Return the walks so far from one on, as many as are wanted."""
        native = _vnet.Packets(recording.path)
        why = functools.cache(self._counters.why)
        found = native.walks(self._filter, *self._plan)[first : self._count]
        return [Walk._of(native, data, why, self._lost) for data in found]

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def __iter__(self) -> Iterator[Walk]:
        if self._recording is not None:
            return iter(self._read(self._recording))
        return iter(list(self._found)) if self._found is not None else self._live(self._begin())

    def _live(self, recording: Recording) -> Iterator[Walk]:
        given, deadline = 0, time.monotonic() + self._timeout
        try:
            while self._count is None or given < self._count:
                late = time.monotonic() >= deadline
                for walk in self._read(recording, given):
                    if not (late or _is_settled(walk)):
                        break
                    given += 1
                    yield walk
                if late:
                    return
                time.sleep(_POLL)
        finally:
            self._end()

    @overload
    def __getitem__(self, index: int) -> Walk: ...
    @overload
    def __getitem__(self, index: slice) -> list[Walk]: ...
    def __getitem__(self, index: int | slice) -> Walk | list[Walk]:
        return (self._found or [])[index]

    def __len__(self) -> int:
        return len(self._found or ())

    @property
    def first(self) -> Walk:
        """The first walk. Raises TimeoutError when no packet was seen that the filter takes."""
        if not self._found:
            raise TimeoutError(
                f"no packet was seen that the filter {self._filter!r} takes",
                hint="send one within the block, or see what goes on with net.capture()",
            )
        return self._found[0]

    def __repr__(self) -> str:
        state = (
            "watching"
            if self._recording is not None
            else "not begun"
            if self._found is None
            else f"{len(self._found)} walks"
        )
        return f"<vnet.Walks {self._filter!r}: {state}>"

    def _html(self) -> Html:
        return titled(self, headed(self, self._filter), *(walk._html() for walk in (self._found or [])[:20]))


def _is_settled(walk: Walk) -> bool:
    """Return whether a packet's fate is known, or nothing more is to be expected of it."""
    last = walk.hops[-1]
    # What an impairment or a plugin holds comes out again.
    held = last.kind in ("impairment", "plugin") and last.verdict == "in"
    age = time.time() - walk.frame.timestamp - last.time
    return walk.delivered or last.is_end or (age > _KEPT and not held)


# Octets of a frame that are enough to know it by.
SNAPLEN = 2048
# Seconds: for what is on its way to arrive, between two looks, and after which a kernel has surely dropped what it has.
_SETTLE, _POLL, _KEPT = 0.15, 0.1, 1.0


def trace(
    source: Node,
    target: Node | str,
    proto: Literal["icmp", "udp", "tcp"],
    port: int | None,
    size: int | None,
    timeout: float,
) -> Walk:
    """Send one packet from a node to a node or address, and return its walk."""
    if proto not in ("icmp", "udp", "tcp"):
        raise InvalidValue(f'proto={proto!r} is none of "icmp", "udp", "tcp"')
    if proto == "icmp" and port is not None:
        raise InvalidValue(f"port={port}: ICMP has no ports", hint='give proto="udp" or proto="tcp"')
    try:
        address = str(ipaddress.ip_address(target if isinstance(target, str) else target.ip))
    except ValueError:
        # It is the name of a node, then.
        address = str(source.network[str(target)].ip)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    to = {"icmp": None, "udp": _UDP_PORT, "tcp": 80}[proto] if port is None else port
    meant = re.compile(rf"> {re.escape(address)}{'' if to is None else rf'[.]{to}'}: ")

    def is_own(walk: Walk) -> bool:
        return walk.hops[0].node == source.name and meant.search(walk.frame.summary()) is not None

    walks = Walks(source.network, f"{proto} or icmp or icmp6", timeout, None)
    with walks:
        if proto == "icmp":
            source.ping(address, timeout=timeout, size=56 if size is None else size)
        elif proto == "udp":
            # Without a route it is refused, which is told below.
            with source.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
                probe.sendto(bytes(32 if size is None else size), (address, to))
                deadline = time.monotonic() + timeout
                while time.monotonic() < deadline and not any(map(_is_settled, filter(is_own, walks))):
                    time.sleep(_POLL)
        else:
            _connect(source, family, (address, to), size, timeout)
    own = list(filter(is_own, walks))
    if not own:
        raise TimeoutError(
            f"{source.name} sent no packet to {address}: it has no route there, or no neighbour on the way answered it",
            hint=f"see its routes with {source.name}.run('ip route get {address}')",
        )
    probe_walk = own[0]
    probe_walk._answer = _answer(probe_walk, walks, has_ports=to is not None)
    return probe_walk


def _answer(probe: Walk, walks: Walks, has_ports: bool) -> Walk | None:
    """Return the walk of what the node that got a probe sent back to where it saw it come from."""
    got = [hop.before for hop in probe if hop.kind == "received" and hop.node == probe.delivered_to]
    if not got:
        return None
    source = got[0].summary().split(" ")[1]
    back = re.compile(
        rf"> {re.escape(source.rpartition('.')[0] if has_ports else source)}([.][0-9]+)?: (?!.*neighbor )"
    )
    for walk in walks:
        is_later = walk.frame.timestamp_ns >= got[0].timestamp_ns
        if is_later and walk.hops[0].node == probe.delivered_to and back.search(walk.frame.summary()):
            return walk
    return None


def _connect(source: Node, family: int, to: tuple[str, int | None], size: int | None, timeout: float) -> None:
    with source.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(timeout)
        # The walk tells what became of an attempt that fails.
        with contextlib.suppress(OSError):
            probe.connect(to)
            probe.sendall(bytes(size or 0))


# Where traceroute begins.
_UDP_PORT = 33434
