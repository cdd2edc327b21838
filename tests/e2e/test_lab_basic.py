"""Two hosts and a switch: what everybody does first, by an ordinary user, by one with /dev/net/tun, and by root."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import dedent

import pytest
from unprivileged import PERSONS, Person, person

PLUGINS = ("drop_bcast", "count")

PROLOGUE = """
import json, os, sys, time
import vnet
"""

# 256 MiB through one TCP connection, the digest of either side taken over what it wrote or read.
TRANSFER = '''
import hashlib
RECEIVER = """
import hashlib, socket, sys
server = socket.create_server((sys.argv[1], 5001), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
connection, _ = server.accept()
connection.settimeout(20)
digest, buffer, count = hashlib.sha256(), memoryview(bytearray(1 << 20)), 0
while n := connection.recv_into(buffer):
    digest.update(buffer[:n])
    count += n
print(count, digest.hexdigest())
"""
SENDER = """
import hashlib, random, socket, sys
block, digest = random.Random(7).randbytes(1 << 20), hashlib.sha256()
with socket.create_connection((sys.argv[1], 5001), timeout=20) as connection:
    for i in range(int(sys.argv[2]) >> 20):
        piece = i.to_bytes(8, "little") + block[8:]
        digest.update(piece)
        connection.sendall(piece)
print(sys.argv[2], digest.hexdigest())
"""
def transfer(source, target, address, size):
    receiver = target.popen([sys.executable, "-c", RECEIVER, address], stdout=-1, stderr=-2).wait_port(5001)
    sent = source.run([sys.executable, "-c", SENDER, address, str(size)], check=True, timeout=240).stdout
    received, _ = receiver.communicate(timeout=30)
    assert received == sent, (received, sent)
    return sent
'''

TWO_HOSTS = """
net = vnet.Network()
h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
link = net.link(h1, s1)
net.link(h2, s1)
"""


@pytest.fixture(params=PERSONS)
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def program(*parts: str) -> str:
    return "".join(dedent(part) for part in parts)


def test_hosts_on_a_switch_ping_each_other_in_both_families(somebody: Person) -> None:
    source = """
    with net:
        assert h1.ping(h2, count=3), h1.ping(h2)
        assert h2.ping(h1.ip6).received == 1
        matrix = net.ping_all()
        assert matrix and matrix.sent == 2, matrix
        for target in (h2.ip, h2.ip6):
            h1.run(["ping", "-n", "-c2", "-i0.1", "-W5", target], check=True)
        assert not h1.ping("10.255.0.1", timeout=0.2)
        print(json.dumps([h1.ip, h1.ip6, h2.ip, h2.ip6]))
    """
    addresses = json.loads(somebody.does(program(PROLOGUE, TWO_HOSTS, source)))
    assert len(set(addresses)) == 4
    assert all("/" not in address for address in addresses)


@pytest.mark.parametrize("family", [4, 6])
def test_256_mib_arrive_whole_with_and_without_a_plugin_on_the_link(somebody: Person, family: int) -> None:
    source = f"""
    with net:
        address = h2.ip if {family} == 4 else h2.ip6
        plain = transfer(h1, h2, address, 256 << 20)
        # IPv6 finds its neighbours by multicast and IPv4 by broadcast: both know them by now.
        flt = link.attach("drop_bcast")
        assert transfer(h1, h2, address, 256 << 20) == plain
        stats = flt.detach()
        assert stats.packets_in > 1000, stats
        assert stats.packets_in == stats.passed + stats.dropped, stats
        assert not stats.faults, stats
        assert transfer(h1, h2, address, 1 << 20)
    """
    somebody.does(program(PROLOGUE, TRANSFER, TWO_HOSTS, source), timeout=240)


def test_256_mib_arrive_whole_over_a_link_between_two_hosts(somebody: Person) -> None:
    source = """
    net = vnet.Network()
    h1, h2 = net.host("h1"), net.host("h2")
    link = net.link(h1, h2)
    with net:
        plain = transfer(h1, h2, h2.ip, 256 << 20)
        counter = link.attach("count")
        assert transfer(h2, h1, h1.ip, 256 << 20) == plain
        assert counter.stats.packets_in > 1000
    """
    somebody.does(program(PROLOGUE, TRANSFER, source), timeout=240)


def test_a_web_server_in_one_host_answers_curl_in_the_other(somebody: Person) -> None:
    source = """
    with net:
        h2.run("mkdir /tmp/www && echo hello from $(hostname) > /tmp/www/index.html", check=True)
        server = h2.popen("exec python3 -m http.server --bind :: 8000", cwd="/tmp/www").wait_port(8000)
        for url in (f"http://{h2.ip}:8000/", f"http://[{h2.ip6}]:8000/", "http://h2:8000/"):
            got = h1.run(["curl", "--noproxy", "*", "-sS", "--max-time", "10", url], check=True)
            assert got.stdout == "hello from h2\\n", (url, got)
        import urllib.request
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with h2.forward(8000) as forward, opener.open(forward.url, timeout=10) as answer:
            assert answer.read() == b"hello from h2\\n"
        server.kill()
        assert server.wait(5) < 0
        assert h1.run(["curl", "--noproxy", "*", "-sS", "--max-time", "10", f"http://{h2.ip}:8000/"]).returncode == 7
    """
    somebody.does(program(PROLOGUE, TWO_HOSTS, source))


def test_tcpdump_writes_a_capture_of_what_a_host_sees(somebody: Person) -> None:
    source = """
    capture = os.environ["HOME"] + "/h2.pcap"
    with net:
        dump = h2.popen(["tcpdump", "-i", "eth0", "-c", "10", "-w", capture, "icmp"], stderr=-1)
        while "listening on" not in dump.stderr.readline():
            assert dump.poll() is None
        assert h1.ping(h2, count=5, interval=0.05)
        assert dump.wait(10) == 0, dump.stderr.read()
        dump.stderr.close()
    # root's tcpdump gives the file to a user of its own.
    assert os.getuid() in (0, os.stat(capture).st_uid)
    seen = vnet.run(["tcpdump", "-nn", "-r", capture], check=True).stdout
    assert seen.count("echo request") == 5, seen
    assert seen.count("echo reply") == 5, seen
    """
    somebody.does(program(PROLOGUE, TWO_HOSTS, source))


def test_sockets_of_a_host_are_ordinary_sockets_of_this_process(somebody: Person) -> None:
    source = """
    import socket
    with net:
        server = h2.socket(socket.AF_INET, socket.SOCK_STREAM, bind=(h2.ip, 7000))
        server.listen()
        client = h1.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(5)
        client.connect((h2.ip, 7000))
        taken, peer = server.accept()
        assert peer[0] == h1.ip, peer
        client.sendall(b"over the lab")
        assert taken.recv(100) == b"over the lab"
        for each in (client, taken, server):
            each.close()
        assert h1.iperf(h2, seconds=0.5).bits_per_second > 1e7
    """
    somebody.does(program(PROLOGUE, TWO_HOSTS, source))


def test_a_host_has_a_name_a_hosts_file_and_a_tmp_of_its_own(somebody: Person) -> None:
    source = """
    with net:
        assert h1.run("hostname").stdout == "h1\\n"
        assert h1.run("getent hosts h2").stdout.split()[0] in (h2.ip, h2.ip6)
        h1.run("ping -c1 -W5 h2", check=True)
        h1.run("echo mine > /tmp/note; echo pid > /run/note", check=True)
        assert h2.run("cat /tmp/note /run/note").returncode != 0
        assert h1.run("cat /tmp/note /run/note").stdout == "mine\\npid\\n"
        assert not os.path.exists("/tmp/note") and not os.path.exists("/run/note")
        assert h1.run("ls /sys/class/net").stdout.split() == ["eth0", "lo"]
        assert int(h1.run("id -u").stdout) == os.getuid()
    """
    somebody.does(program(PROLOGUE, TWO_HOSTS, source))


def test_a_tap_in_a_host_is_answered_by_a_plugin(somebody: Person) -> None:
    source = """
    with net:
        tap = h1.tap("tap0", ip="10.77.0.1/24")
        assert tap.backend == ("tap" if os.access("/dev/net/tun", os.R_OK | os.W_OK) else "packet"), tap
        tap.attach("icmp_echo")
        h1.run("ping -c2 -i0.1 -W5 10.77.0.2", check=True)
        assert "tap0" in h1.run("ip -br link").stdout
        assert "tap0" not in h2.run("ip -br link").stdout
        tap.close()
        assert "tap0" not in h1.run("ip -br link").stdout
        with h1.tun("tun0", ip="10.78.0.1/24") as tun:
            h1.run("ping -c1 -W0.2 10.78.0.2")
            frame = tun.recv(timeout=5)
            while b"\\x0a\\x4e\\x00\\x02" not in bytes(frame):
                frame = tun.recv(timeout=5)
            assert "10.78.0.2" in frame.summary(), frame.summary()
    """
    somebody.does(program(PROLOGUE, TWO_HOSTS, source))


def test_the_process_s_own_devices_work_beside_a_lab(somebody: Person) -> None:
    """An ordinary user's live in the sandbox, which is announced once; root's here in a namespace that the test gives it."""
    source = """
    where = "sandbox"
    with vnet.Tap("tap0", ip="10.76.0.1/24", netns=where) as tap:
        tap.attach("icmp_echo")
        assert vnet.run("ping -c1 -W5 10.76.0.2", netns=where).ok
        with net:
            assert h1.ping(h2)
            assert not h1.ping("10.76.0.2", timeout=0.2)
    """
    somebody.does(program(PROLOGUE, TWO_HOSTS, source))


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugins_work_on_links_interfaces_and_switches(somebody: Person, plugin: str) -> None:
    source = f"""
    with net:
        assert h1.ping(h2)
        for place in (link, h1.interface("eth0"), s1):
            with place.attach({plugin!r}) as handle:
                assert h1.ping(h2, count=5, interval=0.01), (place, handle.stats)
                stats = handle.stats
                assert stats.packets_in >= 5, (place, stats)
                assert stats.packets_in == stats.passed + stats.dropped, (place, stats)
            assert h1.ping(h2), place
    """
    somebody.does(program(PROLOGUE, TWO_HOSTS, source))


def test_a_dropping_plugin_stops_what_it_is_told_to_and_nothing_else(somebody: Person) -> None:
    source = """
    with net:
        assert h1.ping(h2)
        with link.attach("drop_bcast") as flt:
            h1.run("ip neigh flush dev eth0", check=True)
            assert not h1.ping(h2.ip, timeout=0.3), "who-has is a broadcast"
            assert h1.ping(h2.ip6), "neighbour solicitation is a multicast"
            assert flt.stats.dropped > 0
        assert h1.ping(h2.ip, timeout=3)
    """
    somebody.does(program(PROLOGUE, TWO_HOSTS, source))


def test_a_capture_of_a_link_holds_both_directions(somebody: Person) -> None:
    source = """
    path = os.environ["HOME"] + "/link.pcapng"
    with net:
        assert h1.ping(h2)
        with link.capture(path):
            assert h1.ping(h2, count=7, interval=0.01)
    seen = vnet.run(["tcpdump", "-nn", "-r", path, "icmp"], check=True).stdout
    assert (seen.count("echo request"), seen.count("echo reply")) == (7, 7), seen
    """
    somebody.does(program(PROLOGUE, TWO_HOSTS, source))


def test_routers_forward_and_links_go_down_and_up(somebody: Person) -> None:
    source = """
    with vnet.Network() as net:
        h1, r1, r2, h2 = net.host("h1"), net.router("r1"), net.router("r2"), net.host("h2")
        net.link(h1, r1)
        middle = net.link(r1, r2)
        net.link(r2, h2)
        assert h1.ping(h2), "routes over two routers"
        assert h1.ping(h2.ip6)

        middle.down()
        assert not middle.is_up
        assert not h1.ping(h2, timeout=0.3)
        middle.up()
        assert h1.ping(h2, timeout=3)
    """
    somebody.does(program(PROLOGUE, source))
