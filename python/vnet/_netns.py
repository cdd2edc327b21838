"""How a caller names a network namespace."""

from __future__ import annotations

import os
from typing import Protocol, TypeAlias

__all__ = ["HasFileno", "Netns"]


class HasFileno(Protocol):
    """Anything with a file descriptor, such as an open namespace file."""

    def fileno(self) -> int:
        """Return the descriptor."""


Netns: TypeAlias = str | os.PathLike[str] | int | HasFileno | None
"""``None`` the current namespace, ``"host"`` the same said explicitly, ``"sandbox"`` the private one, a path
(``/run/netns/blue``, ``/proc/1234/ns/net``), a bare name as ``ip netns`` keeps it, or an open descriptor."""


def native_netns(netns: Netns) -> str | int | None:
    """Return what the native module takes: a text, a descriptor or None."""
    if netns is None or isinstance(netns, (str, int)):
        return netns
    if isinstance(netns, os.PathLike):
        return os.path.abspath(os.fspath(netns))
    return netns.fileno()
