"""A plugin file that is swapped in when it is saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import vnet
from lab import Lab, wait_until

MODULE = """(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const {})))"""


@pytest.fixture
def tap(lab: Lab) -> Iterator[vnet.Tap]:
    with vnet.Tap("tap0", netns=lab.path) as tap:
        yield tap


def test_a_saved_file_is_swapped_in_and_a_bad_one_refused(tap: vnet.Tap, tmp_path: Path) -> None:
    file = tmp_path / "mine.wat"
    file.write_text(MODULE.format(0))
    flt = tap.attach(file, on_fault="open")
    with flt.watch() as watch:
        assert watch.path == str(file)
        file.write_text(MODULE.format(1))
        wait_until(lambda: watch.swaps == 1, 30, "it was swapped in")
        file.write_text("(module (oops")
        wait_until(lambda: watch.refusals == 1, 30, "it was refused")
        assert watch.refused is not None
        assert "mine" in watch.refused
        assert flt.stats.swaps == 1
        # As editors save: another file in its place.
        fresh = tmp_path / "mine.wat.tmp"
        fresh.write_text(MODULE.format(257))
        fresh.replace(file)
        wait_until(lambda: watch.swaps == 2, 30, "it was swapped in")
        assert watch.refused is None
        assert [event.kind for event in flt.events.kept] == ["swapped", "refused", "swapped"]
    file.write_text(MODULE.format(0))
    # Another file, whose watch takes the place of the first.
    second = tmp_path / "second.wat"
    second.write_text(MODULE.format(0))
    watch = flt.watch(second)
    second.write_text(MODULE.format(3))
    wait_until(lambda: watch.swaps == 1, 30, "it was swapped in")
    assert flt.name == "second"
    flt.detach()
    assert repr(watch).startswith("<vnet.Watch ")


def test_what_is_no_file_cannot_be_watched(tap: vnet.Tap, tmp_path: Path) -> None:
    flt = tap.attach("count")
    with pytest.raises(vnet.InvalidValue, match="not a file"):
        flt.watch()
    with pytest.raises(vnet.NotFound, match=r"none\.wasm"):
        flt.watch(tmp_path / "none.wasm")
