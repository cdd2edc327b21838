"""The exceptions vnet raises.

::

    Error
    ├── InvalidValue(ValueError)          a name, address, size or option that cannot be right
    │   └── LabFileError                  a lab file that cannot be right: .file, .line, .key
    ├── PrivilegeError(PermissionError)   a right is missing: .reason, .fix
    ├── DeviceBusy(OSError)               the name is taken or somebody holds the device: .device, .owner
    ├── NotFound(FileNotFoundError)       no such interface, namespace, file or plugin
    ├── Gone(OSError)                     the device vanished while it was in use: .device
    ├── Closed(ValueError)                the handle was closed, or belongs to the parent of this process
    ├── TimeoutError(TimeoutError)        nothing happened in time: .stdout, .stderr of a command
    ├── CommandFailed(CalledProcessError) a command ended with a status other than 0
    ├── Unsupported(NotImplementedError)  this version or this kernel cannot do it
    ├── SystemFailure(OSError)            the kernel refused for another reason, in its own words
    └── PluginError                       .plugin
        ├── PluginRejected                refused before it saw a packet
        ├── PluginTrap                    trapped while it was started: .backtrace
        ├── PluginTimeout                 used up its time while it was started
        └── MapError                      its map is full, broken, or not there while it is out of service
            └── NoSuchMap(KeyError)       it has no map of that name

Every class is an :class:`Error`; the class in brackets is its second base, so that code which knows only the standard
library catches it too. ``str(error)`` is one sentence that says what and to which thing, then ``hint:`` and what to do.
"""

from __future__ import annotations

import builtins
import subprocess
from collections.abc import Iterable
from typing import Any

from vnet._html import Html, card, chosen_forms, faint, fields, join, mark, preformatted

__all__ = [
    "Closed",
    "CommandFailed",
    "DeviceBusy",
    "Error",
    "Gone",
    "InvalidValue",
    "LabFileError",
    "MapError",
    "NoSuchMap",
    "NotFound",
    "PluginError",
    "PluginRejected",
    "PluginTimeout",
    "PluginTrap",
    "PrivilegeError",
    "SystemFailure",
    "TimeoutError",
    "Unsupported",
]


# What an exception carries besides its message: shown beside names, and as text of several lines.
_DETAILS = ("file", "line", "key", "device", "owner", "plugin", "reason", "fix", "returncode")
_TEXTS = ("backtrace", "stdout", "stderr")


class Error(Exception):
    """Base of every exception vnet raises.

    ``message`` is one sentence that says what failed and on which thing; ``hint`` says what to do about it, or is None.
    """

    message: str
    hint: str | None

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        # Not super(): the standard library's base takes other arguments.
        Exception.__init__(self, message)
        self.message = message
        self.hint = hint
        for name, value in details.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def _html(self) -> Html:
        title = join(mark(type(self).__name__, "bad"), Html(" "), self.message)
        pairs = [("hint", self.hint)] if self.hint else []
        pairs.extend((name, str(value)) for name, value in vars(self).items() if name in _DETAILS and value)
        texts = [join(faint(name), preformatted(value)) for name in _TEXTS if (value := getattr(self, name, None))]
        return card(title, fields(pairs), *texts, label=f"Error {type(self).__name__}")

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Return its forms by MIME type, as IPython asks for them."""
        text = f"{type(self).__module__}.{type(self).__name__}: {self}"
        return chosen_forms({"text/plain": text, "text/html": self._html()}, include, exclude)

    def __reduce__(self) -> tuple[Any, ...]:
        state = dict(self.__dict__)
        if isinstance(self, OSError):
            state["errno"] = self.errno
        return _restore, (type(self), state)


def _restore(cls: type[Error], state: dict[str, Any]) -> Error:
    """Rebuilds an unpickled exception without running its constructor."""
    error = cls.__new__(cls)
    error.args = (state["message"],)
    for name, value in state.items():
        setattr(error, name, value)
    return error


class InvalidValue(Error, ValueError):
    """A name, address, size or option cannot be right."""


class LabFileError(InvalidValue):
    """A lab file cannot be right: ``file`` as it was named, ``line`` from 1, ``key`` such as ``"hosts.h1.ip"``.

    ``line`` is None where only the key is known, as in JSON.
    """

    file: str
    line: int | None
    key: str


class PrivilegeError(Error, PermissionError):
    """The process lacks a right; ``reason`` says which and why, ``fix`` is the step that gives it."""

    reason: str
    fix: str


class DeviceBusy(Error, OSError):
    """The name is taken, or somebody else holds the device; ``owner`` names the process where that can be known."""

    device: str
    owner: str | None


class NotFound(Error, FileNotFoundError):
    """There is no such interface, namespace, file or plugin."""


class Gone(Error, OSError):
    """The device vanished from the kernel while it was in use: somebody else removed it."""

    device: str


class Closed(Error, ValueError):
    """The handle was closed, or it belongs to the process this one was forked from."""


class TimeoutError(Error, builtins.TimeoutError):
    """Nothing happened within the time allowed; for a command ``stdout`` and ``stderr`` hold what it had written."""

    stdout: str | bytes | None = None
    stderr: str | bytes | None = None


class CommandFailed(Error, subprocess.CalledProcessError):
    """A command ended with a status other than 0: ``cmd``, ``returncode``, ``stdout``, ``stderr``."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        returncode: int = 1,
        cmd: Any = "",
        output: Any = None,
        stderr: Any = None,
    ) -> None:
        Error.__init__(self, message, hint=hint)
        self.returncode = returncode
        self.cmd = cmd
        self.output = output
        self.stderr = stderr


class Unsupported(Error, NotImplementedError):
    """This version of vnet, or this kernel, cannot do it."""


class SystemFailure(Error, OSError):
    """The kernel refused for another reason, or a file could not be read or written; ``errno`` is the kernel's."""


class PluginError(Error):
    """A plugin could not be loaded, started or asked; ``plugin`` is its name."""

    plugin: str


class PluginRejected(PluginError):
    """A plugin was refused before it saw a packet: the message gives the reason in words."""


class PluginTrap(PluginError):
    """A plugin trapped while it was started or asked something; ``backtrace`` is the guest's, and may be empty."""

    backtrace: str


class PluginTimeout(PluginError):
    """A plugin used up its time while it was started or asked something."""


class MapError(PluginError):
    """A plugin's map is full, broken, or not there while the plugin is out of service."""


class NoSuchMap(MapError, KeyError):
    """A plugin has no map of that name; the message lists those it has."""
