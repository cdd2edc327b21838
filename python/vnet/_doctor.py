"""What works on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vnet import _vnet
from vnet._html import Html, code, fields, mark, table
from vnet._netns import Netns, native_netns
from vnet._shown import Shown, headed, titled
from vnet._stats import _Value

__all__ = ["DoctorReport", "Finding", "StaleInterface", "doctor"]


@dataclass(frozen=True, slots=True)
class Finding(_Value):
    """One thing that was looked at: what was found, what follows from it, and the command that changes it."""

    check: str
    severity: Literal["ok", "warning", "failure"]
    cause: str
    effect: str
    fix: str | None

    def _html(self) -> Html:
        return titled(self, headed(self, self.check, self._mark()), fields(zip(_COLUMNS, self._row(), strict=True)))

    def _mark(self) -> Html:
        return mark(self.severity, {"ok": "good", "warning": "warning"}.get(self.severity, "bad"))

    def _row(self) -> list[object]:
        return [self._mark(), self.check, self.cause, self.effect, code(self.fix) if self.fix else None]


_COLUMNS = (Html(""), "check", "cause", "effect", "fix")


@dataclass(frozen=True, slots=True)
class StaleInterface(_Value):
    """An interface that a vnet process, ``pid``, left behind when it was killed."""

    name: str
    index: int
    pid: int


@dataclass(frozen=True, slots=True)
class DoctorReport(Shown):
    """What :func:`doctor` found. ``print(report)`` shows it line by line."""

    version: str
    kernel: str
    backend: Literal["host", "tap", "packet"] | None
    """What a :class:`Tap` is made of: a device of this namespace, one of the private sandbox, or a veth there."""
    findings: tuple[Finding, ...]
    stale: tuple[StaleInterface, ...]
    _data: Mapping[str, Any]
    _text: str
    _netns: _vnet.Node | str | int | None

    @property
    def ok(self) -> bool:
        """Whether nothing failed; warnings are allowed."""
        return all(finding.severity != "failure" for finding in self.findings)

    def remove_stale(self) -> int:
        """Remove the stale interfaces and return how many there were."""
        return _vnet.remove_stale(self._netns)

    @property
    def apparmor_profile(self) -> str:
        """An AppArmor profile that lets vnet's helper make user namespaces, with how to install it."""
        return _vnet.apparmor_profile()

    @property
    def seccomp_profile(self) -> str:
        """A seccomp profile, JSON, with which labs work in a container of Docker or podman."""
        return _vnet.seccomp_profile()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as ``vnet doctor --json`` prints it."""
        return dict(self._data)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        bad = [finding.check for finding in self.findings if finding.severity != "ok"]
        head = f"<vnet.DoctorReport {'ok' if self.ok else 'failed'}: backend {self.backend}"
        return f"{head}, {len(self.findings)} checks, attention: {bad}>"

    def _html(self) -> Html:
        verdict = mark("ok", "good") if self.ok else mark("failed", "bad")
        about = fields([("vnet", self.version), ("kernel", self.kernel), ("backend", self.backend)])
        found = table(_COLUMNS, [finding._row() for finding in self.findings])
        stale = table(["stale interface", "index", "left by pid"], [(s.name, s.index, s.pid) for s in self.stale])
        return titled(self, headed(self, "", verdict), about, found, *([stale] if self.stale else []))


def doctor(*, netns: Netns = None) -> DoctorReport:
    """Say what works here, what does not, why, and the one command that fixes it.

    Devices are made to see whether they can be, in namespaces that are thrown away at once. Nothing of it lasts.
    """
    native = native_netns(netns)
    data, text = _vnet.doctor(native)
    return DoctorReport(
        version=data["version"],
        kernel=data["kernel"],
        backend=data["backend"],
        findings=tuple(Finding._read(finding) for finding in data["findings"]),
        stale=tuple(
            StaleInterface(stale["interface"]["name"], stale["interface"]["index"], stale["owner"]["pid"])
            for stale in data["stale"]
        ),
        _data=data,
        _text=text,
        _netns=native,
    )
