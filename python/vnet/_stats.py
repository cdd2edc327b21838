"""Counters by value: what a device, a pipeline and a plugin have done."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from vnet._html import Html, fields, folded, join, mark, preformatted, strong, table, values, words
from vnet._shown import Shown, headed, titled

__all__ = ["DeviceState", "DeviceStats", "Fault", "KernelStats", "PipelineStats", "PortStats", "StageStats"]


class _Value(Shown):
    """Gives a frozen dataclass its way from and to plain dicts, and its view: a table of its fields."""

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        names = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        return cls(**{name: value for name, value in data.items() if name in names})

    def to_dict(self) -> dict[str, Any]:
        """Return the same values as plain dicts, lists, strings and numbers."""
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    def _html(self) -> Html:
        name = getattr(self, "name", "")
        return titled(self, headed(self, name), values(self))


@dataclass(frozen=True, slots=True)
class DeviceState(_Value):
    """What an interface is doing.

    ``up`` is what was asked for (``ip link set up``), ``carrier`` whether frames can flow: a TAP has it only while somebody
    holds the device, a veth end only while both are up. ``operstate`` is the kernel's word (``"up"``, ``"down"``,
    ``"unknown"``, ...), ``bridge`` the bridge it is a port of.
    """

    up: bool
    carrier: bool
    operstate: str
    bridge: str | None


@dataclass(frozen=True, slots=True)
class KernelStats(_Value):
    """The kernel's own counters of an interface, from the kernel's point of view.

    On a TAP ``tx_packets`` are frames the kernel handed to vnet and ``tx_dropped`` those it lost because nobody read in time.
    """

    rx_packets: int
    rx_bytes: int
    rx_errors: int
    rx_dropped: int
    tx_packets: int
    tx_bytes: int
    tx_errors: int
    tx_dropped: int


@dataclass(frozen=True, slots=True)
class PortStats(_Value):
    """What entered and left the engine at one device: ``rx`` came in from it, ``tx`` went out to it.

    ``drops`` are frames by the reason they were dropped for, ``kernel_drops`` those the kernel dropped before the engine
    could read them.
    """

    name: str
    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    drops: Mapping[str, int]
    kernel_drops: int


@dataclass(frozen=True, slots=True)
class Fault(_Value):
    """Why a plugin was last replaced: the kind, the message, the guest's backtrace and the packet as a hexdump."""

    kind: str
    message: str
    backtrace: str
    hexdump: str


@dataclass(frozen=True, slots=True)
class StageStats(_Value):
    """What one plugin has done.

    ``packets_in + appended == passed + dropped + redirected + tx``. ``drops`` counts by the plugin's own reasons, ``faults`` by
    kind, ``counters`` are the plugin's own. ``injected`` are frames it sent by itself, ``timer_calls`` how often a timer called
    it. ``state`` is ``"running"``, ``"backoff"`` (waits for a restart), ``"tripped"`` (out of service) or ``"half-open"`` (tried
    again after that). ``swaps`` counts how often another version took its place; all numbers but those of time go on over
    that. ``guest_ns`` is time spent in the guest, estimated from the first 64 batches and every eighth of the rest,
    ``ns_per_packet`` the same per frame; ``logs_lost`` counts lines lost to the rate limit. ``form`` is ``"simple"``,
    ``"batch"``, or ``"python"`` for a :class:`Stage`, which is :attr:`slow`: ``waiting`` packets wait for its answer then, and
    are not in ``packets_in`` yet.
    """

    name: str
    version: str | None
    form: str
    state: str
    waiting: int
    packets_in: int
    bytes_in: int
    passed: int
    dropped: int
    redirected: int
    tx: int
    appended: int
    injected: int
    timer_calls: int
    drops: Mapping[str, int]
    faults: Mapping[str, int]
    restarts: int
    swaps: int
    runs: int
    guest_ns: int
    ns_per_packet: float
    counters: Mapping[str, int]
    logs_lost: int
    last_fault: Fault | None

    @property
    def slow(self) -> bool:
        """Whether a Python callable judges there."""
        return self.form == "python"

    def _plus(self, other: StageStats) -> StageStats:
        """Return the counters of both, and the state of the one that fares worse."""
        own: dict[str, Any] = {}
        for each in dataclasses.fields(self):
            mine, more = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, int):
                own[each.name] = mine + more
            elif isinstance(mine, Mapping):
                own[each.name] = {key: mine.get(key, 0) + more.get(key, 0) for key in {**mine, **more}}
        own["last_fault"] = self.last_fault or other.last_fault
        own["state"] = self.state if self.state != "running" else other.state
        own["ns_per_packet"] = own["guest_ns"] / own["runs"] if own["runs"] else 0.0
        return dataclasses.replace(self, **own)

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        fault = data.get("last_fault")
        return super(StageStats, cls)._read({**data, "last_fault": None if fault is None else Fault._read(fault)})

    def _html(self) -> Html:
        return titled(self, headed(self, self.name, stage_mark(self)), stage_body(self))


@dataclass(frozen=True, slots=True)
class PipelineStats(_Value):
    """What the engine has done with the frames of a device or a wire.

    Frames come in at the ``ports``, by ``send`` (``sent_in``), from plugins (``appended``) and by software segmentation
    (``segmented``: those beyond the one each was cut from), a switch floods copies (``flooded``: those beyond the first), and
    an impaired link may double them (``duplicated``). ``held`` are on an impaired link just now, or delayed by a plugin;
    ``unlearned`` are senders its full table did not take. They go out at the ports, to ``recv`` (``delivered``), or are
    dropped under a name: by plugins (``stage_drops``), at a port, or in the engine (``drops``). ``worker_cpu_ns`` is the CPU
    time of the thread that owns them, ``wakeups`` how often it was woken, ``batches`` how many reads brought frames.
    """

    ports: tuple[PortStats, ...]
    stages: tuple[StageStats, ...]
    sent_in: int
    appended: int
    segmented: int
    flooded: int
    duplicated: int
    held: int
    unlearned: int
    stage_drops: int
    delivered: int
    drops: Mapping[str, int]
    wakeups: int
    batches: int
    worker_cpu_ns: int

    @property
    def balance(self) -> int:
        """Frames that came in less those that went out or were dropped: :attr:`held` while no other is under way."""
        made = self.sent_in + self.appended + self.segmented + self.flooded + self.duplicated
        came = sum(port.rx_packets for port in self.ports) + made
        went = sum(port.tx_packets + sum(port.drops.values()) for port in self.ports)
        return came - went - self.delivered - self.stage_drops - sum(self.drops.values())

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        return super(PipelineStats, cls)._read(
            {
                **data,
                "ports": tuple(PortStats._read(port) for port in data["ports"]),
                "stages": tuple(StageStats._read(stage) for stage in data["stages"]),
            }
        )

    def _html(self) -> Html:
        return titled(self, headed(self, ""), pipeline_body(self))


@dataclass(frozen=True, slots=True)
class DeviceStats(_Value):
    """Counters of a device: the kernel's, and the engine's once the device was read, written or filtered (else None)."""

    name: str
    kernel: KernelStats
    engine: PipelineStats | None

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        engine = data.get("engine")
        return cls(
            name=data["name"],
            kernel=KernelStats._read(data["kernel"]),
            engine=None if engine is None else PipelineStats._read(engine),
        )

    def _html(self) -> Html:
        return titled(self, headed(self, self.name), device_counters(self))


def kernel_table(rows: Sequence[tuple[str, KernelStats]]) -> Html:
    """Return the kernel's counters, a line for each interface."""
    names = [field.name for field in dataclasses.fields(KernelStats)]
    return table(
        ["interface", *(words(name) for name in names)],
        [[name, *(getattr(stats, field) for field in names)] for name, stats in rows],
    )


def device_counters(stats: DeviceStats) -> Html:
    """Return the kernel's counters of a device, and the engine's where it has any."""
    kernel = kernel_table([(stats.name, stats.kernel)])
    return kernel if stats.engine is None else join(kernel, pipeline_body(stats.engine))


_STAGE_COLUMNS = ("name", "packets_in", "passed", "dropped", "redirected", "tx", "appended", "ns_per_packet", "drops")


def stage_table(stages: Sequence[StageStats]) -> Html:
    """Return what plugins have done, a line for each, in the order in which they judge."""
    rows = [[strong(stage.name), stage_mark(stage), *_stage_row(stage)] for stage in stages]
    return table(["plugin", "state", *(words(name) for name in _STAGE_COLUMNS[1:])], rows)


def _stage_row(stage: StageStats) -> list[object]:
    # Tenths of a nanosecond are noise.
    return [
        round(stage.ns_per_packet) if name == "ns_per_packet" else getattr(stage, name) for name in _STAGE_COLUMNS[1:]
    ]


def stage_mark(stage: StageStats) -> Html:
    """Return a plugin's state in a frame, and that it is slow where it is."""
    state = mark(stage.state, {"running": "good", "tripped": "bad"}.get(stage.state, "warning"))
    return join(state, Html(" "), mark("python: slow", "warning")) if stage.slow else state


def stage_body(stage: StageStats) -> Html:
    """Return what one plugin has done: its verdicts, its own counters, and why it was last replaced."""
    parts = [stage_table([stage])]
    more = {
        "waiting": stage.waiting,
        "counters": stage.counters,
        "faults": stage.faults,
        "restarts": stage.restarts,
        "logs lost": stage.logs_lost,
    }
    if any(more.values()):
        parts.append(fields((name, value) for name, value in more.items() if value))
    if stage.last_fault is not None:
        fault = stage.last_fault
        detail = "\n".join(text for text in (fault.backtrace, fault.hexdump) if text)
        parts.append(folded(join(mark(fault.kind, "bad"), Html(" "), fault.message), preformatted(detail)))
    return join(*parts)


def pipeline_body(stats: PipelineStats) -> Html:
    """Return the books of the engine: ports, plugins, and what else happened to frames."""
    names = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "kernel_drops", "drops")
    ports = table(
        ["port", *(words(name) for name in names)],
        [[port.name, *(getattr(port, name) for name in names)] for port in stats.ports],
    )
    stages = stage_table(stats.stages) if stats.stages else ""
    others = (
        "sent_in",
        "appended",
        "segmented",
        "flooded",
        "duplicated",
        "held",
        "unlearned",
        "stage_drops",
        "delivered",
    )
    counted = [(words(name), getattr(stats, name)) for name in others if getattr(stats, name)]
    if stats.drops:
        counted.append(("drops", stats.drops))
    parts = [ports, stages, fields(counted) if counted else ""]
    return join(*(part for part in parts if part))
