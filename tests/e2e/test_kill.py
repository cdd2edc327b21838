"""Whatever is killed, and whenever: nothing of a lab remains.

A program builds a lab, uses it and takes it down, while this process, which adopts every orphan, sends a signal at a random
instant to the program or to its helper. Nothing can then be left but what these programs hold: a network namespace without a
name lives as long as a process, a descriptor or a mount holds it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from counted import counted
from lab import is_running
from traces import Host, adopting_orphans, living, marked, until_gone
from unprivileged import Person, person

# Of each signal to each process; VNET_KILLS=500 for a long night.
INSTANTS = int(os.environ.get("VNET_KILLS", "50"))
# Seconds: what 99 of 100 keep, and what all keep.
SOON, ALWAYS = 1.0, 5.0

PROGRAM = """
import sys
import vnet
print("ready", flush=True)
sys.stdin.readline()
with vnet.Network() as net:
    h1, h2, s1, r1 = net.host("h1"), net.host("h2"), net.switch("s1"), net.router("r1")
    link = net.link(h1, s1)
    net.link(s1, r1)
    net.link(r1, h2)
    net.start()
    print("built", flush=True)
    h2.popen("sleep 3600 & exec setsid sleep 3600")
    link.attach("count")
    tap = h1.tap("tap0", ip="10.77.0.1/24")
    assert h1.ping(h2, timeout=5)
    h1.run("true", check=True)
    print("used", flush=True)
print("done", flush=True)
"""

# One lab, then whatever the process that reads the other end of standard input says.
ONE_LAB = """
import sys
import vnet
try:
    net = vnet.Network()
    h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
    net.link(h1, s1)
    net.link(h2, s1)
    net.start()
    assert h1.ping(h2, timeout=5)
except vnet.Error as error:
    print(f"{type(error).__name__}: {error}", flush=True)
    sys.exit(1)
print("built", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def user() -> Iterator[Person]:
    with person("user") as found, adopting_orphans():
        yield found


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found, adopting_orphans():
        yield found


@dataclass
class Round:
    """What became of one program."""

    status: int
    out: str
    err: str
    # Seconds from the signal until nothing of the lab ran any more.
    took: float
    # Whether there was anybody to send the signal to.
    hit: bool


def start(person: Person, source: str = PROGRAM) -> subprocess.Popen[str]:
    process = person.popen(*person.script(source), stdin=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", (line, process.communicate())
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def end(process: subprocess.Popen[str], seconds: float) -> tuple[str, str]:
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the program hangs {seconds} s after the signal\n{out}\n{err}") from None


def helpers(pid: int) -> list[int]:
    """Return the helper's processes below `pid`: the one in front of the lab's process ids, and the lab's first."""
    found = []
    for child in living(pid):
        with suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text().startswith("vnet-helper"):
                found.append(child)
    return sorted(found)


def whole_run(person: Person) -> float:
    """Return the seconds that an undisturbed program takes from its start signal to its end."""
    process = start(person)
    begun = time.monotonic()
    go(process)
    out, err = end(process, 60)
    assert process.returncode == 0, (out, err)
    assert out.split() == ["built", "used", "done"]
    assert until_gone(os.getpid(), ALWAYS) < ALWAYS
    return time.monotonic() - begun


def killed(person: Person, number: signal.Signals, target: str, after: float, choice: random.Random) -> Round:
    """Start a program, send the signal `after` that many seconds, and wait until nothing is left."""
    process = start(person)
    go(process)
    deadline = time.monotonic() + after
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.001))
    aim = process.pid
    if target == "helper":
        found = helpers(process.pid)
        while not found and is_running(process.pid):
            found = helpers(process.pid)
        aim = choice.choice(found) if found else 0
    hit = aim != 0 and is_running(aim)
    begun = time.monotonic()
    if hit:
        with suppress(ProcessLookupError):
            os.kill(aim, number)
    if aim == process.pid:
        out, err = end(process, 15)
        took = until_gone(os.getpid(), ALWAYS)
    elif number == signal.SIGKILL:
        # The lab goes at once, the program when it has noticed and said so.
        took = until_gone(os.getpid(), ALWAYS, besides={process.pid})
        out, err = end(process, 15)
        until_gone(os.getpid(), ALWAYS)
    else:
        # A helper may take an interrupt for its end, or leave that to its parent's.
        out, err = end(process, 15)
        begun = time.monotonic()
        took = until_gone(os.getpid(), ALWAYS)
    took = max(took, time.monotonic() - begun) if aim == process.pid else took
    assert not marked(person.mark)
    return Round(process.returncode, out, err, took, hit)


def check(done: Round, number: signal.Signals, target: str) -> None:
    """The program's own end is as honest as the lab's: it succeeds when it did everything, and else says why."""
    context = f"status {done.status}\n{done.out}\n{done.err}"
    assert "panicked" not in done.err, context
    if done.status == 0:
        assert done.out.endswith("done\n"), context
    elif target == "helper":
        assert "vnet." in done.err or "vnet._errors." in done.err, context
        # What has just been forked for a command is a helper until it is the command.
        struck = f"ended with signal {number.value}" in done.err
        assert struck or "helper" in done.err or "lab" in done.err, context
    else:
        assert done.status in (-number, 130), context


@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", ["program", "helper"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_a_signal_at_any_instant_leaves_nothing(somebody: Person, number: signal.Signals, target: str) -> None:
    choice = random.Random(f"{somebody.name} {number} {target}")
    before = Host.observed()
    length = sorted(whole_run(somebody) for _ in range(3))[1]
    hits: list[Round] = []
    for _ in range(INSTANTS * 3):
        # Each part of the run gets its share.
        after = length * (len(hits) + choice.random()) / INSTANTS
        done = killed(somebody, number, target, after, choice)
        check(done, number, target)
        # A run is as long as the machine is busy: a signal that came after its end says that this one was shorter.
        length *= 1.02 if done.hit else 0.9
        if done.hit:
            hits.append(done)
        if len(hits) == INSTANTS:
            break
    times = sorted(done.took for done in hits)
    assert len(hits) == INSTANTS, "signals found somebody to end"
    assert times[int(len(times) * 0.99) - 1] <= SOON, times[-5:]
    reached = {done.out.count("\n") for done in hits}
    assert 0 in reached, "some came while the lab was built"
    assert reached & {1, 2}, "some came while it was used"
    assert Host.observed() == before


def test_a_program_that_ends_without_closing_leaves_nothing(somebody: Person) -> None:
    before = Host.observed()
    for last in ("", "import os; os._exit(3)", "raise SystemExit(4)", "import os; os.abort()"):
        source = f"import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n{PROGRAM}"
        source = source.replace('    print("used", flush=True)', f"    {last or 'pass'}")
        process = start(somebody, source)
        go(process)
        end(process, 30)
        assert until_gone(os.getpid(), ALWAYS) < SOON
    assert Host.observed() == before


def builds(user: Person, limit: int) -> tuple[bool, str]:
    """Tell whether one lab can be built where so many network namespaces may exist, and what was printed."""
    process = counted(user, limit, ONE_LAB)
    out, err = end(process, 60)
    assert process.returncode in (0, 1), (process.returncode, out, err)
    until_gone(os.getpid(), ALWAYS)
    return process.returncode == 0, out


# Rounds of one program killed and the next started, all in one counted user namespace.
ROUNDS = f"""
import signal, subprocess, sys, time
LAB = {ONE_LAB!r}
def start():
    process = subprocess.Popen([sys.executable, "-W", "error", "-c", LAB], stdin=-1, stdout=-1, text=True)
    return process, process.stdout.readline()
if sys.argv[1] == "two":
    first, said = start()
    assert said == "built\\n", said
    second, said = start()
    print(said, end="")
    second.communicate()
    first.kill()
    first.communicate()
    sys.exit(0)
for number in range(int(sys.argv[2])):
    end = time.monotonic() + 5
    while True:
        process, said = start()
        if said == "built\\n":
            break
        process.communicate()
        assert time.monotonic() < end, (number, said)
        # The kernel takes namespaces apart after their last process has ended.
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
print("all", number + 1)
"""


def test_the_kernel_counts_no_namespace_of_a_killed_lab(user: Person) -> None:
    if os.geteuid() != 0:
        pytest.skip("counting needs a user namespace of the test's own making: run the tests with sudo")
    needs, said = 1, ""
    while True:
        enough, said = builds(user, needs)
        if enough:
            break
        assert "max_net_namespaces" in said, "the error names the limit"
        needs += 1
        assert needs < 12, said
    assert needs >= 3, "a lab of two hosts has at least three network namespaces"

    def rounds(*args: str) -> str:
        process = counted(user, needs + 1, ROUNDS, *args)
        out, err = end(process, 200)
        assert process.returncode == 0, (out, err)
        until_gone(os.getpid(), ALWAYS)
        return out

    assert rounds("one", "20") == "all 20\n"
    assert "max_net_namespaces" in rounds("two"), "two labs at once are one too many"
