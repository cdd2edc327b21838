"""The shipped plugin rate_limit on a link."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def test_each_source_has_its_own_burst_and_rate(somebody: Person) -> None:
    source = """
    import socket
    net = vnet.Network(ipv6=False)
    h1, h2, h3, s1 = net.host("h1"), net.host("h2"), net.host("h3"), net.switch("s1")
    for host in (h1, h3):
        net.link(host, s1)
    link = net.link(s1, h2)
    with net:
        net.start()
        assert h1.ping(h2) and h3.ping(h2)
        # Towards h2 alone, so that no answer is counted.
        flt = link.attach("rate_limit", config={"packets": 1, "burst": 50, "by": "source"}, direction="ingress")
        received = h2.socket(socket.AF_INET, socket.SOCK_DGRAM, bind=("", 5000))
        received.settimeout(1)
        begun = time.monotonic()
        for host in (h1, h3):
            sock = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for _ in range(300):
                sock.sendto(b"x", (h2.ip, 5000))
            sock.close()
        count = {h1.ip: 0, h3.ip: 0}
        while True:
            try:
                _, (sender, _) = received.recvfrom(10)
            except TimeoutError:
                break
            count[sender] += 1
        received.close()
        # One more a second; a little of the burst may have gone to ARP.
        most = 50 + (time.monotonic() - begun) * 1 + 1
        assert all(45 <= found <= most for found in count.values()), (count, most)
        assert flt.stats.drops["over the limit"] >= 600 - 2 * most, flt.stats
        assert not flt.stats.faults
    """
    somebody.does(program(PROLOGUE, source))
