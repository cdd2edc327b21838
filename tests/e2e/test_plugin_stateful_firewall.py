"""The shipped plugin stateful_firewall beside iptables: the same packets between three zones, one by one."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person

ZONES = {"inside": "10.1.0.100", "dmz": "10.2.0.100", "outside": "10.3.0.100"}
FENCE = 9

ALLOW: list[dict[str, Any]] = [
    {"protocol": "udp", "dport": FENCE},
    {"from": "inside", "to": "outside", "protocol": "tcp"},
    {"from": "inside", "to": "outside", "protocol": "udp"},
    {"from": "inside", "protocol": "icmp"},
    {"from": "inside", "to": "dmz", "protocol": "tcp", "dport": "22-23"},
    {"to": "dmz", "protocol": "tcp", "dport": 80},
    {"from": "dmz", "to": "outside", "protocol": "udp", "dport": 53, "src": "10.2.0.0/24"},
    {"from": "outside", "to": "dmz", "protocol": "udp", "dport": 53, "dst": "10.2.0.99/32"},
]

PROGRAM = """
import socket, struct
zones, packets, plugin, iptables = json.loads(sys.stdin.read())
FENCE_ID = 0xffff

def listen(host):
    sock = host.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800), device="eth0")
    sock.settimeout(20)
    return sock

def fence(sent, zone, other):
    # A datagram that every rule set lets through, told from all others by its identification.
    ends = [socket.inet_aton(zones[name]) for name in (zone, other)]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, FENCE_ID, 0, 64, 17, 0, *ends)
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xffff) + (total >> 16)
    header = header[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + header[12:]
    return header + struct.pack("!HHHH", sent % 50000 + 1024, 9, 8, 0)

def judged(hosts, next_hop):
    socks = {zone: listen(host) for zone, host in hosts.items()}
    seen = []
    for number, (zone, other, packet) in enumerate(packets):
        ethernet = bytes.fromhex((next_hop(zone, other) + hosts[zone].mac).replace(":", "")) + b"\\x08\\0"
        packet = bytes.fromhex(packet)
        socks[zone].send(ethernet + packet)
        socks[zone].send(ethernet + fence(number, zone, other))
        passed = False
        while True:
            frame = socks[other].recv(2048)
            # What this host sends itself is seen, too.
            if frame[6:12] == bytes.fromhex(hosts[other].mac.replace(":", "")):
                continue
            if frame[18:20] == packet[4:6] and frame[26:34] == packet[12:20]:
                passed = True
            if frame[18:20] == b"\\xff\\xff" and frame[34:36] == struct.pack("!H", number % 50000 + 1024):
                break
        seen.append(passed)
    for sock in socks.values():
        sock.close()
    return seen

def with_iptables():
    with vnet.Network(ipv6=False) as net:
        r1 = net.router("r1")
        hosts = {}
        for number, zone in enumerate(zones, 1):
            hosts[zone] = net.host(zone)
            net.link(r1, hosts[zone], ip=(f"10.{number}.0.1/24", f"10.{number}.0.2/24"))
        net.start()
        for number, zone in enumerate(zones):
            r1.run(f"ip neigh replace {zones[zone]} lladdr {hosts[zone].mac} dev eth{number} nud permanent", check=True)
        r1.run("set -e; " + "; ".join(iptables), check=True)
        interfaces = {zone: r1.interface(f"eth{number}").mac for number, zone in enumerate(zones)}
        return judged(hosts, lambda zone, other: interfaces[zone])

def with_plugin():
    with vnet.Network(ipv6=False) as net:
        s1 = net.switch("s1")
        hosts = {zone: net.host(zone) for zone in zones}
        for host in hosts.values():
            net.link(host, s1)
        flt = s1.attach("stateful_firewall", config=plugin)
        for host in hosts.values():
            # The switch, and the plugin at it, have to have heard a station to know where it is.
            sock = host.socket(socket.AF_PACKET, socket.SOCK_RAW, 0, device="eth0")
            sock.send(b"\\xff" * 6 + bytes.fromhex(host.mac.replace(":", "")) + b"\\x08\\x06" + bytes(46))
            sock.close()
        until(lambda: flt.stats.counters["other"] >= 3, 20, lambda: flt.stats)
        seen = judged(hosts, lambda zone, other: hosts[other].mac)
        assert not flt.stats.faults, flt.stats
        return seen

def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.01)

print(json.dumps([with_iptables(), with_plugin()]))
"""


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def iptables() -> list[str]:
    """Return the commands that say in iptables what ALLOW says."""
    interfaces = {zone: f"eth{number}" for number, zone in enumerate(ZONES)}
    commands = [
        "iptables -P FORWARD DROP",
        "iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    ]
    for rule in ALLOW:
        words = ["iptables -A FORWARD -m conntrack --ctstate NEW"]
        if "from" in rule:
            words.append(f"-i {interfaces[rule['from']]}")
        if "to" in rule:
            words.append(f"-o {interfaces[rule['to']]}")
        words.append(f"-p {rule['protocol']}" + (" --syn" if rule["protocol"] == "tcp" else ""))
        words += [f"--dport {rule['dport']}".replace("-23", ":23")] if "dport" in rule else []
        words += [f"-s {rule['src']}"] if "src" in rule else []
        words += [f"-d {rule['dst']}"] if "dst" in rule else []
        commands.append(" ".join([*words, "-j ACCEPT"]))
    return commands


def packets() -> list[tuple[str, str, str]]:
    """Return zone of origin, zone of destination and octets of every packet, each with an identification of its own."""
    scapy: Any = pytest.importorskip("scapy.all")
    ids = itertools.count(1)
    found: list[tuple[str, str, str]] = []

    def send(zone: str, other: str, payload: Any) -> Any:
        packet = scapy.IP(src=ZONES[zone], dst=ZONES[other], id=next(ids)) / payload
        found.append((zone, other, bytes(packet).hex()))
        return scapy.IP(bytes(packet))

    def tcp(sport: int, dport: int, flags: str, seq: int, ack: int = 0) -> Any:
        return scapy.TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, window=8000)

    for turn, (zone, other) in enumerate(itertools.permutations(ZONES, 2)):
        for step, dport in enumerate((22, 23, 24, 80)):
            sport = 2000 + 100 * turn + step
            # An answer and a segment that come too early, a whole connection, and a segment to a neighbouring port.
            send(other, zone, tcp(dport, sport, "SA", 500, 1))
            send(zone, other, tcp(sport, dport, "A", 1, 500))
            send(zone, other, tcp(sport, dport, "S", 1000))
            send(other, zone, tcp(dport, sport, "SA", 5000, 1001))
            send(zone, other, tcp(sport, dport, "A", 1001, 5001))
            send(other, zone, tcp(dport, sport, "A", 5001, 1001))
            send(other, zone, tcp(dport, sport + 50, "A", 5001, 1001))
            send(zone, other, tcp(sport, dport, "FA", 1001, 5001))
            send(other, zone, tcp(dport, sport, "FA", 5001, 1002))
            send(zone, other, tcp(sport, dport, "A", 1002, 5002))
        refused = 2000 + 100 * turn + 40
        send(zone, other, tcp(refused, 80, "S", 1))
        send(other, zone, tcp(80, refused, "RA", 0, 2))
        for dport in (53, 54):
            sport = 4000 + 100 * turn + dport
            send(other, zone, scapy.UDP(sport=dport, dport=sport) / b"too early")
            sent = send(zone, other, scapy.UDP(sport=sport, dport=dport) / b"question")
            send(other, zone, scapy.ICMP(type=3, code=3) / scapy.IPerror(bytes(sent)))
            send(other, zone, scapy.UDP(sport=dport, dport=sport) / b"answer")
            send(other, zone, scapy.UDP(sport=dport + 1, dport=sport) / b"from another port")
            stray = (
                scapy.IP(src=ZONES[zone], dst=ZONES[other]) / scapy.UDP(sport=sport + 40, dport=dport) / b"never sent"
            )
            send(other, zone, scapy.ICMP(type=3, code=3) / scapy.IPerror(bytes(stray)))
        number = 100 + turn
        send(other, zone, scapy.ICMP(type=0, id=number) / b"too early")
        send(zone, other, scapy.ICMP(type=8, id=number) / b"ping")
        send(other, zone, scapy.ICMP(type=0, id=number) / b"ping")
        send(other, zone, scapy.ICMP(type=0, id=number + 50) / b"another's")
    return found


def test_it_judges_as_iptables_does_packet_by_packet(somebody: Person) -> None:
    if shutil.which("iptables", path="/usr/sbin:/sbin:/usr/bin") is None:
        pytest.skip("iptables is missing: apt-get install iptables")
    sent = packets()
    plugin = {"zones": {zone: [number] for number, zone in enumerate(ZONES)}, "allow": ALLOW}
    source = program(PROLOGUE, PROGRAM)
    process = somebody.popen(*somebody.script(source), stdin=-1)
    out, err = process.communicate(json.dumps([ZONES, sent, plugin, iptables()]), timeout=180)
    if "Could not fetch rule set" in err or "Protocol not supported" in err or "can't initialize iptables" in err:
        pytest.skip(f"this kernel has no netfilter for {somebody.name}: {err[-300:]}")
    assert process.returncode == 0, f"{out}\n{err}"
    by_iptables, by_plugin = json.loads(out)
    told = [
        f"{number}: {zone} to {other} {bytes.fromhex(packet)[20:36].hex()}: iptables {theirs}, plugin {ours}"
        for number, ((zone, other, packet), theirs, ours) in enumerate(zip(sent, by_iptables, by_plugin, strict=True))
        if theirs != ours
    ]
    assert not told, "\n".join(told)
    assert len(sent) > 300
    assert 0.2 < sum(by_iptables) / len(sent) < 0.8, "a matrix of one answer proves nothing"
