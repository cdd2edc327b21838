"""The frames of a capture, as a sequence, a table, Scapy packets, or live in Wireshark."""

from __future__ import annotations

import importlib
import itertools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from vnet import _vnet
from vnet._errors import NotFound, Unsupported
from vnet._html import Html, faint, mark, table
from vnet._shown import Shown, headed, titled
from vnet._vnet import Frame

if TYPE_CHECKING:
    from vnet._network import Network

__all__ = ["Captured", "Packets"]

_NODES = list[tuple[str, list[str], list[str]]]


class Packets(Shown, Sequence[Frame]):
    """The frames of a capture file in its order: each a :class:`Frame` that knows its interface, direction and comment.

    It holds the file as it was when it was read; a file that is still written ends at its last whole frame.
    """

    __slots__ = ("_chosen", "_natives")

    def __init__(self, natives: Sequence[_vnet.Packets], chosen: Sequence[tuple[int, int]] | None = None) -> None:
        self._natives = natives
        self._chosen = chosen

    @classmethod
    def read(cls, *paths: str | os.PathLike[str]) -> Packets:
        """Read pcapng or pcap files, one behind the other.

        Raises NotFound when there is no such file, InvalidValue when it is no capture, or frames are neither Ethernet nor IP.
        """
        return cls([_vnet.Packets(os.fspath(path)) for path in paths])

    def choose(self, filter: str) -> Packets:
        """Return the frames that a filter takes, in the words of pcap-filter(7): ``"host 10.0.0.1 and tcp port 80"``.

        Raises InvalidValue at the word that is wrong.
        """
        mine = set(self._places())
        found = [(file, at) for file, native in enumerate(self._natives) for at in native.chosen(filter, [])]
        return Packets(self._natives, [place for place in found if place in mine])

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> Packets: ...
    def __getitem__(self, index: int | slice) -> Frame | Packets:
        if isinstance(index, slice):
            return Packets(self._natives, self._places()[index])
        if self._chosen is None and len(self._natives) == 1:
            count = len(self)
            if not -count <= index < count:
                raise IndexError(f"the capture has {count} frames")
            return self._natives[0].frame(index % count)
        file, at = self._places()[index]
        return self._natives[file].frame(at)

    def __len__(self) -> int:
        return sum(map(len, self._natives)) if self._chosen is None else len(self._chosen)

    def __iter__(self) -> Iterator[Frame]:
        if self._chosen is None:
            return (native.frame(at) for native in self._natives for at in range(len(native)))
        return (self._natives[file].frame(at) for file, at in self._chosen)

    def _places(self) -> list[tuple[int, int]]:
        if self._chosen is not None:
            return list(self._chosen)
        return [(file, at) for file, native in enumerate(self._natives) for at in range(len(native))]

    def columns(self) -> dict[str, list[Any]]:
        """Return them as a table's columns: ``timestamp_ns``, ``interface``, ``direction``, ``length``, ``src``, ``dst``,
        ``protocol``, ``sport``, ``dport``, ``summary``, ``comment``, ``packet``; None where a frame has no such thing.
        """
        found: dict[str, list[Any]] = {}
        for file, places in itertools.groupby(self._places(), key=lambda place: place[0]):
            for name, values in self._natives[file].columns([at for _, at in places]).items():
                found.setdefault(name, []).extend(values)
        return found or {name: [] for name in _COLUMNS}

    def to_pandas(self) -> Any:
        """Return a DataFrame with a row for each frame, and its ``time`` first. Raises Unsupported without pandas."""
        pandas = _module("pandas", "a table")
        data = pandas.DataFrame(self.columns())
        data.insert(0, "time", pandas.to_datetime(data["timestamp_ns"], unit="ns"))
        for name in ("protocol", "sport", "dport"):
            data[name] = data[name].astype("Int64")
        return data

    def scapy(self) -> Any:
        """Return a Scapy ``PacketList``. Raises Unsupported without Scapy."""
        plist = _module("scapy.plist", "Scapy packets")
        return plist.PacketList([frame.scapy() for frame in self])

    def __repr__(self) -> str:
        return f"<vnet.Packets {len(self):,} frames>"

    def _html(self) -> Html:
        shown = self[: _MOST_SHOWN + 1]
        first = shown[0].timestamp_ns if shown else 0
        rows = [
            (
                number,
                f"{(frame.timestamp_ns - first) / 1e6:.3f}",
                frame.interface,
                frame.direction or "",
                len(frame),
                frame.summary(),
                frame.comment,
            )
            for number, frame in enumerate(shown[:_MOST_SHOWN])
        ]
        head = ["", "ms", "interface", "way", "bytes", "frame", "comment"]
        more = [faint(f"and {len(self) - _MOST_SHOWN:,} more")] if len(self) > _MOST_SHOWN else []
        return titled(self, headed(self, "", mark(f"{len(self):,} frames", "plain")), table(head, rows), *more)


_ENDS = ("src", "dst", "protocol", "sport", "dport")
_COLUMNS = ("timestamp_ns", "interface", "direction", "length", *_ENDS, "summary", "comment", "packet")
_MOST_SHOWN = 50
# Seconds between two looks at a file that grows.
_FOLLOW = 0.03


class Captured(Shown):
    """What every capture to a file can say of its frames; a running one says what is in the file so far."""

    __slots__ = ()

    def _files(self) -> Sequence[str]:
        raise NotImplementedError

    def _is_stopped(self) -> bool:
        raise NotImplementedError

    @property
    def packets(self) -> Packets:
        """Its frames so far, read from the file at each use: keep them where they are used twice."""
        return Packets.read(*self._files())

    def to_pandas(self) -> Any:
        """Return a DataFrame with a row for each frame, as :meth:`Packets.to_pandas` does."""
        return self.packets.to_pandas()

    def scapy(self) -> Any:
        """Return a Scapy ``PacketList``, as :meth:`Packets.scapy` does."""
        return self.packets.scapy()

    def wireshark(self, *options: str) -> subprocess.Popen[bytes]:
        """Start Wireshark on it, which shows its frames as they come, and return its process.

        ``options`` are Wireshark's own, such as ``"-Y", "tcp"``. Raises NotFound when it is not installed. Wireshark stays when
        the capture ends; closing Wireshark does not end the capture.
        """
        program = shutil.which("wireshark")
        if program is None:
            hint = f"install it (apt-get install wireshark), or open {self._files()[0]} on another machine"
            raise NotFound("there is no program wireshark on PATH", hint=hint)
        process = subprocess.Popen([program, "-k", "-i", "-", *options], stdin=subprocess.PIPE)
        threading.Thread(target=self._follow, args=(process,), name="vnet-wireshark", daemon=True).start()
        return process

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        try:
            with open(self._files()[0], "rb") as file, process.stdin as pipe:
                while process.poll() is None:
                    # Asked first: what was written before it ended is still to be read.
                    ended = self._is_stopped()
                    while data := file.read(1 << 20):
                        pipe.write(data)
                    pipe.flush()
                    if ended:
                        return
                    time.sleep(_FOLLOW)
        except (OSError, ValueError):
            # The reader went away, which is its right.
            return


def nodes_of(network: Network) -> _NODES:
    """Return name, addresses and Ethernet addresses of the nodes of a network that have any."""
    found: _NODES = []
    for node in [*network.hosts, *network.routers]:
        interfaces = list(node.interfaces)
        addresses = [address.split("/")[0] for one in interfaces for address in one.addresses]
        found.append((node.name, addresses, [one.mac for one in interfaces]))
    return found


def _module(name: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        raise Unsupported(f"{what} needs {package}, which is not installed", hint=f"pip install {package}") from error
