from __future__ import annotations

import os
import typing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import view_samples
import vnet

SNAPSHOTS = Path(__file__).parent / "views"
VALUES = view_samples.values()
VOID = {"br", "path", "rect", "polyline", "wbr"}
# Classes whose objects hold a part of the running system: test_views_live asks those.
LIVE = {
    "Attachment", "Bridge", "Device", "Events", "Forward", "Host", "Interface", "Link", "Live", "Map", "Maps", "Node",
    "NodeInterface", "Process", "Recording", "Router", "Stage", "StatsSeries", "Switch", "Tap", "Tun", "Veth", "VethEnd", "Watch",
    "Wire",
}  # fmt: skip


class _Page(HTMLParser):
    """Proves that elements end in the order in which they begin, and that nothing is fetched or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.labelled = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "style", "link", "iframe", "object", "img", "a"), tag
        for name, _ in attrs:
            assert not name.startswith("on"), name
            assert name not in ("href", "src", "xlink:href"), name
        if dict(attrs).get("role") in ("img", "group"):
            assert dict(attrs).get("aria-label"), tag
            self.labelled = True
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def assert_page(html: str) -> None:
    page = _Page()
    page.feed(html)
    page.close()
    assert page.open == []
    assert page.labelled


def classes() -> dict[str, type]:
    found = {name: getattr(vnet, name) for name in vnet.__all__}
    # A TypedDict has no objects of its own: it is a plain dict.
    return {name: kind for name, kind in found.items() if isinstance(kind, type) and not typing.is_typeddict(kind)}


def test_every_public_class_shows_itself() -> None:
    assert [name for name, kind in classes().items() if not callable(getattr(kind, "_repr_mimebundle_", None))] == []


def test_every_public_class_has_a_sample_or_a_live_test() -> None:
    shown = {type(value).__name__ for value in VALUES.values()} | LIVE
    errors = {name for name, kind in classes().items() if issubclass(kind, vnet.Error)}
    assert set(classes()) - shown - errors == set()


@pytest.mark.parametrize("name", VALUES)
def test_a_view_is_what_it_was(name: str) -> None:
    bundle = VALUES[name]._repr_mimebundle_()
    assert_page(bundle["text/html"])
    shown = "\n\n".join(f"== {kind}\n{text}" for kind, text in sorted(bundle.items())) + "\n"
    # What no file can hold: half a surrogate in a text, as repr has it.
    shown = shown.encode("utf-8", "backslashreplace").decode()
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("VNET_WRITE_VIEWS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown, newline="\n")
    assert path.exists(), f"no snapshot: run with VNET_WRITE_VIEWS=1 and look at what git shows of {path}"
    assert shown == path.read_bytes().decode(), f"run with VNET_WRITE_VIEWS=1 and look at what git shows of {path}"


def test_every_snapshot_has_a_sample() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_no_view_lets_markup_through(name: str) -> None:
    html = VALUES[name]._repr_mimebundle_()["text/html"]
    assert "<script" not in html
    assert "\u202e" not in html
    html.encode()


def test_a_form_can_be_asked_for_or_left_out() -> None:
    value = view_samples.COUNT
    assert set(value._repr_mimebundle_(include=["text/html"])) == {"text/html"}
    assert set(value._repr_mimebundle_(exclude=["text/html"])) == {"text/plain"}
    frame = vnet.Frame(view_samples.ARP)
    assert set(frame._repr_mimebundle_(include={"text/plain", "text/latex"}, exclude=None)) == {"text/plain"}
    assert all(type(text) is str for text in value._repr_mimebundle_().values())


@pytest.mark.parametrize("kind", [kind for kind in classes().values() if issubclass(kind, vnet.Error)])
def test_exceptions_show_message_hint_and_details(kind: type[Any]) -> None:
    error = kind(view_samples.HOSTILE, hint=view_samples.HOSTILE)
    error.stderr, error.plugin = "line 1\nline 2", view_samples.HOSTILE
    bundle = error._repr_mimebundle_()
    assert_page(bundle["text/html"])
    assert "&lt;script&gt;" in bundle["text/html"]
    assert "line 1\nline 2" in bundle["text/html"]
    assert bundle["text/plain"].startswith(f"vnet.{kind.__name__}: ")


def test_a_frame_of_any_octets_is_shown() -> None:
    whole = [bytes(frame) for frame in view_samples.CONNECTION] + [view_samples.IPV6, view_samples.TAGGED]
    whole += [bytes(view_samples.dns(query=False)), bytes([0x60]) + bytes(60), bytes([0x4F]) * 70]
    for octets in whole:
        for end in range(0, len(octets) + 1, 3):
            for layer in ("l2", "l3"):
                frame = vnet.Frame(octets[:end], layer=layer)  # type: ignore[arg-type]
                assert_page(frame._repr_mimebundle_()["text/html"])
        for at in range(len(octets)):
            changed = octets[:at] + b"\xff" + octets[at + 1 :]
            assert_page(vnet.Frame(changed)._repr_mimebundle_()["text/html"])


def test_a_frames_octets_are_all_shown_once() -> None:
    frame = view_samples.CONNECTION[4]
    html = frame._repr_mimebundle_()["text/html"]
    dump = html.split("<pre")[-1]
    shown = ""
    for line in dump.split(">", 1)[1].split("</pre>")[0].splitlines():
        pieces = line.split("</span>")
        shown += "".join(piece.rsplit(">", 1)[1] for piece in pieces[:-1])
    assert bytes.fromhex(shown) == bytes(frame)
    assert 'title="IPv4 source: 10.0.0.1"' in html
    assert 'title="TCP flags: PSH ACK"' in html
