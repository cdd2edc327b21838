"""Every mistake at the command line says what, to what, and what to do, and has its exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab import VNET, WITHOUT_PRIVILEGE, Lab


def run(*argv: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload]


def test_help_and_version_go_to_standard_output() -> None:
    done = run(VNET, "--help")
    assert done.returncode == 0
    assert "Usage: vnet" in done.stdout
    assert run(VNET, "--version").stdout.startswith("vnet 0.")


def test_the_module_runs_the_same_command_line() -> None:
    done = run(sys.executable, "-m", "vnet", "--version")
    assert (done.returncode, done.stdout) == (0, run(VNET, "--version").stdout)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["no-such-command"],
        ["tap"],
        ["tap", "tap0", "--no-such-option"],
        ["tap", "tap0", "--plugin", ":ttl=3"],
        ["replay", "/nonexistent/in.pcap"],
    ],
)
def test_usage_is_exit_code_2(argv: list[str]) -> None:
    done = run(VNET, *argv)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr != ""


def test_a_missing_interface_is_named_and_nothing_is_made(lab: Lab) -> None:
    done = lab.run(VNET, "wire", "nope0", "lo")
    assert done.returncode == 2
    assert "nope0" in done.stderr
    assert "error:" in done.stderr
    assert lab.interfaces() == {"lo"}


@pytest.mark.parametrize("name", ["sixteen-bytes-xx", "a/b", "a b", ".."])
def test_a_bad_name_is_refused_before_anything_is_made(lab: Lab, name: str) -> None:
    done = lab.run(VNET, "tap", name, "--", "true")
    assert done.returncode == 2
    assert name in done.stderr
    assert lab.interfaces() == {"lo"}


def test_missing_privilege_is_exit_code_3_and_names_the_remedy(lab: Lab) -> None:
    done = lab.run(*WITHOUT_PRIVILEGE, VNET, "tap", "tap0", "--netns", "host", "--", "true")
    assert done.returncode == 3
    assert "CAP_NET_ADMIN" in done.stderr
    hint = done.stderr.partition("hint:")[2]
    assert "root" in hint
    assert "netns=" not in hint, "that is Python's word for it"


def test_a_rejected_plugin_is_exit_code_4_and_leaves_no_device(lab: Lab, tmp_path: Path) -> None:
    plugin = tmp_path / "bad.wat"
    plugin.write_text(
        """(module (import "env" "nothing_of_ours" (func))
        (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
        (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)))"""
    )
    done = lab.run(VNET, "tap", "tap0", "--plugin", plugin, "--", "true")
    assert done.returncode == 4
    assert "nothing_of_ours" in done.stderr
    assert lab.interfaces() == {"lo"}


def test_an_option_the_plugin_does_not_know_is_refused(lab: Lab) -> None:
    done = lab.run(VNET, "tap", "tap0", "--plugin", "icmp_echo:no_such_option=1", "--", "true")
    assert done.returncode == 4
    assert "no_such_option" in done.stderr


def test_a_missing_plugin_is_named(lab: Lab) -> None:
    done = lab.run(VNET, "tap", "tap0", "--plugin", "no_such_plugin", "--", "true")
    assert done.returncode == 2
    assert "no_such_plugin" in done.stderr


def test_a_command_that_does_not_start_has_a_shells_exit_codes(lab: Lab, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program\n")
    for program, code in (("no-such-program", 127), (plain, 126)):
        done = lab.run(VNET, "tap", "tap0", "--", program)
        assert done.returncode == code, done.stderr
        assert str(program) in done.stderr
        assert lab.interfaces() == {"lo"}


def test_a_name_in_use_says_by_whom(lab: Lab) -> None:
    holder = lab.popen(VNET, "tap", "tap0")
    assert holder.stderr is not None
    assert "Ctrl-C" in holder.stderr.readline()
    done = lab.run(VNET, "tap", "tap0", "--", "true")
    assert done.returncode == 1
    assert "tap0" in done.stderr
    assert str(holder.pid) in done.stderr


def test_plugin_check_passes_what_ships_and_refuses_what_breaks(tmp_path: Path) -> None:
    for name in ("drop_bcast", "icmp_echo", "count"):
        done = run(*WITHOUT_PRIVILEGE, VNET, "plugin", "check", name, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
    endless = tmp_path / "endless.wat"
    endless.write_text(
        """(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
        (func (export "vnet_on_packet") (param i32 i32) (result i32) (loop (br 0)) (unreachable)))"""
    )
    done = run(VNET, "plugin", "check", endless)
    assert done.returncode == 5
    assert "error:" in done.stderr
    (tmp_path / "x.wasm").write_bytes(b"\0asm but not really")
    assert run(VNET, "plugin", "check", tmp_path / "x.wasm").returncode == 4


def test_doctor_works_without_privilege() -> None:
    done = run(*WITHOUT_PRIVILEGE, VNET, "doctor", "--json")
    assert done.returncode in (0, 5)
    report = json.loads(done.stdout)
    assert {finding["severity"] for finding in report["findings"]} <= {"ok", "warning", "failure"}
    for finding in report["findings"]:
        assert finding["severity"] == "ok" or finding["fix"] or finding["effect"]


def test_errors_have_no_colour_where_nobody_sees_it() -> None:
    assert "\x1b" not in run(VNET, "wire", "nope0", "nope1").stderr


def test_a_closed_pipe_is_no_traceback() -> None:
    done = run("bash", "-c", f"{VNET} doctor | true; exit ${{PIPESTATUS[0]}}")
    assert "panicked" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_does_what_it_says() -> None:
    if os.geteuid() != 0:
        pytest.skip("the demo makes a network namespace: run the tests with sudo")
    if shutil.which("ping") is None:
        pytest.skip("ping is missing: apt-get install iputils-ping")
    done = run(VNET, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("64 bytes from 10.0.0.2") == 2
    assert "Destination Host Unreachable" in done.stdout
    assert "drop_bcast dropped" in done.stdout


def test_the_demo_without_ping_says_how_to_get_it() -> None:
    done = run(VNET, "demo", env={"PATH": "/nonexistent"})
    assert done.returncode == 5
    assert "iputils-ping" in done.stderr
