"""`vnet tap` and `vnet wire` on real devices, beside the programs that know better."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lab import SHIPPED, VNET, Lab, wait_until

# Counts the broadcasts on tap0 while ping sends some: the kernel's own view of what the plugin sees.
WATCH = """
tcpdump -i tap0 --immediate-mode -n ether broadcast >tcpdump.out 2>tcpdump.err &
until grep -q 'listening on' tcpdump.err; do kill -0 $! || exit 99; done
ping -c3 -i0.2 -W1 -b 10.0.0.255
kill -INT $!
wait $!
exit 7
"""


def test_counts_exactly_the_broadcasts_that_tcpdump_sees(lab: Lab, tmp_path: Path) -> None:
    plugin = SHIPPED / "drop_bcast.wasm"
    done = lab.run(
        *(VNET, "tap", "tap0", "--ip", "10.0.0.1/24", "--plugin", plugin, "--json", "--", "bash", "-c", WATCH),
        cwd=tmp_path,
    )
    assert done.returncode == 7, done.stderr
    captured = re.search(r"(\d+) packets? captured", (tmp_path / "tcpdump.err").read_text())
    assert captured is not None
    report = json.loads(done.stdout[done.stdout.index("\n{") :])
    [stage] = report["plugins"]
    assert stage["dropped"] == int(captured[1]) == 3
    assert sum(stage["drops"].values()) == 3
    assert stage["packets_in"] == stage["dropped"] + stage["passed"]


def test_a_lone_tap_answers_ping_through_icmp_echo(lab: Lab) -> None:
    done = lab.run(
        VNET,
        "tap",
        "tap0",
        "--ip",
        "10.0.0.1/24",
        "--plugin",
        "icmp_echo",
        "--",
        "ping",
        "-c2",
        "-i0.2",
        "-W5",
        "10.0.0.9",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 received" in done.stdout
    assert re.search(r"^icmp_echo +\d+", done.stdout, re.MULTILINE), "the table follows the command's own output"


def test_ends_with_the_commands_own_exit_code(lab: Lab) -> None:
    assert lab.run(VNET, "tap", "tap0", "--", "sh", "-c", "exit 42").returncode == 42
    assert lab.run(VNET, "tap", "tap0", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    assert "tap0" not in lab.interfaces()


def test_the_command_sees_the_device(lab: Lab) -> None:
    done = lab.run(
        VNET, "tap", "tap0", "--ip", "10.1.0.1/24", "--ip", "fd00::1/64", "--", "ip", "-o", "address", "show", "tap0"
    )
    assert "10.1.0.1/24" in done.stdout
    assert "fd00::1/64" in done.stdout


def test_records_what_the_device_carried(lab: Lab, tmp_path: Path) -> None:
    capture = tmp_path / "tap0.pcapng"
    done = lab.run(
        *(VNET, "tap", "tap0", "--ip", "10.0.0.1/24", "--plugin", "icmp_echo", "--pcap", capture),
        *("--", "ping", "-c1", "-W5", "10.0.0.9"),
    )
    assert done.returncode == 0, done.stderr
    read = lab.run("tcpdump", "-n", "-r", capture)
    assert "echo request" in read.stdout
    assert "echo reply" in read.stdout


def test_peer_joins_the_device_with_an_interface(lab: Lab) -> None:
    with Lab() as other:
        add = f"ip link add v0 type veth peer name v1 netns {other.pid}"
        assert lab.run("sh", "-c", f"{add} && ip link set v0 up").returncode == 0
        assert other.run("sh", "-c", "ip address add 10.0.0.2/24 dev v1 && ip link set v1 up").returncode == 0
        done = lab.run(
            *(VNET, "tap", "tap0", "--ip", "10.0.0.1/24", "--plugin", "count", "--peer", "v0"),
            *("--", "ping", "-c2", "-i0.2", "-W5", "10.0.0.2"),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "v0" in lab.interfaces(), "an interface that vnet did not make stays"


def test_wire_forwards_and_filters(lab: Lab) -> None:
    with Lab() as left, Lab() as right:
        for number, (end, node) in enumerate([("l0", left), ("r0", right)], start=1):
            assert (
                lab.run(
                    "ip", "link", "add", end, "type", "veth", "peer", "name", "v", "netns", str(node.pid)
                ).returncode
                == 0
            )
            assert lab.run("ip", "link", "set", end, "up").returncode == 0
            assert node.run("sh", "-c", f"ip address add 10.0.0.{number}/24 dev v && ip link set v up").returncode == 0
        wire = lab.popen(VNET, "wire", "l0", "r0", "--plugin", "count", "--json")
        assert wire.stderr is not None
        assert "joined" in wire.stderr.readline()
        assert left.run("ping", "-c2", "-i0.2", "-W5", "10.0.0.2").returncode == 0
        wire.terminate()
        out, _ = wire.communicate(timeout=5)
        assert wire.returncode == 0
        assert json.loads(out)["plugins"][0]["packets_in"] >= 6, "two ARP packets and four of ping's"
        assert left.run("ping", "-c1", "-W1", "10.0.0.2").returncode == 1, "nothing forwards any more"


def test_says_when_its_device_is_removed_by_someone_else(lab: Lab) -> None:
    process = lab.popen(VNET, "tap", "tap0")
    wait_until(lambda: "tap0" in lab.interfaces(), 10, "tap0 exists")
    assert lab.run("ip", "link", "delete", "tap0").returncode == 0
    _, err = process.communicate(timeout=5)
    assert process.returncode == 1
    assert "gone" in err
