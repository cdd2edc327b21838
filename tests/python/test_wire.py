from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
import vnet
from wait import drain, until

pytestmark = pytest.mark.usefixtures("netns")

SEND = """
import hashlib, os, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(family); s.settimeout(30); s.connect((sys.argv[1], 9999))
block = os.urandom(1 << 20); h = hashlib.sha256()
for _ in range(int(sys.argv[2])):
    s.sendall(block); h.update(block)
s.close(); print(h.hexdigest())
"""
RECEIVE = """
import hashlib, socket, sys
s = socket.socket(socket.AF_INET6); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::", 9999)); s.listen(); print("ready", flush=True)
c, _ = s.accept(); c.settimeout(30); h = hashlib.sha256(); n = 0
while data := c.recv(1 << 20):
    h.update(data); n += len(data)
print(n, h.hexdigest())
"""


def settled(place: str | None) -> bool:
    return "tentative" not in vnet.run("ip -6 addr", netns=place).stdout


@pytest.fixture
def ends(second_netns: str, netns: str) -> Iterator[tuple[vnet.Tap, vnet.Tap]]:
    """Two TAPs in two namespaces."""
    with (
        vnet.Tap("tap0", ip=["10.0.0.1/24", "fd00::1/64"]) as a,
        vnet.Tap("tap0", ip=["10.0.0.2/24", "fd00::2/64"], netns=second_netns) as b,
    ):
        # Duplicate address detection ends before an address can be used.
        until(lambda: settled(None) and settled(second_netns), "addresses are ready")
        yield a, b


def transfer(address: str, place: str, mebibytes: int) -> None:
    receiver = subprocess.Popen(
        ["nsenter", f"--net={place}", sys.executable, "-c", RECEIVE], stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdout is not None
    try:
        assert receiver.stdout.readline() == "ready\n"
        sent = vnet.run([sys.executable, "-c", SEND, address, str(mebibytes)], check=True, timeout=60).stdout.strip()
        count, digest = receiver.communicate(timeout=30)[0].split()
        assert int(count) == mebibytes << 20
        assert digest == sent
        assert len(digest) == hashlib.sha256().digest_size * 2
    finally:
        receiver.kill()
        receiver.communicate()


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
@pytest.mark.parametrize("plugins", [[], ["count"]])
def test_a_file_crosses_a_wire_unchanged(
    ends: tuple[vnet.Tap, vnet.Tap], second_netns: str, address: str, plugins: list[str]
) -> None:
    with vnet.Wire(*ends, plugins=plugins) as wire:
        transfer(address, second_netns, 32)
        stats = wire.stats
        assert sum(port.rx_packets for port in stats.ports) > 100
        assert not stats.drops
        assert all(handle.stats.packets_in > 100 for handle in wire.plugins)


def test_a_file_crosses_a_wire_between_veth_ends(second_netns: str) -> None:
    with (
        vnet.Veth("ep1", "port1", ip="10.0.0.1/24") as left,
        vnet.Veth("port2", "ep2", peer_ip="10.0.0.2/24", peer_netns=second_netns) as right,
        vnet.Wire(left.b, right.a, plugins=["count"]),
    ):
        transfer("10.0.0.2", second_netns, 16)


def test_a_wire_takes_the_frames_and_gives_them_back(ends: tuple[vnet.Tap, vnet.Tap]) -> None:
    a, b = ends
    echo = a.attach("icmp_echo")
    assert vnet.run("ping -c1 -W2 10.0.0.7").ok
    wire = vnet.Wire(a, b)
    assert "tap0 <-> tap0" in repr(wire)
    with pytest.raises(vnet.Unsupported, match="wire"):
        a.recv(timeout=0)
    with pytest.raises(vnet.DeviceBusy, match="wire"):
        vnet.Wire(a, b)
    # What was attached to the device is still at work.
    before = echo.stats.tx
    a.flush_neighbours()
    assert vnet.run("ping -c1 -W2 10.0.0.7").ok
    assert echo.stats.tx > before
    on_wire = wire.attach("count")
    wire.close()
    wire.close()
    assert on_wire.detached
    before = echo.stats.tx
    assert vnet.run("ping -c1 -W2 10.0.0.7").ok
    assert echo.stats.tx > before
    assert not echo.detached
    drain(b)
    with vnet.Wire(b, a):
        echo.detach()
        assert vnet.run("ping -c1 -W2 10.0.0.2").ok


def test_closing_a_device_closes_its_wire_first(ends: tuple[vnet.Tap, vnet.Tap]) -> None:
    a, b = ends
    wire = vnet.Wire(a, b, plugins=["count"])
    handle = wire.plugins[0]
    a.close()
    assert wire.closed
    assert handle.detached
    with pytest.raises(vnet.Closed):
        _ = wire.stats
    assert not b.closed
    drain(b)
    with pytest.raises(vnet.Closed, match="tap0"):
        vnet.Wire(a, b)


def test_a_wire_refuses_what_cannot_be_joined() -> None:
    with vnet.Tap("tap0") as tap, vnet.Tun("tun0") as tun:
        with pytest.raises(vnet.InvalidValue, match="Ethernet"):
            vnet.Wire(tap, tun)
        with pytest.raises(vnet.InvalidValue, match="two"):
            vnet.Wire(tap, tap)
        with pytest.raises(TypeError, match=r"""a wire takes devices, and 'tap1' is a str.*vnet\.open\('tap1'\)"""):
            vnet.Wire(tap, "tap1")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a bridge takes devices"):
            vnet.Bridge("br0", ports=["tap0"])  # type: ignore[list-item]
        # Neither was harmed.
        tap.send(b"\xff" * 60)
        with pytest.raises(vnet.PluginRejected), vnet.Tap("tap1") as other:
            vnet.Wire(tap, other, plugins=[b"nonsense"])
        tap.send(b"\xff" * 60)


def test_a_wire_is_a_link_with_impairments_of_its_own(ends: tuple[vnet.Tap, vnet.Tap]) -> None:
    a, b = ends
    ping = "ping -n -c2 -i0.2 -W1 10.0.0.2"
    with vnet.Wire(a, b, seed=7, loss=(1.0, None), busy_poll="10us") as wire:
        assert (wire.seed, wire.impairments.to_dict()) == (7, {"a_to_b": {"loss": "100%"}, "b_to_a": {}})
        assert vnet.run(ping).returncode != 0
        assert wire.b_to_a is None
        assert wire.a_to_b is not None
        assert wire.a_to_b.lost == wire.a_to_b.frames_in > 0
        wire.set(loss=None, delay="10ms")
        vnet.run(ping, check=True)
        line = wire.b_to_a
        assert line is not None
        assert line.asked == {"delay": "10ms"}
        assert line.delay.realised is not None
        assert line.delay.realised.min >= 0.010
        with pytest.raises(vnet.InvalidValue, match='delay: "5 m"'):
            wire.set(loss=0.5, delay="5 m")
        assert wire.impairments.a_to_b == {"delay": "10ms"}
        wire.set(delay=None)
        vnet.run(ping, check=True)
        drained = wire.stats
        assert drained.held == 0
    assert wire.b_to_a is not None
    assert wire.b_to_a.asked == {"delay": "10ms"}
    with vnet.Wire(a, b) as plain:
        assert (plain.a_to_b, plain.b_to_a) == (None, None)
        assert 0 <= plain.seed < 1 << 63
        vnet.run(ping, check=True)
    with pytest.raises(vnet.InvalidValue, match="missing"):
        vnet.Wire(a, b, trace="missing.trace")
    with pytest.raises(vnet.InvalidValue, match="seed -1"):
        vnet.Wire(a, b, seed=-1)
