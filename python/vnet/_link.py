"""A link of a network, and an end of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Unpack

from vnet import _vnet
from vnet._attachment import Attachment, attach
from vnet._errors import InvalidValue
from vnet._html import Html, fields, mark
from vnet._impair import Impairments, LinkImpairments, changes
from vnet._impair import events as event_list
from vnet._linestats import lines_body
from vnet._netstats import LinkStats, link_table
from vnet._plugin import Direction, OnFault, PluginLike, Trip, TripLike, chosen
from vnet._recording import Capturable
from vnet._shown import Shown, headed, titled
from vnet._stats import KernelStats, _Value, kernel_table, stage_table

if TYPE_CHECKING:
    from vnet._network import Network
    from vnet._node import Node

__all__ = ["Link", "LinkState", "NodeInterface"]


@dataclass(frozen=True, slots=True)
class LinkState(_Value):
    """What a link is doing: ``up`` is what was asked for, ``carrier`` whether frames can flow.

    ``path`` says who moves its frames: ``"kernel"``, or ``"engine"`` while a plugin or an impairment is on it or on its
    switch.
    """

    up: bool
    carrier: bool
    path: Literal["kernel", "engine"]


class Link(Shown, Capturable):
    """A cable between two nodes, made by :meth:`Network.link`.

    Its frames are moved by the kernel until a plugin or an impairment is on it; then the engine moves them, and
    gives the link back when the last one is gone. The nodes notice neither.
    """

    __slots__ = ("_name", "_native", "_network")

    def __init__(self, native: _vnet.Link, network: Network) -> None:
        self._native = native
        self._network = network
        self._name = native.name

    @property
    def name(self) -> str:
        """Its name, such as ``"h1-s1"``."""
        return self._name

    @property
    def network(self) -> Network:
        """The network it is part of."""
        return self._network

    @property
    def a(self) -> Node:
        """The node it was drawn from: frames that come from there are ingress."""
        return self._network[self._native.ends[0]]

    @property
    def b(self) -> Node:
        """The node it was drawn to: frames that come from there are egress."""
        return self._network[self._native.ends[1]]

    @property
    def ends(self) -> tuple[str, str]:
        """Names of its nodes, ``a`` and ``b``."""
        return self._native.ends

    @property
    def interfaces(self) -> tuple[str | None, str | None]:
        """Names of its interfaces at ``a`` and ``b``; None at a switch. Starts the network."""
        return self._native.interfaces()

    @property
    def state(self) -> LinkState:
        """What it is doing. Starts the network."""
        data = self._native.state()
        return LinkState(data["up"], data["carrier"], "engine" if data["engine"] else "kernel")

    @property
    def is_up(self) -> bool:
        """Whether it is up, as :meth:`up` and :meth:`down` left it."""
        return self._native.is_up()

    @property
    def stats(self) -> LinkStats:
        """Counters of both ends up to this moment, as in :meth:`Network.stats`. Starts the network.

        ``a_to_b`` and ``b_to_a`` tell how frames have fared in a direction that is, or was, impaired: asked and realised.
        """
        return self._network.stats().links[self._name]

    @property
    def impairments(self) -> LinkImpairments:
        """What befalls its frames just now, as it is asked for. Starts nothing."""
        return LinkImpairments._read(self._native.impairments())

    def set(self, **impairments: Unpack[Impairments]) -> None:
        """Change impairments, at once where the network runs: what is given changes, the rest stays; None is back to nothing.

        ::

            link.set(delay="20ms", loss=(0.1, None))

        Frames that are under way keep their time. Raises InvalidValue for a value with a wrong unit, values that do not go
        together, and files that cannot be read; nothing has changed then.
        """
        self._native.impair(changes(impairments, "set"))

    def schedule(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Have things happen to it at their time, in place of what was scheduled before; an empty list ends that.

        ::

            link.schedule([
                {"at": "5s", "delay": "50ms", "loss": ("1%", None)},   # any impairments, as set() takes them
                {"at": "10s", "down": True}, {"at": 11, "up": True},
                {"every": "10s", "down": "1s"},                        # a flap, again and again
            ])

        Times count from this call where the network runs, else from its start, to about a millisecond. What happens is not
        declared: :meth:`Network.save` writes how the link began. Raises InvalidValue for what cannot be.
        """
        self._native.set_schedule(event_list(events))

    def up(self) -> None:
        """Plug it in: both ends have carrier again."""
        self._native.set_up(True)

    def down(self) -> None:
        """Pull it: both nodes see their interface lose its carrier, and what is under way is lost."""
        self._native.set_up(False)

    def attach(
        self,
        plugin: PluginLike,
        *,
        config: dict[str, Any] | None = None,
        on_fault: OnFault | None = None,
        direction: Direction = "both",
        trip: TripLike | None = Trip(),
        grants: tuple[str, ...] = (),
        seed: int = 0,
        position: int | None = None,
    ) -> Attachment:
        """Put a plugin on its frames, as :meth:`Device.attach` does; no frame is lost or doubled by the change.

        One instance judges both directions unless ``direction`` is ``"ingress"`` (a to b) or ``"egress"`` (b to a).
        """
        plugin = chosen(plugin, config, on_fault, trip, grants, seed)
        ends = (self.a.name, self.b.name)
        return self._network._remember(attach(self._native, self, self._name, plugin, direction, position, ends))

    def _record(self, to: str | int, options: _vnet.CaptureOptions) -> _vnet.Recording:
        return self._native.capture(to, options)

    def remove(self) -> None:
        """Take it out of the network, with its interfaces."""
        self._native.remove()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Link):
            return NotImplemented
        return self._network is other._network and self._name == other._name

    def __hash__(self) -> int:
        return hash((id(self._network), self._name))

    def __repr__(self) -> str:
        return f"<vnet.Link {self._native.describe()}>"

    def _html(self) -> Html:
        asked = self.impairments
        parts = [asked._table()] if asked.a_to_b or asked.b_to_a else []
        ways = " \N{LEFT RIGHT ARROW} ".join(self.ends)
        ends = f"{self._name}: {ways}"
        if not self._network._runs:
            return titled(self, headed(self, ends, mark("declared" if self.is_up else "down", "plain")), *parts)
        stats = self.stats
        parts.append(link_table([stats]))
        if stages := self._network._stages_on(self._name):
            parts.append(stage_table(stages))
        parts.append(lines_body(stats.a_to_b, stats.b_to_a))
        return titled(self, headed(self, ends, stats._path), *parts)


class NodeInterface(Shown, Capturable):
    """An interface of a node: its end of a link, ``eth0``, ``eth1``, ...

    ``addresses`` have a prefix length; ``mtu`` is in bytes; ``link`` is the name of the link behind it.
    """

    __slots__ = ("_data", "_native", "_node")

    def __init__(self, native: _vnet.Node, node: Node, data: dict[str, Any]) -> None:
        self._native = native
        self._node = node
        self._data = data

    @property
    def name(self) -> str:
        """Its name in the node."""
        return str(self._data["name"])

    @property
    def node(self) -> Node:
        """The node it belongs to."""
        return self._node

    @property
    def mac(self) -> str:
        """Ethernet address as ``"02:00:00:00:00:01"``."""
        return str(self._data["mac"])

    @property
    def mtu(self) -> int:
        """Largest IP packet it carries, in bytes."""
        return int(self._data["mtu"])

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses with prefix length, such as ``("10.0.0.1/24", "fd00::1/64")``."""
        return tuple(self._data["addresses"])

    @property
    def up(self) -> bool:
        """Whether it was up when it was asked for."""
        return bool(self._data["up"])

    @property
    def carrier(self) -> bool:
        """Whether frames could flow when it was asked for."""
        return bool(self._data["carrier"])

    @property
    def stats(self) -> KernelStats:
        """The kernel's counters when it was asked for."""
        return KernelStats._read(self._data["stats"])

    @property
    def link(self) -> Link:
        """The link behind it."""
        return self._node.network.links[str(self._data["link"])]

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
        """Put a plugin on its frames, as :meth:`Device.attach` does: what the node sends is ingress, what it gets egress."""
        plugin = chosen(plugin, config, on_fault, trip, grants, seed)
        place = _vnet.Place(self._native, self.name)
        on = f"{self._node.name}:{self.name}"
        return self._node.network._remember(attach(place, self._node, on, plugin, direction, position, (on,)))

    def _record(self, to: str | int, options: _vnet.CaptureOptions) -> _vnet.Recording:
        return self._native.capture([self.name], to, options)

    def add_address(self, address: str) -> None:
        """Add an address such as ``"10.0.0.2/24"``; a bare address is /32, or /128 in IPv6, as for ``ip``."""
        self._native.add_address(self.name, address)

    def del_address(self, address: str) -> None:
        """Delete an address; raises NotFound when the interface does not have it."""
        self._native.del_address(self.name, address)

    def __repr__(self) -> str:
        state = "up" if self.up and self.carrier else "no-carrier" if self.up else "down"
        return f"<vnet.NodeInterface {self._node.name}:{self.name} {state} {' '.join((self.mac, *self.addresses))}>"

    def _html(self) -> Html:
        state = "up" if self.up and self.carrier else "no carrier" if self.up else "down"
        name = f"{self._node.name}:{self.name}"
        about = [("addresses", self.addresses), ("mac", self.mac), ("mtu", str(self.mtu)), ("link", self._data["link"])]
        title = headed(self, name, mark(state, "good" if state == "up" else "bad"))
        return titled(self, title, fields(about), kernel_table([(self.name, self.stats)]))


def pair(value: Any, what: str) -> tuple[Any, Any]:
    """Return what was given for the two ends of a link: nothing, or one thing for each."""
    if value is None:
        return None, None
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        return value[0], value[1]
    raise InvalidValue(
        f"{what}={value!r} does not say which end is which", hint=f"give {what}=(at_a, at_b), None for none"
    )
