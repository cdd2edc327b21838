"""What crosses a network: pings, throughput, files, plugins, captures."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import vnet
from wait import until

MEBIBYTES = 32


@pytest.fixture
def net() -> Iterator[vnet.Network]:
    """h1 and h2 on a switch, h3 behind a router."""
    with vnet.Network("traffic") as net:
        h1, h2, h3, s1, r1 = net.host("h1"), net.host("h2"), net.host("h3"), net.switch("s1"), net.router("r1")
        net.link(h1, s1)
        net.link(h2, s1)
        net.link(s1, r1)
        net.link(r1, h3)
        yield net


def transfer(source: vnet.Node, target: vnet.Node, address: str) -> None:
    """Moves a file through TCP and compares hashes."""
    import socket

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = target.socket(family, bind=(address, 9999))
    listener.listen()
    received = hashlib.sha256()
    count = 0

    def receive() -> None:
        nonlocal count
        server, _ = listener.accept()
        server.settimeout(30)
        with server:
            while block := server.recv(1 << 20):
                received.update(block)
                count += len(block)

    thread = threading.Thread(target=receive)
    thread.start()
    sent = hashlib.sha256()
    with source.socket(family) as client:
        client.settimeout(30)
        client.connect((address, 9999))
        for _ in range(MEBIBYTES):
            block = os.urandom(1 << 20)
            sent.update(block)
            client.sendall(block)
    thread.join(60)
    listener.close()
    assert count == MEBIBYTES << 20
    assert received.digest() == sent.digest()


@pytest.mark.parametrize("where", ["nothing", "link", "interface", "switch"])
@pytest.mark.parametrize("ipv6", [False, True])
def test_a_file_crosses_a_switch_unchanged_whatever_is_attached(net: vnet.Network, where: str, ipv6: bool) -> None:
    h1, h2 = net["h1"], net["h2"]
    places = {"link": net.links["h1-s1"], "interface": h1.interface("eth0"), "switch": net["s1"]}
    attachment = None if where == "nothing" else places[where].attach("count")  # type: ignore[attr-defined]
    transfer(h1, h2, h2.ip6 if ipv6 else h2.ip)
    if attachment is not None:
        stats = attachment.stats
        assert stats.packets_in > 500
        assert (stats.dropped, stats.faults) == (0, {})
        assert attachment.detach().packets_in >= stats.packets_in
        assert h1.ping(h2)


def test_a_file_crosses_a_router(net: vnet.Network) -> None:
    transfer(net["h1"], net["h3"], net["h3"].ip)
    transfer(net["h3"], net["h1"], net["h1"].ip6)


def test_a_ping_asks_at_least_once(net: vnet.Network) -> None:
    with pytest.raises(vnet.InvalidValue, match="1 or more"):
        net["h1"].ping(net["h3"], count=0)


def test_a_ping_is_a_value_object(net: vnet.Network) -> None:
    result = net["h1"].ping(net["h3"], count=3, interval=0.01)
    assert result
    assert (result.sent, result.received, result.loss) == (3, 3, 0.0)
    assert (result.source, result.target, result.address) == ("h1", "h3", net["h3"].ip)
    assert len(result.rtts) == 3
    assert result.rtt_min is not None
    assert result.rtt_avg is not None
    assert result.rtt_max is not None
    assert result.rtt_mdev is not None
    assert 0 < result.rtt_min <= result.rtt_avg <= result.rtt_max < 1
    assert "3 of 3 answered" in repr(result)
    assert net["h1"].ping("h3", ipv6=True).address == net["h3"].ip6
    assert net["h1"].ping(net["h3"].ip6, size=1000)
    assert net["h1"].ping(net["h1"])


def test_what_does_not_come_back_is_false_and_an_error_when_asked_for(net: vnet.Network) -> None:
    h1 = net["h1"]
    subnet = h1.ip.rsplit(".", 1)[0]
    lost = h1.ping(f"{subnet}.222", timeout=0.2)
    assert not lost
    assert (lost.sent, lost.received, lost.loss, lost.rtts, lost.rtt_avg) == (1, 0, 1.0, (None,), None)
    with pytest.raises(vnet.TimeoutError, match=r"0 of 1 answered"):
        h1.ping(f"{subnet}.222", timeout=0.2, check=True)
    with pytest.raises(vnet.NotFound, match="h9"):
        h1.ping("h9")


def test_everybody_is_pinged_and_a_pulled_link_is_seen(net: vnet.Network) -> None:
    matrix = net.ping_all(check=True)
    assert matrix
    assert (matrix.sent, matrix.received, matrix.loss, matrix.failed) == (6, 6, 0.0, ())
    assert set(matrix.nodes) == {"h1", "h2", "h3"}
    assert 0 < (matrix["h1", "h3"] or 0) < 1
    assert "6 of 6 pairs answered" in str(matrix)
    link = net.links["h1-s1"]
    link.down()
    assert not link.is_up
    until(lambda: not net["h1"].interface("eth0").carrier, "h1 sees that its cable is pulled")
    matrix = net.ping_all(timeout=0.3)
    assert not matrix
    assert set(matrix.failed) == {("h1", "h2"), ("h1", "h3"), ("h2", "h1"), ("h3", "h1")}
    with pytest.raises(vnet.TimeoutError, match="4 of 6"):
        net.ping_all(timeout=0.3, check=True)
    link.up()
    until(lambda: bool(net["h1"].ping("h2", timeout=0.2)), "h1 is back")
    assert net.ping_all(["h1", net["h2"]], ipv6=True, check=True).sent == 2


def test_throughput_is_measured_by_tcp_and_udp(net: vnet.Network) -> None:
    tcp = net["h1"].iperf(net["h2"], seconds=0.5)
    assert tcp.protocol == "tcp"
    assert tcp.bits_per_second > 50e6
    assert tcp.bytes > 1 << 20
    assert tcp.retransmits is not None
    assert tcp.loss is None
    assert "bit/s" in repr(tcp)
    udp = net["h1"].iperf("h2", seconds=0.5, udp=True, rate=5e6)
    assert udp.loss == 0.0
    assert udp.jitter is not None
    assert 3e6 < udp.bits_per_second < 6e6
    with pytest.raises(vnet.NotFound, match="h9"):
        net["h1"].iperf("h9")


def test_a_plugin_on_a_link_takes_effect_and_leaves_no_trace(net: vnet.Network) -> None:
    h1, h2 = net["h1"], net["h2"]
    assert h1.ping(h2)
    link = net.links["h1-s1"]
    assert (link.state.up, link.state.path) == (True, "kernel")
    with link.attach("drop_bcast", direction="ingress") as drop:
        assert link.state.path == "engine"
        # ARP needs broadcast.
        h1.run("ip neigh flush dev eth0", check=True)
        h2.run("ip neigh flush dev eth0", check=True)
        assert not h1.ping(h2, timeout=0.3)
        assert drop.stats.dropped >= 1
        assert "h1-s1" in repr(drop)
    assert drop.detached
    assert link.state.path == "kernel"
    until(lambda: bool(h1.ping(h2, timeout=0.3)), "the way is free again")
    assert drop.stats.dropped >= 1
    assert isinstance(drop.reordering_possible, bool)


def test_positions_are_those_of_the_chain(net: vnet.Network) -> None:
    link = net.links["r1-h3"]
    last = link.attach("count", direction="ingress")
    first = link.attach("drop_bcast", direction="ingress", position=0)
    net["r1"].run("ip neigh flush dev eth1", check=True)
    assert not net["r1"].ping(net["h3"], timeout=0.3)
    assert first.stats.dropped >= 1
    assert last.stats.counters["arp"] == 0
    with pytest.raises(vnet.InvalidValue, match="-1"):
        link.attach("count", position=-1)


def test_a_node_with_several_interfaces_must_be_told_which(net: vnet.Network) -> None:
    r1 = net["r1"]
    with pytest.raises(vnet.InvalidValue, match="eth0, eth1"):
        r1.attach("count")
    with pytest.raises(vnet.NotFound, match="eth9"):
        r1.interface("eth9")
    assert [interface.link.name for interface in r1.interfaces] == ["s1-r1", "r1-h3"]
    count = r1.interface("eth1").attach("count", direction="egress")
    net["h3"].ping(r1)
    until(lambda: count.stats.packets_in >= 1, "what the router gets was counted")


def test_a_switch_attachment_sees_every_frame(net: vnet.Network) -> None:
    count = net.switches["s1"].attach("count")
    net["h1"].ping(net["h2"], check=True)
    assert count.stats.packets_in >= 2
    macs = net.switches["s1"].fdb
    assert macs[net["h1"].mac] == "h1-s1"
    assert macs[net["h2"].mac] == "h2-s1"
    count.detach()
    net["h1"].ping(net["h2"], check=True)
    assert net.switches["s1"].fdb[net["h1"].mac] == "h1-s1"


def test_a_capture_holds_both_directions(net: vnet.Network, tmp_path: Path) -> None:
    path = tmp_path / "lab.pcapng"
    link = net.links["h2-s1"]
    with link.capture(path) as capture:
        net["h1"].ping(net["h2"], count=3, interval=0.01, check=True)
    recorded = capture.stop()
    assert recorded.frames >= 6
    assert recorded.lost == 0
    assert link.state.path == "kernel"
    report = vnet.replay(path, plugins=["count"])
    assert report.frames_in == recorded.frames
    for place in (net["h1"], net["h1"].interface("eth0"), net["s1"]):
        with place.capture(tmp_path / "other.pcapng") as other:  # type: ignore[attr-defined]
            net["h1"].ping(net["h2"], check=True)
        assert other.stop().frames >= 2


def test_counters_name_every_link_and_interface(net: vnet.Network) -> None:
    net["h1"].ping(net["h2"], count=5, interval=0.01, check=True)
    stats = net.stats()
    assert set(stats.links) == set(net.links.names)
    link = stats.links["h1-s1"]
    assert min(link.from_a.packets, link.to_a.packets, link.from_b.packets, link.to_b.packets) >= 5
    assert link.from_a.bytes >= 5 * 98
    rows = {(row.node, row.interface): row for row in stats.interfaces}
    assert rows["h1", "eth0"].kernel.tx_packets >= 5
    assert rows["h1", "eth0"].link == "h1-s1"
    assert net.links["h1-s1"].stats.to_a.packets >= 5
    assert stats.to_dict()["links"][0]["name"] == "h1-s1"
    with net.links["h1-s1"].attach("count"):
        net["h1"].ping(net["h2"], check=True)
        assert all(books.balance == 0 for books in net.stats().engine.values())
        assert net.stats().engine


def test_nodes_and_links_come_and_go_while_it_runs(net: vnet.Network) -> None:
    net.start()
    h4 = net.host("h4")
    link = net.link(h4, "s1")
    assert h4.ping("h1", timeout=5)
    assert h4.ping("h3", timeout=5)
    link.remove()
    assert len(h4.interfaces) == 0
    with pytest.raises(vnet.NotFound, match="no IPv4 address"):
        _ = h4.ip
    net.link(h4, net["h3"])
    assert h4.ping("h3", timeout=5)
    net.remove("h4")
    assert "h4" not in net
    with pytest.raises(vnet.Error, match="h4"):
        h4.run("true")
    assert net.ping_all(check=True).sent == 6


def test_a_declared_plugin_and_command_are_begun_with_the_network(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(LAB)
    module = next(plugin.module for plugin in vnet.shipped() if plugin.name == "count")
    (tmp_path / "beside.wasm").write_bytes(module)
    with vnet.Network.load(path) as net:
        net.start()
        until(lambda: net["h1"].run("cat /tmp/done").stdout == "h1\n", "the declared command ran")
        assert net.links["h1-h2"].state.path == "engine"
        assert [stage.name for books in net.stats().engine.values() for stage in books.stages] == ["count"]
    data = {"hosts": ["h1", "h2"], "links": [{"ends": ["h1", "h2"], "plugins": ["no_such_plugin"]}]}
    net = vnet.Network.from_dict(data)
    with pytest.raises(vnet.NotFound, match="no_such_plugin"):
        net.start()
    assert net.closed


LAB = """
links = [{ ends = ["h1", "h2"], plugins = ["beside.wasm"] }]
[hosts.h1]
run = ["hostname > /tmp/done"]
[hosts.h2]
"""
