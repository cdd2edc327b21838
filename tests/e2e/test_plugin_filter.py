"""The shipped plugin filter, on a link and on the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person

LAB = """
net = vnet.Network()
h1, h2 = net.host("h1"), net.host("h2")
link = net.link(h1, h2)
"""


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


def test_what_matches_passes_or_is_dropped(somebody: Person) -> None:
    source = r"""
    import re, socket

    def connects(port):
        with h1.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.settimeout(0.5)
            try:
                sock.connect((h2.ip, port))
            except TimeoutError:
                return False
            return True

    with net:
        servers = [h2.socket(socket.AF_INET, socket.SOCK_STREAM, bind=("", port)) for port in (80, 8080)]
        for server in servers:
            server.listen()
        web = link.attach("filter", config={"expression": "arp or tcp port 80"})
        assert connects(80) and not connects(8080) and not h1.ping(h2, timeout=0.2)
        stats = web.stats
        assert stats.dropped == stats.drops["no match"] > 1 and not stats.faults, stats
        # In the place of it, between two packets.
        web.swap("filter", config={"expression": "tcp port (80 or 443)\n or ip6", "action": "drop"})
        assert not connects(80) and connects(8080) and h1.ping(h2) and not h1.ping(h2.ip6, timeout=0.2)
        assert web.stats.drops["match"] > 1, web.stats
        # What is refused leaves the one before at work.
        for wrong, words in (
            ("tcp prot 80", "at character 5: `prot` is no word .* did you mean `proto` or `port`"),
            ("tcp or\n  host h1", "at line 2, character 8: `h1` is no address\\n  host h1\\n       \\^\\^"),
            ("  ", "is empty"),
            ("port 1 or " * 2000 + "port 2", "must have at most 16384 characters; it has 20006"),
            (80, "must be of type string"),
        ):
            for put in (web.swap, link.attach):
                try:
                    put("filter", config={"expression": wrong})
                except vnet.PluginRejected as error:
                    assert re.search(words, str(error)), error
                else:
                    raise AssertionError(wrong)
        try:
            link.attach("filter")
        except vnet.PluginRejected as error:
            assert "expression" in str(error) and "required" in str(error), error
        assert connects(8080) and not connects(80)
        web.detach()
        # Long ones are judged whole.
        long = " or ".join(f"tcp port {port}" for port in range(81, 1000)) + " or ip6"
        flt = link.attach("filter", config={"expression": long, "action": "drop"})
        assert connects(80) and h1.ping(h2) and not h1.ping(h2.ip6, timeout=0.2)
        assert not flt.stats.faults, flt.stats
    """
    somebody.does(program(PROLOGUE, LAB, source))


def test_the_command_line_takes_an_expression_with_blanks(somebody: Person) -> None:
    source = r"""
    import subprocess

    with net:
        with link.capture("all.pcapng") as capture:
            assert h1.ping(h2) and h1.ping(h2.ip6)
        source = h1.ip
    for number, (options, left) in enumerate((
        ("expression=icmp or udp port 53", 2),
        ("expression=host fd00::1 and icmp6 && (greater 100, or),action=drop", None),
        (f"expression=src host {source} and icmp,action=pass", 1),
        ("action=drop,expression=not (icmp or icmp6)", 4),
    )):
        command = [sys.executable, "-m", "vnet", "replay", "all.pcapng", "-o", f"{number}.pcapng"]
        command += ["--plugin", f"filter:{options}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if left is None:
            assert done.returncode == 4 and "at character 36" in done.stderr and "bytes" in done.stderr, done.stderr
        else:
            assert done.returncode == 0, done.stderr
            found = len(vnet.Packets.read(f"{number}.pcapng"))
            # Neighbour Discovery is ICMPv6 too.
            assert found == left or found > left == 4, (options, found)
    """
    somebody.does(program(PROLOGUE, LAB, "import os; os.chdir(os.environ['TMPDIR'])\n", source))
