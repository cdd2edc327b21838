from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable

import pytest
import vnet

Script = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.usefixtures("netns")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"name": "sixteen-letters-"}, "15"),
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "t", "ip": "10.0.0.1/33"}, "10.0.0.1/33"),
        ({"name": "t", "ip": "nonsense"}, "nonsense"),
        ({"name": "t", "mtu": 10}, "10"),
        ({"name": "t", "mac": "01:00:00:00:00:01"}, "01:00:00:00:00:01"),
        ({"name": "t", "mac": "02:00"}, "02:00"),
    ],
)
def test_a_bad_argument_is_named_and_leaves_nothing(options: dict[str, object], word: str) -> None:
    with pytest.raises(vnet.InvalidValue, match=word) as caught:
        vnet.Tap(**options)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)
    with pytest.raises(vnet.NotFound):
        vnet.open("t")


def test_a_name_that_is_taken_names_the_holder() -> None:
    with vnet.Tap("tap0"), pytest.raises(vnet.DeviceBusy, match="tap0") as caught:
        vnet.Tap("tap0")
    assert caught.value.device == "tap0"
    assert caught.value.errno == errno.EBUSY
    assert caught.value.owner is not None
    assert isinstance(caught.value, OSError)


def test_a_veth_name_that_is_taken_is_busy() -> None:
    with vnet.Veth("ep1", "ep2"), pytest.raises(vnet.DeviceBusy, match="ep1"):
        vnet.Veth("ep1", "ep3")


def test_an_interface_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(vnet.NotFound, match="nope") as caught:
        vnet.open("nope")
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("netns", ["no-such-name", "/no/such/path"])
def test_a_namespace_that_does_not_exist_is_not_found(netns: str) -> None:
    with pytest.raises(vnet.NotFound, match="no"):
        vnet.Tap("t", netns=netns)


def test_a_file_that_is_no_namespace_is_refused() -> None:
    with pytest.raises(vnet.InvalidValue, match="/etc/passwd"):
        vnet.Tap("t", netns="/etc/passwd")


def test_without_privilege_the_reason_and_the_fix_are_given() -> None:
    source = """
import vnet
host = {"netns": "host"}
for make in (lambda: vnet.Tap("t", **host), lambda: vnet.Veth("a", "b", **host), lambda: vnet.open("lo", **host)):
    try:
        make()
    except vnet.PrivilegeError as error:
        assert isinstance(error, PermissionError)
        print("CAP_NET_ADMIN" in error.reason, bool(error.fix), error.errno)
# The kernel gives a root like this one no user namespace, and so no sandbox.
for make in (lambda: vnet.Tap("t"), lambda: vnet.run("true"), vnet.Network().start):
    try:
        make()
    except vnet.PrivilegeError as error:
        print("CAP_SETFCAP" in error.reason, "ordinary user" in error.fix, error.errno)
assert vnet.run("echo yes", netns="host").stdout == "yes\\n"
"""
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", sys.executable, "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "True True 1\n" * 6, done.stderr


def test_a_missing_device_node_is_named_with_what_makes_it() -> None:
    source = "import vnet\ntry: vnet.Tap('t')\nexcept vnet.Unsupported as error: print(error.message, '|', error.hint)"
    hide = 'mount -t tmpfs none /dev/net && exec "$0" -c "$1"'
    command = ["unshare", "--mount", "sh", "-c", hide, sys.executable, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "/dev/net/tun" in done.stdout, done.stderr
    assert "mknod" in done.stdout or "modprobe" in done.stdout


def test_a_closed_device_says_so() -> None:
    tap = vnet.Tap("tap0")
    tap.close()
    tap.close()
    for use in (
        tap.recv,
        tap.up,
        lambda: tap.send(b"x" * 60),
        lambda: tap.stats,
        lambda: tap.attach("count"),
        lambda: next(iter(tap)),
    ):
        with pytest.raises(vnet.Closed, match="tap0"):
            use()
    assert repr(tap) == "<vnet.Tap tap0 closed>"


def test_a_device_somebody_removed_is_gone() -> None:
    a, b = vnet.Veth("ep1", "ep2")
    with a:
        b.attach("count")
        assert vnet.run("ip link del ep1").returncode == 0
        with pytest.raises(vnet.Gone, match="ep2") as caught:
            list(b)
        assert caught.value.device == "ep2"
        with pytest.raises(vnet.Gone, match="ep1"):
            a.up()
        assert "gone" in repr(a)


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_a_time_that_cannot_be_is_refused(timeout: float) -> None:
    with vnet.Tap("tap0") as tap, pytest.raises(vnet.InvalidValue, match="not a time"):
        tap.recv(timeout=timeout)
