from __future__ import annotations

import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SCRIPT = runpy.run_path(str(IMAGES / "draw.py"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("declare", SCRIPT["NETWORKS"], ids=lambda declare: str(declare.__name__))
def test_the_pictures_of_the_docs_are_what_vnet_draws(declare) -> None:  # type: ignore[no-untyped-def]
    drawn = SCRIPT["picture"](declare)
    assert drawn == (IMAGES / f"{declare.__name__}.svg").read_text(), "run python docs/images/draw.py"


@pytest.mark.parametrize("path", sorted(IMAGES.glob("*.svg")), ids=lambda path: str(path.stem))
def test_nothing_in_a_picture_lies_over_a_label(path: Path) -> None:
    root = ElementTree.parse(path).getroot()
    assert root.get("role") == "img"
    assert root.get("aria-label")
    rects = {}
    for kind in ("node", "label"):
        found = [each for each in root.iter(f"{SVG}rect") if each.get("class") == kind]
        rects[kind] = [tuple(float(each.attrib[name]) for name in ("x", "y", "width", "height")) for each in found]
    for number, label in enumerate(rects["label"]):
        for other in [*rects["node"], *rects["label"][:number]]:
            apart = (
                label[0] >= other[0] + other[2] or other[0] >= label[0] + label[2],
                label[1] >= other[1] + other[3] or other[1] >= label[1] + label[3],
            )
            assert any(apart), (label, other)
