"""Walks of packets through six nodes with a translation, an access list and a lossy link, and captures that agree with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from unprivileged import PERSONS, Person, person

# h1 and h3 - s1 - r1 - r2 - h2: a NAT on r1's link to r2, an access list on h1's link, a lossy link at h2.
LAB = """
import json, time
import vnet

net = vnet.Network(seed=7, ipv6=False)
h1, h3, h2 = net.host("h1"), net.host("h3"), net.host("h2")
s1, r1, r2 = net.switch("s1"), net.router("r1"), net.router("r2")
inside, _, _ = net.link(h1, s1), net.link(h3, s1), net.link(s1, r1)
outside, last = net.link(r1, r2), net.link(r2, h2)

def fields(hop):
    return {name: value for name, value in hop.changes.items()}
"""


@pytest.fixture(params=PERSONS)
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def test_a_dropped_packets_walk_names_hop_plugin_rule_and_reason(somebody: Person) -> None:
    somebody.does(
        LAB
        + """
with net:
    inside.attach("acl", config={"default": "permit", "rules": [
        {"action": "permit", "protocol": "tcp"}, {"action": "deny", "protocol": "udp", "dport": 33434}]})
    walk = h1.trace_to(h2, proto="udp")
    print(walk)
    assert not walk.delivered
    assert walk.outcome == 'dropped on link h1-s1 by acl: rule_1 "deny udp dport 33434" (reason 17)', walk.outcome
    end = walk.hops[-1]
    assert (end.link, end.stage, end.verdict, end.is_end) == ("h1-s1", "acl", "drop", True) and end.reason, end
    assert [hop.kind for hop in walk] == ["sent", "port", "plugin"], walk
    # The same kind of packet that no rule denies goes all the way, and its answer comes back.
    walk = h1.trace_to(h2, proto="udp", port=33435)
    print(walk)
    assert walk.delivered_to == "h2" and "port unreachable" in walk.outcome, walk.outcome
    assert [(hop.node, hop.verdict) for hop in walk if hop.kind in ("sent", "received")] == [
        ("h1", "sent"), ("r1", "received"), ("r1", "forwarded"), ("r2", "received"), ("r2", "forwarded"),
        ("h2", "received")], walk
    forwarded = [hop for hop in walk if hop.verdict == "forwarded"]
    assert [hop.changes["ip.ttl"] for hop in forwarded] == [("64", "63"), ("63", "62")]
    assert all(hop.waited is not None and hop.waited >= 0 for hop in forwarded)
    walk._repr_mimebundle_()
"""
    )


def test_a_translated_packets_walk_shows_both_headers_and_agrees_with_the_captures(somebody: Person) -> None:
    somebody.does(
        LAB
        + """
with net:
    import ipaddress
    net.start()
    address = r1.interface(outside.interfaces[0]).addresses[0].split("/")[0]
    home = ipaddress.ip_interface(next(iter(h1.interfaces)).addresses[0]).network
    outside.attach("nat", config={"address": address, "inside": str(home)})
    captures = {node.name: node.capture(filter="icmp") for node in (h1, r1, r2, h2)}
    walk = h1.trace_to(h2)
    time.sleep(0.3)
    for capture in captures.values():
        capture.stop()
    print(walk)
    assert walk.delivered_to == "h2", walk
    nat = next(hop for hop in walk if hop.stage == "nat")
    assert nat.link == outside.name and nat.verdict == "pass", nat
    assert nat.changes["ip.src"] == (h1.ip, address), nat.changes
    assert h1.ip in nat.before.summary() and address in nat.after.summary()
    assert walk.answer is not None and walk.answer.delivered_to == "h1", walk.answer
    back = next(hop for hop in walk.answer if hop.stage == "nat")
    assert back.changes["ip.dst"] == (address, h1.ip), back.changes
    # What the walk says of a node's interface is a frame of that node's own capture, octet by octet.
    for hop in [*walk, *walk.answer]:
        if hop.kind in ("sent", "received"):
            mine = [(frame.interface, frame.direction, bytes(frame)) for frame in captures[hop.node].packets]
            way = "out" if hop.kind == "sent" else "in"
            assert (f"{hop.node}-{hop.interface}", way, bytes(hop.before)) in mine, (hop, mine)
"""
    )


def test_losses_and_kernels_drops_are_named(somebody: Person) -> None:
    somebody.does(
        LAB
        + """
with net:
    assert h1.ping(h2, count=3)      # so that nobody asks for a neighbour on a line that loses the question
    last.set(loss=(1.0, 0))
    walk = h1.trace_to(h2, timeout=0.3)
    print(walk)
    assert walk.outcome == f"lost on link {last.name} a>b (loss 100 %)", walk.outcome
    assert walk.hops[-1].kind == "impairment", walk
    last.set(loss=0)
    # Nobody told r1 of this network, and it says so.
    r1.run("ip route add prohibit 203.0.113.0/24", check=True)
    walk = h1.trace_to("203.0.113.9", timeout=0.3)
    print(walk)
    assert walk.outcome.startswith("dropped by r1's kernel, which answered ICMP"), walk.outcome
    r1.run("ip route add blackhole 198.51.100.0/24", check=True)
    walk = h1.trace_to("198.51.100.9", timeout=0.3)
    print(walk)
    assert "r1's kernel" in walk.outcome and walk.hops[-1].node == "r1", walk.outcome
    with net.walk("icmp and src h1", count=None) as walks:
        h1.ping(h2, count=3, interval=0.01)
    assert [walk.outcome for walk in walks] == ["delivered to h2"] * 3, list(walks)
    assert len(walks[0].columns()["place"]) == len(walks[0].hops)
"""
    )


def test_a_filter_that_is_none_is_refused_at_its_word(somebody: Person) -> None:
    somebody.does(
        LAB
        + """
with net:
    try:
        with net.walk("tcp prot 80"):
            pass
    except vnet.InvalidValue as error:
        assert "at character 5" in str(error) and "did you mean" in error.hint, error
    else:
        raise AssertionError("it is taken")
"""
    )


def test_a_walk_past_access_list_translation_and_lossy_link_agrees_with_the_captures(somebody: Person) -> None:
    somebody.does(
        LAB
        + """
with net:
    net.start()
    address = r1.interface(outside.interfaces[0]).addresses[0].split("/")[0]
    inside.attach("acl", config={"default": "permit", "rules": [{"action": "deny", "protocol": "tcp"}]})
    outside.attach("nat", config={"address": address, "inside": "10.0.0.0/24"})
    assert h1.ping(h2, count=2)
    last.set(loss=("100%", 0))
    with net.capture(stages=True) as capture:
        lost = h1.trace_to(h2, timeout=0.3)
        denied = h1.trace_to(h2, proto="tcp", timeout=0.3)
    print(lost, denied)
    assert lost.outcome == f"lost on link {last.name} a>b (loss 100 %)", lost
    assert denied.outcome == 'dropped on link h1-s1 by acl: rule_0 "deny tcp" (reason 16)', denied
    nat = next(hop for hop in lost if hop.stage == "nat")
    assert nat.changes["ip.src"] == (h1.ip, address), nat
    # Each hop is a record of the capture, with the same words.
    records = [(frame.interface, bytes(frame), frame.comment) for frame in capture.packets]
    for hop in [*lost, *denied]:
        for frame in (hop.before, hop.after):
            assert (frame.interface, bytes(frame), frame.comment) in records, hop
"""
    )


def test_walks_of_odd_packets_are_true(somebody: Person) -> None:
    somebody.does(
        LAB.replace(", ipv6=False", "")
        + """
import contextlib, socket

@contextlib.contextmanager
def watched(filter):
    with net.walk(filter, count=None) as walks:
        with h1.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            yield walks, probe

def no_dns(packet):
    if bytes(packet.data)[36:38] == bytes([0, 53]):
        packet.drop("no dns")

with net:
    assert h1.ping(h2)
    assert h1.trace_to(str(h2.ip6)).delivered_to == "h2"
    # The same bytes again and again, which nothing but their order tells apart.
    with watched("udp and dst port 4000") as (walks, probe):
        probe.setsockopt(socket.IPPROTO_IP, 10, 2)      # IP_MTU_DISCOVER: without fragments no identification is needed
        for _ in range(10):
            probe.sendto(b"same", (h2.ip, 4000))
    assert [(len(walk), walk.delivered_to, walk.ambiguous) for walk in walks] == [(8, "h2", False)] * 10, list(walks)
    with watched("udp and dst port 4001") as (walks, probe):
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        probe.sendto(b"short", (h2.ip, 4001))
    assert walks.first.outcome == "dropped by r1's kernel, which answered ICMP time exceeded: its TTL ran out", walks.first
    with watched("udp and dst port 4002") as (walks, probe):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        probe.sendto(b"all", ("10.0.0.255", 4002))
    assert {hop.node for hop in walks.first if hop.kind == "received"} == {"h3", "r1"}, walks.first
    assert walks.first.outcome in ("delivered to r1; delivered to h3", "delivered to h3; delivered to r1"), walks.first
    whole = h1.trace_to(h2, size=4000)
    assert whole.delivered_to == "h2" and whole.answer.delivered_to == "h1", whole
    inside.attach(no_dns)
    walk = h1.trace_to(h2, proto="udp", port=53)
    assert walk.outcome == "dropped on link h1-s1 by no_dns: no dns", walk
    walk = h1.trace_to(h2, proto="udp", port=54)
    assert walk.delivered_to == "h2" and any(hop.stage == "no_dns" for hop in walk), walk
    last.down()
    walk = h1.trace_to(h2, proto="udp", timeout=0.3)
    print(walk)
    assert not walk.delivered and "r2" in walk.outcome, walk
"""
    )
