"""A lab inside a Jupyter kernel, by an ordinary user: what it does, and what interrupt, restart and delete leave behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from lab import wait_until
from test_lab_basic import TRANSFER
from traces import Host, adopting_orphans, living, marked, named
from unprivileged import Person, person

DRIVER = Path(__file__).with_name("notebook.py").read_text()

CELLS = (
    "import json, os, sys, vnet\n"
    "net = vnet.Network()\n"
    "h1, h2, s1 = net.host('h1'), net.host('h2'), net.switch('s1')\n"
    "link = net.link(h1, s1); net.link(h2, s1)\n"
    "net",
    "print(h1.ping(h2, count=3))\nassert h1.ping(h2) and h1.ping(h2.ip6)",
    TRANSFER + "\nplain = transfer(h1, h2, h2.ip, 256 << 20)",
    "flt = link.attach('drop_bcast')\nassert transfer(h1, h2, h2.ip, 256 << 20) == plain\nflt.stats",
    "server = h2.popen('exec python3 -m http.server 8000', stderr=-3).wait_port(8000)\n"
    "print(h1.run(['curl', '--noproxy', '*', '-sS', '-o', '/dev/null', '-w', '%{http_code}', f'http://{h2.ip}:8000/']).stdout)",
    "dump = h2.popen(['tcpdump', '-i', 'eth0', '-c', '6', '-w', 'h2.pcap', 'icmp'], stderr=-1, cwd=os.getcwd())\n"
    "while 'listening on' not in dump.stderr.readline(): assert dump.poll() is None\n"
    "assert h1.ping(h2, count=3, interval=0.05); print(dump.wait(10))",
    "result = await h1.arun('hostname'); print(result.stdout)",
    "sleeper = h1.popen('sleep 0.2'); print('slept', await sleeper)",
    "net.ping_all()",
    "net.stats()",
    "net.close()",
)


@pytest.fixture
def user() -> Iterator[Person]:
    with person("user") as found, adopting_orphans():
        if found.run(found.python, "-c", "import nbclient, ipykernel").returncode != 0:
            pytest.skip(f"{found.python} has no nbclient and ipykernel: run make test")
        yield found


class Notebook:
    """A kernel of `person`, and its driver."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.driver = person.popen(person.python, "-c", DRIVER, stdin=subprocess.PIPE)
        self.kernel = self.does("pid")["kernel"]

    def ask(self, do: str, **order: Any) -> None:
        assert self.driver.stdin is not None
        self.driver.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self.driver.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.driver.stdout is not None
        line = self.driver.stdout.readline()
        assert line, self.driver.communicate()
        return dict(json.loads(line))

    def does(self, do: str, **order: Any) -> dict[str, Any]:
        self.ask(do, **order)
        return self.answer()

    def runs(self, code: str) -> str:
        """Run a cell that has to succeed and return what it printed."""
        answer = self.does("run", code=dedent(code))
        assert answer["status"] == "ok", answer
        return str(answer["text"])

    def left(self) -> set[int]:
        """Return what runs beside the kernel and its driver."""
        mine = {self.driver.pid, self.does("pid")["kernel"]}
        return (living(os.getpid()) | marked(self.person.mark)) - mine

    def commands(self) -> list[str]:
        """Return the names of what runs beside the kernel and its driver."""
        found = []
        for pid in self.left():
            with suppress(OSError):
                found.append(Path(f"/proc/{pid}/comm").read_text().strip())
        return sorted(found)

    def wait_for_nothing(self) -> None:
        wait_until(
            lambda: not self.left(), 5, f"nothing is left but the kernel; first {[named(p) for p in self.left()]}"
        )

    def end(self) -> None:
        self.driver.communicate(timeout=60)
        assert self.driver.returncode == 0


@pytest.fixture
def notebook(user: Person) -> Iterator[Notebook]:
    notebook = Notebook(user)
    yield notebook
    if notebook.driver.poll() is None:
        notebook.driver.kill()
        notebook.driver.communicate()
        for pid in marked(user.mark):
            os.kill(pid, 9)


BUILD = """
import vnet
net = vnet.Network()
h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
link = net.link(h1, s1)
net.link(h2, s1)
link.attach("count")
h2.popen("sleep 3600 & exec setsid sleep 3600")
assert h1.ping(h2)
"""


@pytest.mark.timeout(600)
def test_a_whole_notebook_runs(user: Person) -> None:
    cells = [
        {"cell_type": "code", "id": f"c{n}", "source": cell, "metadata": {}, "outputs": [], "execution_count": None}
        for n, cell in enumerate(CELLS)
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = user.home / "lab.ipynb"
    path.write_text(json.dumps(notebook))
    before = Host.observed()
    done = user.run(user.python, "-c", DRIVER, path, timeout=400)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "ok", answer["message"]
    outputs = answer["outputs"]
    text = ["".join(out.get("text", "") for out in cell) for cell in outputs]
    shown = [{kind for out in cell for kind in out.get("data", {})} for cell in outputs]
    assert "3 of 3 answered" in text[1]
    assert text[4].strip() == "200"
    assert text[5].strip() == "0"
    assert text[6].strip() == "h1"
    assert text[7].strip() == "slept 0"
    # A network and a table of pings show themselves.
    assert "text/plain" in shown[0]
    assert "text/plain" in shown[8]
    wait_until(lambda: not living(os.getpid()), 5, "the kernel and its lab are gone")
    assert not marked(user.mark)
    assert Host.observed() == before


def test_interrupting_a_command_ends_the_command_and_keeps_the_lab(notebook: Notebook) -> None:
    notebook.runs(BUILD)
    # setsid has forked once more, and sh has become sleep.
    lab = ["sleep", "sleep", "vnet-helper", "vnet-helper"]
    wait_until(lambda: notebook.commands() == lab, 10, "the lab runs")
    notebook.does("begin", code="h1.run('sleep 3600; true')")
    wait_until(lambda: notebook.commands() == sorted([*lab, "sh", "sleep"]), 10, "the command runs")
    notebook.does("interrupt")
    answer = notebook.does("end", timeout=5)
    assert answer["status"] == "error"
    assert answer["error"] == "KeyboardInterrupt"
    wait_until(lambda: notebook.commands() == lab, 5, "what the command started is gone, and nothing else")
    notebook.runs("assert h1.ping(h2)\nnet.close()")
    notebook.wait_for_nothing()


@pytest.mark.parametrize("waiting", ["h1.ping(h2, count=10000, interval=0.05)", "h1.iperf(h2, seconds=600)"])
def test_interrupting_inside_a_with_block_leaves_nothing(notebook: Notebook, waiting: str) -> None:
    code = f"""
    import vnet
    with vnet.Network() as net:
        h1, h2 = net.host("h1"), net.host("h2")
        net.link(h1, h2).attach("count")
        h1.popen("exec sleep 3600")
        assert h1.ping(h2)
        print("waiting", flush=True)
        {waiting}
    """
    notebook.ask("begin", code=dedent(code))
    notebook.answer()
    wait_until(lambda: any("sleep 3600" in named(pid) for pid in notebook.left()), 10, "the lab runs")
    notebook.does("interrupt")
    answer = notebook.does("end", timeout=5)
    assert answer.get("error") == "KeyboardInterrupt", answer
    notebook.wait_for_nothing()
    # The kernel is as good as before.
    notebook.runs(BUILD + "net.close()")
    notebook.wait_for_nothing()


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_restarting_the_kernel_leaves_nothing(notebook: Notebook, how: str) -> None:
    before = Host.observed()
    for _ in range(3):
        notebook.runs(BUILD)
        assert notebook.left()
        old = notebook.does("pid")["kernel"]
        assert notebook.does(how)["kernel"] != old
        notebook.wait_for_nothing()
    assert Host.observed() == before


@pytest.mark.parametrize("now", [False, True], ids=["politely", "at once"])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_deleting_the_kernel_leaves_nothing(notebook: Notebook, now: bool, busy: bool) -> None:
    before = Host.observed()
    notebook.runs(BUILD)
    if busy:
        notebook.does("begin", code="h1.iperf(h2, seconds=600)")
    notebook.does("delete", now=now)
    notebook.end()
    wait_until(lambda: not living(os.getpid()), 5, "everything is gone")
    assert not marked(notebook.person.mark)
    assert Host.observed() == before
