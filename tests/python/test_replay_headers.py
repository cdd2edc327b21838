"""Shipped plugins that rewrite headers, shown captures: what scapy built goes in, what scapy reads comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import vnet
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.utils import PcapNgWriter, rdpcap

SHIPPED = Path(__file__).resolve().parents[2] / "plugins" / "shipped"
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FAMILIES = (IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="fd00::1", dst="fd00::2"))


def through(folder: Path, frames: list[Packet], plugin: str, **config: Any) -> tuple[list[Packet], vnet.ReplayReport]:
    """Show frames to a plugin and return those that leave it."""
    source, out = folder / "in.pcapng", folder / "out.pcapng"
    with PcapNgWriter(str(source)) as writer:
        for frame in frames:
            writer.write(frame)
    report = vnet.replay(source, plugins=[vnet.Plugin(SHIPPED / f"{plugin}.wasm", config=config)], out=out)
    return list(rdpcap(str(out))), report


def is_right(packet: Packet) -> bool:
    """Tell whether scapy, asked to compute lengths and checksums anew, comes to the same bytes."""
    again = packet.copy()
    for layer in again.layers():
        for name in ("len", "plen", "chksum"):
            if name in again[layer].fields:
                del again[layer].fields[name]
    return bytes(again) == bytes(packet)


def test_vlan_tags_what_has_no_tag_and_drops_what_has_one(tmp_path: Path) -> None:
    frames = [ETHER / IP(dst="10.0.0.2") / UDP() / Raw(b"x" * 20), ETHER / Dot1Q(vlan=7) / IP(dst="10.0.0.2")]
    (tagged,), report = through(tmp_path, frames, "vlan", access=10, priority=3)
    assert (tagged[Dot1Q].vlan, tagged[Dot1Q].prio) == (10, 3)
    assert bytes(tagged[IP]) == bytes(frames[0][IP])
    assert (report.dropped, report.stages[0].drops["tagged"]) == (1, 1)


def test_vlan_filters_a_trunk_and_takes_an_outer_tag_off(tmp_path: Path) -> None:
    frames = [ETHER / Dot1Q(vlan=vid) / IP(dst="10.0.0.2") for vid in (10, 20, 30)]
    left, report = through(tmp_path, frames, "vlan", trunk="10,30-40")
    assert [frame[Dot1Q].vlan for frame in left] == [10, 30]
    assert (report.dropped, report.stages[0].drops["other vlan"]) == (1, 1)
    (inner,), _ = through(tmp_path, [ETHER / Dot1Q(vlan=100) / frames[0][Dot1Q]], "vlan", pop=100)
    assert bytes(inner) == bytes(frames[0])


@pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
def test_mss_clamp_lowers_what_a_handshake_offers(tmp_path: Path, family: Packet) -> None:
    options = [("NOP", None), ("MSS", 1460), ("WScale", 7)]
    frames = [ETHER / family / TCP(flags=flags, options=options) for flags in ("S", "SA", "A")]
    left, _ = through(tmp_path, frames, "mss_clamp", mtu=1400)
    size = 1360 if family.version == 4 else 1340
    assert [dict(frame[TCP].options)["MSS"] for frame in left] == [size, size, 1460]
    assert all(is_right(frame) for frame in left)


@pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
def test_dns_block_answers_for_blocked_names_alone(tmp_path: Path, family: Packet) -> None:
    names = ("www.ads.example.", "example.org.")
    queries = [ETHER / family / UDP(sport=4000) / DNS(id=7, qd=DNSQR(qname=name, qtype="AAAA")) for name in names]
    (answer, passed), report = through(tmp_path, queries, "dns_block", suffixes=["ads.example"])
    if answer[UDP].dport == 53:
        answer, passed = passed, answer
    assert (answer[DNS].rcode, answer[DNS].id, answer[DNS].qd[0].qname) == (3, 7, b"www.ads.example.")
    assert (answer[UDP].dport, answer.dst, answer[type(family)].dst) == (4000, ETHER.src, family.src)
    assert is_right(answer)
    assert bytes(passed) == bytes(queries[1])
    assert report.stages[0].counters == {"allowed": 1, "blocked": 1}


@pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
def test_load_balancer_rewrites_both_ways(tmp_path: Path, family: Packet) -> None:
    kind = type(family)
    service, server = ("10.0.0.100", "10.0.0.11") if kind is IP else ("fd00::100", "fd00::11")
    there = ETHER / kind(src=family.src, dst=service) / TCP(sport=4000, dport=80, flags="S")
    back = ETHER / kind(src=server, dst=family.src) / TCP(sport=8080, dport=4000, flags="SA")
    servers = [{"address": server, "port": 8080, "mac": "02:00:00:00:00:0b"}]
    left, report = through(tmp_path, [there, back], "load_balancer", address=service, port=80, servers=servers)
    assert [(frame[kind].src, frame[kind].dst, frame[TCP].sport, frame[TCP].dport) for frame in left] == [
        (family.src, server, 4000, 8080),
        (service, family.src, 80, 4000),
    ]
    assert left[0].dst == "02:00:00:00:00:0b"
    assert all(is_right(frame) for frame in left)
    assert report.stages[0].counters["connections"] == 1
