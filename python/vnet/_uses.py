"""Plugins that a declaration names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from vnet._errors import InvalidValue
from vnet._plugin import Plugin

__all__ = ["PluginUse", "PluginUses"]

PluginUse: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | Plugin
"""A plugin that a declaration names: by its name or path, or with its options as a lab file has them."""

PluginUses: TypeAlias = PluginUse | Sequence[PluginUse]
"""One or several of them, in the order in which they judge."""


def uses(plugins: PluginUses) -> str:
    """Return plugins as the native module reads them."""
    several = [plugins] if isinstance(plugins, (str, os.PathLike, Mapping, Plugin)) else plugins
    try:
        return json.dumps([_one(plugin) for plugin in several], allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidValue(
            f"plugins cannot be declared: {error}",
            hint='give names, paths, or dicts such as {"plugin": "acl", "config": {...}, "direction": "ingress"}',
        ) from error


def _one(plugin: PluginUse) -> Any:
    if isinstance(plugin, os.PathLike):
        return os.fspath(plugin)
    if not isinstance(plugin, Plugin):
        return plugin if isinstance(plugin, str) else dict(plugin)
    if (
        isinstance(plugin.source, bytes)
        or callable(plugin.source)
        or plugin
        != Plugin(
            plugin.source,
            config=plugin.config,
            on_fault=plugin.on_fault,
            grants=plugin.grants,
            module_cap=plugin.module_cap,
        )
    ):
        raise InvalidValue(
            f"{plugin!r} has what no declaration holds",
            hint="declare a name or path, config, on_fault, grants and module_cap only, or attach it once the network is there",
        )
    options = {name: getattr(plugin, name) for name in ("config", "on_fault", "module_cap")}
    options["grants"] = [*plugin.grants]
    return {"plugin": os.fspath(plugin.source)} | {key: value for key, value in options.items() if value}
