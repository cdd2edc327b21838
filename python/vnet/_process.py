"""A command that runs in a node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Generator, Mapping
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias

from vnet import _vnet
from vnet._errors import InvalidValue, TimeoutError
from vnet._html import Html, code, fields, mark
from vnet._run import CommandLine, _display, status_mark
from vnet._shown import Shown, headed, titled

if TYPE_CHECKING:
    from vnet._node import Node

__all__ = ["Process"]


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


Stream: TypeAlias = int | _HasFileno | None
"""``None``, ``subprocess.PIPE``, ``subprocess.DEVNULL``, for standard error ``subprocess.STDOUT``, a file or a descriptor."""

# Seconds between SIGTERM and SIGKILL at the end of a `with` block.
_LAST_WAIT = 2.0
# Bytes moved at once.
_BLOCK = 1 << 16


class Process(Shown):
    """A command that runs in a node, as :meth:`Node.popen` returns it; it works like :class:`subprocess.Popen`.

    It runs until it ends by itself, is killed, or the network is closed; forgetting the handle does not end it. Unlike
    :mod:`subprocess`, leaving a ``with`` block ends it with its process group, which is all it started that did not make a
    session of its own: by SIGTERM, and by SIGKILL what still runs 2 s later.
    ``await process`` waits without blocking the event loop.

    ``stdin``, ``stdout`` and ``stderr`` are files where ``subprocess.PIPE`` was asked for, else None.
    """

    stdin: IO[Any] | None
    stdout: IO[Any] | None
    stderr: IO[Any] | None

    def __init__(self, native: _vnet.Process, node: Node, args: CommandLine, text: bool) -> None:
        self._native = native
        # Keeps the network alive while only the process is referenced.
        self._node = node
        self._args = args
        self._text = text
        fds = native.take_pipes()
        self.stdin = None if fds[0] is None else _file(fds[0], "wb", text)
        self.stdout = None if fds[1] is None else _file(fds[1], "rb", text)
        self.stderr = None if fds[2] is None else _file(fds[2], "rb", text)

    @property
    def args(self) -> CommandLine:
        """The command as it was given."""
        return self._args

    @property
    def node(self) -> Node:
        """The node it runs in."""
        return self._node

    @property
    def pid(self) -> int:
        """Its process id, as this process sees it."""
        return self._native.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, or minus the number of the signal that ended it; None until :meth:`poll` or :meth:`wait` saw it."""
        return self._native.returncode

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._native.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status. Raises TimeoutError after ``timeout`` seconds; it runs on then."""
        return self._native.wait(timeout)

    def communicate(
        self, input: str | bytes | None = None, timeout: float | None = None
    ) -> tuple[str | bytes | None, str | bytes | None]:
        """Write ``input``, read both outputs to their end, close the pipes, wait, and return what was read: None without a pipe.

        Raises TimeoutError, with what was read by then, after ``timeout`` seconds; the process runs on then.
        """
        if input is not None and self.stdin is None:
            raise InvalidValue("the process has no pipe to its standard input", hint="give popen stdin=subprocess.PIPE")
        end = None if timeout is None else time.monotonic() + timeout
        data = input.encode() if isinstance(input, str) else input or b""
        read: dict[str, bytearray] = {}
        with selectors.DefaultSelector() as selector:
            for name, stream in (("stdout", self.stdout), ("stderr", self.stderr)):
                if stream is not None and not stream.closed:
                    read[name] = bytearray()
                    selector.register(_raw(stream), selectors.EVENT_READ, name)
            if self.stdin is not None and not self.stdin.closed:
                if data:
                    os.set_blocking(self.stdin.fileno(), False)
                    selector.register(_raw(self.stdin), selectors.EVENT_WRITE, "stdin")
                else:
                    self._close_stdin()
            late = not self._exchange(selector, memoryview(data), read, end)
        if not late:
            try:
                self.wait(None if end is None else max(0.0, end - time.monotonic()))
            except TimeoutError:
                late = True
        out, err = self._decoded(read.get("stdout")), self._decoded(read.get("stderr"))
        if late:
            message = f"command {_display(self._args)!r} on {self._node.name} did not end after {timeout} s"
            raise TimeoutError(message, stdout=out, stderr=err)
        return out, err

    def _exchange(
        self, selector: selectors.BaseSelector, data: memoryview, read: dict[str, bytearray], end: float | None
    ) -> bool:
        """Moves bytes both ways until every pipe is at its end; false when the time is over."""
        while selector.get_map():
            left = None if end is None else end - time.monotonic()
            if left is not None and left < 0:
                return False
            for key, _ in selector.select(left):
                if key.data == "stdin":
                    try:
                        data = data[os.write(key.fd, data[:_BLOCK]) :]
                    except BlockingIOError:
                        continue
                    except BrokenPipeError:
                        data = data[len(data) :]
                    if not data:
                        selector.unregister(key.fileobj)
                        self._close_stdin()
                elif block := os.read(key.fd, _BLOCK):
                    read[key.data] += block
                else:
                    selector.unregister(key.fileobj)
                    getattr(self, key.data).close()
        return True

    def _close_stdin(self) -> None:
        # A command that has ended reads nothing any more, and that is its affair.
        with contextlib.suppress(BrokenPipeError):
            if self.stdin is not None:
                self.stdin.close()

    def _decoded(self, output: bytearray | None) -> str | bytes | None:
        if output is None:
            return None
        return output.decode(errors="replace") if self._text else bytes(output)

    def send_signal(self, number: int) -> None:
        """Send it a signal; one that has ended already is no error.

        The program of a list gets it alone, as with :mod:`subprocess`. For a string all of its process group does: the shell
        that runs it would not hand it on.
        """
        self._native.send_signal(int(number))

    def terminate(self) -> None:
        """Ask it to end, with SIGTERM: the program of a list alone, all that a string started, as :meth:`send_signal`."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, with SIGKILL, and the processes it started that are still in its group."""
        self._native.kill()

    def wait_port(self, port: int, timeout: float = 10.0, *, protocol: Literal["tcp", "udp"] = "tcp") -> Self:
        """Wait until something in its node listens on ``port``, by IPv4 or IPv6, and return itself.

        Nothing is connected to. Raises TimeoutError when nothing does after ``timeout`` seconds, and CommandFailed when the
        command fails before.
        """
        self._native.wait_port(port, timeout, protocol)
        return self

    def __await__(self) -> Generator[Any, None, int]:
        return self._ended().__await__()

    async def _ended(self) -> int:
        loop = asyncio.get_running_loop()
        descriptor = self._native.end_fd()
        ended: asyncio.Future[None] = loop.create_future()

        def arrived() -> None:
            if not ended.done():
                ended.set_result(None)

        loop.add_reader(descriptor, arrived)
        try:
            while (status := self.poll()) is None:
                await ended
                ended = loop.create_future()
            return status
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._native.end(_LAST_WAIT)
            # Killed ones are gone at once, unless the kernel holds them.
            with contextlib.suppress(TimeoutError):
                self.wait(_LAST_WAIT)
        finally:
            self._close_stdin()
            for stream in (self.stdout, self.stderr):
                if stream is not None:
                    stream.close()

    def __repr__(self) -> str:
        status = self.returncode
        state = "running" if status is None else f"returncode={status}"
        return f"<vnet.Process {_display(self._args)!r} on {self._node.name} pid={self.pid} {state}>"

    def _html(self) -> Html:
        state = mark("running", "good") if self.returncode is None else status_mark(self.returncode)
        about = fields([("command", code(_display(self._args))), ("node", self._node.name), ("pid", str(self.pid))])
        return titled(self, headed(self, "", state), about)


def start(
    node: Node,
    native: _vnet.Node,
    command: CommandLine,
    *,
    stdin: Stream,
    stdout: Stream,
    stderr: Stream,
    text: bool,
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
) -> Process:
    """Start ``command`` in ``node``."""
    if stdin == subprocess.STDOUT or stdout == subprocess.STDOUT:
        raise InvalidValue("subprocess.STDOUT is for standard error alone", hint="give stderr=subprocess.STDOUT")
    process = native.popen(
        command if isinstance(command, str) else [os.fspath(word) for word in command],
        stdin=_stream(stdin),
        stdout=_stream(stdout),
        stderr=_stream(stderr),
        env=None if env is None else dict(env),
        cwd=None if cwd is None else os.fspath(cwd),
    )
    return Process(process, node, command, text)


def _stream(stream: Stream) -> int | None:
    """Returns what the native module takes: a descriptor, a constant of :mod:`subprocess` (they are negative), or None."""
    if stream is None or isinstance(stream, int):
        return stream
    return stream.fileno()


def _file(descriptor: int, mode: Literal["rb", "wb"], text: bool) -> IO[Any]:
    if not text:
        return os.fdopen(descriptor, mode)
    # What is written goes through line by line, as a command that asks and answers needs it.
    return os.fdopen(descriptor, mode[0], 1 if mode == "wb" else -1, encoding="utf-8", errors="replace")


def _raw(stream: IO[Any]) -> int:
    return stream.fileno()
