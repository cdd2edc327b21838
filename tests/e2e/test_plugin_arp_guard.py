"""The shipped plugin arp_guard against ARP poisoning by Scapy, live."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person

LAB = '''
net = vnet.Network(ipv6=False)
victim, gateway, mallory, s1 = net.host("victim"), net.host("gateway"), net.host("mallory"), net.switch("s1")
for host in (victim, gateway, mallory):
    net.link(host, s1)

# Tells each of the two, as answers that nobody asked for and as questions, that the other is at this station.
POISON = """
import sys
from scapy.all import ARP, Ether, conf, get_if_hwaddr, sendp
conf.verb = 0
own = get_if_hwaddr("eth0")
for victim_mac, victim, gateway_mac, gateway in (sys.argv[1:5], sys.argv[3:] + sys.argv[1:3]):
    for op in (2, 1):
        forged = ARP(op=op, hwsrc=own, psrc=gateway, hwdst=victim_mac, pdst=victim)
        sendp(Ether(src=own, dst=victim_mac) / forged, iface="eth0", count=5)
print("sent")
"""

def poison():
    words = [sys.executable, "-c", POISON, victim.mac, victim.ip, gateway.mac, gateway.ip]
    done = mallory.run(words, timeout=60)
    assert "sent" in done.stdout, done

def neighbour(host, ip):
    # The lladdr of what is known, in use or not.
    words = host.run(f"ip neigh show {ip}", check=True).stdout.split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else None

def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.05)
'''


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def test_a_live_poisoning_works_without_and_fails_with_the_guard(somebody: Person) -> None:
    source = """
    with net:
        net.start()
        assert victim.ping(gateway) and gateway.ping(victim)
        poison()
        until(lambda: neighbour(victim, gateway.ip) == mallory.mac, 10, lambda: victim.run("ip neigh").stdout)
        for host in (victim, gateway):
            host.run("ip neigh flush all", check=True)
        flt = s1.attach("arp_guard")
        # Both are heard before the attack begins.
        assert victim.ping(gateway, count=2, timeout=5) and gateway.ping(victim, count=2, timeout=5)
        poison()
        until(lambda: flt.stats.drops["forged"] >= 20, 20, lambda: flt.stats)
        assert neighbour(victim, gateway.ip) == gateway.mac, victim.run("ip neigh").stdout
        assert neighbour(gateway, victim.ip) == victim.mac, gateway.run("ip neigh").stdout
        assert victim.ping(gateway, count=3, timeout=5)
        assert flt.stats.drops["forged"] == 20 and not flt.stats.faults, flt.stats
    """
    somebody.does(program(PROLOGUE, LAB, source), timeout=180)


def test_a_configured_binding_holds_when_the_attacker_is_first(somebody: Person) -> None:
    source = """
    with net:
        net.start()
        bindings = [{"ip": host.ip, "mac": host.mac, "port": port} for port, host in enumerate((victim, gateway))]
        flt = s1.attach("arp_guard", config={"bindings": bindings, "learn": False})
        for host in (victim, gateway):
            host.run("ip neigh flush all", check=True)
        poison()
        until(lambda: flt.stats.drops["forged"] >= 20, 20, lambda: flt.stats)
        assert neighbour(victim, gateway.ip) != mallory.mac
        assert victim.ping(gateway, count=2, timeout=5)
        assert neighbour(victim, gateway.ip) == gateway.mac
        # An address that nobody was given is not to be had.
        mallory.run("ping -c1 -W1 " + victim.ip)
        assert flt.stats.drops["unknown address"] >= 1, flt.stats
    """
    somebody.does(program(PROLOGUE, LAB, source), timeout=180)
