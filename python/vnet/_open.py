"""Existing interfaces."""

from __future__ import annotations

from vnet import _vnet
from vnet._device import Device
from vnet._netns import Netns, native_netns

__all__ = ["Interface", "open"]


class Interface(Device):
    """An interface somebody else made, as :func:`open` returns it; closing it leaves the interface as it is."""


def open(name: str, *, netns: Netns = None) -> Interface:
    """Take an existing interface as a device.

    The engine reads a *copy* of the frames that arrive there: reading is harmless, and a plugin that drops them keeps them
    from ``recv`` and from a :class:`Wire`, not from the kernel. Raises NotFound when there is no such interface.
    """
    return Interface._wrap(_vnet.open_device(name, native_netns(netns)))
