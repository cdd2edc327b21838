"""What cannot be is refused in words, everything made so far is undone, and the host is as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from counted import counted
from test_lab_basic import PROLOGUE, TWO_HOSTS, program
from traces import Host, adopting_orphans, until_gone
from unprivileged import Person, person

REFUSED = """
def refused(kind, *words):
    import contextlib
    @contextlib.contextmanager
    def block():
        try:
            yield
        except kind as error:
            missing = [word for word in words if word not in str(error)]
            assert not missing, f"{error!r} does not say {missing}"
        else:
            raise AssertionError(f"nothing refused what lacks {words}")
    return block()
"""


@pytest.fixture
def user() -> Iterator[Person]:
    with person("user") as found, adopting_orphans():
        yield found


def test_a_declaration_that_cannot_be_is_refused_before_and_while_it_runs(user: Person) -> None:
    source = """
    import re
    def try_all(net, h1, h2, s1):
        with refused(vnet.InvalidValue, "h1"):
            net.host("h1")
        with refused(vnet.InvalidValue, "h1"):
            net.router("h1")
        with refused(vnet.Error, "h9"):
            net.link(h1, "h9")
        with refused(vnet.InvalidValue, "h1"):
            net.link(h1, h1)
        with refused(vnet.InvalidValue, "not a name"):
            net.host("not a name")
        with refused(vnet.InvalidValue, "10.9.0.1"):
            net.host("h3", ip="10.9.0.1")
        with refused(vnet.InvalidValue, "delay", "10ms"):
            net.link(h1, h2, delay="10 meters")
        with refused(vnet.NotFound, "h9", "h1"):
            net["h9"]
        other = vnet.Network()
        with refused(vnet.InvalidValue, "another network"):
            net.link(h1, other.host("x"))
        # Two addresses of one host in one subnet on two links, and one address twice.
        with refused(vnet.InvalidValue, "10.9.0."):
            net.link(h1, h2, ip=("10.9.0.1/24", "10.9.0.1/24"))
        assert len(net.links) == 2 and net.nodes.names == ("h1", "h2", "s1"), (net.links, net.nodes)
    with net:
        try_all(net, h1, h2, s1)
        assert h1.ping(h2)
        try_all(net, h1, h2, s1)
        assert h1.ping(h2)
    """
    user.does(program(PROLOGUE, REFUSED, TWO_HOSTS, source))


def test_commands_that_do_not_exist_fail_or_never_end_are_told_apart(user: Person) -> None:
    source = """
    with net:
        with refused(vnet.NotFound, "no-such-program"):
            h1.run(["no-such-program"])
        with refused(vnet.NotFound, "no-such-program"):
            h1.popen(["no-such-program"])
        with refused(vnet.CommandFailed, "status 3", "why"):
            h1.run("echo why >&2; exit 3", check=True)
        assert h1.run("kill -9 $$").returncode == -9
        begun = time.monotonic()
        with refused(vnet.TimeoutError, "0.3"):
            h1.run("sleep 3600 & sleep 3600; true", timeout=0.3)
        assert time.monotonic() - begun < 10
        assert "sleep" not in h1.run("cat /proc/[0-9]*/comm").stdout, "its process group was killed"
        with refused(vnet.Unsupported, "s1"):
            s1.run("true")
        process = h1.popen("exec sleep 3600")
        with refused(vnet.TimeoutError, "port"):
            process.wait_port(80, timeout=0.2)
        with refused(vnet.TimeoutError, "0.1"):
            process.wait(0.1)
        process.terminate()
        assert process.wait(5) == -15
        short = h1.popen("exit 7")
        with refused(vnet.CommandFailed, "7"):
            short.wait_port(80)
    with refused(vnet.Closed, ""):
        h1.run("true")
    """
    user.does(program(PROLOGUE, REFUSED, TWO_HOSTS, source))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("hosts = ['h1', 'h1']", 1, "h1"),
        ("hosts = ['h1']\nlinks = [['h1', 'h2']]", 2, "h2"),
        ("hosts = ['h1']\nlinks = [['h1', 'h1']]", 2, "h1"),
        ("[hosts.h1]\nipp = '10.0.0.1/24'", 2, "ipp"),
        ("[hosts.h1]\nip = '10.0.0.300/24'", 2, "10.0.0.300"),
        ("[hosts.h1]\nip = 7", 2, "address"),
        ("hosts = ['h1'\nlinks = []", 2, "lab.toml"),
        ("hosts = ['a', 'b']\n[[links]]\nends = ['a', 'b']\ndelay = '10 meters'", 4, "delay"),
        ("hosts = ['a', 'b']\n[[links]]\nends = ['a']", 3, "ends"),
        ("[hosts.a]\nip='10.0.0.1/24'\n[hosts.b]\nip='10.0.0.1/24'\n[[links]]\nends=['a','b']", 4, "10.0.0.1"),
    ],
)
def test_a_faulty_lab_file_is_refused_with_its_line(user: Person, text: str, line: int, words: str) -> None:
    (user.home / "lab.toml").write_text(text + "\n")
    source = f"""
    with refused(vnet.Error, "lab.toml", {words!r}) as _:
        try:
            vnet.Network.load("lab.toml")
        except vnet.LabFileError as error:
            assert error.line == {line}, (error.line, str(error))
            assert error.file.endswith("lab.toml")
            raise
    """
    user.does(program(PROLOGUE, REFUSED, source))
    shown = user.run(user.python, "-m", "vnet", "run", "lab.toml", "--", "true")
    assert shown.returncode == 2, shown
    assert f"lab.toml:{line}" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_kernel_that_refuses_in_the_middle_leaves_nothing_half_made(user: Person) -> None:
    if os.geteuid() != 0:
        pytest.skip("a limit of its own needs a user namespace of the test's making: run the tests with sudo")
    source = """
    def build(hosts):
        net = vnet.Network()
        s1 = net.switch("s1")
        for number in range(hosts):
            net.link(net.host(f"h{number}"), s1)
        return net
    limit = int(sys.argv[1])
    helpers = lambda: open(f"/proc/self/task/{os.getpid()}/children").read().split()
    for _ in range(3):
        net = build(limit + 5)
        with refused(vnet.Error, "max_net_namespaces"):
            net.start()
        assert not net.started
        net.close()
    # What the failures took was given back, or there would be no room for this.
    end = time.monotonic() + 5
    while True:
        try:
            net = build(limit - 2).start()
            break
        except vnet.Error:
            assert time.monotonic() < end
    # One node too many while it runs: the rest stays, and works.
    with refused(vnet.Error, "max_net_namespaces"):
        for number in range(5):
            net.host(f"late{number}")
    assert net.ping_all([f"h{number}" for number in range(limit - 2)])
    assert all(net[name].run("true").ok for name in net.hosts.names)
    net.close()
    assert not helpers(), helpers()
    """
    before = Host.observed()
    process = counted(user, 10, program(PROLOGUE, REFUSED, source), "10")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, (out, err)
    until_gone(os.getpid(), 5)
    assert Host.observed() == before


def test_a_helper_that_is_gone_is_told_in_words(user: Person) -> None:
    source = """
    import signal
    net.start()
    for child in map(int, open(f"/proc/self/task/{os.getpid()}/children").read().split()):
        os.kill(child, signal.SIGKILL)
    until = time.monotonic() + 5
    while True:
        try:
            h1.run("true")
        except vnet.Error as error:
            print(error)
            break
        assert time.monotonic() < until
    for use in (lambda: h1.ping(h2), lambda: net.ping_all(), lambda: net.host("h3"), lambda: link.attach("count")):
        with refused(vnet.Error, ""):
            use()
    net.close()
    net.close()
    """
    said = user.does(program(PROLOGUE, REFUSED, TWO_HOSTS, source))
    assert "helper" in said or "lab" in said
