"""Small charts in SVG."""

from __future__ import annotations

from collections.abc import Sequence

from vnet._html import Html, escape

__all__: list[str] = []

_WIDTH, _HEIGHT = 420.0, 90.0
# Room for the numbers at the left, above and below.
_LEFT, _TOP, _BOTTOM = 86.0, 10.0, 18.0
# More bars than this are put together.
_MOST = 120
_BLUE, _RED = "#4a86c8", "#c8453b"


def bars(heights: Sequence[float | None], *, label: str, unit: str, across: str) -> Html:
    """Return a bar for each value, and a red cross where there is none; ``across`` names what stands from left to right."""
    groups = _groups(heights)
    top = max((value for value, _ in groups if value is not None), default=0.0) or 1.0
    step = (_WIDTH - _LEFT) / max(len(groups), 1)
    wide = max(min(step * 0.8, 24.0), 0.5)
    drawn = []
    for number, (value, missing) in enumerate(groups):
        x = _LEFT + number * step + (step - wide) / 2
        if value is not None:
            height = max(_HEIGHT * value / top, 0.5)
            drawn.append(_rect(x, _TOP + _HEIGHT - height, wide, height, _BLUE))
        if missing:
            drawn.append(_cross(x + wide / 2, _TOP + _HEIGHT - 5))
    return _chart("".join(drawn), top, label=label, unit=unit, across=across)


def line(points: Sequence[tuple[float, float]], *, label: str, unit: str, across: str) -> Html:
    """Return a line through points, which go from left to right."""
    top = max((y for _, y in points), default=0.0) or 1.0
    first, last = (points[0][0], points[-1][0]) if points else (0.0, 1.0)
    span = (last - first) or 1.0
    places = " ".join(
        f"{_LEFT + (x - first) / span * (_WIDTH - _LEFT):.1f},{_TOP + _HEIGHT - _HEIGHT * y / top:.1f}"
        for x, y in points
    )
    drawn = f'<polyline points="{places}" fill="none" stroke="{_BLUE}" stroke-width="1.5"/>' if points else ""
    return _chart(drawn, top, label=label, unit=unit, across=across)


def cells(rows: Sequence[Sequence[bool | None]], *, label: str) -> Html:
    """Return a square of small cells: blue where true, red where false, nothing where None."""
    size = max(2.0, min(12.0, 480.0 / max(len(rows), 1)))
    side = size * len(rows)
    drawn = "".join(_runs(rows, state, colour, size) for state, colour in ((True, _BLUE), (False, _RED)))
    return svg(drawn, side, side, label=label)


def svg(drawn: str, width: float, height: float, *, label: str) -> Html:
    """Return a picture of this size; ``drawn`` is SVG, ``label`` says to a screen reader what it shows."""
    named = escape(label)
    return Html(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{named}" '
        'style="max-width:100%;height:auto;background:transparent" font-family="sans-serif" font-size="10" '
        f'fill="currentColor"><title>{named}</title>{drawn}</svg>'
    )


def _groups(heights: Sequence[float | None]) -> list[tuple[float | None, bool]]:
    """Puts neighbours together where there are too many: the largest of each group, and whether one is missing."""
    size = -(-len(heights) // _MOST) or 1
    groups = []
    for start in range(0, len(heights), size):
        group = heights[start : start + size]
        groups.append((max((value for value in group if value is not None), default=None), None in group))
    return groups


def _runs(rows: Sequence[Sequence[bool | None]], wanted: bool, colour: str, size: float) -> str:
    """Draws the cells of one state, those side by side as one."""
    path = []
    for y, row in enumerate(rows):
        start = None
        for x, state in enumerate([*row, None]):
            if state is wanted and start is None:
                start = x
            elif state is not wanted and start is not None:
                width = (x - start) * size
                path.append(f"M{start * size:g} {y * size:g}h{width:g}v{size:g}h{-width:g}z")
                start = None
    return f'<path d="{"".join(path)}" fill="{colour}"/>' if path else ""


def _chart(drawn: str, top: float, *, label: str, unit: str, across: str) -> Html:
    floor = _TOP + _HEIGHT
    frame = (
        f'<path d="M{_LEFT} {_TOP}V{floor}H{_WIDTH}" fill="none" stroke="currentColor" stroke-opacity=".5"/>'
        f'<text x="{_LEFT - 5}" y="{_TOP + 8}" text-anchor="end">{escape(f"{top:.4g} {unit}")}</text>'
        f'<text x="{_LEFT - 5}" y="{floor}" text-anchor="end">0</text>'
        f'<text x="{(_LEFT + _WIDTH) / 2}" y="{floor + 13}" text-anchor="middle" fill-opacity=".7">{escape(across)}</text>'
    )
    return svg(frame + drawn, _WIDTH, floor + _BOTTOM, label=label)


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _cross(x: float, y: float) -> str:
    return f'<path d="M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6" stroke="{_RED}" stroke-width="1.5"/>'
