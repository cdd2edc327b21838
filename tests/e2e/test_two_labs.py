"""Two equal labs at once, with the same names: neither sees the other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from test_lab_basic import PROLOGUE, program
from traces import Host
from unprivileged import Person, person

BUILD = """
def build():
    net = vnet.Network("lab")
    h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
    net.link(h1, s1)
    net.link(h2, s1)
    net.start()
    return net
"""


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def test_two_equal_labs_of_one_process_do_not_see_each_other(somebody: Person) -> None:
    source = """
    def received(node):
        return int(node.run("cat /sys/class/net/eth0/statistics/rx_packets").stdout)
    one, two = build(), build()
    assert one["h1"].ip == two["h1"].ip and one["h1"].mac == two["h1"].mac
    assert one.ping_all() and two.ping_all()
    # A service, a file, a process and a route of one are not there in the other.
    one["h2"].popen("exec python3 -m http.server 8000").wait_port(8000)
    fetch = ["curl", "--noproxy", "*", "-sS", "--max-time", "5", "-o", "/dev/null", "http://h2:8000/"]
    assert one["h1"].run(fetch).returncode == 0
    assert two["h1"].run(fetch).returncode == 7
    one["h1"].run("echo secret > /tmp/note", check=True)
    assert two["h1"].run("cat /tmp/note").returncode == 1
    assert "http.server" in one["h1"].run("cat /proc/[0-9]*/cmdline | tr '\\\\0' ' '").stdout
    assert "http.server" not in two["h1"].run("cat /proc/[0-9]*/cmdline | tr '\\\\0' ' '").stdout
    # Traffic of one does not reach the other.
    before = received(two["h1"]), received(two["h2"])
    assert one["h1"].ping(one["h2"], count=200, interval=0.001)
    after = received(two["h1"]), received(two["h2"])
    assert max(b - a for a, b in zip(before, after)) < 20, (before, after)
    with one.links[0].attach("count") as counter:
        assert two.ping_all()
        assert counter.stats.packets_in < 20, counter.stats
    one.links[0].down()
    assert not one["h1"].ping("h2", timeout=0.3)
    assert two.ping_all()
    one.close()
    assert two.ping_all()
    two.close()
    """
    before = Host.observed()
    somebody.does(program(PROLOGUE, BUILD, source))
    assert Host.observed() == before


def test_two_equal_labs_of_two_processes_do_not_see_each_other(somebody: Person) -> None:
    waiting = """
    net = build()
    print("built", flush=True)
    for line in sys.stdin:
        print(eval(line), flush=True)
    net.close()
    """
    command = somebody.script(program(PROLOGUE, BUILD, waiting))
    labs = [somebody.popen(*command, stdin=subprocess.PIPE) for _ in range(2)]

    def ask(number: int, question: str) -> str:
        process = labs[number]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(question + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, process.communicate()
        return line.strip()

    try:
        for lab in labs:
            assert lab.stdout is not None
            assert lab.stdout.readline() == "built\n", lab.communicate()
        assert ask(0, "net['h1'].ip") == ask(1, "net['h1'].ip")
        assert ask(0, "bool(net.ping_all())") == ask(1, "bool(net.ping_all())") == "True"
        assert ask(0, "net['h1'].run('echo mine > /tmp/x').returncode") == "0"
        assert ask(1, "net['h1'].run('cat /tmp/x').returncode") == "1"
        ask(0, "net.links[0].down()")
        assert ask(0, "bool(net['h1'].ping('h2', timeout=0.3))") == "False"
        assert ask(1, "bool(net.ping_all())") == "True"
        labs[0].kill()
        labs[0].communicate()
        assert ask(1, "bool(net.ping_all())") == "True"
        _, err = labs[1].communicate(timeout=20)
        assert labs[1].returncode == 0, err
    finally:
        for lab in labs:
            if lab.poll() is None:
                lab.kill()
            lab.communicate()
