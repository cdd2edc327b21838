"""`vnet run`, `vnet exec`, `vnet ls` and `vnet graph`, by an ordinary user, by one with /dev/net/tun, and by root."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from lab import Lab, descendants, ended, wait_until
from unprivileged import PERSONS, Person, person

LAB = """
ipv6 = false

[hosts.h1]
[hosts.h2]
[switches.s1]

[[links]]
ends = ["h1", "s1"]

[[links]]
ends = ["h2", "s1"]
"""


@contextmanager
def alone(name: str) -> Iterator[Person]:
    """Give somebody who sees no labs but those of this test: what `vnet ls` lists is of one network namespace."""
    with person(name) as found:
        if os.geteuid() != 0:
            yield found
            return
        with Lab() as lab:
            somebody = replace(found, prefix=("nsenter", f"--net={lab.path}", *found.prefix))
            try:
                yield somebody
            finally:
                somebody.end()


@pytest.fixture(params=PERSONS)
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with alone(request.param) as found:
        yield found


@pytest.fixture
def user() -> Iterator[Person]:
    with alone("user") as found:
        yield found


def lab_file(somebody: Person, text: str = LAB, name: str = "lab.toml") -> Path:
    path = somebody.home / name
    path.write_text(text)
    return path


def vnet(somebody: Person, *argv: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return somebody.run(somebody.python, "-m", "vnet", *argv, **options)  # type: ignore[arg-type]


def in_lab(somebody: Person, script: str, *options: str | Path, lab: str = LAB) -> subprocess.CompletedProcess[str]:
    """Run a shell script beside a lab; `vnet` in it is the program under test."""
    prologue = f'vnet() {{ {somebody.python} -m vnet "$@"; }}\n'
    return vnet(somebody, "run", lab_file(somebody, lab), *options, "--", "sh", "-c", prologue + script)


def start(somebody: Person, *options: str | Path, lab: str = LAB) -> subprocess.Popen[str]:
    """Start `vnet run` without a command and return once the lab is up."""
    process = somebody.popen(somebody.python, "-m", "vnet", "run", lab_file(somebody, lab), *options)
    assert process.stderr is not None
    said = []
    while not said or "Ctrl-C" not in said[-1]:
        said.append(process.stderr.readline())
        assert said[-1], f"it ended before the lab was up: {''.join(said)}"
    return process


def labs(somebody: Person) -> list[str]:
    listed = vnet(somebody, "ls", "--json")
    assert listed.returncode == 0, listed.stderr
    return [lab["name"] for lab in json.loads(listed.stdout)]


def test_a_lab_is_up_for_as_long_as_the_command_runs(somebody: Person) -> None:
    done = in_lab(
        somebody,
        """
        vnet exec h1 -- ping -n -c2 -i0.2 -W5 10.0.0.2 || exit 1
        vnet exec h2 -- ping -n -c1 -W5 h1 || exit 2
        vnet exec h1 -- hostname
        echo "lab $VNET_LAB"
        exit 42
        """,
        "--name",
        "campus",
    )
    assert done.returncode == 42, done.stdout + done.stderr
    assert "2 received" in done.stdout
    assert "\nh1\n" in done.stdout
    assert re.search(r"^lab campus@\d+$", done.stdout, re.MULTILINE)
    assert re.search(r"lab campus@\d+ is up: 2 hosts, 1 switch and 2 links", done.stderr)
    assert "h1 10.0.0.1/24" in done.stderr
    assert "campus" not in labs(somebody)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_command_it_runs_until_a_signal(somebody: Person, number: signal.Signals) -> None:
    process = start(somebody, "--name", "waits")
    assert "waits" in labs(somebody)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, ""), err
    assert "Traceback" not in err
    assert "waits" not in labs(somebody)


def test_commands_of_the_lab_file_run_in_the_background(somebody: Person) -> None:
    lab = LAB.replace("[hosts.h2]", '[hosts.h2]\nrun = ["exec python3 -m http.server 8000", "echo begun; exit 3"]')
    process = start(somebody, "--name", "serves", lab=lab)
    fetch = "import sys, urllib.request; print(urllib.request.urlopen('http://10.0.0.2:8000/', timeout=1).status)"

    def answers() -> bool:
        asked = vnet(somebody, "exec", "--lab", "serves", "h1", "--", "python3", "-c", fetch)
        return asked.stdout == "200\n"

    wait_until(answers, 20, "the server in h2 answers h1")
    process.terminate()
    out, err = process.communicate(timeout=10)
    assert out == "", "standard output is for data"
    assert "begun" in err
    assert re.search(r'"echo begun; exit 3" on node h2 ended with status 3', err)


def test_plugins_go_to_links_switches_and_interfaces(somebody: Person) -> None:
    done = in_lab(
        somebody,
        "vnet exec h1 -- ping -n -c1 -W1 10.0.0.2; exit 0",
        *("--plugin", "h1-s1=count", "--plugin", "s1=drop_bcast", "--plugin", "h2=count", "--json"),
    )
    assert done.returncode == 0, done.stderr
    assert "100% packet loss" in done.stdout, "the ARP request is a broadcast"
    report = json.loads(done.stdout[done.stdout.index("\n{") :])
    stages = {plugin["name"]: plugin for plugin in report["plugins"]}
    assert list(stages) == ["count (link h1-s1)", "drop_bcast (switch s1)", "count (h2:eth0)"]
    bcast = stages["drop_bcast (switch s1)"]
    assert bcast["dropped"] >= 1
    assert bcast["packets_in"] == bcast["dropped"] + bcast["passed"]
    assert {link["name"] for link in report["links"]} == {"h1-s1", "h2-s1"}


def test_a_plugin_on_a_link_has_its_options_and_its_row_in_the_table(user: Person) -> None:
    done = in_lab(user, "vnet exec h1 -- ping -n -c1 -W5 10.0.0.9", "--plugin", "h1-s1=icmp_echo:address=10.0.0.9")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^icmp_echo \(link h1-s1\) +\d", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--plugin", "h3=count"], 'no node "h3" for a plugin\nhint: links: h1-s1, h2-s1; nodes: h1, h2, s1'),
        (["--plugin", "h1:eth7=count"], "eth7"),
        (["--plugin", "h1-s1=no_such_plugin"], "no_such_plugin"),
        (["--plugin", "count"], "names no link or node"),
        (["--name", "a b"], "a b"),
    ],
)
def test_a_wrong_option_is_exit_code_2_and_leaves_nothing(user: Person, options: list[str], said: str) -> None:
    done = vnet(user, "run", lab_file(user), *options, "--", "true")
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert labs(user) == []


@pytest.mark.parametrize("command", ["run", "graph"])
def test_a_fault_in_a_lab_file_is_told_with_its_line(user: Person, command: str) -> None:
    path = lab_file(user, "[hosts.h1]\n\n[hosts.h2]\nipp = '10.0.0.1/24'\n")
    done = vnet(user, command, path)
    assert done.returncode == 2
    assert f"error: {path}:4:1: hosts.h2.ipp: unknown key; expected one of ip, mac," in done.stderr
    done = vnet(user, command, user.home / "missing.toml")
    assert done.returncode == 2
    assert "missing.toml does not exist" in done.stderr


def test_a_command_that_does_not_start_has_a_shells_exit_codes(user: Person) -> None:
    path = lab_file(user)
    plain = user.home / "plain"
    plain.write_text("no program\n")
    for program, code in [("no-such-program", 127), (plain, 126)]:
        beside = vnet(user, "run", path, "--", program)
        assert beside.returncode == code, beside.stderr
        assert str(program) in beside.stderr
    done = in_lab(user, f"vnet exec h1 -- no-such-program; echo $?; vnet exec h1 -- {plain}; echo $?")
    assert done.stdout.split() == ["127", "126"], done.stderr


def test_exec_passes_streams_and_exit_codes(somebody: Person) -> None:
    done = in_lab(
        somebody,
        """
        echo typed | vnet exec h1 -- sh -c 'cat; echo aside >&2'
        vnet exec h1 -- sh -c 'exit 9'; echo "code $?"
        vnet exec h1 -- sh -c 'kill -9 $$'; echo "code $?"
        """,
    )
    assert done.stdout == "typed\ncode 9\ncode 137\n", done.stderr
    assert "aside" in done.stderr


def test_exec_names_the_labs_and_nodes_there_are(user: Person) -> None:
    done = vnet(user, "exec", "h1", "--", "true")
    assert done.returncode == 2
    assert "vnet run" in done.stderr
    first, second = start(user, "--name", "twin"), start(user, "--name", "twin")
    ambiguous = vnet(user, "exec", "--lab", "twin", "h1", "--", "true")
    assert ambiguous.returncode == 2
    names = re.findall(r"twin@\d+", ambiguous.stderr)
    assert len(names) == 2, ambiguous.stderr
    for name in (names[0], names[1].removeprefix("twin@")):
        assert vnet(user, "exec", "--lab", name, "h1", "--", "true").returncode == 0
    unknown = vnet(user, "exec", "--lab", names[0], "h7", "--", "true")
    assert unknown.returncode == 2
    assert 'no host or router "h7"' in unknown.stderr
    assert "it has: h1, h2" in unknown.stderr
    missing = vnet(user, "exec", "--lab", "other", "h1", "--", "true")
    assert missing.returncode == 2
    assert names[0] in missing.stderr
    assert names[1] in missing.stderr
    for process in (first, second):
        process.terminate()
        process.communicate(timeout=10)


def test_exec_passes_a_signal_on(user: Person) -> None:
    lab = start(user, "--name", "signals")
    words = [
        "exec",
        "--lab",
        "signals",
        "h1",
        "--",
        "sh",
        "-c",
        "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done",
    ]
    process = user.popen(user.python, "-m", "vnet", *words)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 9
    lab.terminate()
    lab.communicate(timeout=10)


def test_ls_lists_nodes_and_commands(user: Person) -> None:
    empty = vnet(user, "ls")
    assert (empty.returncode, empty.stdout) == (0, "")
    assert "vnet run" in empty.stderr
    lab = LAB.replace("[hosts.h2]", '[hosts.h2]\nrun = "exec sleep 1000"')
    process = start(user, "--name", "listed", lab=lab)
    [found] = json.loads(vnet(user, "ls", "--json").stdout)
    assert found["name"] == "listed"
    assert found["nodes"] == [{"name": "h1", "commands": 0}, {"name": "h2", "commands": 1}]
    table = vnet(user, "ls").stdout.splitlines()
    assert table[0].split() == ["lab", "pid", "commands", "nodes"]
    assert table[1].split() == ["listed", str(found["pid"]), "1", "h1", "h2"]
    process.terminate()
    process.communicate(timeout=10)


def test_a_lab_that_somebody_ends_ends_the_command_line(user: Person) -> None:
    process = start(user, "--name", "victim")
    [found] = json.loads(vnet(user, "ls", "--json").stdout)
    user.run("kill", "-9", str(found["pid"]))
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "victim" in err
    assert "error:" in err


def test_nothing_outlives_it_when_it_is_killed(somebody: Person) -> None:
    path = lab_file(somebody)
    process = somebody.popen(
        *(
            somebody.python,
            "-m",
            "vnet",
            "run",
            path,
            "--name",
            "killed",
            "--",
            "sh",
            "-c",
            "echo ready; exec sleep 1000",
        )
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    started = descendants(process.pid)
    assert len(started) >= 3, "the lab's two processes and the command with its helper"
    process.kill()
    wait_until(lambda: ended(started), 5, "its processes are gone")
    assert "killed" not in labs(somebody)


def test_graph_needs_no_lab(user: Person) -> None:
    path = lab_file(user)
    text = vnet(user, "graph", path).stdout
    assert "host h1\n  eth0  10.0.0.1/24  -- s1 port1\n" in text
    assert vnet(user, "graph", path, "--format", "dot").stdout.startswith("graph lab {")
    picture = user.home / "lab.svg"
    done = vnet(user, "graph", path, "-o", picture)
    assert (done.returncode, done.stdout) == (0, "")
    assert picture.read_text().startswith("<svg ")
    refused = vnet(user, "graph", path, "-o", user.home / "missing" / "lab.svg")
    assert refused.returncode == 1
    assert "missing/lab.svg" in refused.stderr
