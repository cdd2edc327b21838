"""Building blocks of what notebooks show.

No script, no style sheet, no font and no server is needed for any of it: a saved notebook looks the same on a page, on
GitHub and in print. Colours are those of the page (``currentColor``) or see-through, so that light and dark pages can both be
read. Every text is escaped here, where it becomes HTML, and nowhere else: what is HTML already is an :class:`Html`.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

__all__: list[str] = []

# Rows of a table that are shown.
_MOST_ROWS = 100
_CELL = "padding:2px 10px 2px 0;border:0;"
_FAINT = "opacity:.65"
_RULE = "rgba(128,128,128,.35)"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Content: TypeAlias = Any
"""What stands in a cell: an :class:`Html`, or any value, which is written as text."""


def escape(value: object) -> Html:
    """Return a text as HTML, in an element or a quoted attribute; control characters are made visible."""
    text = "".join(_visible(character) for character in str(value))
    return Html(html.escape(text, quote=True))


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20 and character not in "\n\t":
        return chr(0x2400 + code)
    # Marks that turn the reading direction could make a name look like another; half a surrogate cannot be written.
    turns = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    return "\N{REPLACEMENT CHARACTER}" if code == 0x7F or turns or 0xD800 <= code <= 0xDFFF else character


def join(*parts: Content) -> Html:
    """Return parts one behind the other."""
    return Html("".join(content(part) for part in parts))


def content(value: Content) -> Html:
    """Return a value as it stands in a cell: numbers with separated thousands, mappings as ``key value``, tables of tables."""
    if isinstance(value, Html):
        return value
    if value is None or value in ((), {}, ""):
        return faint("\N{EN DASH}")
    if isinstance(value, bool):
        return escape("yes" if value else "no")
    if isinstance(value, int):
        return escape(f"{value:,}")
    if isinstance(value, float):
        return escape(f"{value:,.6g}")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return values(value)
    if isinstance(value, Mapping):
        return Html(", ".join(f"{escape(key)} {content(item)}" for key, item in value.items()))
    if isinstance(value, (tuple, list)):
        return _items(value)
    return escape(value)


def _items(items: Sequence[Content]) -> Html:
    first = items[0]
    if dataclasses.is_dataclass(first) and all(type(item) is type(first) for item in items):
        names = [field.name for field in dataclasses.fields(first) if field.repr]
        return table([words(name) for name in names], [[getattr(item, name) for name in names] for item in items])
    return Html(", ".join(content(item) for item in items))


def words(name: str) -> str:
    """Return the name of an attribute in words: ``rx_packets`` is ``rx packets``."""
    return name.strip("_").replace("_", " ")


def faint(text: object) -> Html:
    """Return a text that stands back."""
    return Html(f'<span style="{_FAINT}">{escape(text)}</span>')


def strong(text: object) -> Html:
    """Return a text that stands out."""
    return Html(f"<strong>{escape(text)}</strong>")


def code(text: object) -> Html:
    """Return a text in the page's monospaced face."""
    return Html(f'<code style="background:none;color:inherit">{escape(text)}</code>')


def preformatted(text: object) -> Html:
    """Return lines as they are, in the page's monospaced face."""
    style = "margin:4px 0;background:none;color:inherit;white-space:pre-wrap;overflow-wrap:anywhere"
    return Html(f'<pre style="{style}">{escape(text)}</pre>')


def mark(text: object, kind: str) -> Html:
    """Return a word in a frame: ``"good"``, ``"bad"``, ``"warning"`` or ``"plain"``, which the word itself says too."""
    colour = {"good": "#3c8d55", "bad": "#c8453b", "warning": "#b7742b"}.get(kind, "#808080")
    style = f"border:1px solid {colour};border-radius:3px;padding:0 5px;font-size:90%"
    return Html(f'<span style="{style}">{escape(text)}</span>')


def table(head: Sequence[Content], rows: Iterable[Sequence[Content]], *, label: str | None = None) -> Html:
    """Return a table; columns of numbers are set flush right. Of very many rows the first are shown, and how many follow."""
    rows = list(rows)
    shown = rows[:_MOST_ROWS]
    numeric = [bool(shown) and all(_is_number(row[at]) for row in shown) for at in range(len(head))]
    aligned = [f"{_CELL}text-align:{'right' if number else 'left'}" for number in numeric]
    cells = "".join(
        f'<th scope="col" style="{style};border-bottom:1px solid {_RULE};font-weight:600">{content(cell)}</th>'
        for style, cell in zip(aligned, head, strict=True)
    )
    body = [_row(row, aligned) for row in shown]
    if len(rows) > len(shown):
        more = faint(f"and {len(rows) - len(shown):,} more")
        body.append(f'<tr style="background:none"><td colspan="{len(head)}" style="{_CELL}">{more}</td></tr>')
    named = f' aria-label="{escape(label)}"' if label else ""
    return Html(f"{_open(named)}<thead><tr>{cells}</tr></thead><tbody>{''.join(body)}</tbody></table>")


def _row(row: Sequence[Content], aligned: Sequence[str]) -> str:
    cells = (f'<td style="{style}">{content(cell)}</td>' for style, cell in zip(aligned, row, strict=True))
    return f'<tr style="background:none">{"".join(cells)}</tr>'


def _is_number(value: Content) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def fields(pairs: Iterable[tuple[Content, Content]]) -> Html:
    """Return a table of names and values."""
    rows = (
        f'<tr style="background:none"><th scope="row" style="{_CELL}text-align:left;font-weight:400;{_FAINT}">'
        f'{content(name)}</th><td style="{_CELL}text-align:left">{content(value)}</td></tr>'
        for name, value in pairs
    )
    return Html(f"{_open('')}<tbody>{''.join(rows)}</tbody></table>")


def _open(attributes: str) -> str:
    return f'<table{attributes} style="border-collapse:collapse;border:0;margin:2px 0;background:none;color:inherit">'


def values(value: Any) -> Html:
    """Return the fields of a dataclass that its ``repr`` shows."""
    shown = (field.name for field in dataclasses.fields(value) if field.repr and not field.name.startswith("_"))
    return fields((words(name), getattr(value, name)) for name in shown)


def folded(summary: Content, *body: Content, is_open: bool = False) -> Html:
    """Return what opens and closes at a click, without a script; on paper it stays as it is."""
    return Html(f"<details{' open' if is_open else ''}><summary>{content(summary)}</summary>{join(*body)}</details>")


def card(title: Content, *body: Content, label: str) -> Html:
    """Return the whole view of one object under a line that names it; ``label`` says to a screen reader what it is."""
    head = f'<div style="margin-bottom:2px">{content(title)}</div>'
    inner = "".join(content(part) for part in body)
    style = "color:inherit;background:transparent;overflow-x:auto"
    return Html(f'<div role="group" aria-label="{escape(label)}" style="{style}">{head}{inner}</div>')


def chosen_forms(forms: dict[str, str], include: Iterable[str] | None, exclude: Iterable[str] | None) -> dict[str, str]:
    """Return those of the forms that are wanted; plain strings, whatever they were."""
    wanted = set(forms) if include is None else set(include)
    wanted -= set(exclude or ())
    return {kind: str.__str__(text) for kind, text in forms.items() if kind in wanted}
