"""`vnet capture`: frames of a network that another process owns, by an ordinary user and by root."""

from __future__ import annotations

import itertools
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import WITHOUT_PRIVILEGE, wait_until
from test_cli_lab import alone, vnet
from unprivileged import Person

OWNER = """
import os, pathlib, socket, sys, time
import vnet

net = vnet.Network("owned", ipv6=False)
h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
link = net.link(h1, s1)
net.link(h2, s1)
net.start()
assert h1.ping(h2, timeout=20)
deaf = h2.socket(type=socket.SOCK_DGRAM, bind=("0.0.0.0", 4000))
sender = h1.socket(type=socket.SOCK_DGRAM)

def threads():
    names = []
    for task in os.listdir("/proc/self/task"):
        try:
            names.append(pathlib.Path(f"/proc/self/task/{task}/comm").read_text().strip())
        except OSError:
            pass
    return sum(name in ("vnet-outside", "vnet-record") for name in names)

print("ready", flush=True)
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "send":
        for number in range(int(rest)):
            sender.sendto(number.to_bytes(4, "big") + bytes(60), (h2.ip, 4000))
    elif word == "tick":
        sender.sendto(b"tick" + time.monotonic_ns().to_bytes(8, "big"), (h2.ip, 4000))
    elif word == "deny":
        link.attach("acl", config={"rules": [{"action": "deny", "protocol": "udp"}], "default": "permit"})
    elif word == "more":
        net.link(net.host("h3"), s1)
        assert net.nodes["h3"].ping(h2, timeout=20)
    elif word == "held":
        print(threads(), len(os.listdir("/proc/self/fd")), flush=True)
        continue
    elif word == "end":
        net.close()
    print("done", flush=True)
"""


class Owner:
    """A program that owns a network, and does what it is told."""

    def __init__(self, somebody: Person) -> None:
        self.process = somebody.popen(*somebody.script(OWNER), stdin=subprocess.PIPE)
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        assert first == "ready\n", first + self.process.communicate()[1]

    def does(self, what: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.process.communicate()[1]
        return answer.strip()


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with alone(request.param) as found:
        yield found


@pytest.fixture
def owner(somebody: Person) -> Owner:
    return Owner(somebody)


def capture(somebody: Person, *argv: str | Path, **options: object) -> subprocess.Popen[str]:
    """Start `vnet capture` and return once it is armed."""
    process = somebody.popen(somebody.python, "-m", "vnet", "capture", *argv, **options)
    armed(process)
    return process


def armed(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    said = b""
    while b"listening on" not in said:
        more = os.read(process.stderr.fileno(), 4096)
        assert more, said
        said += more


def records(path: Path, *fields: str, only: str = "udp.port == 4000") -> list[list[str]]:
    names = [f"-e{field}" for field in fields]
    done = subprocess.run(
        ["tshark", "-n", "-r", path, "-Y", only, "-Tfields", *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_a_program_reads_along(somebody: Person, owner: Owner) -> None:
    live = capture(somebody, "h2", "-w", "-", "-f", "udp and host h1", stderr=subprocess.PIPE)
    assert live.stdout is not None
    pipe = live.stdout.fileno()
    header = os.read(pipe, 4096)
    assert header[:4] == b"\x0a\x0d\x0d\x0a", header
    delays = []
    for _ in range(15):
        owner.does("tick")
        seen = b""
        while b"tick" not in seen:
            seen += os.read(pipe, 1 << 16)
        at = seen.index(b"tick") + 4
        delays.append((time.monotonic_ns() - int.from_bytes(seen[at : at + 8], "big")) / 1e6)
    print("delivered after ms:", [round(delay, 1) for delay in sorted(delays)])
    # The bound; a machine that does much else delays some.
    assert sorted(delays)[len(delays) // 3] < 100, delays
    # Its reader goes: it ends quietly, and takes the capture off.
    live.stdout.close()
    assert live.wait(timeout=20) == 128 + signal.SIGPIPE
    wait_until(lambda: owner.does("held").startswith("0 "), 20, "nothing is left of the capture")


def test_tshark_reads_along(somebody: Person, owner: Owner) -> None:
    script = f"{somebody.python} -m vnet capture -w - | exec tshark -n -l -i - -Y udp.port==4000 -Tfields -eframe.interface_name"
    shell = somebody.popen("sh", "-c", script, start_new_session=True)
    armed(shell)
    assert shell.stdout is not None
    out = shell.stdout.fileno()
    names = bytearray()

    def all_hops() -> bool:
        owner.does("send 1")
        while select.select([out], [], [], 0.05)[0]:
            names.extend(os.read(out, 65536))
        return {"h1-eth0", "s1-port1", "s1-port2", "h2-eth0"} <= set(names.decode().split())

    try:
        wait_until(all_hops, 60, "tshark shows every hop")
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
        shell.communicate(timeout=20)


@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "lab", "owner"])
def test_a_file_is_whole_whatever_ends_it(somebody: Person, owner: Owner, end: str) -> None:
    path = somebody.home / "lab.pcapng"
    process = capture(somebody, "h2", "-w", path, "-f", "udp port 4000")
    owner.does("send 100")
    if end == "lab":
        owner.does("end")
    elif end == "owner":
        wait_until(lambda: path.stat().st_size > 100 * 150, 20, "what came is in the file")
        owner.process.kill()
    else:
        process.send_signal(getattr(signal, end))
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "100 packets captured" in said
    assert ("an unknown number of packets dropped" if end == "owner" else "\n0 packets dropped by the recorder") in said
    assert ("has ended" in said) == (end in {"lab", "owner"})
    told = records(path, "frame.interface_name", "udp.payload")
    assert [int(payload[:8], 16) for _, payload in told] == list(range(100))
    assert {name for name, _ in told} == {"h2-eth0"}


def test_without_a_file_each_packet_is_a_line(somebody: Person, owner: Owner) -> None:
    lines = capture(somebody, "h1-s1", "--dropped", "-c", "8", "-f", "udp")
    owner.does("send 2")
    owner.does("deny")
    owner.does("send 5")
    out, said = lines.communicate(timeout=20)
    assert lines.returncode == 0, said
    assert "8 packets captured" in said
    line = r"\d\d:\d\d:\d\d\.\d{6} s1-port1 (In |End) IP 10\.0\.0\.1\.\d+ > 10\.0\.0\.2\.4000: UDP, length 64(.*)"
    found = [re.fullmatch(line, text) for text in out.splitlines()]
    assert all(found), out
    seen = [(match[1].strip(), match[2]) for match in found if match is not None]
    denied = ("End", ' [acl: drop, reason 16 "rule_0" "deny udp"]')
    # Of the later ones, which come together, some are in before the first is dropped.
    assert seen[:3] == 3 * [("In", "")], out
    assert set(seen[3:]) == {("In", ""), denied}, out
    # One line is enough for whoever reads.
    script = f"{somebody.python} -m vnet capture h1 | head -n1"
    shell = somebody.popen("sh", "-c", script)
    armed(shell)
    owner.does("send 1")
    out, said = shell.communicate(timeout=20)
    assert out.count("\n") == 1, out
    assert "Error" not in said, said
    wait_until(lambda: owner.does("held").startswith("0 "), 20, "nothing is left of the captures")


def test_files_rotate_and_each_is_whole(somebody: Person, owner: Owner) -> None:
    path = somebody.home / "turn.pcapng"
    process = capture(somebody, "h2:eth0", "-w", path, "--rotate", "20kB", "--keep", "3", "-f", "udp")
    owner.does("send 1000")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    files = sorted(somebody.home.glob("turn_*.pcapng"))
    assert len(files) == 3
    seen = [[int(payload[:8], 16) for (payload,) in records(file, "udp.payload")] for file in files]
    assert list(itertools.chain(*seen)) == list(range(seen[0][0], 1000))
    old = somebody.home / "old.pcap"
    done = vnet(somebody, "capture", "-w", old, "-c", "1")
    assert (done.returncode, "cannot tell interfaces apart" in done.stderr) == (2, True), done.stderr
    process = capture(somebody, "h2", "-w", old, "-c", "5")
    owner.does("send 9")
    assert "5 packets captured" in process.communicate(timeout=20)[1]
    assert len(records(old, "udp.payload")) == 5
    assert old.read_bytes()[:4] == b"\x4d\x3c\xb2\xa1"


def test_a_killed_reader_leaves_nothing_with_the_owner(somebody: Person, owner: Owner) -> None:
    assert owner.does("held").split()[0] == "0"
    before = owner.does("held")
    for _ in range(2):
        process = capture(somebody, "-w", somebody.home / "killed.pcapng", "--stages")
        assert owner.does("held") != before
        process.kill()
        process.wait()
        wait_until(lambda: owner.does("held") == before, 20, "threads and descriptors are gone")
    # One that is stopped stops nothing: what it does not take is lost to it.
    process = capture(somebody, "h2", "-w", "-", errors="replace")
    process.send_signal(signal.SIGSTOP)
    owner.does("send 10000")
    process.kill()
    process.wait()
    wait_until(lambda: owner.does("held") == before, 20, "threads and descriptors are gone")


def test_what_comes_later_is_in_it(somebody: Person, owner: Owner) -> None:
    path = somebody.home / "later.pcapng"
    process = capture(somebody, "-w", path)
    owner.does("more")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    names = {name for (name,) in records(path, "frame.interface_name", only="icmp")}
    assert names == {"h3-eth0", "s1-port3", "s1-port2", "h2-eth0"}


def test_what_cannot_be_captured_is_said(somebody: Person, owner: Owner) -> None:
    def refused(*argv: str, **options: object) -> str:
        done = vnet(somebody, "capture", *argv, **options)
        assert done.returncode == 2, (argv, done.stdout, done.stderr)
        return done.stderr

    path = somebody.home / "kept.pcapng"
    path.write_text("kept")
    said = refused("h9", "-w", str(path))
    assert 'no link and no node "h9"' in said
    assert "h1-s1, h2-s1" in said
    assert "h1, h2, s1" in said
    assert path.read_text() == "kept"
    said = refused("h1:eth9")
    assert "eth9" in said
    assert "eth0" in said
    assert "prot" in refused("-f", "tcp prot 80")
    assert "owned@" in refused("--lab", "other")
    assert "10MB" in refused("-w", str(path), "--rotate", "often")
    assert "pcapng" in refused("--stages", "-w", "x.pcap")
    ours, theirs = os.openpty()
    assert "wireshark" in refused("-w", "-", stdout=theirs)
    os.close(ours)
    os.close(theirs)
    done = vnet(somebody, "capture", "-w", somebody.home / "no/such/dir.pcapng")
    assert (done.returncode, "cannot create" in done.stderr) == (1, True), done.stderr
    wait_until(lambda: owner.does("held").startswith("0 "), 20, "nothing is left of the captures")


ASK = """
import array, json, os, socket, sys
names = [line.split()[-1] for line in open("/proc/net/unix") if "@vnet-owner/" in line]
reader, writer = os.pipe()
asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
asked.connect("\\0" + names[0][1:])
try:
    with_pipe = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer]))]
    asked.sendmsg([json.dumps(json.loads(sys.argv[1])).encode()], with_pipe)
    print(asked.recv(65536))
except OSError:
    print(b"")
"""


def test_only_its_user_and_root_are_served() -> None:
    if os.geteuid() != 0:
        pytest.skip("being somebody else needs root: run the tests with sudo")
    everything = '{"capture": {"what": null, "filter": null, "snaplen": null, "dropped": false, "stages": false}}'
    stranger = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", *WITHOUT_PRIVILEGE[1:])
    for name in ("user", "root"):
        with alone(name) as somebody:
            owner = Owner(somebody)
            enter = somebody.prefix[:2] if name == "user" else somebody.prefix
            for who in (stranger, ()):
                done = subprocess.run(
                    [*enter, *who, "/usr/bin/python3", "-c", ASK, everything],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                assert (done.stdout == "b''\n") == bool(who), (name, who, done.stdout)
            wait_until(lambda owner=owner: owner.does("held").startswith("0 "), 20, "whoever leaves ends it")  # type: ignore[misc]
            # Something else than a pipe is not written to.
            odd = ASK.replace("os.pipe()", "0, os.open('/dev/zero', os.O_WRONLY)")
            done = subprocess.run(
                [*enter, "/usr/bin/python3", "-c", odd, everything], capture_output=True, text=True, check=True
            )
            assert "Err" in done.stdout, done.stdout
            assert "one pipe" in done.stdout
