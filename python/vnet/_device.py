"""What every device can do."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from vnet import _lifetime, _logs, _sandbox, _vnet
from vnet._attachment import Attachment, attach
from vnet._errors import Closed, TimeoutError
from vnet._events import Events
from vnet._html import Html, fields, mark
from vnet._plugin import Direction, OnFault, PluginLike, Trip, TripLike, chosen
from vnet._recording import Capturable, Recording
from vnet._shown import Shown, headed, titled
from vnet._stats import DeviceState, DeviceStats, device_counters
from vnet._vnet import Frame

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Device", "native_device"]


def native_device(device: object, of: str) -> _vnet.Device:
    """Return what stands behind ``device``; raises TypeError, naming ``of`` what it was to be a part, for anything else."""
    if not isinstance(device, Device):
        by_name = f"; open an interface by its name with vnet.open({device!r})" if isinstance(device, str) else ""
        raise TypeError(f"{of} takes devices, and {device!r} is a {type(device).__name__}{by_name}")
    return device._native


class Device(Shown, Capturable):
    """An interface vnet opened, made by :class:`Tap`, :class:`Tun`, :class:`Veth`, :class:`Bridge` or :func:`open`.

    It is released by :meth:`close`, at the end of its ``with`` block, or with the process; a device that vnet made is removed
    then. Forgetting it without that is a ``ResourceWarning``, and releases it all the same.

    The first :meth:`recv`, :meth:`send`, :meth:`attach` or :meth:`record` starts the thread that carries its frames. Every
    call that can wait lets other Python threads run and is answered to Ctrl-C within 0.2 s.
    """

    _native: _vnet.Device
    # The network it lives in.
    _home: object = None

    def __init__(self) -> None:
        raise TypeError("use vnet.Tap, vnet.Tun, vnet.Veth, vnet.Bridge or vnet.open")

    def _own(self, native: _vnet.Device) -> None:
        self._native = native
        self._wakers: set[_Waker] = set()
        self._wakers_lock = threading.Lock()
        _lifetime.adopt(self)
        _sandbox.announce()

    @classmethod
    def _wrap(cls, native: _vnet.Device) -> Self:
        device = cls.__new__(cls)
        device._own(native)
        return device

    # What it is

    @property
    def name(self) -> str:
        """Interface name, 1 to 15 bytes."""
        return self._native.name

    @property
    def index(self) -> int:
        """Interface index in its namespace."""
        return self._native.index

    @property
    def kind(self) -> Literal["tap", "tun", "veth", "bridge", "existing"]:
        """How it came to be."""
        return self._native.kind

    @property
    def layer(self) -> Literal["l2", "l3"]:
        """Whether it carries Ethernet frames (``"l2"``) or bare IP packets (``"l3"``)."""
        return self._native.layer

    @property
    def backend(self) -> Literal["tap", "packet"]:
        """How the engine reads it: ``"tap"`` owns the device's descriptor, ``"packet"`` is a packet socket.

        In a sandbox without an openable /dev/net/tun a :class:`Tap` or :class:`Tun` is ``"packet"`` too: a veth whose other end
        is read.
        """
        return self._native.backend

    @property
    def netns(self) -> str:
        """Where it lives."""
        return self._native.netns

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._native.closed

    @property
    def mac(self) -> str | None:
        """Ethernet address as ``"02:00:00:00:00:01"``; None on a TUN."""
        return self._native.mac()

    @property
    def mtu(self) -> int:
        """Largest IP packet it carries in bytes; assigning sets it."""
        return self._native.mtu()

    @mtu.setter
    def mtu(self, mtu: int) -> None:
        self._native.set_mtu(mtu)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses with prefix length, such as ``("10.0.0.1/24", "fe80::1/64")``."""
        return tuple(self._native.addresses())

    @property
    def state(self) -> DeviceState:
        """Whether it is up, has carrier, and which bridge it is a port of."""
        return DeviceState._read(self._native.state())

    @property
    def events(self) -> Events:
        """What happens to it and to the plugins on it: ``"gone"``, faults, restarts, trips, swaps."""
        return Events(self._native.scope)

    @property
    def stats(self) -> DeviceStats:
        """Counters of the kernel and of the engine up to this moment."""
        return DeviceStats._read(self._native.stats())

    # What ip(8) does

    def up(self) -> None:
        """Bring it up, as ``ip link set DEV up`` does."""
        self._native.up()

    def down(self) -> None:
        """Take it down, as ``ip link set DEV down`` does."""
        self._native.down()

    def add_address(self, address: str) -> None:
        """Add an address such as ``"10.0.0.2/24"``; a bare address is /32, or /128 in IPv6, as for ``ip``."""
        self._native.add_address(address)

    def del_address(self, address: str) -> None:
        """Delete an address; raises NotFound when the interface does not have it."""
        self._native.del_address(address)

    def flush_neighbours(self) -> None:
        """Forget the ARP and NDP entries learned on it, as ``ip neigh flush dev DEV`` does."""
        self._native.flush_neighbours()

    # Frames

    def send(self, frame: Buffer) -> None:
        """Write one frame to the device, through its egress plugins.

        ``frame`` is a :class:`Frame` or any bytes: Ethernet without its checksum on an ``"l2"`` device, an IP packet on
        an ``"l3"`` one. Raises InvalidValue when the device cannot carry its length.
        """
        self._native.send(frame)

    def recv(self, timeout: float | None = None) -> Frame:
        """Return the next frame that the device's ingress plugins let through.

        Waits up to ``timeout`` seconds (None: for ever, 0: not at all). Raises TimeoutError when none came, Gone when the
        device vanished, Closed when it is closed meanwhile, and Unsupported while a :class:`Wire` has its frames.

        A packet device is read from the first call on: what arrived before is not seen. Frames wait in a queue of 4 MiB; those
        that found it full are counted in ``stats.engine.drops``.
        """
        return self._native.recv(timeout)

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames as they come until the device is closed."""
        self._native.check_open()
        while True:
            try:
                frame = self._native.recv(None)
            except Closed:
                return
            yield frame

    async def __aiter__(self) -> AsyncIterator[Frame]:
        """Yield frames as they come until the device is closed, on the caller's event loop."""
        waker = _Waker(self)
        try:
            while True:
                try:
                    frame = self._native.recv(0)
                except TimeoutError:
                    await waker.wait()
                except Closed:
                    return
                else:
                    yield frame
        finally:
            waker.close()

    def event_fd(self) -> int:
        """Return a descriptor that is readable while frames wait, for ``select`` and event loops; the caller closes it.

        Never read from it: :meth:`recv` with ``timeout=0`` fetches the frames and clears it.
        """
        return self._native.event_fd()

    # Plugins and captures

    def attach(
        self,
        plugin: PluginLike,
        *,
        config: dict[str, Any] | None = None,
        on_fault: OnFault | None = None,
        direction: Direction = "ingress",
        trip: TripLike | None = Trip(),
        grants: tuple[str, ...] = (),
        seed: int = 0,
        position: int | None = None,
    ) -> Attachment:
        """Put a plugin behind those already there, or at ``position`` from 0 among them, and return the handle to it.

        ``plugin`` is the bare name of a shipped plugin (``"drop_bcast"``), the path of a ``.wasm`` or ``.wat`` file, the module
        as bytes, or a :class:`Plugin`, which then carries the options itself. Raises PluginRejected with the reason in words.
        """
        plugin = chosen(plugin, config, on_fault, trip, grants, seed)
        return attach(self._native, self, self.name, plugin, direction, position, (self.name,))

    def _record(self, to: str | int, options: _vnet.CaptureOptions) -> _vnet.Recording:
        return self._native.capture(to, options)

    def record(self, path: str | os.PathLike[str]) -> Recording:
        """Write every frame that enters or leaves to a capture file until the recording is stopped.

        The file is pcapng. Frames are recorded as they are on the wire: before the ingress plugins, and after the egress
        plugins; large frames that the device was to segment are recorded whole.
        """
        _logs.start()
        return self.capture(path)

    # Life

    def close(self) -> None:
        """Release the device; one that vnet made is removed, unless ``persist=True``. Doing it again does nothing.

        A :class:`Wire` it belongs to is closed first and the other device carries on alone.
        """
        self._release()

    def _release(self) -> None:
        self._native.close()
        with self._wakers_lock:
            wakers = list(self._wakers)
        for waker in wakers:
            waker.wake()

    def _descriptors(self) -> list[int]:
        return self._native.fds()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _abandon(self) -> None:
        if not self._native.closed:
            try:
                warnings.warn(f"unclosed {type(self).__name__} {self.name}", ResourceWarning, stacklevel=2, source=self)
            finally:
                self._release()

    def __del__(self) -> None:
        # Without the attribute the constructor failed.
        if hasattr(self, "_native"):
            self._abandon()

    def __repr__(self) -> str:
        head = f"<vnet.{type(self).__name__} {self.name}"
        if self.closed:
            return f"{head} closed>"
        try:
            return f"{head} {self._native.describe()}>"
        except Exception as error:
            return f"{head} in {self.netns}: {error}>"

    def _html(self) -> Html:
        if self.closed:
            return titled(self, headed(self, self.name, mark("closed", "plain")))
        state = self.state
        shown = "up" if state.up and state.carrier else "no carrier" if state.up else "down"
        about: list[tuple[str, object]] = [
            ("addresses", self.addresses),
            ("mac", self.mac),
            ("mtu", str(self.mtu)),
            ("in", self.netns),
            ("backend", self.backend),
        ]
        if state.bridge is not None:
            about.append(("port of", state.bridge))
        about.extend(self._about())
        title = headed(self, self.name, mark(shown, "good" if shown == "up" else "bad"))
        return titled(self, title, fields(about), device_counters(self.stats))

    def _about(self) -> list[tuple[str, object]]:
        """Returns what its view says of this kind of device alone."""
        return []


class _Waker:
    """Waits on one device for one asynchronous iteration.

    It has its own duplicate of the event descriptor, so that several iterations can wait on the same device.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._loop = asyncio.get_running_loop()
        self._fd = device.event_fd()
        self._ready: asyncio.Future[None] | None = None
        with device._wakers_lock:
            device._wakers.add(self)

    async def wait(self) -> None:
        self._ready = self._loop.create_future()
        self._loop.add_reader(self._fd, self._arrived)
        try:
            if not self._device.closed:
                await self._ready
        finally:
            self._loop.remove_reader(self._fd)
            self._ready = None

    def _arrived(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def wake(self) -> None:
        """Wakes the waiter from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived)

    def close(self) -> None:
        with self._device._wakers_lock:
            self._device._wakers.discard(self)
        os.close(self._fd)
