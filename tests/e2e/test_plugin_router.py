"""Three switches that the shipped plugin router makes routers, in a row between two hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person

LAB = '''
net = vnet.Network()
h1, h2 = net.host("h1"), net.host("h2")
switches = [net.switch(f"s{n}") for n in (1, 2, 3)]
s1, s2, s3 = switches
# Ports count in the order of the links: 0 is towards h1, 1 towards h2.
net.link(h1, s1, ip=(["10.1.0.2/24", "fd00:1::2/64"], None))
net.link(s1, s2)
net.link(s2, s3)
net.link(s3, h2, ip=(None, ["10.4.0.2/24", "fd00:4::2/64"]))

def attach():
    found = []
    for n, switch in enumerate(switches, 1):
        ports = [{"addresses": [f"10.{n}.0.{254 if n > 1 else 1}/24", f"fd00:{n}::fe/64"]},
                 {"addresses": [f"10.{n + 1}.0.1/24", f"fd00:{n + 1}::1/64"]}]
        for port, entry in enumerate(ports):
            entry["mac"] = f"02:00:00:99:0{n}:0{port}"
        routes = [{"to": f"10.{far}.0.0/24", "via": f"10.{n}.0.1"} for far in range(1, n)]
        routes += [{"to": f"fd00:{far}::/64", "via": f"fd00:{n}::1"} for far in range(1, n)]
        if n < 3:
            routes += [{"to": "10.4.0.0/16", "via": f"10.{n + 1}.0.254"}, {"to": "10.0.0.0/8", "via": f"10.{n + 1}.0.254"},
                       {"to": "fd00::/16", "via": f"fd00:{n + 1}::fe"}]
        found.append(switch.attach("router", config={"ports": ports, "routes": routes}))
    for host, own, gateway in ((h1, "1", ("10.1.0.1", "fd00:1::fe")), (h2, "4", ("10.4.0.1", "fd00:4::1"))):
        host.run(f"ip route replace default via {gateway[0]}; ip -6 route replace default via {gateway[1]}", check=True)
    return found

TRACE = """
import socket, struct, sys
target, port = sys.argv[1], 33434
family = socket.AF_INET6 if ":" in target else socket.AF_INET
level, hops, errors, offset = (41, 16, 25, 24) if ":" in target else (0, 2, 11, 20)
for ttl in range(1, 9):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.setsockopt(level, errors, 1)
    sock.setsockopt(level, hops, ttl)
    sock.connect((target, port + ttl))
    for attempt in range(4):
        try:
            sock.send(b"probe")
            sock.recv(100)
        except TimeoutError:
            continue
        except OSError:
            pass
        break
    _, control, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    data = control[-1][2]
    kind, code = data[5], data[6]
    offender = data[16:]
    address = socket.inet_ntop(family, offender[8:24] if ":" in target else offender[4:8])
    print(address, kind, code)
    if address == target:
        break
"""
'''


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def test_three_routers_in_a_row_show_in_a_traceroute(somebody: Person) -> None:
    source = """
    with net:
        routers = attach()
        expected = {
            "10.4.0.2": ["10.1.0.1 11 0", "10.2.0.254 11 0", "10.3.0.254 11 0", "10.4.0.2 3 3"],
            "fd00:4::2": ["fd00:1::fe 3 0", "fd00:2::fe 3 0", "fd00:3::fe 3 0", "fd00:4::2 1 4"],
        }
        for target, hops in expected.items():
            traced = h1.run([sys.executable, "-c", TRACE, target], timeout=120)
            assert traced.stdout.split("\\n")[:-1] == hops, traced
        for target in ("10.4.0.2", "fd00:4::2"):
            h1.run(["ping", "-n", "-c3", "-i0.2", "-W5", target], check=True)
        # A far interface of each router answers for itself.
        for target in ("10.2.0.1", "10.3.0.1", "10.4.0.1", "fd00:3::1"):
            h1.run(["ping", "-n", "-c1", "-W5", target], check=True)
        nowhere = h1.run(["ping", "-n", "-c1", "-W5", "10.77.0.1"])
        assert "From 10.3.0.254" in nowhere.stdout and "Net Unreachable" in nowhere.stdout, nowhere
        for flt in routers:
            assert not flt.stats.faults, flt.stats
            assert flt.stats.counters["icmp_errors"] >= 2, flt.stats
    """
    somebody.does(program(PROLOGUE, LAB, source), timeout=180)


def test_a_file_goes_through_three_routers_whole(somebody: Person) -> None:
    source = """
    with net:
        routers = attach()
        h2.run("mkdir /tmp/www && head -c 20000000 /dev/urandom > /tmp/www/file", check=True)
        digest = h2.run("sha256sum < /tmp/www/file", check=True).stdout
        h2.popen("exec python3 -m http.server --bind :: --directory /tmp/www 80 2> /dev/null").wait_port(80)
        for address in ("10.4.0.2", "[fd00:4::2]"):
            fetched = h1.run(f"curl -s --max-time 60 http://{address}/file | sha256sum", check=True, timeout=90)
            assert fetched.stdout == digest
        assert all(not flt.stats.faults for flt in routers)
    """
    somebody.does(program(PROLOGUE, LAB, source), timeout=240)


NARROW = '''
net = vnet.Network()
h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
net.link(h1, s1, ip=(["10.1.0.2/24", "fd00:1::2/64"], None))
net.link(s1, h2, ip=(None, ["10.2.0.2/24", "fd00:2::2/64"]))
flt = s1.attach("router", config={"ports": [
    {"addresses": ["10.1.0.1/24", "fd00:1::1/64"]}, {"addresses": ["10.2.0.1/24", "fd00:2::1/64"], "mtu": 1400}]})
for n, host in enumerate((h1, h2), 1):
    host.run(f"ip route replace default via 10.{n}.0.1; ip -6 route replace default via fd00:{n}::1", check=True)

PAGE = """
import socket, sys
family, address = (socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET), (sys.argv[2], 8000)
if sys.argv[1] == "take":
    server = socket.create_server(address, family=family)
    stream, _ = server.accept()
    got = b"".join(iter(lambda: stream.recv(65536), b""))
    assert got == bytes(range(256)) * 4000, len(got)
else:
    stream = socket.create_connection(address, timeout=30)
    stream.sendall(bytes(range(256)) * 4000)
"""
DATAGRAM = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(30)
if sys.argv[1] == "take":
    sock.bind(("10.2.0.2", 9000))
    assert sock.recv(9000) == bytes(range(250)) * 5 + b"!" * 200
else:
    # IP_MTU_DISCOVER, IP_PMTUDISC_OMIT: what was learned of the way is not asked, and routers may cut it.
    sock.setsockopt(socket.IPPROTO_IP, 10, 5)
    sock.sendto(bytes(range(250)) * 5 + b"!" * 200, ("10.2.0.2", 9000))
"""
'''


def test_a_narrow_port_is_learned_of_and_packets_are_cut_for_it(somebody: Person) -> None:
    source = """
    with net:
        for address in ("10.2.0.2", "fd00:2::2"):
            taker = h2.popen([sys.executable, "-c", PAGE, "take", address]).wait_port(8000)
            h1.run([sys.executable, "-c", PAGE, "send", address], check=True, timeout=60)
            assert taker.wait(timeout=60) == 0
        # TCP learned the MTU from the errors, about super-frames too.
        assert flt.stats.counters["icmp_errors"] >= 2, flt.stats
        assert h1.run("ip route get 10.2.0.2; ip route get fd00:2::2", check=True).stdout.count("mtu 1400") == 2
        taker = h2.popen([sys.executable, "-c", DATAGRAM, "take"]).wait_port(9000, protocol="udp")
        h1.run([sys.executable, "-c", DATAGRAM, "send"], check=True)
        assert taker.wait(timeout=60) == 0
        assert flt.stats.counters["fragmented"] >= 1 and not flt.stats.faults, flt.stats
    """
    somebody.does(program(PROLOGUE, NARROW, source), timeout=240)
