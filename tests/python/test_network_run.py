"""Programs in nodes: run, arun, popen, signals, ports, sockets, devices."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import vnet
from procs import running
from wait import until

# One that nodes see: a clone below /tmp is hidden by the /tmp of their own.
PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable


@pytest.fixture
def net() -> Iterator[vnet.Network]:
    """Two hosts on a switch."""
    with vnet.Network("runs") as net:
        s1 = net.switch("s1")
        net.link(net.host("h1", ip="10.0.0.1/24"), s1)
        net.link(net.host("h2", ip="10.0.0.2/24"), s1)
        yield net


@pytest.fixture
def h1(net: vnet.Network) -> vnet.Node:
    return net["h1"]


@pytest.fixture
def h2(net: vnet.Network) -> vnet.Node:
    return net["h2"]


def test_the_first_use_starts_the_network(net: vnet.Network, h1: vnet.Node) -> None:
    assert not net.started
    assert h1.ip == "10.0.0.1"
    assert net.started


def test_a_command_sees_its_node_alone(net: vnet.Network, h1: vnet.Node) -> None:
    assert h1.run("hostname", check=True).stdout == "h1\n"
    devices = h1.run("ls /sys/class/net", check=True).stdout.split()
    assert set(devices) >= {"lo", "eth0"}
    assert h1.run("ip -br addr show eth0", check=True).stdout.split()[2] == "10.0.0.1/24"
    assert net["h2"].run(["getent", "hosts", "h1"], check=True).stdout.split()[0].startswith(("10.0.0.1", "fd"))


def test_a_node_has_its_own_tmp_and_run_and_shares_other_files(net: vnet.Network, tmp_path: Path) -> None:
    h1, h2 = net["h1"], net["h2"]
    h1.run("echo mine > /tmp/whose; echo mine > /run/whose", check=True)
    assert h1.run("cat /tmp/whose /run/whose").stdout == "mine\nmine\n"
    assert not h2.run("cat /tmp/whose").ok
    assert not Path("/tmp/whose").exists()
    assert h1.run(["cat", __file__]).stdout == Path(__file__).read_text()


def test_input_environment_directory_and_failure_are_as_in_run(h1: vnet.Node) -> None:
    assert h1.run("cat", input="ä" * 100_000).stdout == "ä" * 100_000
    assert h1.run("echo $A", env={"A": "b"}).stdout == "b\n"
    assert h1.run("pwd", cwd="/usr").stdout == "/usr\n"
    assert len(h1.run("head -c 5000000 /dev/zero", text=False).stdout) == 5_000_000
    assert h1.run(["sh", "-c", "kill -9 $$"]).returncode == -9
    with pytest.raises(vnet.CommandFailed, match="status 3: told you"):
        h1.run("echo told you >&2; exit 3", check=True)


def test_a_program_that_does_not_exist_is_not_found_and_the_node_named(h1: vnet.Node) -> None:
    for call in (h1.run, h1.popen):
        with pytest.raises(vnet.NotFound, match="no-such-program") as caught:
            call(["no-such-program"])
        assert "h1" in str(caught.value)
        with pytest.raises(vnet.InvalidValue, match="empty"):
            call([])


def test_a_timeout_kills_the_whole_process_group(h1: vnet.Node) -> None:
    start = time.monotonic()
    with pytest.raises(vnet.TimeoutError, match=r"0\.3") as caught:
        h1.run("echo started; sleep 86299 & sleep 86299", timeout=0.3)
    assert 0.3 <= time.monotonic() - start < 10
    assert caught.value.stdout == "started\n"
    until(lambda: not running("sleep", "86299"), "the whole group is gone")


def test_what_a_command_left_in_the_background_lives_until_the_network_is_closed(net: vnet.Network) -> None:
    assert net["h1"].run("sleep 86298 >/dev/null 2>&1 & echo done").stdout == "done\n"
    until(lambda: bool(running("sleep", "86298")), "the background process runs")
    net.close()
    until(lambda: not running("sleep", "86298"), "the background process is gone")


def test_arun_does_not_block_the_loop_and_dies_with_its_task(h1: vnet.Node) -> None:
    async def main() -> None:
        ticks = 0
        task = asyncio.create_task(h1.arun("sleep 0.3; hostname", check=True))
        while not task.done():
            ticks += 1
            await asyncio.sleep(0.01)
        assert (await task).stdout == "h1\n"
        assert ticks > 5
        task = asyncio.create_task(h1.arun("sleep 86297"))
        while not running("sleep", "86297"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    until(lambda: not running("sleep", "86297"), "the command is gone")


def test_run_takes_a_node_as_namespace(h1: vnet.Node) -> None:
    assert vnet.run("hostname", netns=h1).stdout == "h1\n"


def test_a_service_is_waited_for_and_reached_from_another_node(net: vnet.Network, tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("hello from h2")
    with net["h2"].popen([PYTHON, "-m", "http.server", "8000"], stderr=subprocess.DEVNULL, cwd=tmp_path) as server:
        assert server.returncode is None
        assert server.wait_port(8000) is server
        fetch = "import urllib.request; print(urllib.request.urlopen('http://10.0.0.2:8000/hello').read().decode())"
        assert net["h1"].run([PYTHON, "-c", fetch], check=True).stdout == "hello from h2\n"
        with net["h2"].forward(8000) as forward:
            assert urllib.request.urlopen(f"{forward.url}hello", timeout=5).read() == b"hello from h2"
            assert f":{forward.port} -> h2:8000" in repr(forward)
        assert forward.closed
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(forward.url, timeout=5)
    assert server.returncode == -signal.SIGTERM
    assert "returncode=-15" in repr(server)


LISTEN = """
import socket, sys, time
s = socket.socket(getattr(socket, sys.argv[1]), getattr(socket, sys.argv[2])); s.bind((sys.argv[3], 7777))
if s.type == socket.SOCK_STREAM: s.listen()
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("family", "kind", "address"),
    [
        ("AF_INET", "SOCK_STREAM", "0.0.0.0"),
        ("AF_INET", "SOCK_STREAM", "10.0.0.1"),
        ("AF_INET6", "SOCK_STREAM", "::1"),
        ("AF_INET", "SOCK_DGRAM", "0.0.0.0"),
    ],
)
def test_a_port_is_waited_for_without_connecting(h1: vnet.Node, family: str, kind: str, address: str) -> None:
    protocol = "tcp" if kind == "SOCK_STREAM" else "udp"
    with h1.popen([PYTHON, "-c", LISTEN, family, kind, address]) as process:
        process.wait_port(7777, protocol=protocol)  # type: ignore[arg-type]
        with pytest.raises(vnet.TimeoutError, match="7778"):
            process.wait_port(7778, timeout=0.1)


def test_a_service_that_went_to_the_background_is_found_too(h1: vnet.Node) -> None:
    command = f"{PYTHON} -c '{LISTEN}' AF_INET SOCK_STREAM 0.0.0.0 >/dev/null 2>&1 &"
    process = h1.popen(command)
    assert process.wait() == 0
    process.wait_port(7777)


def test_a_command_that_fails_is_not_waited_for(h1: vnet.Node) -> None:
    start = time.monotonic()
    with pytest.raises(vnet.CommandFailed, match="status 3"):
        h1.popen("exit 3").wait_port(8000, timeout=30)
    assert time.monotonic() - start < 5


def test_pipes_carry_what_is_written_both_ways(h1: vnet.Node) -> None:
    process = h1.popen("cat; echo done >&2", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.communicate("ü" * 300_000) == ("ü" * 300_000, "done\n")
    assert process.returncode == 0
    with h1.popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as echo:
        assert echo.stdin is not None
        assert echo.stdout is not None
        echo.stdin.write("line\n")
        assert echo.stdout.readline() == "line\n"
    assert echo.returncode is not None
    both = h1.popen("echo a; echo b >&2", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=False)
    assert both.communicate() == (b"a\nb\n", None)


def test_streams_may_be_files(h1: vnet.Node, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_text("from a file")
    with source.open() as stdin, target.open("w") as stdout:
        assert h1.popen("cat", stdin=stdin, stdout=stdout).wait() == 0
    assert target.read_text() == "from a file"
    # Without a stream there is nothing to read.
    assert h1.popen("cat").wait(timeout=10) == 0


def test_signals_and_their_statuses_are_those_of_subprocess(h1: vnet.Node) -> None:
    process = h1.popen(["sleep", "86296"])
    assert process.poll() is None
    assert Path(f"/proc/{process.pid}/cmdline").read_bytes() == b"sleep\x0086296\x00"
    with pytest.raises(vnet.TimeoutError, match=r"0\.1"):
        process.wait(timeout=0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == -signal.SIGINT == process.returncode == process.poll()
    # One that has ended is no error.
    process.send_signal(signal.SIGINT)
    process.kill()
    for end, number in ((vnet.Process.terminate, signal.SIGTERM), (vnet.Process.kill, signal.SIGKILL)):
        process = h1.popen(["sleep", "86296"])
        end(process)
        assert process.wait(timeout=10) == -number


def test_a_process_is_awaited_without_blocking_the_loop(h1: vnet.Node) -> None:
    async def main() -> list[int]:
        processes = [h1.popen(f"sleep 2; exit {number}") for number in range(5)]
        start = time.monotonic()
        statuses = list(await asyncio.gather(*processes))
        assert time.monotonic() - start < 10
        return statuses

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]


def test_forgetting_a_process_does_not_end_it(net: vnet.Network) -> None:
    net["h1"].popen(["sleep", "86295"])
    assert running("sleep", "86295")
    net.close()
    until(lambda: not running("sleep", "86295"), "the network's end is the command's")


def test_the_end_of_the_network_is_a_status(net: vnet.Network) -> None:
    process = net["h1"].popen(["sleep", "86294"])
    net.close()
    assert process.wait(timeout=10) == -signal.SIGKILL


def test_a_socket_lives_in_its_node(net: vnet.Network) -> None:
    h1, h2 = net["h1"], net["h2"]
    with (
        h2.socket(bind=("10.0.0.2", 80)) as listener,
        h1.socket() as client,
    ):
        assert isinstance(listener, socket.socket)
        listener.listen()
        client.settimeout(5)
        client.connect(("10.0.0.2", 80))
        server, peer = listener.accept()
        with server:
            assert peer[0] == "10.0.0.1"
            client.sendall(b"hello")
            assert server.recv(5) == b"hello"
        assert not os.get_inheritable(client.fileno())
    with h1.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3), device="eth0") as raw:
        raw.settimeout(5)
        h2.ping("10.0.0.1")
        assert len(raw.recv(2048)) >= 28
    with pytest.raises(vnet.Error, match=r"host h1: .*address"):
        h1.socket(bind=("10.9.9.9", 80))


def test_a_tap_lives_in_its_node_and_ends_with_the_network(net: vnet.Network) -> None:
    h1 = net["h1"]
    tap = h1.tap("tap0", ip="10.5.0.1/24")
    assert "h1" in tap.netns
    echo = tap.attach("icmp_echo")
    assert h1.ping("10.5.0.2", timeout=5)
    assert echo.stats.tx >= 1
    tun = h1.tun()
    assert {"tap0", "tun0"} <= set(h1.run("ls /sys/class/net").stdout.split())
    net.close()
    assert tap.closed
    assert tun.closed


def test_routes_neighbours_addresses_and_settings_of_a_node(net: vnet.Network) -> None:
    h1 = net["h1"]
    h1.add_route("10.9.0.0/16", "10.0.0.254")
    h1.add_route("default", interface="eth0", metric=7)
    routes = h1.run("ip route").stdout
    assert "10.9.0.0/16 via 10.0.0.254 dev eth0" in routes
    assert "default dev eth0" in routes
    h1.del_route("10.9.0.0/16", "10.0.0.254")
    assert "10.9.0.0" not in h1.run("ip route").stdout
    with pytest.raises(vnet.InvalidValue, match="nowhere"):
        h1.add_route("10.9.0.0/16")
    h1.add_neighbour("10.0.0.77", "02:00:00:00:00:77")
    assert "02:00:00:00:00:77" in h1.run("ip neigh show 10.0.0.77").stdout
    h1.del_neighbour("10.0.0.77")
    h1.add_address("10.7.0.1/24")
    assert "10.7.0.1/24" in h1.interface("eth0").addresses
    h1.interface("eth0").del_address("10.7.0.1/24")
    assert "10.7.0.1/24" not in h1.interface("eth0").addresses
    with pytest.raises(vnet.InvalidValue, match=r"10\.7\.0\.1"):
        h1.add_address("10.7.0.1")
    assert h1.sysctl("net.ipv4.ip_default_ttl", 7) == "7"
    assert h1.sysctl("net.ipv4.ip_default_ttl") == "7"
    assert net["h2"].sysctl("net.ipv4.ip_default_ttl") == "64"
    with pytest.raises(vnet.InvalidValue, match="kernel"):
        h1.sysctl("kernel.hostname")
    for missing, name in (
        (lambda: h1.sysctl("net.ipv4.no_such_key"), "no_such_key"),
        (lambda: h1.sysctl("net.ipv4.no_such_key", 1), "no_such_key"),
        (lambda: h1.del_address("10.8.0.1/24"), r"10\.8\.0\.1"),
        (lambda: h1.del_route("10.8.0.0/16", "10.0.0.2"), r"10\.8\.0\.0"),
        (lambda: h1.del_neighbour("10.0.0.99"), r"10\.0\.0\.99"),
    ):
        with pytest.raises(vnet.NotFound, match=name):
            missing()
    with pytest.raises(vnet.Error, match=r"10\.0\.0\.1"):
        h1.add_address("10.0.0.1/24")


def test_a_switch_runs_nothing(net: vnet.Network) -> None:
    s1 = net["s1"]
    for call in (lambda: s1.run("true"), lambda: s1.popen("true"), lambda: s1.ping("h1"), s1.socket, s1.tap):
        with pytest.raises(vnet.Unsupported, match="switch s1"):
            call()


def test_a_closed_forward_refuses_though_a_copy_of_its_socket_is_open(h2: vnet.Node) -> None:
    forward = h2.forward(8000)
    copies = []
    for name in os.listdir("/proc/self/fd"):
        try:
            copy = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        if copy.family == socket.AF_INET and copy.getsockname() == (forward.host, forward.port):
            copies.append(copy)
        else:
            copy.close()
    assert len(copies) == 1
    forward.close()
    with copies[0], pytest.raises(ConnectionRefusedError):
        socket.create_connection((forward.host, forward.port), timeout=5)


@pytest.mark.parametrize("forever", [1e19, 1e300, float("inf")])
def test_a_timeout_longer_than_any_clock_is_none(net: vnet.Network, h1: vnet.Node, forever: float) -> None:
    assert h1.ping("h2", count=1, timeout=forever)
    assert net.ping_all(timeout=forever)
    assert h1.run("echo here", timeout=forever).stdout == "here\n"
    assert vnet.run("echo there", timeout=forever).stdout == "there\n"
    with h1.socket() as listener:
        listener.bind(("0.0.0.0", 8001))
        listener.listen()
        sleeper = h1.popen("sleep 60")
        sleeper.wait_port(8001, timeout=forever)
        sleeper.kill()
        assert sleeper.wait(timeout=forever) == -signal.SIGKILL
    with h1.tap("long0") as tap:
        sent = threading.Thread(
            target=lambda: h1.run("ip link set long0 up; ping -c 1 -W 1 -I long0 192.0.2.1", check=False)
        )
        sent.start()
        assert tap.recv(timeout=forever)
        sent.join()


@pytest.mark.parametrize("never", [-1.0, float("-inf"), float("nan")])
def test_a_timeout_that_is_no_time_is_refused(h1: vnet.Node, never: float) -> None:
    with pytest.raises(vnet.InvalidValue, match="is not a time: give seconds, 0 or more"):
        h1.ping("h2", count=1, timeout=never)


def test_a_measurement_of_years_is_refused(h1: vnet.Node) -> None:
    for seconds in (86_401, 1e9, float("inf")):
        with pytest.raises(vnet.InvalidValue, match="give a day at most"):
            h1.iperf("h2", seconds=seconds)


def test_links_find_room_beside_interfaces_a_node_makes_itself(net: vnet.Network, h1: vnet.Node) -> None:
    for number in range(9):
        h1.run(f"ip link add own{number} type veth peer name peer{number}", check=True)
    net.link(h1, net.host("h3"))
    assert h1.ping("h3")


def test_leaving_with_ends_all_that_a_string_started(h1: vnet.Node) -> None:
    # The second one ignores SIGTERM, so it outlives the shell.
    with h1.popen("sleep 98701 & (trap '' TERM; exec sleep 98702) & wait; true") as process:
        until(lambda: all(running("sleep", number) for number in ("98701", "98702")), "both run")
    assert process.returncode is not None
    until(lambda: not any(running("sleep", number) for number in ("98701", "98702")), "both are gone")


def test_terminate_reaches_what_a_string_runs_and_the_program_of_a_list_alone(h1: vnet.Node) -> None:
    text = h1.popen("sleep 98703; true")
    until(lambda: bool(running("sleep", "98703")), "it runs")
    text.terminate()
    until(lambda: not running("sleep", "98703"), "it is gone")
    words = h1.popen(["sh", "-c", "sleep 98704; true"])
    until(lambda: bool(running("sleep", "98704")), "it runs")
    words.terminate()
    assert words.wait(5) == -signal.SIGTERM
    assert running("sleep", "98704")


def test_a_port_or_signal_that_cannot_be_is_refused_with_its_range(h1: vnet.Node) -> None:
    with h1.popen(["sleep", "60"]) as process:
        with pytest.raises(vnet.InvalidValue, match="port is 70000; it is a number from 1 to 65535"):
            process.wait_port(70000)
        with pytest.raises(vnet.InvalidValue, match="signal is 65"):
            process.send_signal(65)
