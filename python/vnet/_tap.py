"""TAP and TUN devices."""

from __future__ import annotations

from collections.abc import Sequence

from vnet import _vnet
from vnet._device import Device
from vnet._netns import Netns, native_netns

__all__ = ["Tap", "Tun"]


class Tap(Device):
    """A TAP device: the kernel's Ethernet frames come here, and frames sent here enter the kernel.

    ``name`` is 1 to 15 bytes; ``ip`` one address or several (``"10.0.0.1/24"``); ``mac`` is chosen by the kernel when None;
    ``mtu`` in bytes. It is up unless ``up=False``. ``persist=True`` alone lets it outlive the process, as ``ip tuntap add``
    does; ``owner`` and ``group`` are the numeric ids that may then open it; ``multi_queue`` allows several queues.
    ``busy_poll``, a time such as ``"20us"`` or a number of seconds, has the engine look for more frames that long after each
    before it sleeps, in a wire as well, until the device is closed: less delay for more CPU time.

    A TAP has no carrier until somebody holds it: it has one from here on until it is closed, whether or not it is read.

    Without ``netns`` it is made where this process is when it holds CAP_NET_ADMIN there, as root does, and else in the
    process's private sandbox, where an ordinary user may. Where /dev/net/tun cannot be opened, the sandbox's TAP is a veth
    whose other end vnet reads: it has the same frames, and ``backend`` is ``"packet"``; ``owner``, ``group`` and
    ``multi_queue`` are refused then. ``repr`` says where a device lives.

    Raises DeviceBusy when the name is taken, PrivilegeError without the right to make one, InvalidValue for a bad name,
    address or size.
    """

    def __init__(
        self,
        name: str,
        *,
        ip: str | Sequence[str] | None = None,
        mac: str | None = None,
        mtu: int = 1500,
        netns: Netns = None,
        persist: bool = False,
        up: bool = True,
        owner: int | None = None,
        group: int | None = None,
        multi_queue: bool = False,
        busy_poll: str | float | None = None,
    ) -> None:
        self._own(
            _vnet.make_tap(
                name,
                "tap",
                ip=addresses(ip),
                mac=mac,
                mtu=mtu,
                netns=native_netns(netns),
                persist=persist,
                up=up,
                owner=owner,
                group=group,
                multi_queue=multi_queue,
                busy_poll=busy_poll,
            )
        )


class Tun(Device):
    """A TUN device: like :class:`Tap`, but it carries bare IP packets, without an Ethernet header and without a MAC."""

    def __init__(
        self,
        name: str,
        *,
        ip: str | Sequence[str] | None = None,
        mtu: int = 1500,
        netns: Netns = None,
        persist: bool = False,
        up: bool = True,
        owner: int | None = None,
        group: int | None = None,
        multi_queue: bool = False,
        busy_poll: str | float | None = None,
    ) -> None:
        self._own(
            _vnet.make_tap(
                name,
                "tun",
                ip=addresses(ip),
                mac=None,
                mtu=mtu,
                netns=native_netns(netns),
                persist=persist,
                up=up,
                owner=owner,
                group=group,
                multi_queue=multi_queue,
                busy_poll=busy_poll,
            )
        )


def addresses(ip: str | Sequence[str] | None) -> list[str]:
    """Return one address, several or none as a list."""
    if ip is None:
        return []
    return [ip] if isinstance(ip, str) else list(ip)
