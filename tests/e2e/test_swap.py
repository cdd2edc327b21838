"""A plugin comes and goes a hundred times under numbered UDP with TCP beside it: nothing is lost, nothing doubled."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person

SWAPS = int(os.environ.get("VNET_SWAPS", "100"))
# Numbered datagrams a second, each way.
RATE = int(os.environ.get("VNET_SWAP_RATE", "4000"))

# Programs that run in the hosts. Times are CLOCK_MONOTONIC, which every process of the machine shares.
TRAFFIC = '''
RECEIVE = """
import json, socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
sock.bind(("", 6000))
seen, late, highest, doubled = bytearray(1 << 24), [], -1, 0
while True:
    payload = sock.recv(64)
    if payload[:4] == b"last":
        break
    number = int.from_bytes(payload, "little")
    doubled += seen[number]
    seen[number] = 1
    if number < highest:
        late.append((time.monotonic(), number))
    else:
        highest = number
print(json.dumps({"received": sum(seen), "doubled": doubled, "late": late,
                  "missing": [n for n in range(highest + 1) if not seen[n]][:20]}))
"""
SEND = """
import socket, sys, threading, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((sys.argv[1], 6000))
stopped = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
pause, number, begun = 1 / float(sys.argv[2]), 0, time.monotonic()
while not stopped.is_set():
    due = int((time.monotonic() - begun) / pause)
    # After a pause of the machine the rest comes in portions that no buffer is too small for.
    for number in range(number, min(due, number + 64)):
        sock.send(number.to_bytes(8, "little"))
        number += 1
    time.sleep(pause)
# A pause so that these come after all others, however those went.
time.sleep(0.5)
for _ in range(3):
    sock.send(b"last")
print(number)
"""
STREAM_IN = """
import hashlib, socket
server = socket.create_server(("", 5001))
connection, _ = server.accept()
connection.settimeout(30)
digest, buffer, count = hashlib.sha256(), memoryview(bytearray(1 << 20)), 0
while n := connection.recv_into(buffer):
    digest.update(buffer[:n])
    count += n
print(count, digest.hexdigest())
"""
STREAM_OUT = """
import hashlib, random, socket, sys, threading
stopped = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
block, digest, count = random.Random(7).randbytes(1 << 18), hashlib.sha256(), 0
with socket.create_connection((sys.argv[1], 5001), timeout=30) as connection:
    while not stopped.is_set():
        piece = count.to_bytes(8, "little") + block[8:]
        digest.update(piece)
        connection.sendall(piece)
        count += len(piece)
print(count, digest.hexdigest())
"""
def start(node, *words, **options):
    return node.popen([sys.executable, "-c", *map(str, words)], stdin=-1, stdout=-1, **options)
def stop(process):
    out, _ = process.communicate("", timeout=60)
    assert process.returncode == 0, process
    return out
def lost_at(node):
    """Datagrams that the node's own receive buffers turned away: the program's fault, no link's."""
    names, values = [line.split() for line in node.run("cat /proc/net/snmp").stdout.splitlines() if line.startswith("Udp:")]
    return int(dict(zip(names, values))["RcvbufErrors"])
def run_under_traffic(udp, tcp, swap):
    """Calls swap(n) again and again while `udp` (pairs of hosts) carry numbers and `tcp` (one pair) carries a stream."""
    receivers = [start(b, RECEIVE).wait_port(6000, protocol="udp") for _, b in udp]
    sink = start(tcp[1], STREAM_IN).wait_port(5001)
    senders = [start(a, SEND, b.ip, RATE) for a, b in udp]
    source = start(tcp[0], STREAM_OUT, tcp[1].ip)
    windows = []
    for number in range(SWAPS):
        time.sleep(0.005)
        windows.extend(swap(number))
    time.sleep(0.05)
    streams = [stop(source), stop(sink)]
    sent = [int(stop(each)) for each in senders]
    got = [json.loads(stop(each)) for each in receivers]
    return {"streams": streams, "sent": sent, "got": got, "windows": windows, "full": [lost_at(b) for _, b in udp]}
'''

DETACHING = """
def once(place, plugin):
    handle = place.attach(plugin)
    time.sleep(0.005)
    begun = time.monotonic()
    stats = handle.detach()
    assert not stats.faults and stats.packets_in == stats.passed + stats.dropped, stats
    return begun, time.monotonic(), handle.reordering_possible, stats.packets_in
"""


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def judge(result: dict[str, Any]) -> None:
    """Hold what happened to what was promised."""
    windows = result["windows"]
    assert result["full"] == [0] * len(result["full"]), "a receiving program was too slow: the test proves nothing"
    for sent, got in zip(result["sent"], result["got"], strict=True):
        assert sent > 1000
        assert (got["received"], got["missing"], got["doubled"]) == (sent, [], 0)
        for when, number in got["late"]:
            # A late frame was overtaken while a detach went on, or had just gone on, that said so.
            told = any(begun <= when <= ended + 0.25 and possible for begun, ended, possible, _ in windows)
            assert told, f"frame {number} came late at {when}, and no detach told of it"
    assert sum(seen for *_, seen in windows) > len(windows), "the plugin saw traffic"
    sent_stream, received_stream = result["streams"]
    assert int(sent_stream.split()[0]) > 64 << 20
    assert sent_stream == received_stream


@pytest.mark.timeout(600)
def test_swapping_a_plugin_on_a_link_loses_and_doubles_nothing(somebody: Person) -> None:
    source = f"""
    RATE, SWAPS = {RATE}, {SWAPS}
    with vnet.Network() as net:
        h1, h2 = net.host("h1"), net.host("h2")
        link = net.link(h1, h2)
        assert h1.ping(h2)
        swap = lambda n: [once(link, "count" if n % 2 else "drop_bcast")]
        print(json.dumps(run_under_traffic([(h1, h2), (h2, h1)], (h1, h2), swap)))
    """
    judge(json.loads(somebody.does(program(PROLOGUE, TRAFFIC, DETACHING, source), timeout=500)))


@pytest.mark.timeout(600)
def test_swapping_plugins_on_a_switch_of_three_ports_loses_and_doubles_nothing(somebody: Person) -> None:
    source = f"""
    RATE, SWAPS = {RATE}, {SWAPS}
    with vnet.Network() as net:
        s1 = net.switch("s1")
        h1, h2, h3 = (net.host(name) for name in ("h1", "h2", "h3"))
        links = [net.link(host, s1) for host in (h1, h2, h3)]
        assert net.ping_all()
        places = [s1, links[0], h2.interface("eth0")]
        swap = lambda n: [once(places[n % 3], "count")]
        print(json.dumps(run_under_traffic([(h1, h2), (h2, h1)], (h1, h3), swap)))
    """
    judge(json.loads(somebody.does(program(PROLOGUE, TRAFFIC, DETACHING, source), timeout=500)))


def test_a_plugin_that_joins_another_at_work_disturbs_nothing(somebody: Person) -> None:
    """The engine keeps the ports all the while: what comes and goes is a stage of a chain that runs."""
    source = f"""
    RATE, SWAPS = {RATE}, {SWAPS}
    with vnet.Network() as net:
        h1, h2 = net.host("h1"), net.host("h2")
        link = net.link(h1, h2)
        assert h1.ping(h2)
        with link.attach("count") as counter:
            result = run_under_traffic([(h1, h2)], (h2, h1), lambda n: [once(link, "drop_bcast")])
            assert counter.stats.packets_in >= result["sent"][0]
        assert result["got"][0]["late"] == []
        print(json.dumps(result))
    """
    judge(json.loads(somebody.does(program(PROLOGUE, TRAFFIC, DETACHING, source), timeout=500)))
