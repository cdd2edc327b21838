from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest
import vnet
from wait import drain, until

pytestmark = pytest.mark.usefixtures("netns")


def ip(*words: str) -> Any:
    done = subprocess.run(["ip", "-json", *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout or "[]")


def names() -> set[str]:
    return {link["ifname"] for link in ip("link", "show")}


def test_a_tap_is_what_ip_shows_while_it_is_open() -> None:
    with vnet.Tap("tap0", ip="10.0.0.1/24", mac="02:00:00:00:00:07", mtu=1400) as tap:
        (link,) = ip("-d", "address", "show", "dev", "tap0")
        assert link["address"] == tap.mac == "02:00:00:00:00:07"
        assert link["mtu"] == tap.mtu == 1400
        assert link["ifindex"] == tap.index
        assert link["linkinfo"]["info_kind"] == "tun"
        assert "10.0.0.1/24" in tap.addresses
        assert "10.0.0.1" in {address["local"] for address in link["addr_info"]}
        assert tap.state.up
        assert tap.state.carrier
        assert (tap.kind, tap.layer, tap.backend) == ("tap", "l2", "tap")
        for word in ("tap0", "up", "10.0.0.1/24", "mtu 1400", "02:00:00:00:00:07", tap.netns, "backend tap"):
            assert word in repr(tap)
    assert "tap0" not in names()


def test_a_tun_has_no_mac_and_carries_packets() -> None:
    with vnet.Tun("tun0", ip=["10.0.0.1/24", "fd00::1/64"]) as tun:
        assert tun.mac is None
        assert tun.layer == "l3"
        assert {"10.0.0.1/24", "fd00::1/64"} <= set(tun.addresses)
        vnet.run("ping -c1 -W1 10.0.0.2")
        for packet in tun:
            if bytes(packet)[9:10] == b"\x01" and packet[0] >> 4 == 4:
                assert "10.0.0.1 > 10.0.0.2: ICMP echo request" in packet.summary()
                return


@pytest.mark.parametrize("make", [vnet.Tap, vnet.Tun])
def test_busy_polling_burns_the_processor_after_a_frame_until_the_device_is_closed(
    make: type[vnet.Tap | vnet.Tun],
) -> None:
    with pytest.raises(vnet.InvalidValue, match="busy_poll is 20; expected a time"):
        make("dev0", busy_poll="20")

    def burnt() -> float:
        return time.process_time() - begun

    with make("dev0", ip="10.0.0.1/24", busy_poll="60s") as device, device.attach("count"):
        begun = time.process_time()
        vnet.run("ping -c1 -W1 10.0.0.2")
        until(lambda: burnt() > 0.2, "the engine polls", seconds=30)
    begun = time.process_time()
    time.sleep(0.5)
    assert burnt() < 0.2


def test_it_is_changed_as_ip_would() -> None:
    with vnet.Tap("tap0", up=False) as tap:
        assert not tap.state.up
        tap.up()
        assert tap.state.up
        tap.down()
        assert not tap.state.up
        tap.add_address("10.0.0.2")
        assert "10.0.0.2/32" in tap.addresses
        tap.add_address("10.0.0.3/24")
        tap.del_address("10.0.0.2/32")
        assert "10.0.0.2/32" not in tap.addresses
        with pytest.raises(vnet.NotFound, match=r"10\.0\.0\.9"):
            tap.del_address("10.0.0.9/24")
        tap.mtu = 1280
        assert tap.mtu == 1280


def test_flushing_neighbours_forgets_them() -> None:
    with vnet.Tap("tap0", ip="10.0.0.1/24") as tap, tap.attach("icmp_echo"):
        vnet.run("ping -c1 -W2 10.0.0.2", check=True)
        assert ip("neigh", "show", "dev", "tap0")
        tap.flush_neighbours()
        assert not [entry for entry in ip("neigh", "show", "dev", "tap0") if "lladdr" in entry]


def test_veth_ends_are_joined_and_end_together() -> None:
    a, b = vnet.Veth("ep1", "ep2", ip="10.0.0.10", mtu=1400)
    assert (a.name, b.name) == ("ep1", "ep2")
    assert a.peer is b
    assert b.peer is a
    assert "10.0.0.10/32" in a.addresses
    assert a.mtu == b.mtu == 1400
    assert a.state.carrier
    assert b.state.carrier
    a.close()
    assert b.closed
    assert not names() & {"ep1", "ep2"}


def test_an_end_keeps_the_pair_alive() -> None:
    import gc

    end, _ = vnet.Veth("ep1", "ep2")
    del _
    gc.collect()
    assert end.peer.name == "ep2"
    assert {"ep1", "ep2"} <= names()
    end.close()


def test_a_veth_pair_may_join_two_namespaces(second_netns: str) -> None:
    with vnet.Veth("ep1", "ep2", ip="10.0.0.1/24", peer_ip="10.0.0.2/24", peer_netns=second_netns) as pair:
        assert pair.b.netns == second_netns
        assert "ep2" not in names()
        assert vnet.run("ping -c1 -W2 10.0.0.2").ok
        assert "ep2" in vnet.run("ip -br link", netns=second_netns).stdout


def test_a_bridge_has_ports_that_come_and_go() -> None:
    with vnet.Tap("tap0") as tap, vnet.Veth("ep1", "ep2") as pair, vnet.Bridge("br0", ports=[tap, pair.a]) as bridge:
        assert [*bridge.ports] == ["tap0", "ep1"]
        assert tap.state.bridge == "br0"
        assert "ports [tap0, ep1]" in repr(bridge)
        bridge.remove(tap)
        assert [*bridge.ports] == ["ep1"]
        with pytest.raises(vnet.InvalidValue, match="tap0"):
            bridge.remove(tap)
        bridge.add(tap)
        assert [*bridge.ports] == ["tap0", "ep1"]
    assert names() == {"lo"}


def test_a_bridge_refuses_a_port_of_another_namespace(second_netns: str) -> None:
    with vnet.Tap("tap0", netns=second_netns) as tap, pytest.raises(vnet.InvalidValue, match="lives in"):
        vnet.Bridge("br0", ports=[tap])
    assert "br0" not in names()


def test_a_device_lives_in_the_namespace_that_was_named(second_netns: str) -> None:
    with open(second_netns) as file:
        for place in (second_netns, file, file.fileno()):
            with vnet.Tap("tap0", netns=place) as tap:
                assert "tap0" not in names()
                assert "tap0" in vnet.run(["ip", "-br", "link"], netns=place).stdout
                assert tap.netns in repr(tap)


def test_a_persistent_tap_stays_and_can_be_taken_again() -> None:
    with vnet.Tap("tap0", persist=True):
        pass
    assert "tap0" in names()
    with vnet.open("tap0") as tap:
        assert not tap.state.carrier
    with vnet.Tap("tap0", persist=True) as tap:
        assert tap.state.carrier
    subprocess.run(["ip", "link", "del", "tap0"], check=True)


def test_an_opened_interface_is_left_as_it_is() -> None:
    subprocess.run(
        "ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up", shell=True, check=True
    )
    with vnet.open("d0") as device, vnet.open("d1") as other:
        assert device.kind == "existing"
        drain(device)
        other.send(b"\xff" * 6 + b"\x02" + b"\0" * 5 + b"\x88\xb5" + b"\0" * 46)
        assert any(frame[12:14] == b"\x88\xb5" for frame in device)
    assert {"d0", "d1"} <= names()


def test_counters_of_the_kernel_and_of_the_engine_agree() -> None:
    with vnet.Tap("tap0") as tap:
        assert tap.stats.engine is None
        for _ in range(10):
            tap.send(b"\xff" * 6 + b"\x02" + b"\0" * 5 + b"\x88\xb5" + b"\0" * 46)
        until(lambda: tap.stats.kernel.rx_packets >= 10, "the kernel received 10 frames")
        stats = tap.stats
        assert stats.engine is not None
        assert stats.engine.sent_in == stats.engine.ports[0].tx_packets == stats.kernel.rx_packets == 10
        assert stats.engine.balance == 0
        assert stats.to_dict()["engine"]["ports"][0]["tx_packets"] == 10
