"""The process's private sandbox, where devices and commands of an ordinary user live."""

from __future__ import annotations

import contextlib
import logging

from vnet import _lifetime, _vnet

__all__: list[str] = []

_logger = logging.getLogger("vnet.sandbox")


def announce() -> None:
    """Log, once, that the sandbox was made though nobody asked for it by name."""
    text = _vnet.sandbox_announcement()
    if text is not None:
        _logger.warning("%s", text)


def _end() -> None:
    # A process in it that hangs in the kernel goes when the kernel lets it; nobody is there to be told.
    with contextlib.suppress(Exception):
        _vnet.close_sandbox()


_lifetime.at_exit(_end)
