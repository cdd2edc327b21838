"""A software switch forgets the stations behind a port whose node set its own interface down, as a bridge does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def test_stations_behind_a_port_without_carrier_are_flooded_again(somebody: Person) -> None:
    source = """
    with vnet.Network() as net:
        s1, (h1, h2, h3) = net.switch("s1"), [net.host(f"h{n}") for n in (1, 2, 3)]
        links = [net.link(host, s1) for host in (h1, h2, h3)]
        s1.attach("count")
        h1.ping(h2, check=True)
        assert s1.fdb[h2.mac] == links[1].name, s1.fdb
        h1.run(f"ip neigh replace {h2.ip} lladdr {h2.mac} dev eth0 nud permanent", check=True)
        h2.run("ip link set eth0 down", check=True)
        # The switch hears of it with the first frame that does not get there.
        for _ in range(50):
            h1.ping(h2, timeout=0.1)
            if h2.mac not in s1.fdb:
                break
        assert h2.mac not in s1.fdb, s1.fdb
        assert s1.fdb[h1.mac] == links[0].name, s1.fdb
        h2.run("ip link set eth0 up", check=True)
        for _ in range(50):
            if h1.ping(h2, timeout=0.5):
                break
        assert s1.fdb[h2.mac] == links[1].name, s1.fdb
    """
    somebody.does(program(PROLOGUE, source), timeout=120)
