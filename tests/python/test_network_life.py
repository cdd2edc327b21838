"""How a network begins and ends: close, forgetting, exit, fork, SIGKILL, Ctrl-C, threads."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import vnet
from procs import running
from wait import until

Script = Callable[..., subprocess.CompletedProcess[str]]

PAIR = "net = vnet.Network(); h1 = net.host('h1'); h2 = net.host('h2'); net.link(h1, h2)"


def helpers() -> set[int]:
    """Return the processes of labs that this process is the parent of."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    found = set()
    for task in Path("/proc/self/task").iterdir():
        children += (task / "children").read_text().split()
    for child in children:
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if len(words) > 1 and words[0].endswith(b"vnet-helper") and words[1] == b"lab":
            found.add(int(child))
    return found


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def pair() -> vnet.Network:
    net = vnet.Network()
    net.link(net.host("h1"), net.host("h2"))
    return net


def test_a_with_block_ends_it_and_closing_again_does_nothing() -> None:
    before = helpers()
    with pair() as net:
        assert net.start() is net
        assert net.start() is net
        assert (net.started, net.closed) == (True, False)
        assert net["h1"].ping("h2")
        assert len(helpers() - before) == 1
    assert (net.started, net.closed) == (False, True)
    net.close()
    assert helpers() == before
    assert "closed" in repr(net)
    for call in (net.start, lambda: net["h1"].run("true"), net.ping_all, net.stats, lambda: net.host("h3")):
        with pytest.raises(vnet.Closed):
            call()


def test_it_is_closed_asynchronously() -> None:
    async def main() -> vnet.Network:
        async with pair() as net:
            assert (await net["h1"].arun("hostname")).stdout == "h1\n"
            return net

    assert asyncio.run(main()).closed


def test_a_forgotten_network_warns_and_is_closed_all_the_same() -> None:
    def forget() -> None:
        pair().start()
        gc.collect()

    before = helpers()
    with pytest.warns(ResourceWarning, match="unclosed <vnet.Network"):
        forget()
    assert helpers() == before


def test_a_network_that_was_only_declared_or_closed_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pair()
        with pair() as net:
            net.start()
            tap = net["h1"].tap("tap0")
            net["h1"].popen("sleep 60")
            net.links[0].attach("count")
        assert tap.closed
        del net, tap
        gc.collect()


def test_a_node_keeps_its_network() -> None:
    def first_host() -> vnet.Node:
        return pair()["h1"]

    h1 = first_host()
    gc.collect()
    assert h1.run("hostname").stdout == "h1\n"
    h1.network.close()


def test_cycles_leave_descriptors_threads_and_helpers_where_they_were() -> None:
    def cycle() -> None:
        with pair() as net:
            net["h1"].run("true", check=True)
            attachment = net.links[0].attach("count")
            net["h1"].ping("h2", check=True)
            attachment.detach()
            with net["h1"].popen("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE):
                pass

    cycle()
    gc.collect()
    before = descriptors(), threads(), helpers()
    for _ in range(20):
        cycle()
    gc.collect()
    assert (descriptors(), threads(), helpers()) == before


def test_two_networks_of_the_same_names_do_not_see_each_other() -> None:
    with pair() as one, pair() as other:
        one["h1"].run("echo one > /tmp/which", check=True)
        other["h1"].run("echo other > /tmp/which", check=True)
        assert one["h1"].run("cat /tmp/which").stdout == "one\n"
        one["h2"].popen(["sleep", "86199"])
        assert one["h1"].ping("h2")
        other.links[0].down()
        assert one["h1"].ping("h2")
        assert not other["h1"].ping("h2", timeout=0.2)


def test_it_ends_with_the_interpreter_without_a_word(script: Script) -> None:
    source = f"import vnet; {PAIR}; net.start(); h1.popen('sleep 86198'); net.links[0].attach('count'); print(h1.ip)"
    done = script(source)
    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: not running("sleep", "86198"), "the command is gone")
    assert "ResourceWarning: unclosed <vnet.Network" in script(f"import vnet; {PAIR}; net.start()", "-X", "dev").stderr


def test_a_forked_child_has_nothing_of_it(script: Script) -> None:
    source = f"""
import os, vnet
{PAIR}
net.start()
count = net.links[0].attach("count")
opened = h1.socket()
process = h1.popen("sleep 60")
number = opened.fileno()
pid = os.fork()
if pid == 0:
    for call in (net.start, lambda: h1.run("true"), lambda: count.stats, net.to_dict, lambda: net["h1"]):
        try:
            call()
        except vnet.Closed:
            continue
        print("not closed", call, flush=True)
    try:
        os.fstat(number)
        print("open", flush=True)
    except OSError:
        pass
    net.close()
    print("child done", flush=True)
    raise SystemExit
os.waitpid(pid, 0)
assert h1.ping(h2)
assert process.poll() is None
net.close()
print("parent done")
"""
    done = script(source)
    assert (done.stdout, done.stderr, done.returncode) == ("child done\nparent done\n", "", 0)


def test_a_forked_child_keeps_no_socket_of_its_links_and_forwards(script: Script) -> None:
    source = f"""
import os, socket, vnet
{PAIR}
net.start()
attached = [link.attach("count") for link in net.links]
capture = net.links[0].capture(os.devnull)
service = h1.socket(bind=("127.0.0.1", 8000))
service.listen()
forward = h1.forward(8000)
client = socket.create_connection((forward.host, forward.port))
inside, _ = service.accept()
# What has carried something is known to whoever forks.
inside.sendall(b"x")
assert client.recv(1) == b"x"

def families():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as copy:
                found.append(copy.family)
        except OSError:
            continue
    return found

# Two for each end that the engine has, and one for each that the capture sees.
assert families().count(socket.AF_PACKET) == 6, families()
# The two ends of the client's connection, the listener, both ends inside, and the service.
assert families().count(socket.AF_INET) == 6, families()
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(write)
    os.read(read, 1)
    # The client and what it accepted are Python's own.
    print(families().count(socket.AF_PACKET), families().count(socket.AF_INET), flush=True)
    try:
        socket.create_connection((forward.host, forward.port), timeout=5)
    except ConnectionRefusedError:
        print("refused", flush=True)
    os._exit(0)
assert h1.ping(h2)
net.close()
os.close(write)
os.waitpid(pid, 0)
print("done")
"""
    done = script(source)
    assert (done.stdout, done.stderr, done.returncode) == ("0 2\nrefused\ndone\n", "", 0)


@pytest.mark.parametrize("victim", ["python", "helper"])
def test_sigkill_leaves_nothing(victim: str) -> None:
    source = f"import vnet; {PAIR}; h1.popen(['sleep', '86197']); print('up', flush=True); h1.run('sleep 86197')"
    process = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    until(lambda: len(running("sleep", "86197")) == 2, "both commands run")
    if victim == "python":
        process.kill()
    else:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
    until(lambda: not running("sleep", "86197"), "the commands are gone", 1)
    process.communicate()


def test_the_death_of_the_helper_is_an_error_in_words(script: Script) -> None:
    source = f"""
import os, signal, vnet
{PAIR}
net.start()
process = h1.popen(["sleep", "60"])
for child in open(f"/proc/self/task/{{os.getpid()}}/children").read().split():
    os.kill(int(child), signal.SIGKILL)
print(process.wait(timeout=10))
try:
    h1.run("true")
except vnet.Error as error:
    print(type(error).__name__, "h1" in str(error) or "lab" in str(error) or "helper" in str(error))
net.close()
"""
    done = script(source)
    assert done.returncode == 0, done.stderr
    status, answer = done.stdout.splitlines()
    assert status == "-9"
    assert answer.endswith("True")


PROGRAM = """
import time, vnet
{setup}
print("ready", flush=True)
try:
    {wait}
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
net.close()
"""


@pytest.mark.parametrize(
    "wait",
    [
        "h1.run('sleep 86196')",
        "h1.popen('sleep 86196').wait()",
        "h1.popen('sleep 86196').wait_port(1, timeout=60)",
        "h1.ping('10.99.0.1', count=100, timeout=60)",
        "h1.ping(h2, count=1000)",
        "net.links[0].down(); net.ping_all(timeout=60)",
        "h1.iperf(h2, seconds=60)",
        "h1.iperf(h2, seconds=60, udp=True)",
    ],
)
def test_an_interrupt_is_answered_in_time(wait: str) -> None:
    answer_interrupt(PROGRAM.format(setup=f"{PAIR}; net.start()", wait=wait))
    assert not running("sleep", "86196")


def test_an_interrupt_ends_a_long_start() -> None:
    setup = "net = vnet.Network(); s = [net.switch(f's{i}') for i in range(20)]\n"
    setup += "for i in range(1000): net.link(net.host(f'h{i}'), s[i % 20])"
    answer_interrupt(PROGRAM.format(setup=setup, wait="net.start(); time.sleep(60)"), 0.05)


def answer_interrupt(program: str, after: float = 0.3) -> None:
    # A session of its own: the signal reaches Python alone, as from a notebook's stop button.
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(after)  # Into the wait: there is nothing outside to see it by.
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    answered = float(process.stdout.readline())
    # A fifth of a second where nothing else runs.
    assert answered - sent < 1.0
    process.communicate()
    assert process.returncode == 0


def test_other_threads_run_while_one_waits_and_many_may_use_it_at_once() -> None:
    with pair() as net:
        net.start()
        ticks = 0
        stop = threading.Event()

        def count() -> None:
            nonlocal ticks
            while not stop.wait(0.005):
                ticks += 1

        counter = threading.Thread(target=count)
        counter.start()
        net["h1"].run("sleep 0.3", check=True)
        stop.set()
        counter.join()
        assert ticks > 20
        results: list[str] = []

        def work(number: int) -> None:
            node = net[f"h{number % 2 + 1}"]
            for _ in range(10):
                results.append(node.run("hostname", check=True).stdout)
            with net.links[0].attach("count") as attachment:
                node.ping("h1" if number % 2 else "h2", check=True)
                assert attachment.stats.faults == {}

        workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert sorted(set(results)) == ["h1\n", "h2\n"]
        assert len(results) == 60


def test_a_start_that_fails_undoes_everything(script: Script) -> None:
    source = """
import resource, vnet
net = vnet.Network()
s1 = net.switch("s1")
for number in range(60):
    net.link(net.host(f"h{number}", sysctls={"net.ipv4.no_such_key": 1} if number == 50 else {}), s1)
try:
    net.start()
except vnet.Error as error:
    print("h50" in str(error), "no_such_key" in str(error))
print(net.started, open(f"/proc/self/task/{__import__('os').getpid()}/children").read().split())
net.close()
"""
    done = script(source)
    assert (done.stdout, done.stderr) == ("True True\nFalse []\n", "")


def test_a_loop_of_switches_is_warned_of_when_it_closes(caplog: pytest.LogCaptureFixture) -> None:
    def warned() -> list[str]:
        return [record.getMessage() for record in caplog.records if "closes a loop" in record.getMessage()]

    with vnet.Network("loop") as net:
        for name in ("a", "b", "c"):
            net.switch(name)
        net.link("a", "b"), net.link("b", "c")
        last = net.link("c", "a", up=False)
        net.start()
        net.switch("d")
        last.up()
        until(lambda: len(warned()) == 1, "the warning comes, and only for the link that was up")
        assert "c-a" in warned()[0]
        assert "b-c" in warned()[0]
        assert "take one of these links down" in warned()[0]
        last.down()
