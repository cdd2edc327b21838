"""Waiting for conditions."""

from __future__ import annotations

import time
from collections.abc import Callable

import vnet


def until(condition: Callable[[], bool], what: str, seconds: float = 10) -> float:
    """Wait until `condition` holds and return the seconds it took; fail, naming `what`, when it never does."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)
    return time.monotonic() - start


def drain(device: vnet.Device) -> None:
    """Take every frame that waits; of a device nobody has read yet this begins the reading."""
    while True:
        try:
            device.recv(timeout=0)
        except vnet.TimeoutError:
            return
