"""Veth pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from vnet import _vnet
from vnet._device import Device
from vnet._html import Html, join, mark
from vnet._netns import Netns, native_netns
from vnet._shown import Shown, headed, titled
from vnet._tap import addresses

__all__ = ["Veth", "VethEnd"]


class VethEnd(Device):
    """One end of a :class:`Veth` pair.

    The pair lives and dies as one, as in the kernel: closing either end removes both.
    """

    _pair: Veth

    @property
    def peer(self) -> VethEnd:
        """The other end."""
        return self._pair.b if self is self._pair.a else self._pair.a

    def _about(self) -> list[tuple[str, object]]:
        return [("peer", self.peer.name)]

    def close(self) -> None:
        """Remove the pair. Doing it again does nothing."""
        for end in self._pair:
            end._release()


class Veth(Shown):
    """A veth pair: what goes in at one end comes out at the other.

    ``a, b = vnet.Veth("ep1", "ep2")`` is ``ip link add ep1 type veth peer name ep2`` with both ends up. ``ip``, ``mac`` and
    ``netns`` belong to the first end and ``peer_ip``, ``peer_mac`` and ``peer_netns`` to the second, whose namespace is
    that of the first when None; ``mtu`` in bytes is of both. ``persist=True`` alone lets the pair outlive the process.

    As soon as an end is received from or filtered, the engine reads a copy of the frames that arrive there; in a
    :class:`Wire` the end should have no address, so that the kernel does not answer too.

    Raises DeviceBusy when a name is taken, PrivilegeError without the right to make one, InvalidValue for a bad name,
    address or size.
    """

    __slots__ = ("__weakref__", "a", "b")

    a: VethEnd
    b: VethEnd

    def __init__(
        self,
        name: str,
        peer: str,
        *,
        ip: str | Sequence[str] | None = None,
        peer_ip: str | Sequence[str] | None = None,
        mac: str | None = None,
        peer_mac: str | None = None,
        mtu: int = 1500,
        netns: Netns = None,
        peer_netns: Netns = None,
        up: bool = True,
        persist: bool = False,
    ) -> None:
        first, second = _vnet.make_veth(
            name,
            peer,
            ip=addresses(ip),
            peer_ip=addresses(peer_ip),
            mac=mac,
            peer_mac=peer_mac,
            mtu=mtu,
            netns=native_netns(netns),
            peer_netns=native_netns(peer_netns),
            up=up,
            persist=persist,
        )
        self.a = VethEnd._wrap(first)
        self.b = VethEnd._wrap(second)
        # Each end keeps the pair, so that `a, _ = Veth(...)` does not lose the end nobody named.
        self.a._pair = self
        self.b._pair = self

    def close(self) -> None:
        """Remove the pair. Doing it again does nothing."""
        self.a.close()

    def __iter__(self) -> Iterator[VethEnd]:
        """Yield both ends, for ``a, b = vnet.Veth(...)``."""
        return iter((self.a, self.b))

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> VethEnd:
        return (self.a, self.b)[index]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<vnet.Veth {self.a!r} {self.b!r}>"

    def _html(self) -> Html:
        ends = f"{self.a.name} \N{LEFT RIGHT ARROW} {self.b.name}"
        state = [mark("closed", "plain")] if self.a.closed else []
        return titled(self, headed(self, ends, *state), join(self.a._html(), self.b._html()))
