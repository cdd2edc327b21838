"""What the kernels of nodes count, as evidence of why a packet was dropped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from vnet._errors import Error

if TYPE_CHECKING:
    from vnet._network import Network
    from vnet._node import Node

__all__: list[str] = []

# Counters of /proc/net/snmp, snmp6 and netstat that count a packet that was not delivered, and what they mean.
_MEANINGS = {
    "Ip.OutNoRoutes": "no route",
    "Ip6OutNoRoutes": "no route",
    "IpExt.InNoRoutes": "no route",
    "Ip6InNoRoutes": "no route",
    "TcpExt.IPReversePathFilter": "its source address is not where it came from (rp_filter)",
    "Ip.InHdrErrors": "its header is wrong, or its TTL ran out",
    "Ip6InHdrErrors": "its header is wrong, or its hop limit ran out",
    "Ip.InAddrErrors": "it is for no address of this node, which does not forward",
    "Ip6InAddrErrors": "it is for no address of this node, which does not forward",
    "Ip6InTooBigErrors": "it is too big for the next link",
    "Ip.FragFails": "it is too big for the next link and must not be cut",
    "Ip.InUnknownProtos": "nobody handles its protocol",
    "Ip.InDiscards": "the kernel had no room or no use for it",
    "Ip6InDiscards": "the kernel had no room or no use for it",
    "Ip.OutDiscards": "the kernel had no room for it",
    "Udp.NoPorts": "no socket listens on its port",
    "Udp.InCsumErrors": "its UDP checksum is wrong",
    "Udp.RcvbufErrors": "the socket's buffer is full",
    "Tcp.InCsumErrors": "its TCP checksum is wrong",
    "Icmp.InCsumErrors": "its ICMP checksum is wrong",
    "IpExt.InCsumErrors": "its IP checksum is wrong",
    "IpExt.InTruncatedPkts": "it is cut off",
    "Ip.ReasmFails": "not all of its fragments came",
}

# More nodes would take longer to ask than a walk is worth.
_MOST_NODES = 64


class Counters:
    """The counters of a network's nodes, as they stood when it was made."""

    __slots__ = ("_before", "_network")

    def __init__(self, network: Network) -> None:
        self._network = network
        nodes: list[Node] = [*network.routers, *network.hosts][:_MOST_NODES]
        with ThreadPoolExecutor(max_workers=8) as pool:
            self._before = dict(zip([node.name for node in nodes], pool.map(_read, nodes), strict=True))

    def why(self, name: str) -> str:
        """Return in a sentence what a node's kernel says of a packet that it got and that nobody saw again."""
        before = self._before.get(name)
        after = _read(self._network[name]) if before is not None else {}
        risen = {key: after[key] - (before or {}).get(key, 0) for key in _MEANINGS if key in after}
        told = [f"{_MEANINGS[key]} ({key.replace('.', '')} +{count})" for key, count in risen.items() if count > 0]
        if told:
            return f"dropped by {name}'s kernel: {'; '.join(told)}"
        elsewhere = "a firewall's rule or a blackhole route counts elsewhere"
        return f"{name}'s kernel dropped it or keeps it: none of its counters rose ({elsewhere})"


def _read(node: Node) -> dict[str, int]:
    try:
        text = node.run(["cat", "/proc/net/snmp", "/proc/net/netstat", "/proc/net/snmp6"], timeout=5.0).stdout
    except (Error, OSError):
        return {}
    return parsed(str(text))


def parsed(text: str) -> dict[str, int]:
    """Return the counters of /proc/net/snmp and netstat (two lines for each group) and snmp6 (a line for each)."""
    found: dict[str, int] = {}
    head: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and not words[0].endswith(":"):
            found[words[0]] = int(words[1])
        elif words and words[0].endswith(":"):
            if head and head[0] == words[0] and len(head) == len(words):
                group = words[0][:-1]
                found |= {f"{group}.{key}": int(value) for key, value in zip(head[1:], words[1:], strict=True)}
                head = []
            else:
                head = words
    return found
