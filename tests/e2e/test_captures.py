"""Captures: every frame at every hop once, what became of it, and files that are whole whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent

import pytest
from unprivileged import PERSONS, Person, person

PROLOGUE = '''
import collections, os, signal, socket, subprocess, sys, time
import vnet

IN, OUT = 1, 2
HOME = os.environ["HOME"]

def read(path, filter="udp.port == 4000"):
    """Return the records of a capture as tshark reads them."""
    names = ["frame.interface_name", "frame.packet_flags_direction", "frame.packet_id", "frame.comment",
             "frame.time_epoch", "udp.payload"]
    command = ["tshark", "-n", "-r", path, "-Y", filter, "-Tfields", *[f"-e{name}" for name in names]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = collections.namedtuple("record", "interface direction packet comment time payload")
    rows = [line.split("\\t") for line in done.stdout.splitlines()]
    return [record(row[0], int(row[1] or "0", 16) & 3, *row[2:]) for row in rows]

def wait(done, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)

SENDER = """
import socket, sys
to, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect((to, 4000))
tail = bytes(size - 4)
for number in range(count):
    try:
        out.send(number.to_bytes(4, "big") + tail)
    except ConnectionRefusedError:
        out.send(number.to_bytes(4, "big") + tail)
"""

def send(source, target, count, size=18):
    """Send numbered datagrams to somebody who lets them lie."""
    source.run([sys.executable, "-c", SENDER, target.ip, str(count), str(size)], check=True, timeout=240)

def deaf(host):
    """Open a socket that gets the datagrams, so that none is answered by an error."""
    return host.socket(type=socket.SOCK_DGRAM, bind=("0.0.0.0", 4000))

def heard(ear, count):
    """Wait until so many datagrams have come: those that find no socket are answered, and the answers are in captures, too."""
    ear.settimeout(20)
    assert all(ear.recv(2000) for _ in range(count))

def numbers(records, interface, direction):
    return sorted(int(r.payload[:8], 16) for r in records if (r.interface, r.direction) == (interface, direction))
'''

LAB = """
net = vnet.Network(ipv6=False)
h1, r1, s1, h2, h3 = net.host("h1"), net.router("r1"), net.switch("s1"), net.host("h2"), net.host("h3")
link = net.link(h1, r1)
net.link(r1, s1)
net.link(h2, s1)
net.link(h3, s1)
"""


@pytest.fixture(params=PERSONS)
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as who:
        yield who


def program(*parts: str) -> str:
    return "".join(dedent(part) for part in parts)


def test_a_frame_is_at_every_hop_once_and_the_kernel_keeps_its_links(somebody: Person) -> None:
    source = """
    with net:
        assert h1.ping(h2, timeout=5)
        with deaf(h2), net.capture(HOME + "/net.pcapng") as capture, link.capture(HOME + "/link.pcapng") as of_link:
            assert link.state.path == net.links["h2-s1"].state.path == "kernel"
            send(h1, h2, 50)
        assert capture.stop().lost == 0
    seen = read(HOME + "/net.pcapng")
    sent = list(range(50))
    hops = [("h1-eth0", OUT), ("r1-eth0", IN), ("r1-eth1", OUT), ("s1-port1", IN), ("s1-port2", OUT), ("h2-eth0", IN)]
    for hop in hops:
        assert numbers(seen, *hop) == sent, hop
    assert len(seen) == len(hops) * 50
    for interface in {r.interface for r in seen}:
        times = [float(r.time) for r in seen if r.interface == interface]
        assert times == sorted(times), interface
    first = [float(next(r.time for r in seen if (r.interface, r.direction) == hop)) for hop in hops]
    assert first == sorted(first), "one clock"
    of_link = read(HOME + "/link.pcapng")
    assert numbers(of_link, "r1-eth0", IN) == sent
    assert len(of_link) == 50
    """
    somebody.does(program(PROLOGUE, LAB, source))


def test_what_became_of_a_frame_is_said_with_the_reason(somebody: Person) -> None:
    source = """
    net.links["h2-s1"].set(loss="100%")
    with net:
        h1.add_neighbour("10.0.0.250", "02:00:00:00:00:99")
        path = HOME + "/stages.pcapng"
        with net.capture(path, stages=True) as capture:
            with link.attach("acl", config={"rules": [{"action": "deny", "protocol": "udp"}], "default": "permit"}) as acl:
                send(h1, h2, 20)
                # They wait for the router's address to be found.
                wait(lambda: acl.stats.dropped == 20, "they are dropped")
            r1.run(["ping", "-c1", "-W1", h2.ip])
        assert capture.stop().lost == 0
        dropped = HOME + "/dropped.pcapng"
        with link.attach("acl", config={"rules": [{"action": "deny", "protocol": "udp"}], "default": "permit"}) as acl:
            with link.capture(dropped, dropped=True):
                send(h1, h2, 20)
                wait(lambda: acl.stats.dropped == 20, "they are dropped, too")
    seen = read(path)
    sent = list(range(20))
    assert numbers(seen, "h1-eth0", OUT) == sent
    assert numbers(seen, "h1-r1/acl", IN) == sent, collections.Counter(r[:2] for r in seen)
    ended = [r for r in seen if r.interface == "h1-r1/acl" and not r.direction]
    assert len(ended) == 20
    assert all(r.comment.startswith("acl: drop, reason ") for r in ended), ended[0]
    before = {r.packet for r in seen if r.interface == "h1-r1/acl" and r.direction == IN}
    assert before == {r.packet for r in ended}
    assert len(before) == 20
    assert {r.interface for r in seen} == {"h1-eth0", "h1-r1/acl"}, "nothing behind it"
    # What is lost on the way to h2 are the questions for its address.
    lost = read(path, 'frame.comment contains "lost" && arp')
    assert lost, "no frame says that it was lost"
    assert {r.interface for r in lost} == {"h2-s1/b>a"}, lost
    assert all(r.comment == "link h2-s1 b>a: lost (loss 100 %)" for r in lost), lost
    flooded = read(path, 'frame.interface_name == "s1/switch"')
    assert any("flooded to" in r.comment for r in flooded), flooded
    on_demand = read(dropped)
    assert [r.interface for r in on_demand] == ["h1-eth0"] * 20
    assert all("acl: drop, reason " in r.comment for r in on_demand)
    """
    somebody.does(program(PROLOGUE, LAB, source))


def test_a_frame_that_leaves_the_engine_says_what_it_went_through(somebody: Person) -> None:
    source = """
    with net:
        link.set(delay="3ms")
        with deaf(h2) as ear, link.attach("count"), link.capture(HOME + "/link.pcapng"):
            send(h1, h2, 5)
            heard(ear, 5)
    seen = read(HOME + "/link.pcapng")
    assert numbers(seen, "r1-eth0", IN) == list(range(5)), seen
    for record in seen:
        assert record.comment.startswith("count: pass,link h1-r1 a>b: passed, waited "), record.comment
        assert " ms in a queue of " in record.comment
    """
    somebody.does(program(PROLOGUE, LAB, source))


def test_what_comes_and_goes_leaves_nothing_in_a_capture(somebody: Person) -> None:
    source = """
    held = lambda: len(os.listdir("/proc/self/fd"))
    with net, net.capture(HOME + "/all.pcapng") as capture:
        assert h1.ping(h3, timeout=5)
        before = held()
        for number in range(20):
            guest = net.host(f"guest{number}")
            net.link(guest, s1)
            assert guest.ping(h2, timeout=5)
            guest.remove()
        wait(lambda: held() <= before, f"{held()} descriptors are held, {before} were")
        assert h1.ping(h3, timeout=5)
    assert capture.stop().lost == 0
    seen = read(HOME + "/all.pcapng", "icmp.type == 8")
    counted = collections.Counter(r.interface for r in seen)
    assert all(counted[f"guest{number}-eth0"] == 1 for number in range(20)), counted
    assert counted["h1-eth0"] == 2, counted
    """
    somebody.does(program(PROLOGUE, LAB, source))


def test_a_filter_counts_what_snaplen_cuts(somebody: Person) -> None:
    source = """
    with net, h1.capture(HOME + "/large.pcapng", snaplen=64, filter="tcp and greater 3000") as capture:
        # Its super-frames are longer than what the kernel keeps of them for a filter.
        h1.iperf(h2, seconds=0.2)
    assert capture.stop().frames > 0
    """
    somebody.does(program(PROLOGUE, LAB, source))


def test_a_million_frames_are_there_or_counted(somebody: Person) -> None:
    source = """
    many = 1_000_000
    with vnet.Network(ipv6=False) as net:
        h1, h2 = net.host("h1"), net.host("h2")
        net.link(h1, h2)
        assert h1.ping(h2, timeout=5)
        path = HOME + "/many.pcapng"
        with h2.capture(path, snaplen=64, filter="udp port 4000") as capture:
            with deaf(h2):
                send(h1, h2, many)
        recorded = capture.stop()
    told = subprocess.run(["capinfos", "-Mrc", path], capture_output=True, text=True, check=True).stdout
    assert f"\\t{recorded.frames}" in told.replace(" ", "\\t"), told
    # A kernel may lose datagrams between two hosts before anybody sees them, under load.
    assert recorded.frames + recorded.lost >= many * 0.999, recorded
    assert recorded.frames + recorded.lost <= many, recorded
    print(recorded)
    """
    somebody.does(program(PROLOGUE, source), timeout=300)


def test_files_rotate_and_each_is_whole(somebody: Person) -> None:
    source = """
    with net:
        assert h1.ping(h2, timeout=5)
        with deaf(h2), h2.capture(HOME + "/turn.pcapng", rotate="20kB", keep=3) as capture:
            send(h1, h2, 1000, 200)
        recorded = capture.stop()
    assert recorded.frames >= 1000
    assert len(recorded.files) == 3
    assert sorted(os.listdir(HOME)) == sorted([*map(os.path.basename, recorded.files), "dev", "tmp"]), os.listdir(HOME)
    seen = [numbers(read(path), "h2-eth0", IN) for path in recorded.files]
    assert all(seen)
    assert sum(seen, []) == list(range(seen[0][0], 1000))
    """
    somebody.does(program(PROLOGUE, LAB, source))


def test_a_stream_is_live_and_ends_with_its_reader(somebody: Person) -> None:
    source = """
    with net:
        assert h1.ping(h2, timeout=5)
        reader, writer = os.pipe()
        capture = h2.capture(writer)
        os.close(writer)
        with deaf(h2):
            assert os.read(reader, 1 << 20)[:4] == b"\\x0a\\x0d\\x0d\\x0a", "the header comes at once"
            times = []
            with h1.socket(type=socket.SOCK_DGRAM) as sender:
                for _ in range(15):
                    begun = time.monotonic()
                    sender.sendto(b"live", (h2.ip, 4000))
                    while b"live" not in os.read(reader, 1 << 20):
                        pass
                    times.append(time.monotonic() - begun)
            print("delivered after", sorted(times))
            # What is promised; a machine that does much else delays some.
            assert sorted(times)[5] < 0.1, times
            os.close(reader)
            send(h1, h2, 10)
        wait(capture._native.is_over, "nobody reads it any more")
        capture.stop()

        # Nobody reads: what does not fit is counted, and the end does not wait for ever.
        reader, writer = os.pipe()
        capture = h2.capture(writer)
        os.close(writer)
        with deaf(h2):
            send(h1, h2, 20_000, 1400)
        recorded = capture.stop()
        assert recorded.lost > 0, recorded
        assert recorded.frames + recorded.lost >= 20_000, recorded
        os.close(reader)
    """
    somebody.does(program(PROLOGUE, LAB, source), timeout=120)


def test_what_comes_later_joins(somebody: Person) -> None:
    source = """
    with net:
        assert h1.ping(h2, timeout=5)
        path, of_h1, staged = HOME + "/net.pcapng", HOME + "/h1.pcapng", HOME + "/staged.pcapng"
        s1.attach("count")
        with net.capture(path), h1.capture(of_h1), s1.capture(staged, stages=True):
            h4 = net.host("h4")
            later = net.link(h4, s1, delay="1ms")
            net.link(h1, h4)
            # Made by hand, in the node.
            h1.run("ip link add v0 type veth peer name v1 && ip addr add 10.99.0.1/24 dev v0", check=True)
            h1.run("ip link set v0 up && ip link set v1 up", check=True)
            h1.run("ping -c1 -W1 10.99.0.2")
            assert h4.ping(h2, timeout=5)
            with deaf(h2) as ear:
                send(h4, h2, 20)
                heard(ear, 20)
            later.remove()
            net.link(net.host("h5"), s1)
            assert net.nodes["h5"].ping(h2, timeout=5)
    seen = read(path)
    for hop in [("h4-eth0", OUT), ("s1-port4", IN), ("s1-port2", OUT), ("h2-eth0", IN)]:
        assert numbers(seen, *hop) == list(range(20)), (hop, collections.Counter(r[:2] for r in seen))
    assert {"h1-v0", "h1-v1"} <= {r.interface for r in read(of_h1, "arp")}
    assert {"h1-eth1"} <= {r.interface for r in read(of_h1, "frame")}
    staged_too = read(staged)
    assert numbers(staged_too, "s1/count", IN) == list(range(20))
    assert numbers(staged_too, "s1/count", OUT) == list(range(20))
    decided = read(staged, 'frame.interface_name == "s1/switch" && icmp')
    assert {"switch s1: to s1-port2", "switch s1: to s1-port4"} <= {r.comment for r in decided}
    assert not any("port 3" in r.comment for r in decided), "every port has its name"
    """
    somebody.does(program(PROLOGUE, LAB, source))


def test_a_killed_lab_leaves_a_file_that_can_be_read(somebody: Person) -> None:
    child = """
    net.start()
    capture = net.capture(HOME + "/killed.pcapng")
    service = deaf(h2)
    send(h1, h2, 100)
    time.sleep(0.5)
    print("done", flush=True)
    time.sleep(100)
    """
    source = f"""
    program = {program(PROLOGUE, LAB, child)!r}
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "done\\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    seen = read(HOME + "/killed.pcapng")
    # The last frame waits for what is to be said at the end.
    assert numbers(seen, "h2-eth0", IN)[:99] == list(range(99))
    """
    somebody.does(program(PROLOGUE, source))


def test_captures_end_with_their_lab_and_leave_no_descriptor(somebody: Person) -> None:
    source = """
    with net:
        assert h1.ping(h2, timeout=5)
        counts = []
        for _ in range(10):
            with net.capture(stages=True), link.capture(), s1.capture():
                pass
            counts.append(len(os.listdir("/proc/self/fd")))
        assert counts[0] == counts[-1], counts
        capture = net.capture(HOME + "/end.pcapng")
        with deaf(h2):
            send(h1, h2, 5)
    assert capture._native.is_over()
    assert numbers(read(HOME + "/end.pcapng"), "h2-eth0", IN) == list(range(5))
    """
    somebody.does(program(PROLOGUE, LAB, source))


def test_what_cannot_be_captured_is_said(somebody: Person) -> None:
    source = """
    def refused(kind, word, **options):
        try:
            net.capture(**{"path": HOME + "/x.pcapng", **options}).stop()
        except kind as error:
            assert word in str(error), error
        else:
            raise AssertionError(options)
    with net:
        refused(vnet.InvalidValue, "prot", filter="tcp prot 80")
        refused(vnet.InvalidValue, "10MB", rotate="often")
        refused(vnet.InvalidValue, "rotate", keep=3)
        refused(vnet.Error, "pcapng", path=HOME + "/x.pcap")
        refused(vnet.Error, "cannot create", path=HOME + "/no/such/x.pcapng")
    """
    somebody.does(program(PROLOGUE, LAB, source))
