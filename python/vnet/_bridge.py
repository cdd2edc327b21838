"""Kernel bridges."""

from __future__ import annotations

from collections.abc import Sequence

from vnet import _vnet
from vnet._device import Device, native_device
from vnet._netns import Netns, native_netns
from vnet._tap import addresses

__all__ = ["Bridge"]


class Bridge(Device):
    """A kernel bridge: ``ip link add NAME type bridge`` with its ports put in and up.

    ``ports`` are devices of the same namespace: a TAP, a veth end, an opened interface. Options are those of :class:`Tap`;
    the MTU is that of the smallest port when None. Closing it removes the bridge and leaves its ports.
    """

    def __init__(
        self,
        name: str,
        *,
        ports: Sequence[Device] = (),
        ip: str | Sequence[str] | None = None,
        mac: str | None = None,
        mtu: int | None = None,
        netns: Netns = None,
        up: bool = True,
        persist: bool = False,
    ) -> None:
        self._own(
            _vnet.make_bridge(
                name,
                ports=[native_device(port, "a bridge") for port in ports],
                ip=addresses(ip),
                mac=mac,
                mtu=mtu,
                netns=native_netns(netns),
                up=up,
                persist=persist,
            )
        )

    @property
    def ports(self) -> tuple[str, ...]:
        """Names of the interfaces that are its ports, in the order of their indexes."""
        return tuple(self._native.ports())

    def _about(self) -> list[tuple[str, object]]:
        return [("ports", self.ports)]

    def add(self, device: Device) -> None:
        """Make ``device`` a port, as ``ip link set DEV master NAME`` does."""
        self._native.add_port(native_device(device, "a bridge"))

    def remove(self, device: Device) -> None:
        """Take ``device`` out; raises InvalidValue when it is not a port of this bridge."""
        self._native.remove_port(native_device(device, "a bridge"))
