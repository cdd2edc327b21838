"""Frames the tests send."""

from __future__ import annotations

BROADCAST = b"\xff" * 6


def ethernet(destination: bytes = BROADCAST, *, source: bytes = b"\x02\0\0\0\0\x99", payload: bytes = b"") -> bytes:
    """Return a frame of the experimental EtherType 0x88b5, which no kernel answers."""
    return destination + source + b"\x88\xb5" + payload.ljust(46, b"\0")


def is_ours(frame: bytes) -> bool:
    """Tell whether a frame was made by `ethernet`, and not by a kernel."""
    return frame[12:14] == b"\x88\xb5"
