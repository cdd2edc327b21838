"""`vnet.doctor()` names the cause and the command that fixes it, under what containers and administrators do."""

from __future__ import annotations

import json
import os
import shutil
import stat
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import restrictions
from restrictions import under, within
from unprivileged import Person, person

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="restricting a user needs root: run the tests with sudo")


@pytest.fixture
def user() -> Iterator[Person]:
    with person("user") as user:
        yield user


class Report:
    """What `vnet doctor --json` said, and its exit code."""

    def __init__(self, who: Person) -> None:
        done = who.run(who.python, "-m", "vnet", "doctor", "--json")
        assert done.returncode in (0, 5), done.stderr
        self.code = done.returncode
        self.data: dict[str, Any] = json.loads(done.stdout)
        self.backend = self.data["backend"]

    def __getitem__(self, check: str) -> dict[str, Any]:
        [finding] = [finding for finding in self.data["findings"] if finding["check"] == check]
        return dict(finding)

    def bad(self) -> dict[str, str]:
        """Return what is not as it should be, with the fix; every one has one."""
        bad = [finding for finding in self.data["findings"] if finding["severity"] != "ok"]
        assert all(finding["cause"] and finding["effect"] and finding["fix"] for finding in bad), bad
        assert not any("[Errno" in finding["cause"] for finding in bad), bad
        return {finding["check"]: finding["fix"] for finding in bad}


# What an ordinary user without /dev/net/tun is told anyway.
USUAL = {"/dev/net/tun", "net.core.rmem_max"}

# A Tap fails with the cause and the fix too.
TAP_FAILS = """
import json, vnet
try:
    vnet.Tap("tap0")
except vnet.PrivilegeError as error:
    assert isinstance(error, PermissionError)
    print(json.dumps([str(error), error.reason, error.fix]))
"""


def uid(who: Person) -> int:
    return int(who.does("import os; print(os.getuid())"))


def refusal(who: Person) -> list[str]:
    message, reason, fix = json.loads(who.does(TAP_FAILS))
    assert "[Errno" not in message, message
    assert reason in message
    return [message, reason, fix]


def test_an_ordinary_user_has_a_sandbox_and_veths_for_taps(user: Person) -> None:
    report = Report(user)
    assert (report.code, report.backend) == (0, "packet")
    assert set(report.bad()) <= USUAL
    assert "chmod 0666 /dev/net/tun" in report["/dev/net/tun"]["fix"]
    assert report["sandbox"]["cause"] == "can be made, in a user namespace"
    text = user.does("import vnet; report = vnet.doctor(); print(report.ok, report.backend); print(report)")
    assert text.startswith("True packet\n")
    assert "warning  /dev/net/tun: " in text


def test_a_user_with_the_node_has_taps() -> None:
    with person("user+tun") as user:
        report = Report(user)
        assert (report.code, report.backend) == (0, "tap")
        assert set(report.bad()) <= USUAL - {"/dev/net/tun"}


def test_root_has_devices_of_the_host() -> None:
    with person("root") as root:
        report = Report(root)
        assert (report.code, report.backend) == (0, "host")
        assert report.bad() == {}
        assert report["sandbox"]["cause"] == "can be made, without a user namespace"


@needs_root
def test_a_missing_node_is_named_with_how_to_make_it(user: Person) -> None:
    report = Report(under(user, *restrictions.NO_TUN_NODE))
    assert (report.code, report.backend) == (0, "packet")
    assert "does not exist" in report["/dev/net/tun"]["cause"]
    assert "mknod /dev/net/tun c 10 200" in report["/dev/net/tun"]["fix"]


@needs_root
def test_user_namespaces_switched_off_by_a_limit(user: Person) -> None:
    limited = within(user, *restrictions.limit_user_namespaces(0))
    report = Report(limited)
    assert (report.code, report.backend) == (5, None)
    assert report["sandbox"]["severity"] == "failure"
    assert "user.max_user_namespaces is 0" in report["sandbox"]["cause"]
    assert report["sandbox"]["fix"] == "sudo sysctl -w user.max_user_namespaces=15000"
    message, reason, fix = refusal(limited)
    assert "user.max_user_namespaces is 0" in reason
    assert fix == "sudo sysctl -w user.max_user_namespaces=15000"
    assert "user namespace" in message
    # Who has the privileges of root needs none, and learns what others lack.
    report = Report(within(user, *restrictions.limit_user_namespaces(0, privileged=True)))
    assert report.code == 0
    assert report["sandbox"]["severity"] == "ok"
    assert report["user namespaces"]["fix"] == "sudo sysctl -w user.max_user_namespaces=15000"


@needs_root
def test_a_seccomp_filter_is_told_from_other_refusals(user: Person) -> None:
    filtered = under(user, *restrictions.NO_NAMESPACES)
    report = Report(filtered)
    assert (report.code, report.backend) == (5, None)
    assert "seccomp filter" in report["sandbox"]["cause"]
    assert "vnet doctor --seccomp-profile" in report["sandbox"]["fix"]
    assert report["seccomp"]["severity"] == "warning"
    _, reason, fix = refusal(filtered)
    assert "seccomp filter" in reason
    assert "vnet doctor --seccomp-profile" in fix
    # Nothing else keeps it from working: the same user without the filter has a sandbox.
    assert Report(user)["seccomp"]["severity"] == "ok"


def test_the_seccomp_profile_allows_what_the_filter_refused(user: Person) -> None:
    done = user.run(user.python, "-m", "vnet", "doctor", "--seccomp-profile")
    assert done.returncode == 0, done.stderr
    profile = json.loads(done.stdout)
    refused = {name for rule in profile["syscalls"] for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    assert refused >= {"reboot", "init_module", "bpf"}
    assert not refused & {"unshare", "setns", "clone", "clone3", "mount", "umount2", "sethostname", "pidfd_open"}


def test_the_apparmor_profile_is_for_the_helper_that_runs(user: Person) -> None:
    done = user.run(user.python, "-m", "vnet", "doctor", "--apparmor-profile")
    assert done.returncode == 0, done.stderr
    helper = next(f["cause"] for f in Report(user).data["findings"] if f["check"] == "vnet-helper")
    assert f'profile vnet-helper "{os.path.realpath(helper)}" flags=(unconfined) {{' in done.stdout
    assert "\n  userns,\n" in done.stdout
    assert user.does("import vnet; print(vnet.doctor().apparmor_profile, end='')") == done.stdout


@needs_root
def test_masked_proc_costs_the_view_of_processes_and_ipv6_through_routers(user: Person) -> None:
    masked = under(user, *restrictions.MASKED_PROC)
    report = Report(masked)
    assert (report.code, report.backend) == (0, "packet")
    assert set(report.bad()) <= USUAL | {"/proc in nodes", "/proc/sys in nodes"}
    assert "covered" in report["/proc in nodes"]["cause"]
    assert "systempaths=unconfined" in report["/proc in nodes"]["fix"]
    # The effect is what it says: a command sees the machine's processes, and the sandbox works.
    seen = masked.does(
        "import vnet; print(vnet.run('ls -d /proc/[0-9]* | wc -l; ip -o link | wc -l', check=True).stdout)"
    )
    processes, links = map(int, seen.split())
    assert processes > 5
    assert links == 1
    # The kernel is asked by netlink, interface by interface, to forward; for IPv6 it has no such request.
    code = """
        import logging, sys, vnet
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        with vnet.Network() as net:
            h1, r1, r2, h2 = net.host("h1"), net.router("r1"), net.router("r2"), net.host("h2")
            for ends in ((h1, r1), (r1, r2), (r2, h2)):
                net.link(*ends)
            print(bool(h1.ping(h2)), bool(h1.ping(h2, ipv6=True, timeout=0.3)))
            r3 = net.router("r3")
            for near, far in ((h1, r3), (r3, h2)):
                net.link(near, far)
            print(bool(r3.ping(h1)))
        with vnet.Network(ipv6=False) as net:
            h1, r1, h2 = net.host("h1"), net.router("r1"), net.host("h2")
            net.link(h1, r1), net.link(r1, h2)
            print(bool(h1.ping(h2)))
    """
    lines = masked.does(textwrap.dedent(code)).splitlines()
    warnings = [line.split(":")[0] for line in lines if "/proc/sys cannot be written here" in line]
    assert warnings == ["no IPv6 is forwarded by r1, r2", "no IPv6 is forwarded by r3"]
    assert [line for line in lines if line.startswith(("True", "False"))] == ["True False", "True", "True"]
    own = user.does("import vnet; print(vnet.run('ls -d /proc/[0-9]* | wc -l', check=True).stdout)")
    assert int(own) <= 5


@needs_root
def test_no_new_privs_costs_what_it_says_and_nothing_else(user: Person) -> None:
    bound = within(user, *restrictions.NO_NEW_PRIVS)
    report = Report(bound)
    assert (report.code, report.backend) == (0, "packet")
    assert report["no_new_privs"]["severity"] == "warning"
    assert "set-user-id" in report["no_new_privs"]["effect"]
    assert "--no-new-privs" in report["no_new_privs"]["fix"]
    assert set(report.bad()) <= USUAL | {"no_new_privs"}
    # `id` with the set-user-id bit tells whom it runs as.
    copy = shutil.copy("/usr/bin/id", user.home / "id")
    os.chown(copy, 0, 0)
    Path(copy).chmod(0o755 | stat.S_ISUID)
    asks = "import sys, vnet; print(vnet.run([sys.argv[1], '-u'], netns=sys.argv[2], check=True).stdout, end='')"
    assert user.does(asks, copy, "host") == "0\n"
    assert bound.does(asks, copy, "host") == f"{uid(user)}\n"
    assert {who.does(asks, copy, "sandbox") for who in (user, bound)} == {f"{uid(user)}\n"}
    # ping, which has a file capability, works in the sandbox all the same.
    bound.does("import vnet; vnet.run('ping -c1 127.0.0.1', check=True)")


def test_it_leaves_nothing(user: Person) -> None:
    def processes() -> set[str]:
        return {entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and is_ours(entry)}

    def is_ours(entry: Path) -> bool:
        try:
            return user.mark.encode() in (entry / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False

    children = "import vnet; vnet.doctor(); print(open('/proc/thread-self/children').read().split())"
    assert user.does(children) == "[]\n", "the lab it looked at has ended when it returns"
    assert processes() == set()
