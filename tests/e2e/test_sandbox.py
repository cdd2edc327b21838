"""Devices and commands of a process that may not configure the namespace it is in: its private sandbox.

And of root, whose veths and bridges are made by a keeper that deletes them when the process dies.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from lab import Lab, ended, wait_until
from traces import living
from unprivileged import PERSONS, Person, person

USERS = ("user", "user+tun")


@pytest.fixture(params=USERS)
def user(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as user:
        yield user


def backend(who: Person) -> str:
    return "tap" if who.has_tun else "packet"


def test_a_tap_carries_pings_to_a_plugin(user: Person) -> None:
    told = user.does(
        """
import logging, vnet
records = []
handler = logging.Handler()
handler.emit = records.append
logging.getLogger("vnet").addHandler(handler)
with vnet.Tap("tap0", ip="10.0.0.1/24", mac="02:00:00:00:00:01", mtu=1400) as tap:
    answer = tap.attach("icmp_echo")
    vnet.run("ping -c3 -i0.2 -W5 10.0.0.2", check=True)
    stats = answer.stats
    assert stats.tx == stats.counters["arp_replies"] + 3, stats
    kernel = tap.stats.kernel
    assert kernel.rx_packets == stats.tx and kernel.tx_dropped == 0, kernel
    assert tap.mac == "02:00:00:00:00:01" and tap.mtu == 1400 and tap.addresses[0] == "10.0.0.1/24"
    assert f" in sandbox backend {tap.backend}>" in repr(tap), repr(tap)
    assert tap.state.up and tap.state.carrier, tap.state
    print(tap.backend)
    second = vnet.Tun("tun0")
    second.close()
assert vnet.run("ip -o link | wc -l").stdout == "1\\n", "closing it removes it"
[record] = records
assert record.name == "vnet.sandbox" and "private sandbox" in record.getMessage(), record
"""
    )
    assert told == f"{backend(user)}\n"


def test_frames_wait_from_the_moment_the_device_is_there(user: Person) -> None:
    user.does(
        """
import vnet
with vnet.Tap("tap0", ip="10.0.0.1/24", netns="sandbox") as tap:
    assert vnet.run("ping -c1 -W1 10.0.0.2").returncode == 1
    frames = []
    while not any("ARP" in frame.summary() for frame in frames):
        frames.append(tap.recv(timeout=5))
"""
    )


def test_a_tun_has_packets_and_no_ethernet(user: Person) -> None:
    told = user.does(
        """
import threading, vnet
with vnet.Tun("tun0", ip="10.0.0.1/24") as tun:
    assert tun.layer == "l3" and tun.mac is None and "mac" not in repr(tun), repr(tun)
    result = []
    thread = threading.Thread(target=lambda: result.append(vnet.run("ping -c2 -i0.2 -W5 10.0.0.2")))
    thread.start()
    answered = 0
    while answered < 2:
        packet = bytearray(tun.recv(timeout=10))
        if packet[0] >> 4 == 4 and packet[9] == 1 and packet[20] == 8:
            packet[12:16], packet[16:20] = packet[16:20], packet[12:16]
            packet[20] = 0
            # The type went down by 8, so the checksum goes up by as much.
            checksum = int.from_bytes(packet[22:24], "big") + 0x0800
            packet[22:24] = ((checksum & 0xFFFF) + (checksum >> 16)).to_bytes(2, "big")
            tun.send(packet)
            answered += 1
    thread.join()
    assert result[0].ok, result
    assert tun.stats.engine.ports[0].drops == {}, tun.stats
    try:
        tun.send(b"\\x45" + bytes(10))
    except vnet.InvalidValue:
        print(tun.backend)
"""
    )
    assert told == f"{backend(user)}\n"


@pytest.mark.parametrize("kind", ["tap", "tun"])
def test_tcp_between_two_nodes_through_a_wire(user: Person, kind: str) -> None:
    told = user.does(
        """
import hashlib, os, socket, sys, threading, vnet
kind = sys.argv[1]
data = os.urandom(1 << 20) * 24
with vnet.Network() as net:
    h1, h2 = net.host("h1"), net.host("h2")
    net.start()
    a, b = (getattr(node, kind)("dev0", ip=ip) for node, ip in ((h1, "10.9.0.1/24"), (h2, "10.9.0.2/24")))
    assert (a.netns, b.netns) == ("h1", "h2"), (a, b)
    with vnet.Wire(a, b) as wire:
        listener = h2.socket(socket.AF_INET, socket.SOCK_STREAM, bind=("10.9.0.2", 7000))
        listener.listen()
        received = hashlib.sha256()
        def receive():
            connection, _ = listener.accept()
            with connection:
                while part := connection.recv(1 << 18):
                    received.update(part)
        thread = threading.Thread(target=receive)
        thread.start()
        with h1.socket(socket.AF_INET, socket.SOCK_STREAM) as sender:
            sender.settimeout(30)
            sender.connect(("10.9.0.2", 7000))
            sender.sendall(data)
        thread.join()
        listener.close()
        assert received.digest() == hashlib.sha256(data).digest()
        ports = wire.stats.ports
        assert not any(port.drops for port in ports), ports
        assert ports[0].rx_packets < len(data) // 1448, "TCP segmentation is offloaded"
    print(a.backend)
""",
        kind,
        timeout=120,
    )
    assert told == f"{backend(user)}\n"


def test_veths_bridges_and_existing_interfaces_work_as_for_root(user: Person) -> None:
    user.does(
        """
import vnet
a, b = vnet.Veth("ep1", "ep2", ip="10.0.0.1/24")
br = vnet.Bridge("br0", ports=[b])
assert b.state.bridge == "br0" and br.state.carrier
c, d = vnet.Veth("ep3", "ep4")
br.add(c)
d.attach("icmp_echo")
vnet.run("ping -c1 -W5 10.0.0.9", check=True)
a.mtu = 1300
a.add_address("10.0.0.3")
a.down(); a.up()
assert (a.mtu, "10.0.0.3/32" in a.addresses) == (1300, True)
with vnet.open("lo", netns="sandbox") as lo:
    assert lo.state.up
with vnet.Veth("ep5", "ep6") as pair:
    try:
        vnet.Tap("ep5")
    except vnet.DeviceBusy as error:
        pass
    try:
        vnet.Bridge("ep6")
    except vnet.DeviceBusy as error:
        assert "this process" in str(error), error
for bad in (lambda: vnet.Tap("tap0", persist=True), lambda: vnet.Veth("x1", "x2", persist=True),
            lambda: vnet.Tap("tap0", mtu=10), lambda: vnet.Tap("a-name-of-20-bytes--")):
    try:
        bad()
    except vnet.InvalidValue as error:
        assert "[Errno" not in str(error), error
    else:
        raise AssertionError(bad)
vnet.run("ip link delete ep1", check=True)
try:
    a.up()
except vnet.Gone:
    print("gone")
for device in (br, c, a):
    device.close()
assert vnet.run("ip -o link | wc -l").stdout == "1\\n"
"""
    )


def test_what_only_a_tap_can_have_is_refused_without_one() -> None:
    with person("user") as user:
        user.does(
            """
import vnet
for options in ({"multi_queue": True}, {"owner": 1000}, {"group": 1000}):
    try:
        vnet.Tap("tap0", **options)
    except vnet.InvalidValue as error:
        assert "/dev/net/tun" in str(error), error
    else:
        raise AssertionError(options)
"""
        )


def test_the_host_is_refused_with_what_is_missing(user: Person) -> None:
    user.does(
        """
import vnet
for make in (lambda: vnet.Tap("tap0", netns="host"), lambda: vnet.Veth("a", "b", netns="host"),
             lambda: vnet.open("lo", netns="host")):
    try:
        make()
    except vnet.PrivilegeError as error:
        assert "CAP_NET_ADMIN" in error.reason and "sandbox" in error.fix, error
    else:
        raise AssertionError(make)
seen = vnet.run("readlink /proc/self/ns/net", netns="host", check=True).stdout
import os
assert seen.strip() == os.readlink("/proc/self/ns/net")
"""
    )


def test_commands_run_as_the_user_among_the_users_files(user: Person) -> None:
    user.does(
        """
import os, vnet
os.mkdir("work")
done = vnet.run("id -u; pwd; echo here >file; hostname; cat; exit 3", cwd="work", input="fed", env={"PATH": "/bin:/usr/bin"})
uid, pwd, host, fed = done.stdout.split("\\n")
assert (uid, pwd, host, fed) == (str(os.getuid()), os.path.realpath("work"), os.uname().nodename, "fed"), done
assert done.returncode == 3 and open("work/file").read() == "here\\n"
try:
    vnet.run("sleep 60 & sleep 60", timeout=0.2)
except vnet.TimeoutError:
    pass
try:
    vnet.run(["no-such-program"])
except vnet.NotFound as error:
    assert "no-such-program" in str(error)
assert vnet.run("ls /sys/class/net", check=True).stdout.split() == ["lo"]
"""
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_when_the_process_dies(user: Person, how: signal.Signals) -> None:
    source = """
import subprocess, sys, vnet
tap = vnet.Tap("tap0")
veth = vnet.Veth("ep1", "ep2")
print("ready", flush=True)
vnet.run("sleep 1000 & sleep 1000")
"""
    process = user.popen(*user.script(source), stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    wait_until(lambda: len(living(process.pid)) >= 4, 10, "helper, its child and the sleeps run")
    ours = living(process.pid)
    process.send_signal(how)
    process.wait(timeout=10)
    assert wait_until(lambda: ended(ours), 5, "everything below it is gone") < 1


def test_nothing_is_left_when_the_interpreter_ends_in_order(user: Person) -> None:
    told = user.does(
        """
import os, vnet
vnet.run("sleep 1000 >/dev/null 2>&1 &", check=True)
children = open("/proc/thread-self/children").read().split() or open(f"/proc/self/task/{os.getpid()}/children").read().split()
print(*children)
"""
    )
    helpers = {int(pid) for pid in told.split()}
    assert helpers
    assert not any(os.path.exists(f"/proc/{pid}") for pid in helpers), "it is gone when the interpreter is"


def test_a_forked_child_has_a_sandbox_of_its_own(user: Person) -> None:
    user.does(
        """
import os, warnings, vnet
tap = vnet.Tap("tap0", ip="10.0.0.1/24")
names = "ip -o link | cut -d: -f2"
own = vnet.run("readlink /proc/self/ns/net").stdout
child = os.fork()
if child == 0:
    code = 1
    try:
        try:
            tap.up()
        except vnet.Closed:
            assert vnet.run("readlink /proc/self/ns/net").stdout != own
            with vnet.Tap("tap0") as mine:
                assert "tap0" in vnet.run(names).stdout
            code = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert tap.state.up and vnet.run("readlink /proc/self/ns/net").stdout == own
tap.attach("icmp_echo")
vnet.run("ping -c1 -W5 10.0.0.2", check=True)
tap.close()
"""
    )


def test_a_killed_helper_is_told_and_replaced(user: Person) -> None:
    user.does(
        """
import os, signal, time, vnet
tap = vnet.Tap("tap0")
[helper] = (int(pid) for pid in open("/proc/thread-self/children").read().split())
os.kill(helper, signal.SIGKILL)
deadline = time.monotonic() + 5
while time.monotonic() < deadline:
    try:
        tap.up()
    except vnet.Closed:
        break
    time.sleep(0.01)
else:
    raise AssertionError("the device of a dead sandbox still answers")
tap.close()
with vnet.Tap("tap0") as again:
    assert again.state.up
"""
    )


def test_a_hundred_devices_leave_nothing_open(user: Person) -> None:
    user.does(
        """
import os, threading, time, vnet
def cycle(n):
    with vnet.Tap(f"tap{n}", ip="10.0.0.1/24") as tap, vnet.Tun(f"tun{n}"), vnet.Bridge(f"br{n}") as bridge:
        tap.send(bytes(60))
        bridge.add(tap)
def several(n):
    for _ in range(8):
        cycle(n)
def open_now():
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
cycle(0)
before = open_now()
threads = [threading.Thread(target=several, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
deadline = time.monotonic() + 5
while open_now() != before:
    # A thread that was joined is still there for an instant.
    assert time.monotonic() < deadline, (before, open_now())
assert vnet.run("ip -o link | wc -l").stdout == "1\\n"
""",
        timeout=120,
    )


def test_the_command_line_uses_it_and_says_so(user: Person) -> None:
    vnet = str(user.python.parent / "vnet")
    done = user.run(
        vnet, "tap", "tap0", "--ip", "10.0.0.1/24", "--plugin", "icmp_echo", "--", "ping", "-c1", "-W5", "10.0.0.2"
    )
    assert done.returncode == 0, done.stderr
    assert "private sandbox" in done.stderr
    assert "1 received" in done.stdout
    refused = user.run(vnet, "tap", "tap0", "--netns", "host", "--", "true")
    assert refused.returncode == 3, refused.stderr
    demo = user.run(vnet, "demo", timeout=120)
    assert demo.returncode == 0, demo.stdout + demo.stderr


@pytest.mark.parametrize("name", PERSONS)
def test_two_processes_have_two(name: str) -> None:
    source = """
import vnet
tap = vnet.Tap("tap0", netns="sandbox")
print(vnet.run("readlink /proc/self/ns/net", netns="sandbox").stdout.strip(), flush=True)
input()
tap.close()
"""
    with person(name) as who:
        both = [who.popen(*who.script(source), stdin=subprocess.PIPE) for _ in range(2)]
        namespaces = {process.stdout.readline() for process in both if process.stdout}
        for process in both:
            _, err = process.communicate("\n")
            assert process.returncode == 0, err
        assert len(namespaces) == 2


KEPT = """
import sys, vnet
a, b = vnet.Veth("ep1", "ep2", peer_netns=sys.argv[1])
br = vnet.Bridge("br0", ports=[a])
stays = vnet.Bridge("br1", persist=True)
print("ready", flush=True)
if sys.stdin.readline() == "close\\n":
    br.close()
    a.close()
    print("closed", flush=True)
    sys.stdin.readline()
"""


def test_roots_veths_and_bridges_die_with_the_process(lab: Lab) -> None:
    with Lab() as other:
        assert lab.run("ip", "link", "add", "mine", "type", "bridge").returncode == 0
        process = lab.popen(sys.executable, "-c", KEPT, other.path, stdin=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert lab.interfaces() == {"lo", "mine", "ep1", "br0", "br1"}
        assert other.interfaces() == {"lo", "ep2"}
        process.kill()
        process.wait()
        took = wait_until(lambda: lab.interfaces() == {"lo", "mine", "br1"}, 5, "what it made is gone")
        assert took < 3
        assert other.interfaces() == {"lo"}


def test_roots_veths_and_bridges_go_when_they_are_closed(lab: Lab) -> None:
    with Lab() as other:
        process = lab.popen(sys.executable, "-c", KEPT, other.path, stdin=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("close\n")
        process.stdin.flush()
        assert process.stdout.readline() == "closed\n"
        assert lab.interfaces() == {"lo", "br1"}
        assert other.interfaces() == {"lo"}
        process.communicate("\n")
        assert process.returncode == 0


def test_a_forked_child_of_root_has_a_keeper_of_its_own(lab: Lab) -> None:
    source = """
import os, vnet
mine = vnet.Bridge("br0")
if os.fork() == 0:
    theirs = vnet.Bridge("br1")
    print("made", flush=True)
    os.read(0, 1)
    os._exit(0)
os.wait()
print("ended", flush=True)
os.read(0, 1)
mine.close()
"""
    process = lab.popen(sys.executable, "-W", "ignore", "-c", source, stdin=subprocess.PIPE, bufsize=1)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "made\n"
    assert lab.interfaces() == {"lo", "br0", "br1"}
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ended\n"
    wait_until(lambda: lab.interfaces() == {"lo", "br0"}, 5, "the child's bridge is gone with the child")
    process.communicate("\n")
    assert process.returncode == 0
    assert lab.interfaces() == {"lo"}


def test_capabilities_without_root_reach_the_keeper(lab: Lab) -> None:
    with person("user") as user:
        source = """
import vnet
with vnet.Veth("ep1", "ep2") as (a, b), vnet.Bridge("br0", ports=[a]):
    print(vnet.run("ip -br link show master br0", check=True).stdout.split("@")[0])
"""
        capable = ("--inh-caps=+net_admin,+net_raw", "--ambient-caps=+net_admin,+net_raw")
        drop = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *capable)
        done = lab.run(*drop, user.python, "-c", source, env=user.environment, cwd=user.home)
        assert (done.returncode, done.stdout) == (0, "ep1\n"), done.stderr
        assert lab.interfaces() == {"lo"}
