"""Shipped plugins on labs: VLANs between two switches, a tunnel between two sites, a balanced service, blocked names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_lab_basic import PROLOGUE, TRANSFER, program
from test_services import UNTIL, needs
from unprivileged import Person, person


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


VLANS = """
with vnet.Network() as net:
    s1, s2 = net.switch("s1"), net.switch("s2")
    trunk = net.link(s1, s2)
    hosts = {}
    for name, switch in (("a10", s1), ("a20", s1), ("b10", s2), ("b20", s2)):
        hosts[name] = net.host(name, ip=f"10.0.0.{len(hosts) + 1}/24")
        net.link(hosts[name], switch)
    net.start()
    for name, host in hosts.items():
        host.attach("vlan", config={"access": int(name[1:])}, direction="both")
    a10, a20, b10, b20 = hosts.values()

    def reaches(one, other):
        return bool(one.ping(other.ip, timeout=1))

    # Frames that are not for a VLAN's own never arrive, so nobody even learns the other's address.
    until(lambda: reaches(a10, b10) and reaches(a20, b20), 20, "each VLAN spans both switches")
    assert not any(a.ping(b.ip, timeout=0.3) for a, b in ((a10, a20), (a10, b20), (a20, b10), (b10, b20)))
    with trunk.attach("vlan", config={"trunk": [10]}) as only_10:
        until(lambda: reaches(a10, b10), 20, "VLAN 10 passes the trunk")
        assert not a20.ping(b20.ip, timeout=0.5)
        assert only_10.stats.drops["other vlan"] > 0, only_10.stats
    until(lambda: reaches(a20, b20), 20, "the trunk carries everything again")
    print(transfer(a10, b10, b10.ip, 8 << 20))
"""


def test_a_trunk_between_two_switches_keeps_vlans_apart(somebody: Person) -> None:
    somebody.does(program(PROLOGUE, UNTIL, TRANSFER, VLANS), timeout=120)


TUNNEL = """
with vnet.Network() as net:
    r1, r2 = net.router("r1"), net.router("r2")
    outside = net.link(r1, r2)
    hosts, ends = [], []
    for n, router in ((1, r1), (2, r2)):
        host, switch = net.host(f"h{n}"), net.switch(f"s{n}")
        net.link(host, switch, mtu=1450)
        site = net.link(switch, router, ip=(None, f"10.{n}.0.254/24"))
        hosts.append(host)
        ends.append((site, {"vni": 42, "local": f"10.{n}.0.253", "remote": f"10.{3 - n}.0.253", "gateway": f"10.{n}.0.254"}))
    net.start()
    for n, host in enumerate(hosts, 1):
        host.add_address(f"192.168.7.{n}/24")
    h1, h2 = hosts
    assert not h1.ping("192.168.7.2", timeout=0.3), "nothing joins the sites"
    flts = [site.attach("tunnel", config=config) for site, config in ends]
    until(lambda: h1.ping("192.168.7.2", timeout=1), 20, lambda: [flt.stats for flt in flts])
    # Full packets of 1450 bytes inside are 1500 outside.
    h1.run("ping -c2 -i0.2 -W5 -M do -s 1422 192.168.7.2", check=True)
    print(transfer(h1, h2, "192.168.7.2", 16 << 20))
    for flt in flts:
        counters = flt.stats.counters
        assert min(counters["encapsulated"], counters["decapsulated"]) > 1000, flt.stats
        assert flt.stats.drops["too big"] == 0, flt.stats
    assert not r1.ping("192.168.7.2", timeout=0.3), "the outside is no part of the network"
"""


def test_a_tunnel_joins_two_sites_with_an_mtu_of_1450(somebody: Person) -> None:
    somebody.does(program(PROLOGUE, UNTIL, TRANSFER, TUNNEL), timeout=180)


# Each server says who it is to whoever connects, until it is killed.
BALANCED = '''
SERVER = """
import socket, sys
server = socket.create_server(("", 80), backlog=1024)
while True:
    connection, _ = server.accept()
    with connection:
        connection.sendall(sys.argv[1].encode())
"""
CLIENT = """
import collections, json, socket, sys
seen = collections.Counter()
for _ in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 80), timeout=20) as connection:
        seen[connection.makefile().read()] += 1
print(json.dumps(seen))
"""
with vnet.Network() as net:
    client, s1 = net.host("client", ip="10.0.0.1/24"), net.switch("s1")
    servers = [net.host(f"web{n}", ip=f"10.0.0.{n}/24") for n in (11, 12, 13, 14)]
    for node in (client, *servers):
        net.link(node, s1)
    net.start()
    for server in servers:
        server.popen([sys.executable, "-c", SERVER, server.name]).wait_port(80)
    names = ["10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14"]
    flt = s1.attach("load_balancer", config={"address": "10.0.0.100", "port": 80, "servers": names})
    seen = client.run([sys.executable, "-c", CLIENT, "10.0.0.100", "1000"], check=True, timeout=150).stdout
    counts = json.loads(seen)
    print(counts, flt.stats.counters)
    assert sorted(counts) == ["web11", "web12", "web13", "web14"], counts
    assert sum(counts.values()) == 1000 and min(counts.values()) >= 150, counts
    assert flt.stats.counters["connections"] == 1000, flt.stats
    # A server's own address is still its own, and the service has its port alone.
    assert client.run([sys.executable, "-c", CLIENT, "10.0.0.12", "1"], check=True).stdout == '{"web12": 1}' + chr(10)
    assert client.run("ping -c1 -W5 10.0.0.100").returncode == 0
'''


def test_a_thousand_connections_spread_over_four_servers(somebody: Person) -> None:
    somebody.does(program(PROLOGUE, UNTIL, BALANCED), timeout=240)


# One question, the answer's code and addresses; what nobody answers is asked again.
BLOCKED = '''
RESOLVER = """
import socket, struct, sys
server, name, kind = sys.argv[1], sys.argv[2], int(sys.argv[3])
labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
query = struct.pack("!6H", 0x1234, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)
family = socket.AF_INET6 if ":" in server else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as asker:
    asker.settimeout(2)
    asker.connect((server, 53))
    for _ in range(10):
        asker.send(query)
        try:
            answer = asker.recv(4096)
            break
        except TimeoutError:
            continue
    else:
        sys.exit("no answer")
assert answer[:2] == query[:2] and answer[12:12 + len(query) - 12] == query[12:]
print("code", answer[3] & 15, "answers", struct.unpack("!H", answer[6:8])[0])
"""
import pwd
who = pwd.getpwuid(os.getuid()).pw_name
with vnet.Network() as net:
    client, server = net.host("client"), net.host("server")
    link = net.link(client, server)
    net.start()
    dnsmasq = server.popen(
        ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", f"--user={who}",
         "--pid-file=/tmp/dnsmasq.pid", "--address=/lab/192.0.2.7", "--address=/lab/2001:db8::7",
         "--address=/example/192.0.2.8", "--log-facility=-"],
        stdout=-1, stderr=-2)
    dnsmasq.wait_port(53, protocol="udp")

    def ask(name, kind=1, to=None):
        return client.run([sys.executable, "-c", RESOLVER, to or server.ip, name, str(kind)], check=True, timeout=30).stdout

    assert ask("www.lab") == "code 0 answers 1" + chr(10)
    with link.attach("dns_block", config={"names": ["ads.example"], "suffixes": ["tracker.lab"]}) as flt:
        for to in (server.ip, server.ip6):
            for name, kind in (("ads.example", 1), ("ADS.example", 28), ("a.b.Tracker.LAB", 1), ("tracker.lab", 28)):
                assert ask(name, kind, to) == "code 3 answers 0" + chr(10), name
            for name, kind in (("www.lab", 1), ("www.lab", 28), ("example", 1), ("xtracker.lab", 1)):
                assert ask(name, kind, to) == "code 0 answers 1" + chr(10), name
        counters = flt.stats.counters
        assert counters["blocked"] >= 8 and counters["allowed"] >= 8, counters
        # A real resolver's library, too.
        found = client.run(["sh", "-c", f"echo nameserver {server.ip} > /tmp/resolv.conf && mount --bind /tmp/resolv.conf "
                            "/etc/resolv.conf && getent ahostsv4 www.lab && ! getent ahosts ads.example"])
        assert found.returncode == 0 and "192.0.2.7" in found.stdout, found
    assert ask("ads.example") == "code 0 answers 1" + chr(10)
'''


def test_blocked_names_do_not_exist_and_others_are_answered_by_dnsmasq(somebody: Person) -> None:
    needs("dnsmasq", "dnsmasq-base")
    somebody.does(program(PROLOGUE, UNTIL, BLOCKED), timeout=120)


MIRROR = """
os.chdir(os.environ["TMPDIR"])
with vnet.Network() as net:
    h1, h2, probe, s1 = net.host("h1"), net.host("h2"), net.host("probe"), net.switch("s1")
    for host in (h1, h2, probe):
        net.link(host, s1)
    net.start()
    until(lambda: h1.ping(h2, timeout=1), 20, "the switch forwards")
    with s1.attach("mirror", config={"to": 2, "protocol": "icmp", "address": h1.ip}) as flt, \\
            probe.interface("eth0").capture("probe.pcapng"):
        assert h1.ping(h2, count=5, interval=0.05, timeout=5)
        until(lambda: flt.stats.counters["copied"] >= 10, 20, lambda: flt.stats)
    seen = vnet.replay("probe.pcapng", plugins=["count"]).stages[0].counters
    assert seen["icmp"] >= 10, seen
"""


def test_a_mirror_port_gets_what_others_say_to_each_other(somebody: Person) -> None:
    somebody.does(program(PROLOGUE, UNTIL, MIRROR), timeout=90)


RECORD = """
import logging
lines = []
class Keep(logging.Handler):
    def emit(self, entry):
        lines.append(entry.getMessage())
logging.getLogger("vnet").addHandler(Keep())
logging.getLogger("vnet").setLevel(logging.INFO)
with vnet.Network() as net:
    h1, h2 = net.host("h1"), net.host("h2")
    link = net.link(h1, h2)
    with link.attach("record", config={"idle": 1}) as flt, link.attach("mss_clamp", config={"mtu": 1400}) as clamp:
        print(transfer(h1, h2, h2.ip, 8 << 20))
        assert clamp.stats.counters["clamped"] >= 2, clamp.stats
        # Time passes for it with frames.
        def logged():
            h1.ping(h2, count=20, interval=0.01, timeout=5)
            return [line for line in lines if f"> {h2.ip}:5001 packets" in line]
        (line,) = until(logged, 40, lambda: (flt.stats, lines))[:1]
        words = line.split()
        count = {words[i]: words[i + 1] for i in range(len(words) - 1)}
        assert int(count["bytes"]) > 8 << 20 and "S" in count["flags"] and "F" in count["flags"], line
"""


def test_a_flow_is_logged_when_it_has_ended_and_handshakes_are_clamped(somebody: Person) -> None:
    somebody.does(program(PROLOGUE, UNTIL, TRANSFER, RECORD), timeout=120)
