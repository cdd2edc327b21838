"""Commands that run where the devices live."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from vnet import _sandbox, _vnet
from vnet._errors import CommandFailed, TimeoutError
from vnet._html import Html, code, faint, join, mark, preformatted
from vnet._netns import Netns, native_netns
from vnet._shown import Shown, headed, titled

__all__ = ["CommandLine", "Completed", "arun", "run"]

CommandLine: TypeAlias = str | Sequence[str | os.PathLike[str]]
"""A text for ``sh -c``, or a program with its arguments, run as they are."""

# Seconds after which an asynchronous wait is looked at for cancellation.
_SLICE = 0.1
# Lines of an output that a notebook shows.
_SHOWN_LINES = 400


@dataclass(frozen=True, slots=True)
class Completed(Shown):
    """A command that has ended.

    ``returncode`` is its exit status, or minus the number of the signal that ended it. ``stdout`` and ``stderr`` are text, or
    bytes with ``text=False``, or None when they were not captured. ``duration`` is in seconds.
    """

    args: CommandLine
    returncode: int
    stdout: Any
    stderr: Any
    duration: float

    @property
    def ok(self) -> bool:
        """Whether the status is 0."""
        return self.returncode == 0

    def check(self) -> Completed:
        """Return itself, or raise CommandFailed when the status is not 0."""
        if self.returncode == 0:
            return self
        how = f"signal {-self.returncode}" if self.returncode < 0 else f"status {self.returncode}"
        last = _last_line(self.stderr) or _last_line(self.stdout)
        raise CommandFailed(
            f"command {_display(self.args)!r} ended with {how}" + (f": {last}" if last else ""),
            returncode=self.returncode,
            cmd=self.args,
            output=self.stdout,
            stderr=self.stderr,
        )

    def __repr__(self) -> str:
        out = "" if self.stdout is None else f" stdout={_short(self.stdout)}"
        err = "" if not self.stderr else f" stderr={_short(self.stderr)}"
        return f"<vnet.Completed {_display(self.args)!r} returncode={self.returncode}{out}{err}>"

    def _html(self) -> Html:
        command = join(code(_display(self.args)), Html(" "), faint(f"{self.duration:.3f} s"))
        outputs = ((name, _text(output)) for name, output in (("stdout", self.stdout), ("stderr", self.stderr)))
        parts = [
            join(Html("<div>"), faint(name), Html("</div>"), preformatted(_cut(text))) for name, text in outputs if text
        ]
        return titled(self, headed(self, "", status_mark(self.returncode)), command, *parts)


def run(
    command: CommandLine,
    *,
    check: bool = False,
    timeout: float | None = None,
    netns: Netns = None,
    input: str | bytes | None = None,
    capture: bool = True,
    text: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Completed:
    """Run a command in a network namespace, wait for it and return what it wrote.

    A text goes to ``sh -c``, a list is executed as it is. ``check=True`` raises CommandFailed when the status is not 0. After
    ``timeout`` seconds, on Ctrl-C, and when this process dies, the command is killed with everything it started; a timeout
    raises TimeoutError with what was written by then. ``input`` is its standard input (nothing when None).
    ``capture=False`` leaves it the caller's standard output and error. ``text=True`` decodes UTF-8 and replaces what is not.
    ``env`` replaces the environment. Output of processes that outlive the command is not waited for.

    Raises NotFound when the program does not exist.
    """
    running = _spawn(command, timeout, netns, input, capture, env, cwd)
    with _decoded(text):
        return _finish(command, running.wait(text), check)


async def arun(
    command: CommandLine,
    *,
    check: bool = False,
    timeout: float | None = None,
    netns: Netns = None,
    input: str | bytes | None = None,
    capture: bool = True,
    text: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Completed:
    """Run a command as :func:`run` does, without blocking the event loop; cancelling it kills the command."""
    running = await asyncio.to_thread(_spawn, command, timeout, netns, input, capture, env, cwd)
    try:
        with _decoded(text):
            while True:
                result = await asyncio.to_thread(running.poll, _SLICE, text)
                if result is not None:
                    return _finish(command, result, check)
    finally:
        # Nothing is left to kill once it has ended.
        running.kill()


def _spawn(
    command: CommandLine,
    timeout: float | None,
    netns: Netns,
    input: str | bytes | None,
    capture: bool,
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
) -> _vnet.Running:
    running = _vnet.spawn(
        command if isinstance(command, str) else [os.fspath(word) for word in command],
        timeout=timeout,
        netns=native_netns(netns),
        input=input.encode() if isinstance(input, str) else input,
        capture=capture,
        env=None if env is None else dict(env),
        cwd=None if cwd is None else os.fspath(cwd),
    )
    _sandbox.announce()
    return running


@contextlib.contextmanager
def _decoded(text: bool) -> Iterator[None]:
    """Gives a timeout that passes through its output as text."""
    try:
        yield
    except TimeoutError as error:
        if text:
            error.stdout, error.stderr = _text(error.stdout), _text(error.stderr)
        raise


def _text(output: str | bytes | None) -> str | None:
    return output.decode(errors="replace") if isinstance(output, bytes) else output


def _finish(command: CommandLine, result: tuple[int, Any, Any, float], check: bool) -> Completed:
    completed = Completed(command, *result)
    return completed.check() if check else completed


def status_mark(status: int) -> Html:
    """Return how a command ended, in a frame."""
    return mark(f"signal {-status}" if status < 0 else f"status {status}", "bad" if status else "good")


def _cut(text: str) -> str:
    """Returns the last lines of a long output."""
    lines = text.splitlines()
    if len(lines) <= _SHOWN_LINES:
        return text
    return "\n".join([f"... {len(lines) - _SHOWN_LINES:,} lines before ...", *lines[-_SHOWN_LINES:]])


def _display(command: CommandLine) -> str:
    return command if isinstance(command, str) else " ".join(os.fspath(word) for word in command)


def _last_line(output: str | bytes | None) -> str:
    lines = (_text(output) or "").strip().splitlines()
    return lines[-1] if lines else ""


def _short(output: str | bytes) -> str:
    shown = repr(output)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
