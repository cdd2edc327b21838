"""What a frame needs from Python: Scapy, and pickling."""

from __future__ import annotations

import importlib
from typing import Any, Literal

from vnet._errors import Unsupported
from vnet._vnet import Frame

__all__: list[str] = []


def to_scapy(frame: Frame) -> Any:
    """Return ``frame`` as a Scapy packet with its time."""
    data = bytes(frame)
    if frame.layer == "l2":
        module, name = "scapy.layers.l2", "Ether"
    elif data[:1] and data[0] >> 4 == 6:
        module, name = "scapy.layers.inet6", "IPv6"
    else:
        module, name = "scapy.layers.inet", "IP"
    try:
        # The layers register themselves with each other: without inet an Ether would end in raw bytes.
        importlib.import_module("scapy.layers.inet6")
        packet = getattr(importlib.import_module(module), name)(data)
    except ImportError as error:
        message = f"a frame cannot be given to Scapy: {error}"
        raise Unsupported(message, hint='pip install "vnet[scapy]"') from error
    packet.time = frame.timestamp
    return packet


def restore(data: bytes, layer: Literal["l2", "l3"], timestamp_ns: int) -> Frame:
    """Return an unpickled frame."""
    return Frame(data, layer=layer, timestamp_ns=timestamp_ns)
