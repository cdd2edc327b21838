"""What a frame needs from Python: Scapy, pickling, and its view in notebooks."""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Iterable
from typing import Any, Literal

from vnet._dissect import Field, Header, dissect
from vnet._errors import Unsupported
from vnet._html import Html, card, chosen_forms, escape, faint, fields, folded, join, strong
from vnet._vnet import Frame

__all__: list[str] = []


def to_scapy(frame: Frame) -> Any:
    """Return ``frame`` as a Scapy packet with its time."""
    data = bytes(frame)
    if frame.layer == "l2":
        module, name = "scapy.layers.l2", "Ether"
    elif data[:1] and data[0] >> 4 == 6:
        module, name = "scapy.layers.inet6", "IPv6"
    else:
        module, name = "scapy.layers.inet", "IP"
    try:
        # The layers register themselves with each other: without inet an Ether would end in raw bytes.
        importlib.import_module("scapy.layers.inet6")
        packet = getattr(importlib.import_module(module), name)(data)
    except ImportError as error:
        message = f"a frame cannot be given to Scapy: {error}"
        raise Unsupported(message, hint='pip install "vnet[scapy]"') from error
    packet.time = frame.timestamp
    return packet


def restore(data: bytes, layer: Literal["l2", "l3"], timestamp_ns: int) -> Frame:
    """Return an unpickled frame."""
    return Frame(data, layer=layer, timestamp_ns=timestamp_ns)


# Colours behind the octets of headers, in turn; they can be seen through.
_TINTS = ("74,134,200", "60,141,85", "183,116,43", "150,90,180", "200,69,59")
# Octets of a frame that are shown.
_MOST_OCTETS = 1024
_PER_ROW = 16


def mimebundle(frame: Frame, include: Iterable[str] | None, exclude: Iterable[str] | None) -> dict[str, str]:
    """Return the forms of ``frame`` by MIME type, as IPython asks for them."""
    text = f"{frame!r}\n{frame.hexdump()}".rstrip()
    return chosen_forms({"text/plain": text, "text/html": _html(frame)}, include, exclude)


def _html(frame: Frame) -> Html:
    """Returns the tree of headers, and the octets with those of each header in its colour."""
    headers = dissect(bytes(frame), frame.layer)
    tree = join(*(_header(header, _TINTS[number % len(_TINTS)]) for number, header in enumerate(headers)))
    stamp = f"{len(frame):,} bytes"
    if frame.timestamp_ns:
        seen = datetime.datetime.fromtimestamp(frame.timestamp_ns // 10**9, datetime.UTC)
        stamp += f", {seen:%Y-%m-%d %H:%M:%S}.{frame.timestamp_ns % 10**9 // 1000:06d} UTC"
    title = join(faint("Frame"), Html(" "), strong(frame.summary()), Html(" "), faint(stamp))
    return card(title, tree, _octets(bytes(frame), headers), label=f"Frame of {len(frame)} bytes: {frame.summary()}")


def _header(header: Header, tint: str) -> Html:
    title = join(_tinted(header.name, tint), Html(" "), escape(header.short))
    if not header.fields:
        return Html(f"<div>{title}</div>")
    return folded(title, fields((each.name, _hinted(each)) for each in header.fields), is_open=True)


def _tinted(text: str, tint: str) -> Html:
    return Html(f'<span style="background:rgba({tint},.3);border-radius:2px;padding:0 4px">{escape(text)}</span>')


def _hinted(each: Field) -> Html:
    place = f"byte {each.start}" if each.end - each.start == 1 else f"bytes {each.start} to {each.end - 1}"
    return Html(f'<span title="{place}">{escape(each.text)}</span>')


def _octets(data: bytes, headers: list[Header]) -> Html:
    """Returns rows of octets; neighbours of one field are one piece, which says at the pointer what it is."""
    lines = []
    for start in range(0, min(len(data), _MOST_OCTETS), _PER_ROW):
        row = data[start : start + _PER_ROW]
        text = "".join(chr(octet) if 0x20 <= octet < 0x7F else "." for octet in row)
        lines.append(
            f"{start:04x}  {_row(data, start, start + len(row), headers)}{'   ' * (_PER_ROW - len(row))}  {escape(text)}"
        )
    if len(data) > _MOST_OCTETS:
        lines.append(str(escape(f"and {len(data) - _MOST_OCTETS:,} bytes more")))
    style = "margin:6px 0;background:none;color:inherit;line-height:1.45;overflow-x:auto"
    return Html(f'<pre style="{style}">' + "\n".join(lines) + "</pre>") if data else Html("")


def _row(data: bytes, start: int, end: int, headers: list[Header]) -> str:
    pieces, at = [], start
    while at < end:
        number = next(number for number, header in enumerate(headers) if header.start <= at < header.end)
        header, stop, name = headers[number], min(end, headers[number].end), headers[number].name
        inside = [each for each in header.fields if each.start <= at < each.end]
        if inside:
            # The narrowest that holds it: flags share their octets with what follows them.
            found = min(inside, key=lambda each: each.end - each.start)
            stop, name = min(stop, found.end), f"{header.name} {found.name}: {found.text}"
        else:
            stop = min([stop, *(each.start for each in header.fields if each.start > at)])
        octets = data[at:stop].hex(" ")
        tint = _TINTS[number % len(_TINTS)]
        strength = ".3" if inside and header.fields.index(found) % 2 == 0 else ".18"
        pieces.append(f'<span title="{escape(name)}" style="background:rgba({tint},{strength})">{octets}</span>')
        at = stop
    return " ".join(pieces)
