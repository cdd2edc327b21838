from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import threading
from pathlib import Path

import pytest
import vnet
from wait import drain, until

pytestmark = pytest.mark.usefixtures("netns")

FRAME = bytes.fromhex("ffffffffffff020000000001") + b"\x88\xb5" + bytes(46)


@pytest.mark.filterwarnings("ignore")
def test_devices_stay_usable_while_the_last_handle_of_their_wire_goes() -> None:
    with vnet.Tap("tap0") as a, vnet.Tap("tap1") as b:
        ended = threading.Event()
        errors: list[Exception] = []

        def send() -> None:
            while not ended.is_set():
                try:
                    a.send(FRAME)
                except Exception as error:
                    errors.append(error)
                    return

        threads = [threading.Thread(target=send, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        rounds = 0

        def join() -> None:
            nonlocal rounds
            for _ in range(150):
                wire = vnet.Wire(a, b)
                del wire
                rounds += 1

        joiner = threading.Thread(target=join, daemon=True)
        joiner.start()
        joiner.join(timeout=30)
        ended.set()
        assert not joiner.is_alive(), f"stuck after {rounds} wires"
        for thread in threads:
            thread.join(timeout=10)
            assert not thread.is_alive(), "a sender is stuck"
        assert not errors, errors[0]


def test_a_changed_mtu_holds_at_once() -> None:
    jumbo = FRAME + bytes(8000)
    with vnet.Tap("tap0") as tap, vnet.Tap("tap1") as other:
        drain(tap)
        with pytest.raises(ValueError, match="1500"):
            tap.send(jumbo)
        tap.mtu = 9000
        tap.send(jumbo)
        with vnet.Wire(tap, other) as wire:
            other.mtu = 9000
            other.send(jumbo)
            until(lambda: wire.stats.ports[1].tx_packets >= 1, "the jumbo frame left")
        other.send(jumbo)
        other.mtu = 1500
        with pytest.raises(ValueError, match="1500"):
            other.send(jumbo)


def drain_for_good(device: vnet.Device) -> None:
    """Takes frames, of which the kernel's own chatter may bring some, until there can be no more."""
    while True:
        device.recv(timeout=5)


@pytest.mark.parametrize("down_first", [True, False])
def test_an_interface_deleted_while_it_is_held_is_gone_though_it_was_down(down_first: bool) -> None:
    vnet.run("ip link add ep0 type veth peer name ep1; ip link set ep0 up; ip link set ep1 up", check=True)
    device = vnet.open("ep0")
    with device:
        drain(device)
        if down_first:
            device.down()
            drain(device)
        vnet.run("ip link del ep0", check=True)
        with pytest.raises(vnet.Error, match="gone"):
            drain_for_good(device)


def test_an_interface_receives_again_after_it_was_down() -> None:
    a, b = vnet.Veth("ep0", "ep1")
    with a, b:
        drain(a)
        a.down()
        a.up()
        until(lambda: a.state.carrier and b.state.carrier, "carrier")
        drain(a)
        b.send(FRAME)
        while bytes(a.recv(timeout=5)) != FRAME:
            pass


def test_a_recording_goes_on_when_its_wire_is_closed(tmp_path: Path) -> None:
    with vnet.Tap("tap0") as a, vnet.Tap("tap1") as b:
        wire = vnet.Wire(a, b)
        with a.record(tmp_path / "a.pcapng") as recording:
            a.send(FRAME)
            until(lambda: wire.stats.ports[0].tx_packets >= 1, "the frame left")
            wire.close()
            a.send(FRAME)
            recorded = recording.stop()
        assert recorded.frames >= 2


def test_a_time_beyond_every_clock_waits_for_ever() -> None:
    with vnet.Tap("tap0") as tap:
        drain(tap)
        vnet.run("ip link set tap0 arp off; ping -c1 -W1 -I tap0 224.0.0.1")
        assert bytes(tap.recv(timeout=1.8e19))


def _tso(name: str) -> int:
    """Asks with ETHTOOL_GTSO, ioctl SIOCETHTOOL, whether the device is handed large segments."""
    value = bytearray(struct.pack("II", 0x1E, 0))
    buffer = (ctypes.c_char * len(value)).from_buffer(value)
    request = struct.pack("16sP16x", name.encode(), ctypes.addressof(buffer))
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8946, request)
    return int(struct.unpack("II", bytes(value))[1])


def test_a_persistent_device_is_left_without_offloads() -> None:
    with vnet.Tap("tap0", persist=True) as tap, vnet.Tap("tap1") as other, vnet.Wire(tap, other):
        assert _tso("tap0") == 1
    try:
        assert _tso("tap0") == 0
    finally:
        vnet.run("ip link del tap0", check=True)
