"""The shipped learning switch forwards random traffic as the kernel's bridge does, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


# Two switches of four hosts, one forwarding in the kernel, one with the plugin. Each step sends one random frame into the same
# port of both, and behind it a broadcast: when that has arrived everywhere, the frame before it has, or never will.
AGREE = """
import random, select, socket
TYPE, SOL_PACKET = 0x88b5, 263
PORTS, STATIONS, STEPS = 4, 24, 400

def station(n):
    return bytes([0x02, 0xaa, 0, 0, 0, n])

def frame(to, source, number):
    return to + source + TYPE.to_bytes(2, "big") + number.to_bytes(4, "big") + bytes(42)

class Side:
    def __init__(self, net, name):
        self.switch = net.switch(name)
        hosts = [net.host(f"{name}h{n}") for n in range(PORTS)]
        for host in hosts:
            net.link(host, self.switch)
        net.start()
        make = lambda host: host.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE), device="eth0")
        self.sockets = [make(host) for host in hosts]
        for sock in self.sockets:
            sock.setblocking(False)
            sock.setsockopt(SOL_PACKET, 23, 1)   # PACKET_IGNORE_OUTGOING
            # PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC: what is flooded here is for others.
            membership = sock_index(sock).to_bytes(4, sys.byteorder) + (1).to_bytes(2, sys.byteorder) + bytes(10)
            sock.setsockopt(SOL_PACKET, 1, membership)

    def step(self, port, sent, number):
        out = self.sockets[port]
        out.send(sent)
        marker = frame(b"\\xff" * 6, station(200 + port), number + (1 << 31))
        out.send(marker)
        waiting = {sock.fileno(): n for n, sock in enumerate(self.sockets) if n != port}
        got = []
        end = time.monotonic() + 20
        while waiting:
            assert time.monotonic() < end, (number, "the marker did not arrive at", waiting)
            for ready in select.select(list(waiting), [], [], 1)[0]:
                n = waiting[ready]
                bytes_ = self.sockets[n].recv(2048)
                if bytes_[:18] == marker[:18]:
                    del waiting[ready]
                elif bytes_[:18] == sent[:18]:
                    got.append(n)
                else:
                    raise AssertionError((number, n, bytes_[:18].hex()))
        return sorted(got)

def sock_index(sock):
    import fcntl, struct
    name = sock.getsockname()[0].encode()
    return struct.unpack("16si", fcntl.ioctl(sock, 0x8933, struct.pack("16si", name, 0)))[1]

rng = random.Random(11)
with vnet.Network() as one, vnet.Network() as two:
    kernel, plugin = Side(one, "k"), Side(two, "p")
    flt = plugin.switch.attach("learning_switch")
    fates = {}
    groups = [b"\\xff" * 6, bytes.fromhex("01005e000001"), bytes.fromhex("333300000001")]
    links = [bytes.fromhex("0180c2000000"), bytes.fromhex("0180c200000e")]
    for number in range(STEPS):
        port, source = rng.randrange(PORTS), station(rng.randrange(STATIONS))
        kind = rng.random()
        to = rng.choice(groups) if kind < 0.1 else rng.choice(links) if kind < 0.15 else station(rng.randrange(STATIONS + 4))
        sent = frame(to, source, number)
        a, b = kernel.step(port, sent, number), plugin.step(port, sent, number)
        assert a == b, (number, port, sent[:12].hex(), a, b)
        fates[len(a)] = fates.get(len(a), 0) + 1
    print(fates, flt.stats)
    # Flooded to three, sent to one, and kept back: all were seen.
    assert set(fates) == {0, 1, 3} and min(fates.values()) > 20, fates
    assert flt.stats.drops["same port"] > 10 and flt.stats.drops["link local"] > 5, flt.stats
"""


def test_learning_switch_forwards_random_traffic_as_the_kernels_bridge_does(somebody: Person) -> None:
    somebody.does(program(PROLOGUE, AGREE), timeout=240)
