"""Plugins that ship with vnet."""

from __future__ import annotations

from dataclasses import dataclass, field

from vnet import _vnet

__all__ = ["ShippedPlugin", "shipped"]


@dataclass(frozen=True, slots=True)
class ShippedPlugin:
    """A plugin that ships with vnet and is attached by its bare ``name``; ``module`` is its WebAssembly."""

    name: str
    description: str
    module: bytes = field(repr=False)


def shipped() -> tuple[ShippedPlugin, ...]:
    """Return the plugins that ship with vnet, in the order of their names."""
    return tuple(ShippedPlugin(name, description, module) for name, description, module in _vnet.shipped())
