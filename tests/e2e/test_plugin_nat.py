"""The shipped plugin nat, where a router's packets leave for the outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person

LAB = '''
net = vnet.Network(ipv6=False)
r1, s1, web = net.router("r1"), net.switch("s1"), net.host("web")
hosts = [net.host(f"h{n}") for n in range(10)]
net.link(r1, s1, ip=("192.168.0.1/24", None))
outside = net.link(r1, web, ip=("198.51.100.1/24", "198.51.100.7/24"))
for n, host in enumerate(hosts):
    net.link(host, s1, ip=(f"192.168.0.{n + 10}/24", None))
CONFIG = {
    "address": "198.51.100.1", "inside": "192.168.0.0/24",
    "forward": [{"protocol": "tcp", "port": 8080, "to": "192.168.0.13", "to_port": 80}],
}
ASK = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(10)
sock.connect(("198.51.100.7", 9999))
sock.send(b"x")
try:
    sock.recv(1)
except ConnectionRefusedError:
    print("refused")
"""
'''


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def test_ten_hosts_fetch_from_a_web_server_outside_at_once(somebody: Person) -> None:
    source = """
    with net:
        # The outside knows nothing of the inside.
        web.run("ip route flush table main; ip route add 198.51.100.0/24 dev eth0 src 198.51.100.7", check=True)
        web.run("mkdir /tmp/www && head -c 3000000 /dev/urandom > /tmp/www/file", check=True)
        digest = web.run("sha256sum < /tmp/www/file", check=True).stdout
        server = web.popen("exec python3 -m http.server --directory /tmp/www 80 2> /tmp/log").wait_port(80)
        assert not hosts[0].ping("198.51.100.7", timeout=0.3), "nothing comes back without nat"
        flt = outside.attach("nat", config=CONFIG)
        for host in hosts[:3]:
            assert host.ping("198.51.100.7", count=2, timeout=5)
        # All from the same port, so that nine of ten need another one outside.
        fetch = "curl -s --max-time 60 --retry 3 --local-port 5000 http://198.51.100.7/file | sha256sum"
        started = [host.popen(fetch, stdout=-1) for host in hosts]
        for process in started:
            out, _ = process.communicate(timeout=90)
            assert out == digest, (out, digest)
        log = web.run("cat /tmp/log", check=True).stdout
        assert log.count("GET /file") == 10, log
        assert {line.split()[0] for line in log.splitlines() if "GET" in line} == {"198.51.100.1"}, log
        # A closed port: the ICMP error quotes the packet as it left, and comes back as the host sent it.
        refused = hosts[4].run([sys.executable, "-c", ASK], timeout=30)
        assert refused.stdout == "refused\\n", refused
        stats = flt.stats
        assert stats.counters["new_mappings"] >= 14 and stats.counters["icmp_errors"] == 1, stats
        assert not stats.faults and not stats.dropped, stats
    """
    somebody.does(program(PROLOGUE, LAB, source), timeout=180)


def test_a_forwarded_port_leads_to_a_host_inside(somebody: Person) -> None:
    source = """
    with net:
        web.run("ip route flush table main; ip route add 198.51.100.0/24 dev eth0 src 198.51.100.7", check=True)
        hosts[3].popen("cd /tmp && echo inside > page && exec python3 -m http.server 80 2> /dev/null").wait_port(80)
        outside.attach("nat", config=CONFIG)
        for _ in range(3):
            page = web.run("curl -s --max-time 20 http://198.51.100.1:8080/page", check=True, timeout=30).stdout
            assert page == "inside\\n", page
        closed = web.run("curl -s --max-time 20 http://198.51.100.1:8081/", timeout=30)
        assert closed.returncode == 7, closed
    """
    somebody.does(program(PROLOGUE, LAB, source))
