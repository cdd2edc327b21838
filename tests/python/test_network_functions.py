"""The shipped plugins that stand between networks, on captures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import vnet

scapy = pytest.importorskip("scapy.all")


def replayed(
    tmp_path: Path, plugin: str, config: dict[str, Any], frames: list[Any]
) -> tuple[list[Any], vnet.ReplayReport]:
    """Return the frames that come out of a plugin, and what the replay says."""
    source, out = tmp_path / "in.pcap", tmp_path / "out.pcap"
    scapy.wrpcap(str(source), frames)
    report = vnet.replay(source, plugins=[vnet.Plugin(plugin, config)], out=out)
    return list(scapy.rdpcap(str(out))), report


def ether(packet: Any) -> Any:
    return scapy.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet


def sums_are_right(frame: Any) -> bool:
    """Tell whether building the frame anew gives the same checksums."""
    again = frame.copy()
    for layer in ("IP", "TCP", "UDP", "ICMP"):
        if layer in again:
            del again[layer].chksum
    return bytes(frame) == bytes(type(frame)(bytes(again)))


def test_nat_translates_both_ways(tmp_path: Path) -> None:
    ip, tcp, udp, icmp = scapy.IP, scapy.TCP, scapy.UDP, scapy.ICMP
    inside, outside, web = "10.0.0.2", "203.0.113.1", "198.51.100.7"
    sent = ether(ip(src=inside, dst=web) / udp(sport=5000, dport=33434) / b"data")
    left = ether(ip(src=outside, dst=web) / udp(sport=5000, dport=33434) / b"data")
    frames = [
        ether(ip(src=inside, dst=web) / tcp(sport=5000, dport=80, flags="S")),
        ether(ip(src=web, dst=outside) / tcp(sport=80, dport=5000, flags="SA")),
        sent,
        ether(ip(src="198.51.100.1", dst=outside) / icmp(type=11) / scapy.IPerror(bytes(left[ip]))),
        ether(ip(src=inside, dst=web) / icmp(id=9) / b"ping"),
        ether(ip(src=web, dst=outside) / tcp(sport=80, dport=6000, flags="S")),
    ]
    out, report = replayed(tmp_path, "nat", {"address": outside, "inside": "10.0.0.0/8"}, frames)
    assert [frame[ip].src for frame in out] == [outside, web, outside, "198.51.100.1", outside, web]
    assert [frame[ip].dst for frame in out] == [web, inside, web, inside, web, outside]
    assert all(sums_are_right(frame) for frame in out)
    assert bytes(out[3][icmp].payload) == bytes(scapy.Ether(bytes(sent))[ip]), "the host sees what it sent"
    assert report.stages[0].counters["icmp_errors"] == 1


def test_nat_says_which_key_is_missing(tmp_path: Path) -> None:
    with pytest.raises(vnet.PluginRejected, match='config key "address" is required and missing'):
        replayed(tmp_path, "nat", {"inside": "10.0.0.0/8"}, [ether(scapy.IP())])


def test_acl_lets_the_first_rule_decide_and_counts_it(tmp_path: Path) -> None:
    ip, ipv6, tcp, udp, dot1q = scapy.IP, scapy.IPv6, scapy.TCP, scapy.UDP, scapy.Dot1Q
    rules = [
        {"action": "deny", "protocol": "tcp", "dst": "10.0.0.0/24", "dport": 22},
        {"action": "permit", "protocol": "tcp", "dport": "1-1023"},
        {"action": "permit", "src": "fd00::/64", "protocol": "udp", "dport": "53"},
    ]
    frames = [
        ether(ip(dst="10.0.0.9") / tcp(dport=22)),
        ether(ip(dst="10.0.1.9") / tcp(dport=22)),
        ether(dot1q(vlan=5) / ip(dst="10.0.0.9") / tcp(dport=22)),
        ether(ip(dst="10.0.0.9") / tcp(dport=1024)),
        ether(ipv6(src="fd00::7", dst="fd00:1::1") / scapy.IPv6ExtHdrDestOpt() / udp(dport=53)),
        ether(ipv6(src="fd01::7", dst="fd00:1::1") / udp(dport=53)),
        ether(scapy.ARP()),
    ]
    out, report = replayed(tmp_path, "acl", {"rules": rules}, frames)
    assert [bytes(frame) for frame in out] == [bytes(frames[number]) for number in (1, 4, 6)]
    counters = report.stages[0].counters
    assert [counters.get(name) for name in ("rule_0", "rule_1", "rule_2", "default", "other")] == [2, 1, 1, 2, 1]
    assert report.stages[0].drops == {"rule_0": 2, "denied by default": 2}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"action": "allow"}, r'"rules.0.action" must be one of'),
        ({"action": "deny", "dports": 22}, r'"rules.0.dports" is unknown'),
        ({"action": "deny", "dport": 22}, "must name the protocol tcp or udp"),
        ({"action": "deny", "src": "10.0.0/8"}, "must be prefixes"),
    ],
)
def test_acl_says_what_is_wrong_with_a_rule(tmp_path: Path, rule: dict[str, Any], said: str) -> None:
    with pytest.raises(vnet.PluginRejected, match=said):
        replayed(tmp_path, "acl", {"rules": [rule]}, [ether(scapy.IP())])


def test_stateful_firewall_lets_answers_in_and_nothing_else(tmp_path: Path) -> None:
    """A capture has one port, whose frames are from inside: what begins there passes."""
    ip, tcp, udp, icmp = scapy.IP, scapy.TCP, scapy.UDP, scapy.ICMP
    allow = [{"from": "inside", "protocol": "tcp", "dport": "80-90"}, {"from": "inside", "protocol": "icmp"}]
    inside = {"src": "10.0.0.1", "dst": "10.0.0.2"}
    frames = [
        ether(ip(**inside) / tcp(sport=9, dport=80, flags="A")),
        ether(ip(**inside) / tcp(sport=9, dport=80, flags="S")),
        ether(ip(**inside) / tcp(sport=9, dport=91, flags="S")),
        ether(ip(**inside) / udp(sport=9, dport=80)),
        ether(ip(**inside) / icmp(type=8)),
        ether(ip(**inside) / icmp(type=0, id=5)),
        ether(scapy.ARP()),
    ]
    zones = {"inside": [0], "outside": [1]}
    out, report = replayed(tmp_path, "stateful_firewall", {"zones": zones, "allow": allow}, frames)
    assert [bytes(frame) for frame in out] == [bytes(frames[number]) for number in (1, 4, 6)]
    drops = {reason: count for reason, count in report.stages[0].drops.items() if count}
    assert drops == {"denied": 2, "belongs to no conversation": 2}
    assert report.stages[0].counters["new"] == 2
    with pytest.raises(vnet.PluginRejected, match="must be names of zones"):
        replayed(tmp_path, "stateful_firewall", {"zones": zones, "allow": [{"from": "dmz"}]}, frames)


def test_router_answers_what_it_cannot_forward(tmp_path: Path) -> None:
    """A capture has one port: what is routed goes back out of it."""
    ip, ipv6, udp, icmp = scapy.IP, scapy.IPv6, scapy.UDP, scapy.ICMP
    config = {
        "ports": [{"addresses": ["10.0.0.1/24", "fd00::1/64"], "mac": "02:00:00:00:00:02"}],
        "routes": [{"to": "10.9.0.0/16", "via": "10.0.0.9"}],
    }
    probe = ip(src="10.0.0.5", dst="10.9.0.1", ttl=1, id=7) / udp(sport=9, dport=33434) / b"probe"
    probe6 = ipv6(src="fd00::5", dst="fd01::1") / udp(sport=9, dport=33434) / b"probe"
    reply = scapy.ARP(op=2, hwsrc="02:00:00:00:00:09", psrc="10.0.0.9", hwdst="02:00:00:00:00:02", pdst="10.0.0.1")
    frames = [
        ether(probe),
        ether(probe6),
        ether(ip(src="10.0.0.5", dst="10.0.0.1") / icmp(id=3) / b"ping"),
        ether(reply),
        ether(ip(src="10.0.0.5", dst="10.9.0.1", ttl=9) / udp(sport=9, dport=9)),
        ether(scapy.ARP(op=1, hwsrc="02:00:00:00:00:01", psrc="10.0.0.5", pdst="10.0.0.1")),
        ether(ip(src="10.0.0.5", dst="224.0.0.1") / udp()),
    ]
    out, report = replayed(tmp_path, "router", config, frames)
    sent = report.stages[0]
    assert (sent.tx, sent.dropped) == (5, 2), sent
    assert sent.counters["icmp_errors"] == 2
    assert sent.counters["forwarded"] == 1
    expired, unreachable, answer, forwarded, arp = out
    assert (expired[ip].src, expired[ip].dst, expired[icmp].type) == ("10.0.0.1", "10.0.0.5", 11)
    assert bytes(expired[icmp].payload) == bytes(probe)
    assert (unreachable[ipv6].src, unreachable[ipv6].dst) == ("fd00::1", "fd00::5")
    assert bytes(unreachable[ipv6].payload)[8:] == bytes(probe6)
    assert (answer[icmp].type, answer[icmp].id) == (0, 3)
    assert (forwarded.dst, forwarded.src, forwarded[ip].ttl) == ("02:00:00:00:00:09", "02:00:00:00:00:02", 8)
    assert (arp[scapy.ARP].op, arp[scapy.ARP].hwsrc) == (2, "02:00:00:00:00:02")
    assert all(sums_are_right(frame) for frame in out if ip in frame)


def test_arp_guard_drops_what_another_claims(tmp_path: Path) -> None:
    def arp(ip: str, mac: str, op: int = 2) -> Any:
        return scapy.Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / scapy.ARP(op=op, hwsrc=mac, psrc=ip, pdst="10.0.0.99")

    alice, mallory = "02:00:00:00:00:01", "02:00:00:00:00:66"
    advertised = scapy.ICMPv6ND_NA(tgt="fd00::1") / scapy.ICMPv6NDOptDstLLAddr(lladdr=mallory)
    solicited = scapy.ICMPv6ND_NS(tgt="fd00::9") / scapy.ICMPv6NDOptSrcLLAddr(lladdr=alice)
    frames = [
        arp("10.0.0.1", alice, op=1),
        arp("10.0.0.1", mallory),
        arp("10.0.0.2", mallory),
        scapy.Ether(src=alice, dst="33:33:ff:00:00:09") / scapy.IPv6(src="fd00::1", dst="ff02::1:ff00:9") / solicited,
        scapy.Ether(src=mallory, dst=alice) / scapy.IPv6(src="fd00::66", dst="ff02::1") / advertised,
        arp("10.0.0.3", alice),
        ether(scapy.IP(src="10.0.0.1") / scapy.UDP()),
    ]
    bindings = [{"ip": "10.0.0.3", "mac": "02:00:00:00:00:03"}]
    out, report = replayed(tmp_path, "arp_guard", {"bindings": bindings}, frames)
    assert [bytes(frame) for frame in out] == [bytes(frames[number]) for number in (0, 2, 3, 6)]
    assert report.stages[0].drops["forged"] == 3


def test_rate_limit_keeps_to_burst_and_rate(tmp_path: Path) -> None:
    frames = []
    for number in range(200):
        frame = ether(scapy.IP(src=f"10.0.0.{number % 2}") / scapy.UDP())
        frame.time = 1000 + number / 100
        frames.append(frame)
    for by, expected in (("source", 2 * 10 + 2 * 10), ("all", 10 + 10)):
        out, report = replayed(tmp_path, "rate_limit", {"packets": 5, "burst": 10, "by": by}, frames)
        assert expected - 3 <= len(out) <= expected + 1, (by, len(out))
        assert report.stages[0].drops["over the limit"] == 200 - len(out)
    with pytest.raises(vnet.PluginRejected, match="packets"):
        replayed(tmp_path, "rate_limit", {"packets": 0}, frames)
