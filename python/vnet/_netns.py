"""How a caller names a network namespace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union

from vnet import _vnet

if TYPE_CHECKING:
    from vnet._node import Node

__all__ = ["HasFileno", "Netns"]


class HasFileno(Protocol):
    """Anything with a file descriptor, such as an open namespace file."""

    def fileno(self) -> int:
        """Return the descriptor."""


Netns: TypeAlias = Union[str, os.PathLike[str], int, HasFileno, "Node", None]
"""``None`` the current namespace, ``"host"`` the same said explicitly, ``"sandbox"`` the private one, a host or router of a
:class:`Network`, a path (``/run/netns/blue``, ``/proc/1234/ns/net``), a bare name as ``ip netns`` keeps it, or a descriptor."""


def native_netns(netns: Netns) -> str | int | _vnet.Node | None:
    """Return what the native module takes: a text, a descriptor, a node or None."""
    from vnet._node import Node

    if netns is None or isinstance(netns, (str, int)):
        return netns
    if isinstance(netns, Node):
        return netns._native
    if isinstance(netns, os.PathLike):
        return os.path.abspath(os.fspath(netns))
    return netns.fileno()
