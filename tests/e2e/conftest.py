from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import traces
from lab import Lab


@pytest.fixture(autouse=True)
def only_what_the_test_starts() -> None:
    """What earlier tests made in this process, and keep, is not this test's to answer for."""
    traces.begin()


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A private network namespace with nothing in it."""
    if os.geteuid() != 0:
        pytest.skip("making a network namespace needs root: run the tests with sudo")
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("/dev/net/tun is missing: modprobe tun")
    with Lab() as lab:
        yield lab
