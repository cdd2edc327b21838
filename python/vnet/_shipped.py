"""Plugins that ship with vnet."""

from __future__ import annotations

from dataclasses import dataclass, field

from vnet import _vnet
from vnet._html import Html, fields
from vnet._shown import Shown, headed, titled

__all__ = ["ShippedPlugin", "shipped"]


@dataclass(frozen=True, slots=True)
class ShippedPlugin(Shown):
    """A plugin that ships with vnet and is attached by its bare ``name``; ``module`` is its WebAssembly."""

    name: str
    description: str
    module: bytes = field(repr=False)

    def _html(self) -> Html:
        pairs = [("description", self.description), ("module", f"{len(self.module):,} bytes")]
        return titled(self, headed(self, self.name), fields(pairs))


def shipped() -> tuple[ShippedPlugin, ...]:
    """Return the plugins that ship with vnet, in the order of their names."""
    return tuple(ShippedPlugin(name, description, module) for name, description, module in _vnet.shipped())
