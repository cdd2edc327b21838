"""Impaired links do what is asked of them, count it, and do it again with the same seed: by an ordinary user and by root.

Nothing here is timed: how exact delays and rates are is for `make bench` to hold.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_lab_basic import PROLOGUE, TRANSFER, program
from unprivileged import PERSONS, Person, person

# Numbered datagrams, each a frame of its own, on a link that carries nothing else: neighbours are known beforehand, and kernels
# do not speak IPv6. So the n-th datagram is the n-th frame of its direction.
NUMBERED = '''
import contextlib, socket

QUIET = {"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1}

def until(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)

def acquaint(*hosts):
    for host in hosts:
        for other in hosts:
            if host is not other:
                host.add_neighbour(other.ip, other.mac)

def receiver(host):
    sock = host.socket(type=socket.SOCK_DGRAM, bind=("0.0.0.0", 6000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.setblocking(False)
    return sock

def read(sock):
    got = []
    with contextlib.suppress(BlockingIOError):
        while True:
            got.append(int.from_bytes(sock.recv(2048)[:4], "big"))
    return got

def send(source, target, count, size=64, start=0):
    sock = source.socket(type=socket.SOCK_DGRAM)
    sock.connect((target.ip, 6000))
    for number in range(start, start + count):
        sock.send(number.to_bytes(4, "big").ljust(size, b"."))
        if number % 64 == 63:
            time.sleep(0.002)
    sock.close()

def settled(line, count, meanwhile=lambda: None):
    """The line's numbers once `count` frames have come and none is on its way."""
    def is_settled():
        meanwhile()
        stats = line()
        return stats.frames_in >= count and stats.in_flight + stats.queue_packets == 0
    until(is_settled, line)
    stats = line()
    assert stats.frames_in == count, f"something else was on the link: {stats}"
    drops = stats.lost + stats.queue_full + stats.codel_drops + stats.flight_full
    assert stats.frames_in == stats.frames_out + drops, stats
    return stats

def through(seed, count=2000, size=64, **impairments):
    """Which numbers come through a link from h1 to h2, and its numbers."""
    with vnet.Network(seed=seed, ipv6=False) as net:
        h1, h2 = net.host("h1", sysctls=QUIET), net.host("h2", sysctls=QUIET)
        link = net.link(h1, h2, **impairments)
        net.start()
        acquaint(h1, h2)
        sock, got = receiver(h2), []
        for start in range(0, count, 500):
            send(h1, h2, 500, size, start)
            got += read(sock)
        stats = settled(lambda: link.stats.a_to_b, count, lambda: got.extend(read(sock)))
        # What the engine has sent is in the socket, or dropped by its kernel, at once.
        got += read(sock)
        sock.close()
        return got, stats
'''


@pytest.fixture(params=PERSONS)
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        yield found


@pytest.fixture
def user() -> Iterator[Person]:
    with person("user") as found:
        yield found


def test_the_numbers_that_get_through_are_those_of_the_seed(somebody: Person) -> None:
    source = """
    first, stats = through(7, loss=0.1)
    assert stats.lost == 2000 - len(first) and 120 < stats.lost < 280, stats
    assert first == sorted(first)
    again, _ = through(7, loss=0.1)
    assert again == first
    delayed, stats = through(7, loss="10%", delay="2ms", duplicate=0.1)
    assert sorted(set(delayed)) == first, "a frame's fate does not depend on what else is asked"
    other, _ = through(8, loss=0.1)
    assert other != first and len(other) < 2000
    """
    somebody.does(program(PROLOGUE, NUMBERED, source), timeout=120)


def test_duplicates_reordering_and_corruption_are_counted_exactly(user: Person) -> None:
    source = """
    got, stats = through(1, duplicate="20%")
    assert 300 < stats.duplicated < 500, stats
    assert len(got) == 2000 + stats.duplicated and set(got) == set(range(2000))

    got, stats = through(1, delay="20ms", reorder="25%", gap=5)
    assert sorted(got) == list(range(2000))
    assert 0 < stats.reordered <= 400 and stats.overtaken > 0, stats
    late = sum(number < max(got[:place], default=-1) for place, number in enumerate(got))
    assert late == stats.overtaken, (late, stats)

    # A flipped bit fails a checksum of the receiving kernel, whichever it is.
    got, stats = through(1, corrupt="20%", size=200)
    assert 300 < stats.corrupted < 500, stats
    assert len(got) == 2000 - stats.corrupted
    """
    user.does(program(PROLOGUE, NUMBERED, source), timeout=120)


def test_gilbert_elliott_loses_in_bursts(user: Person) -> None:
    source = """
    got, stats = through(3, count=10_000, loss="gemodel 2% 25%")
    assert stats.lost == 10_000 - len(got)
    gaps = [after - before - 1 for before, after in zip([-1, *got], [*got, 10_000]) if after - before > 1]
    assert stats.loss_bursts.longest == max(gaps)
    assert sum(gaps) == stats.lost
    # p / (p + r) = 7.4 % are lost, in bursts of 1 / r = 4.
    assert 2.8 < sum(gaps) / len(gaps) < 5.5, stats
    assert abs(stats.loss_asked - 2 / 27) < 1e-6 and 0.04 < stats.loss < 0.12, stats
    """
    user.does(program(PROLOGUE, NUMBERED, source), timeout=120)


def test_a_rate_is_kept_and_its_queue_is_bounded(user: Person) -> None:
    source = """
    # 1,000 payload bytes are 1,042 of the frame; 24 bytes of overhead make what Ethernet takes.
    got, stats = through(1, count=1000, size=1000, rate="4mbit", overhead=24, queue=1100)
    assert len(got) == 1000 and stats.queue_full == 0, stats
    assert abs(stats.rate / 4e6 - 1) < 0.02, stats
    assert stats.queue_most_packets > 400, stats
    assert max(packets for _, packets, _ in stats.queue_series) == stats.queue_most_packets

    got, stats = through(1, count=500, size=1000, rate="1mbit", queue=20)
    assert stats.queue_most_packets == 20 and stats.queue_full == 500 - len(got) > 300, stats
    got, stats = through(1, count=500, size=1000, rate="1mbit", queue="10420b")
    assert stats.queue_most_bytes == 10420, stats
    """
    user.does(program(PROLOGUE, NUMBERED, source), timeout=120)


def test_a_trace_and_a_table_are_read_beside_the_lab_file(user: Person) -> None:
    (user.home / "lab").mkdir()
    # 12 opportunities of 1,504 bytes each 12 ms: 12 Mbit/s.
    (user.home / "lab" / "up.trace").write_text("".join(f"{ms}\n" for ms in range(1, 13)))
    (user.home / "lab" / "flat.dist").write_text("# all the same\n" + " 4096" * 32 + "\n")
    (user.home / "lab" / "lab.toml").write_text(
        'hosts = ["h1", "h2"]\nipv6 = false\n[[links]]\nends = ["h1", "h2"]\ntrace = ["up.trace", "none"]\n'
        'delay = ["none", "2ms"]\njitter = ["none", "1ms"]\ndistribution = ["none", "flat.dist"]\n'
    )
    source = """
    with vnet.Network.load("lab/lab.toml") as net:
        h1, h2, link = net["h1"], net["h2"], net.links[0]
        net.start()
        acquaint(h1, h2)
        sock, got = receiver(h2), []
        send(h1, h2, 500, 1400)
        until(lambda: got.extend(read(sock)) or len(got) == 500, lambda: (got, link.stats))
        assert got == list(range(500))
        stats = link.stats.a_to_b
        assert stats.asked == {"trace": "up.trace"}, stats
        sock.close()
        assert h1.ping(h2, timeout=10)
        back = link.stats.b_to_a
        # 4096 of netem's 8192 for one standard deviation.
        assert back.delay.asked.p50 == back.delay.asked.min == back.delay.asked.max, back
        try:
            link.set(trace="missing.trace", delay="1ms")
        except vnet.InvalidValue as error:
            assert "link h1-h2" in str(error) and "missing.trace" in str(error), error
        else:
            raise AssertionError("a trace that is not there")
        assert link.impairments.a_to_b == {"trace": "up.trace"}, link.impairments
    with vnet.Network() as net:
        link = net.link(net.host("a"), net.host("b"), trace="missing.trace")
        try:
            net.start()
        except vnet.InvalidValue as error:
            assert "link a-b" in str(error) and "missing.trace" in str(error), error
        else:
            raise AssertionError("a trace that is not there")
        assert not net.started
        link.set(trace=None)
        assert net["a"].ping("b")
    """
    user.does(program(PROLOGUE, NUMBERED, source), timeout=120)


def test_tcp_gets_every_byte_through_delay_and_loss(somebody: Person) -> None:
    source = """
    with vnet.Network(seed=5) as net:
        h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
        link = net.link(h1, s1, delay="2ms", jitter="200us", loss="0.5%", mtu=9000)
        other = net.link(s1, h2, corrupt=("0.1%", None), mtu=9000)
        transfer(h1, h2, h2.ip, 8 << 20)
        transfer(h2, h1, h1.ip6, 8 << 20)
        assert link.stats.a_to_b.lost > 0 and link.stats.b_to_a.lost > 0, link.stats
        assert other.stats.b_to_a is None and other.stats.a_to_b.corrupted > 0, other.stats
    """
    somebody.does(program(PROLOGUE, TRANSFER, source), timeout=300)


def test_each_direction_is_its_own_whichever_end_the_switch_is(user: Person) -> None:
    source = """
    with vnet.Network(ipv6=False) as net:
        h1, h2, h3, h4 = hosts = [net.host(f"h{n}", sysctls=QUIET) for n in range(1, 5)]
        s1, s2 = net.switch("s1"), net.switch("s2")
        links = [net.link(h1, s1), net.link(s1, h2), net.link(s1, s2), net.link(h3, s2), net.link(s2, h4)]
        net.start()
        acquaint(*hosts)
        socks = {host: receiver(host) for host in hosts}
        # The link at work, who sends across it from a to b, and back.
        cases = [
            (links[0], (h1, h2), (h2, h1)),
            (links[1], (h1, h2), (h2, h1)),
            (links[2], (h1, h3), (h3, h1)),
            (links[2], (h2, h4), (h4, h2)),
            (links[3], (h3, h1), (h1, h3)),
            (links[4], (h3, h4), (h4, h3)),
        ]
        def passes(pair):
            source, target = pair
            got = []
            send(source, target, 20)
            until(lambda: got.extend(read(socks[target])) or len(got) == 20, lambda: (link, pair, got, link.stats))
        def is_lost(pair, line):
            source, target = pair
            before = line().lost if line() else 0
            send(source, target, 20)
            until(lambda: line().lost >= before + 20, lambda: (link, pair, link.stats))
            assert read(socks[target]) == [], (link, pair, link.stats)
        for link, there, back in cases:
            a_to_b, b_to_a = (lambda: link.stats.a_to_b), (lambda: link.stats.b_to_a)
            had = b_to_a()
            passes(there), passes(back)
            link.set(loss=("100%", None))
            assert link.state.path == "engine", link.state
            is_lost(there, a_to_b), passes(back)
            assert b_to_a() == had, link.stats
            link.set(loss=(None, 1.0))
            passes(there), is_lost(back, b_to_a)
            link.set(loss=None)
            assert link.state.path == "kernel", link.state
            passes(there), passes(back)
            assert b_to_a().lost >= 20, "the last numbers stay"
        for sock in socks.values():
            sock.close()
    """
    user.does(program(PROLOGUE, NUMBERED, source), timeout=180)


def test_impairments_come_and_go_under_traffic_and_lose_nothing(somebody: Person) -> None:
    source = """
    import threading
    for switched in (False, True):
        with vnet.Network(ipv6=False) as net:
            h1, h2 = net.host("h1"), net.host("h2")
            if switched:
                s1 = net.switch("s1")
                link = net.link(h1, s1)
                net.link(s1, h2)
            else:
                link = net.link(h1, h2)
            net.start()
            acquaint(h1, h2)
            sock = receiver(h2)
            sender = threading.Thread(target=send, args=(h1, h2, 12_000))
            sender.start()
            rounds, got = 0, []
            while sender.is_alive():
                got += read(sock)
                link.set(delay="3ms", jitter="1ms")
                assert link.state.path == "engine"
                link.set(delay="1ms", jitter=None, rate="1gbit")
                link.set(delay=None, rate=None)
                assert link.state.path == "kernel"
                rounds += 1
            sender.join()
            assert rounds > 2
            until(lambda: got.extend(read(sock)) or len(got) >= 12_000, lambda: len(got))
            assert sorted(got) == list(range(12_000)), len(got)
            assert link.impairments.a_to_b == {}
            sock.close()
    """
    somebody.does(program(PROLOGUE, NUMBERED, source), timeout=180)


def test_a_plugin_judges_what_comes_before_the_link_loses_it(user: Person) -> None:
    source = """
    with vnet.Network(seed=1, ipv6=False) as net:
        h1, h2 = net.host("h1", sysctls=QUIET), net.host("h2", sysctls=QUIET)
        link = net.link(h1, h2, loss=0.25)
        net.start()
        acquaint(h1, h2)
        sock = receiver(h2)
        with link.attach("count") as counter:
            send(h1, h2, 1000)
            stats = settled(lambda: link.stats.a_to_b, 1000)
            assert counter.stats.packets_in == counter.stats.passed == 1000, counter.stats
            assert len(read(sock)) == 1000 - stats.lost and stats.lost > 150, stats
            link.set(loss=None)
            assert link.state.path == "engine", "the plugin is still there"
            send(h1, h2, 100)
            until(lambda: counter.stats.packets_in == 1100, lambda: counter.stats)
            books = net.stats().engine["link h1-h2"]
            assert books.balance == books.held == 0, books
            link.set(delay="1ms")
            sock.close()
        assert link.state.path == "engine", "the delay is still there"
        link.set(delay=None)
        assert link.state.path == "kernel"
    """
    user.does(program(PROLOGUE, NUMBERED, source), timeout=120)


def test_a_delay_is_seen_by_ping_in_both_families_and_on_a_link_that_goes_down(somebody: Person) -> None:
    source = """
    with vnet.Network() as net:
        h1, h2 = net.host("h1"), net.host("h2")
        link = net.link(h1, h2, delay=("20ms", "10ms"))
        for ipv6 in (False, True):
            # The first one also waits for the neighbour's address.
            assert h1.ping(h2, ipv6=ipv6, timeout=10)
            assert 0.030 <= h1.ping(h2, ipv6=ipv6, timeout=10).rtt_min < 10
        link.down()
        assert not link.is_up and not h1.ping(h2, timeout=0.1)
        link.set(delay="5ms")
        link.up()
        assert 0.010 <= h1.ping(h2, timeout=10).rtt_min < 0.030 + 10
        assert link.impairments.a_to_b == {"delay": "5ms"}
        spread = link.stats.a_to_b.delay
        assert spread.error.count > 0 and spread.realised.min >= 0.005, spread
    """
    somebody.does(program(PROLOGUE, source), timeout=120)


def test_a_schedule_changes_pulls_and_flaps_a_link(user: Person) -> None:
    source = """
    import pathlib
    def threads():
        tasks = pathlib.Path("/proc/self/task").glob("*/comm")
        return [task.read_text().strip() for task in tasks].count("vnet-schedule")
    def until(condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.005)
    with vnet.Network() as net:
        h1, h2 = net.host("h1"), net.host("h2")
        link = net.link(h1, h2, delay="1ms", schedule=[
            {"at": "300ms", "delay": ("7ms", None), "loss": (None, "1%")},
            {"at": "600ms", "down": True},
            {"at": "900ms", "up": True, "delay": None},
            {"at": 1.2, "down": "200ms"},
        ])
        declared = net.to_dict()
        assert threads() == 0
        net.start()
        until(lambda: threads() == 1, "it names itself")
        until(lambda: link.impairments.to_dict() == {"a_to_b": {"delay": "7ms"}, "b_to_a": {"loss": "1%"}}, "changed")
        until(lambda: not link.is_up, "down")
        assert not link.state.carrier and not h1.ping(h2, timeout=0.05)
        until(lambda: link.is_up, "up")
        until(lambda: link.impairments.a_to_b == {}, "no delay")
        until(lambda: not link.is_up, "the flap")
        until(lambda: link.is_up, "its end")
        assert net.to_dict() == declared, "what happens is not what was declared"
        link.set(loss=None)
        assert h1.ping(h2, timeout=10)

        link.schedule([{"every": "200ms", "down": "100ms"}])
        for _ in range(3):
            until(lambda: not link.is_up, "a flap")
            until(lambda: link.is_up, "its end")
        # Between two flaps, whichever it is at just now.
        link.schedule([])
        link.up()
        time.sleep(0.5)
        assert link.is_up and h1.ping(h2, timeout=10)
        assert [net.link(h1, net.host("h3"), schedule=[{"at": "1s", "down": True}]).name] == ["h1-h3"]
        net.remove("h1-h3")
        link.schedule([{"at": "3600s", "down": True}])
    assert threads() == 0, "the network's close ends it"
    """
    user.does(program(PROLOGUE, source), timeout=120)


def test_a_failed_change_leaves_the_link_as_it_was(user: Person) -> None:
    source = """
    with vnet.Network(ipv6=False) as net:
        h1, h2 = net.host("h1"), net.host("h2")
        link = net.link(h1, h2, delay="1ms")
        net.start()
        for wrong in ({"delay": "5 meters"}, {"delay": "5ms", "queue": 5}, {"delay": "5ms", "trace": "no.trace"}):
            try:
                link.set(**wrong)
            except vnet.InvalidValue:
                pass
            else:
                raise AssertionError(wrong)
            assert link.impairments.a_to_b == {"delay": "1ms"}
            assert link.stats.a_to_b.asked == {"delay": "1ms"}
        before = net.to_dict()
        try:
            net.link(h1, h2, name="again", trace="no.trace")
        except vnet.InvalidValue as error:
            assert "no.trace" in str(error), error
        else:
            raise AssertionError("a link whose trace is not there")
        assert net.to_dict() == before
        third = net.link(h1, net.host("h3"), loss="100%")
        assert third.state.path == "engine" and not h1.ping("h3", timeout=0.1)
        net.remove(third)
        assert h1.ping(h2, timeout=10)
    """
    user.does(program(PROLOGUE, source), timeout=120)


def test_a_hundred_impaired_links_start_work_and_end(user: Person) -> None:
    source = """
    with vnet.Network(ipv6=False, busy_poll="1us") as net:
        core = net.host("core")
        leaves = [net.host(f"h{n}") for n in range(100)]
        links = [net.link(core, leaf, delay="1ms", busy_poll="5us") for leaf in leaves]
        net.start()
        assert len(os.listdir("/proc/self/task")) < 50, "no thread for each link"
        for leaf in leaves[::10]:
            assert core.ping(leaf, timeout=10)
        assert all(link.state.path == "engine" for link in links[::10])
    """
    user.does(program(PROLOGUE, source), timeout=300)
