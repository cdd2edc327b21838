"""Impairments of links as a user writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypedDict

from vnet._errors import InvalidValue
from vnet._html import Html, table
from vnet._shown import headed, titled
from vnet._stats import _Value

__all__ = ["Impairments", "LinkImpairments"]

# One for both directions, or a pair: from a to b, and from b to a. None is nothing.
_Time = str | float | tuple[str | float | None, str | float | None] | list[str | float | None] | None
_Rate = _Time
_Chance = _Time
_Count = int | str | tuple[int | str | None, int | str | None] | list[int | str | None] | None
_Word = str | tuple[str | None, str | None] | list[str | None] | None
_Path = (
    str
    | os.PathLike[str]
    | tuple[str | os.PathLike[str] | None, str | os.PathLike[str] | None]
    | list[str | os.PathLike[str] | None]
    | None
)


class Impairments(TypedDict, total=False):
    """What befalls the frames of a link, by netem's words; each value is one for both directions or a pair, a to b and b to a.

    Times (``delay``, ``jitter``) are ``"10ms"``, ``"200us"``, ``"1.5s"``, or numbers of seconds. Chances (``loss``,
    ``duplicate``, ``reorder``, ``corrupt``) are ``"1%"``, ``"1% 25%"`` with a correlation, or numbers from 0 to 1; ``loss``
    is also ``"gemodel 1% 10% 70% 0.1%"`` (p, r, 1-h, 1-k). ``correlation`` is that of the jitter, ``distribution``
    ``"uniform"``, ``"normal"``, ``"pareto"``, ``"paretonormal"`` or the path of a table in netem's ``.dist`` format. ``gap``
    lets only every so many-th frame overtake. ``rate`` is ``"10mbit"`` or a number of bits a second, ``burst`` a size such as
    ``"15kb"`` or a number of bytes, ``overhead`` a number of bytes that each frame takes besides its own. ``queue``, or
    ``limit``, is what may wait in front of the rate: a number of packets, or a size such as ``"30kb"``. ``discipline`` is
    ``"droptail"``, ``"codel"`` or ``"codel 5ms 100ms ecn"``. ``trace`` is the path of a trace in mahimahi's format, in place
    of a rate.
    """

    delay: _Time
    jitter: _Time
    distribution: _Path
    correlation: _Chance
    loss: _Chance
    duplicate: _Chance
    reorder: _Chance
    gap: _Count
    corrupt: _Chance
    rate: _Rate
    burst: _Count
    overhead: _Count
    queue: _Count
    limit: _Count
    discipline: _Word
    trace: _Path


@dataclass(frozen=True, slots=True)
class LinkImpairments(_Value):
    """What is asked of a link, from a to b and from b to a: the text of each impairment by its key, which can be set again."""

    a_to_b: Mapping[str, str]
    b_to_a: Mapping[str, str]

    @classmethod
    def _read(cls, data: Any) -> Self:
        return cls(*data)

    def __repr__(self) -> str:
        def side(texts: Mapping[str, str]) -> str:
            return ", ".join(f"{key} {text}" for key, text in texts.items()) or "nothing"

        if self.a_to_b == self.b_to_a:
            return f"<vnet.LinkImpairments {side(self.a_to_b)}>"
        return f"<vnet.LinkImpairments a to b: {side(self.a_to_b)}; b to a: {side(self.b_to_a)}>"

    def _html(self) -> Html:
        return titled(self, headed(self, ""), self._table())

    def _table(self) -> Html:
        keys = list(dict.fromkeys([*self.a_to_b, *self.b_to_a]))
        rows = [(key, self.a_to_b.get(key), self.b_to_a.get(key)) for key in keys]
        return table(["impairment", "a to b", "b to a"], rows)


def changes(impairments: Mapping[str, Any], what: Literal["link", "set", "Wire", "replay"]) -> str:
    """Return impairments as the native module reads them; ``what`` was called with them."""
    for key in impairments:
        if key not in Impairments.__annotations__:
            raise TypeError(f"{what}() got an unexpected keyword argument {key!r}")
    return _json({key: _both(value) for key, value in impairments.items()}, "an impairment")


def events(schedule: Sequence[Mapping[str, Any]]) -> str:
    """Return a schedule as the native module reads it."""
    if isinstance(schedule, (str, Mapping)):
        raise InvalidValue(
            f"schedule is {schedule!r}", hint="give a list of dicts such as {'at': '5s', 'delay': '50ms'}"
        )
    return _json([{key: _both(value) for key, value in dict(event).items()} for event in schedule], "a schedule")


def _both(value: Any) -> Any:
    return [_one(side) for side in value] if isinstance(value, (tuple, list)) else _one(value)


def _one(value: Any) -> Any:
    # Nothing has no form in a lab file but this word.
    return "none" if value is None else os.fspath(value) if isinstance(value, os.PathLike) else value


def _json(value: Any, what: str) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidValue(
            f"{what} is neither a number nor a text: {error}", hint="see help(vnet.Impairments)"
        ) from error
