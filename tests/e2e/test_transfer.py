"""A file through TCP, byte for byte, over every kind of path: the first thing each path must do.

Ping works over a path that breaks partial checksums, and TCP over it dies silently; only a transfer tells.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import vnet
from lab import Lab

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
SIMPLE = PLUGINS / "drop_bcast" / "simple.wat"

MIB = 1 << 20
SIZE = 256 * MIB
# No byte for this long is a stall.
STALL = 10.0

MAC_A = "02:00:00:00:00:0a"
MAC_B = "02:00:00:00:00:0b"
ADDRESSES = {4: ("10.7.0.1", "10.7.0.2"), 6: ("fd07::1", "fd07::2")}
CIDR_A = ("10.7.0.1/24", "fd07::1/64")
CIDR_B = ("10.7.0.2/24", "fd07::2/64")

RECEIVER = """
import hashlib, socket, sys
address, size, stall = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
server = socket.create_server((address, 0), family=family)
server.settimeout(stall)
print(server.getsockname()[1], flush=True)
connection, _ = server.accept()
connection.settimeout(stall)
digest, received, told = hashlib.sha256(), 0, False
buffer = memoryview(bytearray(1 << 20))
while n := connection.recv_into(buffer):
    digest.update(buffer[:n])
    received += n
    if not told and received >= size // 4:
        told = True
        print("quarter", flush=True)
print(received, digest.hexdigest(), flush=True)
"""

SENDER = """
import random, socket, sys
address, port, size, stall = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
block = random.Random(7).randbytes(1 << 20)
with socket.create_connection((address, port), timeout=stall) as connection:
    for i in range(size >> 20):
        connection.sendall(i.to_bytes(8, "little") + block[8:])
"""


def expected_digest() -> str:
    import random

    block = random.Random(7).randbytes(MIB)
    digest = hashlib.sha256()
    for i in range(SIZE // MIB):
        digest.update(i.to_bytes(8, "little") + block[8:])
    return digest.hexdigest()


@pytest.fixture(scope="module")
def digest() -> str:
    return expected_digest()


@pytest.fixture
def far(lab: Lab) -> Iterator[Lab]:
    """A second namespace."""
    with Lab() as other:
        yield other


def fix_neighbours(near: Lab, far: Lab, near_dev: str, far_dev: str) -> None:
    """Name each side's address to the other, so that nobody has to broadcast a question."""
    for lab, dev, side, mac in ((near, near_dev, 1, MAC_B), (far, far_dev, 0, MAC_A)):
        for pair in ADDRESSES.values():
            done = lab.run("ip", "neigh", "replace", pair[side], "lladdr", mac, "dev", dev, "nud", "permanent")
            assert done.returncode == 0, done.stderr


def transfer(near: Lab, far: Lab, family: int, during: Callable[[], None] | None = None) -> tuple[int, str]:
    """Send SIZE bytes from `near` to `far`; call `during` when a quarter has arrived. Return what arrived."""
    address = ADDRESSES[family][1]
    receiver = far.popen(sys.executable, "-c", RECEIVER, address, str(SIZE), str(STALL))
    assert receiver.stdout is not None
    port = receiver.stdout.readline().strip()
    assert port, receiver.communicate()
    sender = near.popen(sys.executable, "-c", SENDER, address, port, str(SIZE), str(STALL))
    watchdog = threading.Timer(240, receiver.kill)
    watchdog.start()
    try:
        first = receiver.stdout.readline()
        assert first.strip() == "quarter", (first, receiver.communicate(), sender.communicate())
        if during is not None:
            during()
        out, err = receiver.communicate()
        _, sender_err = sender.communicate(timeout=STALL)
    except subprocess.TimeoutExpired:
        raise AssertionError("the sender stalled") from None
    finally:
        watchdog.cancel()
    assert receiver.returncode == 0, err
    assert sender.returncode == 0, sender_err
    count, hexdigest = out.split()
    return int(count), hexdigest


class Between:
    """Two namespaces and the wire between them."""

    def __init__(self, kind: str, near: Lab, far: Lab, stack: ExitStack) -> None:
        if kind == "tap":
            a = stack.enter_context(vnet.Tap("ta", ip=CIDR_A, mac=MAC_A, netns=near.path))
            b = stack.enter_context(vnet.Tap("tb", ip=CIDR_B, mac=MAC_B, netns=far.path))
            fix_neighbours(near, far, "ta", "tb")
            ends: tuple[vnet.Device, vnet.Device] = (a, b)
        else:
            middle = stack.enter_context(Lab())
            va = stack.enter_context(
                vnet.Veth("ma", "ea", netns=middle.path, peer_netns=near.path, peer_ip=CIDR_A, peer_mac=MAC_A)
            )
            vb = stack.enter_context(
                vnet.Veth("mb", "eb", netns=middle.path, peer_netns=far.path, peer_ip=CIDR_B, peer_mac=MAC_B)
            )
            fix_neighbours(near, far, "ea", "eb")
            ends = (va.a, vb.a)
        self.wire = stack.enter_context(vnet.Wire(*ends))


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("plugin", ["drop_bcast", SIMPLE], ids=["gso-aware", "simple"])
@pytest.mark.parametrize("kind", ["tap", "veth"])
def test_a_file_arrives_whole_through_a_plugin(
    lab: Lab, far: Lab, digest: str, kind: str, plugin: str | Path, when: str, family: int
) -> None:
    with ExitStack() as stack:
        path = Between(kind, lab, far, stack)
        handles: list[vnet.Attachment] = []

        def attach() -> None:
            handles.append(path.wire.attach(plugin))

        if when == "before":
            attach()
            received = transfer(lab, far, family)
        else:
            received = transfer(lab, far, family, during=attach)
        assert received == (SIZE, digest)
        stats = handles[0].stats
        assert stats.packets_in > 0
        assert stats.packets_in == stats.passed + stats.dropped
        assert not stats.faults


@pytest.mark.parametrize("kind", ["tap", "veth"])
def test_a_file_arrives_whole_when_the_plugin_leaves_in_the_middle(lab: Lab, far: Lab, digest: str, kind: str) -> None:
    with ExitStack() as stack:
        path = Between(kind, lab, far, stack)
        handle = path.wire.attach(SIMPLE)
        assert transfer(lab, far, 4, during=lambda: handle.detach() and None) == (SIZE, digest)


@pytest.mark.parametrize("family", [4, 6])
def test_a_file_arrives_whole_in_a_vlan(lab: Lab, far: Lab, digest: str, family: int) -> None:
    """One wire pushes a tag, the middle carries tagged frames over a veth pair, the other wire pops it."""
    with ExitStack() as stack:
        middle = stack.enter_context(Lab())
        a = stack.enter_context(vnet.Tap("ta", ip=CIDR_A, mac=MAC_A, netns=lab.path))
        b = stack.enter_context(vnet.Tap("tb", ip=CIDR_B, mac=MAC_B, netns=far.path))
        fix_neighbours(lab, far, "ta", "tb")
        trunk = stack.enter_context(vnet.Veth("m1", "m2", netns=middle.path))
        for tap, end in ((a, trunk.a), (b, trunk.b)):
            # Seen from the TAP: its frames get the tag on their way in, and lose it on their way back.
            tap.attach(PLUGINS / "examples" / "vlan_push.wasm", config={"id": 42}, direction="ingress")
            tap.attach(PLUGINS / "examples" / "vlan_pop.wasm", direction="egress")
            stack.enter_context(vnet.Wire(tap, end, plugins=["drop_bcast"]))
        watch = middle.popen("tcpdump", "-i", "m2", "-nn", "-c", "3", "-e", "vlan", "42")
        assert watch.stderr is not None
        while "listening on" not in watch.stderr.readline():
            assert watch.poll() is None
        assert transfer(lab, far, family) == (SIZE, digest)
        seen, _ = watch.communicate(timeout=30)
        assert seen.count("vlan 42") >= 3
