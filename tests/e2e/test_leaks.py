"""Descriptors, threads and memory come back to where they were, however often labs are opened and commands run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_lab_basic import PROLOGUE, TWO_HOSTS, program
from traces import Host, adopting_orphans, living, until_gone
from unprivileged import Person, person

CYCLES = int(os.environ.get("VNET_CYCLES", "200"))
RUNS = int(os.environ.get("VNET_RUNS", "1000"))

# Memory that a helper may have kept after RUNS commands.
HELPER_GROWTH = 256 << 10

COUNTING = """
def held():
    # The directory's own descriptor is one of them each time.
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
def settle(before, seconds=5.0):
    # A thread that is told to end takes a moment to be gone.
    end = time.monotonic() + seconds
    while any(now > then for now, then in zip(held(), before)):
        assert time.monotonic() < end, (before, held())
        time.sleep(0.01)
def base():
    # What is held while nothing is on its way out.
    least = held()
    for _ in range(50):
        time.sleep(0.01)
        least = tuple(map(min, least, held()))
    return least
def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
"""


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found, adopting_orphans():
        yield found


@dataclass(frozen=True)
class Held:
    """What one process holds."""

    descriptors: int
    threads: int
    memory: int

    @classmethod
    def by(cls, pid: int) -> Held:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        values = {
            name: value.split()[0] for name, _, value in (line.partition(":") for line in status) if value.strip()
        }
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(descriptors, int(values["Threads"]), int(values["RssAnon"]) << 10)


@pytest.mark.timeout(600)
def test_opening_and_closing_labs_leaves_descriptors_threads_and_memory_as_they_were(somebody: Person) -> None:
    source = f"""
    def cycle():
        with vnet.Network() as net:
            h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
            link = net.link(h1, s1)
            net.link(h2, s1)
            net.start()
            link.attach("count")
            process = h2.popen("exec sleep 3600", stdin=-1, stdout=-1)
            assert h1.ping(h2, timeout=5)
            assert h1.run("exit 3").returncode == 3
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
    for _ in range(20):
        cycle()
    before, memory = base(), resident()
    for _ in range({CYCLES}):
        cycle()
    settle(before)
    assert resident() - memory < 8 << 20, (memory, resident())
    """
    before = Host.observed()
    somebody.does(program(PROLOGUE, COUNTING, source), timeout=500)
    until_gone(os.getpid(), 5)
    assert Host.observed() == before


def test_labs_that_are_forgotten_are_closed_all_the_same(somebody: Person) -> None:
    source = """
    import gc, warnings
    warnings.simplefilter("ignore", ResourceWarning)
    def forget():
        net = vnet.Network()
        h1, h2 = net.host("h1"), net.host("h2")
        net.link(h1, h2)
        assert h1.ping(h2, timeout=5)
        h1.popen("exec sleep 3600")
    forget()
    gc.collect()
    before = base()
    for _ in range(20):
        forget()
        gc.collect()
    settle(before)
    """
    somebody.does(program(PROLOGUE, COUNTING, source))


@pytest.mark.timeout(600)
def test_a_thousand_commands_leave_program_and_helper_as_they_were(somebody: Person) -> None:
    source = f"""
    with net:
        for _ in range(50):
            h1.run("true", check=True)
        before = base()
        print("before", flush=True)
        sys.stdin.readline()
        for number in range({RUNS}):
            assert h1.run(["echo", str(number)]).stdout == f"{{number}}\\n"
        settle(before)
        print("after", flush=True)
        sys.stdin.readline()
    """
    process = somebody.popen(*somebody.script(program(PROLOGUE, COUNTING, TWO_HOSTS, source)), stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "before\n", process.communicate()
    helpers = living(process.pid)
    assert 1 <= len(helpers) <= 3
    before = {pid: Held.by(pid) for pid in helpers}
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "after\n", process.communicate()
    assert living(process.pid) == helpers
    after = {pid: Held.by(pid) for pid in helpers}
    for pid in helpers:
        assert (after[pid].descriptors, after[pid].threads) == (before[pid].descriptors, before[pid].threads)
        assert after[pid].memory - before[pid].memory <= HELPER_GROWTH
    _, err = process.communicate("\n", timeout=30)
    assert process.returncode == 0, err
