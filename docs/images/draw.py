#!/usr/bin/env python3
"""Draw the networks of docs/notebooks.md and the walk of docs/walks.md again: python docs/images/draw.py, with vnet installed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import vnet

FOLDER = Path(__file__).parent


def line(net: vnet.Network) -> None:
    """Two hosts and three switches in a row."""
    nodes = [net.host("h1"), *(net.switch(f"s{number}") for number in (1, 2, 3)), net.host("h2")]
    for number, (a, b) in enumerate(pairwise(nodes)):
        net.link(a, b, delay="10ms" if number == 1 else None)


def ring(net: vnet.Network) -> None:
    """Six routers, one way round slower."""
    routers = [net.router(f"r{number}") for number in range(1, 7)]
    for number, router in enumerate(routers):
        net.link(router, routers[(number + 1) % 6], delay="5ms" if number == 2 else None)


def star(net: vnet.Network) -> None:
    """Twelve hosts on a switch."""
    switch = net.switch("s1")
    for number in range(1, 13):
        net.link(net.host(f"h{number}"), switch)


def tree(net: vnet.Network) -> None:
    """Three switches of four hosts below one."""
    core = net.switch("core")
    for at in range(1, 4):
        switch = net.switch(f"s{at}")
        net.link(switch, core, rate="100mbit" if at == 1 else None)
        for number in range(1, 5):
            net.link(net.host(f"h{at}-{number}"), switch)


def fat_tree(net: vnet.Network) -> None:
    """A fat tree of 4-port switches (Al-Fares, Loukissas, Vahdat 2008)."""
    core = [net.switch(f"c{number}") for number in range(1, 5)]
    for pod in range(1, 5):
        above = [net.switch(f"a{pod}-{number}") for number in (1, 2)]
        below = [net.switch(f"e{pod}-{number}") for number in (1, 2)]
        for number, switch in enumerate(above):
            for other in [*core[2 * number : 2 * number + 2], *below]:
                net.link(switch, other)
        for number, switch in enumerate(below):
            for host in (1, 2):
                net.link(net.host(f"h{pod}-{2 * number + host}"), switch)


def campus(net: vnet.Network) -> None:
    """Buildings with a router each and a switch on every floor."""
    core, isp = net.router("core"), net.router("isp")
    net.link(core, isp, rate="100mbit", delay="8ms")
    for building, floors in (("library", 2), ("lab", 3), ("office", 2)):
        router = net.router(f"r-{building}")
        net.link(core, router)
        for floor in range(1, floors + 1):
            switch = net.switch(f"{building}-{floor}")
            net.link(router, switch)
            for number in range(1, 4):
                net.link(net.host(f"{building}-{floor}-pc{number}"), switch)


def two_sites(net: vnet.Network) -> None:
    """Two sites, joined by a long line and a second one that is unplugged."""
    routers = []
    for site in ("east", "west"):
        router, switch = net.router(f"r-{site}"), net.switch(f"s-{site}")
        net.link(router, switch)
        for number in range(1, 5):
            net.link(net.host(f"{site}{number}"), switch)
        routers.append(router)
    net.link(*routers, delay="40ms", jitter="2ms", loss="0.5%", rate="20mbit", queue=100)
    net.link(*routers, name="backup", delay="90ms", up=False)


def nodes50(net: vnet.Network) -> None:
    """Three routers in a circle, two switches on each, and their hosts."""
    routers = [net.router(f"r{number}") for number in (1, 2, 3)]
    for number, router in enumerate(routers):
        net.link(router, routers[(number + 1) % 3], delay=f"{number + 3}ms")
    hosts = iter(range(1, 42))
    for number, router in enumerate(routers, 1):
        for at in (1, 2):
            switch = net.switch(f"s{number}{at}")
            net.link(router, switch)
            for _ in range(11 if (number, at) == (1, 1) else 6):
                net.link(net.host(f"h{next(hosts)}"), switch)


def nodes200(net: vnet.Network) -> None:
    """Eleven switches of seventeen hosts, each on two others; a link with loss, and one that is unplugged."""
    core = [net.switch("c1"), net.switch("c2")]
    hosts = iter(range(1, 188))
    for number in range(1, 12):
        switch = net.switch(f"s{number}")
        for above in core:
            net.link(switch, above)
        for _ in range(17):
            host = next(hosts)
            net.link(net.host(f"h{host}"), switch, loss="1%" if host == 40 else None, up=host != 90)


def isolated(net: vnet.Network) -> None:
    """One node, and nothing else."""
    net.host("alone")


NETWORKS: tuple[Callable[[vnet.Network], None], ...] = (
    line, ring, star, tree, fat_tree, campus, two_sites, nodes50, nodes200, isolated,
)  # fmt: skip


def picture(declare: Callable[[vnet.Network], None]) -> str:
    """Return the SVG of one of them."""
    net = vnet.Network(declare.__name__)
    declare(net)
    return net.graph("svg")


def walk() -> str:
    """Return the SVG of a ping's walk through a translation and a slow line, for docs/walks.md."""
    with vnet.Network(seed=7, ipv6=False) as net:
        home, s1, r1, web = net.host("home"), net.switch("s1"), net.router("r1"), net.host("web")
        net.link(home, s1)
        net.link(s1, r1, ip=(None, "192.168.0.1/24"))
        outside = net.link(r1, web, ip=("198.51.100.1/24", "198.51.100.7/24"), delay="5ms")
        outside.attach("nat", config={"address": "198.51.100.1", "inside": "192.168.0.0/24"})
        assert home.ping(web)
        return home.trace_to(web)._svg() or ""


if __name__ == "__main__":
    (FOLDER / "walk.svg").write_text(walk())
    for each in NETWORKS:
        (FOLDER / f"{each.__name__}.svg").write_text(picture(each))
        print(FOLDER / f"{each.__name__}.svg")
