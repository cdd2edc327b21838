"""A plugin file that is swapped in when it is saved."""

from __future__ import annotations

import shutil
import time
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


def test_a_file_is_not_read_before_its_writer_has_closed_it(tap: vnet.Tap, tmp_path: Path) -> None:
    file = tmp_path / "slow.wat"
    file.write_text(MODULE.format(0))
    flt = tap.attach(file, on_fault="open")
    text = MODULE.format(1)
    with flt.watch() as watch:
        with file.open("w") as writing:
            for part in (text[:40], text[40:]):
                writing.write(part)
                writing.flush()
                # As a compiler that thinks in between; nothing is waited for.
                time.sleep(0.4)
        wait_until(lambda: watch.swaps == 1, 30, "it was swapped in")
        assert watch.refusals == 0


def test_a_directory_that_is_made_again_and_a_link_that_is_turned_are_followed(tap: vnet.Tap, tmp_path: Path) -> None:
    directory = tmp_path / "build" / "release"
    directory.mkdir(parents=True)
    file = directory / "mine.wat"
    file.write_text(MODULE.format(0))
    link = tmp_path / "link.wat"
    link.symlink_to(file)
    flt = tap.attach(link, on_fault="open")
    with flt.watch() as watch:
        file.write_text(MODULE.format(1))
        wait_until(lambda: watch.swaps == 1, 30, "the link's target was swapped in")
        shutil.rmtree(tmp_path / "build")
        directory.mkdir(parents=True)
        file.write_text(MODULE.format(257))
        wait_until(lambda: watch.swaps == 2, 30, "the file in the directory of the same name was swapped in")
        other = tmp_path / "other.wat"
        other.write_text(MODULE.format(0))
        fresh = tmp_path / "fresh"
        fresh.symlink_to(other)
        fresh.replace(link)
        wait_until(lambda: watch.swaps == 3, 30, "what the link leads to was swapped in")
        other.write_text(MODULE.format(1))
        wait_until(lambda: watch.swaps == 4, 30, "its target was swapped in")
        assert watch.refusals == 0
