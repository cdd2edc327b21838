"""Networks from and to NetworkX graphs."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vnet._errors import InvalidValue, Unsupported
from vnet._impair import Impairments

if TYPE_CHECKING:
    from vnet._network import Network

__all__: list[str] = []

_KINDS = ("host", "switch", "router")


def from_networkx(network: Network, graph: Any) -> None:
    """Declare the nodes and edges of ``graph`` in ``network``."""
    for node, attributes in graph.nodes(data=True):
        kind = attributes.get("kind", "host")
        if kind not in _KINDS:
            raise InvalidValue(f"node {node}: kind is {kind!r}", hint="it is host, switch or router")
        declare = getattr(network, kind)
        declare(str(node), **_known(declare, attributes))
    for a, b, attributes in graph.edges(data=True):
        options = _known(network.link, attributes)
        options.update((key, value) for key, value in attributes.items() if key in Impairments.__annotations__)
        network.link(str(a), str(b), **options)


def _known(declare: Any, attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Returns the attributes that ``declare`` takes by keyword: a graph has others, such as a weight or a position."""
    parameters = inspect.signature(declare).parameters.values()
    names = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    return {str(key): value for key, value in attributes.items() if key in names}


def to_networkx(data: Mapping[str, Any]) -> Any:
    """Return the graph of a declaration in the form of ``Network.to_dict``."""
    try:
        networkx = importlib.import_module("networkx")
    except ImportError as error:
        message = f"a network cannot be given to NetworkX: {error}"
        raise Unsupported(message, hint="pip install networkx") from error
    pairs = [frozenset((link["a"]["node"], link["b"]["node"])) for link in data["links"]]
    graph: Any = networkx.Graph() if len(set(pairs)) == len(pairs) else networkx.MultiGraph()
    if "name" in data:
        graph.graph["name"] = data["name"]
    for node in data["nodes"]:
        graph.add_node(node["name"], **_node(node))
    for link in data["links"]:
        graph.add_edge(link["a"]["node"], link["b"]["node"], **_link(link))
    return graph


def _node(node: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a node as ``Network.host`` takes them."""
    options = {key: value for key, value in node.items() if key != "name"}
    if options.get("gateway") == "none":
        options["gateway"] = False
    if "routes" in options:
        options["routes"] = [(route["to"], route["via"]) for route in options["routes"]]
    return options


def _link(link: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a link as ``Network.link`` takes them."""
    options = {key: value for key, value in link.items() if key not in ("a", "b")}
    for key, option in (("interface", "interfaces"), ("ip", "ip"), ("mac", "mac")):
        ends = (link["a"].get(key), link["b"].get(key))
        if ends != (None, None):
            options[option] = ends
    return options
