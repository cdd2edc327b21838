"""Real services in labs: dnsmasq and a DHCP client, FRR's OSPF, a program that opens /dev/net/tun itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person

FRR = Path("/usr/lib/frr")

UNTIL = """
def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.05)
    return value
"""

# What udhcpc calls with what it was told; the addresses go where its first argument says.
LEASE_SCRIPT = """#!/bin/sh
case $1 in
    deconfig) ip -4 addr flush dev "$interface" ;;
    bound | renew)
        ip addr add "$ip/$mask" dev "$interface"
        for hop in $router; do ip route replace default via "$hop"; done
        echo "leased $ip/$mask router $router dns $dns"
        ;;
esac
"""


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def needs(program: str, package: str) -> None:
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.skip(f"{program} is missing: apt-get install {package}")


def test_dnsmasq_leases_an_address_unless_broadcasts_are_dropped(somebody: Person) -> None:
    needs("dnsmasq", "dnsmasq-base")
    needs("udhcpc", "udhcpc")
    script = somebody.home / "lease.sh"
    script.write_text(LEASE_SCRIPT)
    script.chmod(0o755)
    source = """
    import pwd
    who = pwd.getpwuid(os.getuid()).pw_name
    with vnet.Network() as net:
        server, client, s1 = net.host("server", ip="192.168.7.1/24"), net.host("client"), net.switch("s1")
        net.link(server, s1)
        link = net.link(client, s1)
        client.run("ip -4 addr flush dev eth0; ip -4 route flush dev eth0", check=True)
        dnsmasq = server.popen(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", f"--user={who}",
             "--interface=eth0", "--bind-interfaces", "--dhcp-authoritative", "--dhcp-no-override", "--no-ping",
             "--dhcp-range=192.168.7.100,192.168.7.120,255.255.255.0,1h", "--dhcp-leasefile=/tmp/leases",
             "--address=/printer.lab/192.168.7.9", "--pid-file=/tmp/dnsmasq.pid", "--log-dhcp", "--log-facility=-"],
            stdout=-1, stderr=-2)
        dnsmasq.wait_port(67, protocol="udp")
        ask = ["udhcpc", "-f", "-n", "-q", "-i", "eth0", "-t", "4", "-T", "1", "-A", "0", "-s", sys.argv[1]]
        leased = client.run(ask, timeout=30)
        assert leased.returncode == 0, leased
        assert "leased 192.168.7.1" in leased.stdout + leased.stderr, leased
        client.run("ping -c1 -W5 192.168.7.1", check=True)
        assert "192.168.7.1" in server.run("cat /tmp/leases", check=True).stdout
        # Offers are unicast to a client that asks; its own questions are broadcasts.
        client.run("ip -4 addr flush dev eth0", check=True)
        with link.attach("drop_bcast") as flt:
            refused = client.run(ask, timeout=30)
            assert refused.returncode != 0, refused
            assert flt.stats.dropped >= 4, flt.stats
            assert "192.168.7." not in client.run("ip -4 addr show dev eth0").stdout
        again = client.run(ask, timeout=30)
        assert again.returncode == 0, again
    """
    somebody.does(program(PROLOGUE, source), script, timeout=90)


# FRR's daemons want to be started by user id 0, and a group frrvty with their user in it. A user namespace may map one group
# alone, so here that is root's own; /etc/group is another file in this router alone.
ROUTER = """
set -e
sed "s/^frrvty:.*/frrvty:x:0:root/" /etc/group > /run/group
mount --bind /run/group /etc/group
mkdir -p /run/frr
printf "$2" > /run/frr/ospfd.conf
: > /run/frr/zebra.conf
for daemon in zebra ospfd; do
    $1/$daemon -u root -g root -d -f /run/frr/$daemon.conf -i /run/frr/$daemon.pid \\
        -z /run/frr/zserv.api --vty_socket /run/frr -A 127.0.0.1
done
"""

# An ordinary user is user id 0 in a user namespace of its own, and is so in the lab that a program makes there.
AS_ROOT_OF_ITS_OWN = ("unshare", "--user", "--map-root-user")

OSPF = (
    r"interface {interface}\n ip ospf hello-interval 1\n ip ospf dead-interval 4\n ip ospf network point-to-point\n!\n",
    r"router ospf\n ospf router-id {id}\n network 10.0.0.0/8 area 0\n!\n",
)


def test_frr_routes_around_a_ring_whose_link_goes_down(somebody: Person) -> None:
    if not somebody.is_root:
        somebody = replace(somebody, prefix=(*somebody.prefix, *AS_ROOT_OF_ITS_OWN))
    if not (FRR / "ospfd").exists():
        pytest.skip(f"{FRR}/ospfd is missing: apt-get install frr")
    source = f"""
    with vnet.Network(routing="none") as net:
        routers = [net.router(f"r{{n}}") for n in (1, 2, 3)]
        r1, r2, r3 = routers
        net.link(r1, r2)
        net.link(r2, r3)
        direct = net.link(r3, r1)
        h1, h3 = net.host("h1"), net.host("h3")
        net.link(h1, r1)
        net.link(h3, r3)
        net.start()
        assert not h1.ping(h3, timeout=0.3), "nobody has told the routers where the other subnets are"
        for number, router in enumerate(routers, 1):
            interfaces = "".join({OSPF[0]!r}.format(interface=name) for name in ("eth0", "eth1"))
            config = interfaces + {OSPF[1]!r}.format(id=f"0.0.0.{{number}}")
            router.run(["sh", "-c", {ROUTER!r}, "sh", "{FRR}", config], check=True, timeout=30)

        def told():
            return "\\n".join(router.run("ip route").stdout for router in routers)

        def hops():
            # The last host answers too, so one less is the number of routers.
            for ttl in range(1, 6):
                if h1.run(["ping", "-n", "-c1", "-W1", "-t", str(ttl), h3.ip]).returncode == 0:
                    return ttl - 1
            return 0

        until(lambda: hops() == 2, 60, told)
        begun = time.monotonic()
        direct.down()
        until(lambda: h1.ping(h3, timeout=0.2), 30, told)
        print("re-routed after", round(time.monotonic() - begun, 2), "s")
        assert hops() == 3, told()
        direct.up()
        until(lambda: hops() == 2, 60, told)
    """
    somebody.does(program(PROLOGUE, UNTIL, source), timeout=240)


@pytest.mark.parametrize("who", ["user+tun", "root"])
def test_programs_that_open_the_tun_device_themselves_join_two_hosts(who: str) -> None:
    needs("socat", "socat")
    source = """
    with vnet.Network() as net:
        h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
        net.link(h1, s1)
        net.link(h2, s1)
        h2.popen(["socat", "UDP4-LISTEN:9000", "TUN:172.20.0.2/24,up"]).wait_port(9000, protocol="udp")
        h1.popen(["socat", f"UDP4:{h2.ip}:9000", "TUN:172.20.0.1/24,up"])
        until(lambda: "tun0" in h1.run("ip -br link").stdout, 10, "socat made its device")
        until(lambda: h1.run("ping -c1 -W1 172.20.0.2").ok, 10, lambda: h2.run("ip addr; ss -nup").stdout)
        h1.run("ping -c5 -i0.1 -W5 172.20.0.2", check=True)
        # The device is the host's own, and goes with the program.
        assert "tun0" not in open("/proc/self/net/dev").read()
        h1.run("ip tuntap add dev tap9 mode tap && ip link show tap9 && ip tuntap del dev tap9 mode tap", check=True)
    """
    with person(who) as somebody:
        somebody.does(program(PROLOGUE, UNTIL, source))


def test_a_user_without_the_tun_device_is_told_so_by_the_program_itself() -> None:
    source = """
    with vnet.Network() as net:
        h1 = net.host("h1")
        refused = h1.run("ip tuntap add dev tap9 mode tap")
        assert refused.returncode != 0
        assert "Permission denied" in refused.stderr or "No such file" in refused.stderr, refused
    """
    with person("user") as somebody:
        somebody.does(program(PROLOGUE, source))
