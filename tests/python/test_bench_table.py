"""The table of `make bench` says what was measured, and no more."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import bench
import plot
import publish
from interval import estimate
from rows import Row


def test_an_interval_holds_its_median_and_shrinks_to_a_constant() -> None:
    spread = estimate([1.0, 2.0, 3.0, 4.0, 100.0])
    assert spread.median == 3.0
    assert 1.0 <= spread.low <= 3.0 <= spread.high <= 100.0
    assert estimate([2.5] * 15) == (2.5, 2.5, 2.5)


def test_a_bar_is_met_by_the_nearer_bound_and_not_by_the_median() -> None:
    samples = {"tcp": {"ours": [0.6, 0.7, 0.8, 0.9, 1.0] * 3, "veth": [1.0] * 15}}
    median = 0.8
    low = bench.judge(Row("tcp", "ours", "veth", at_least=median), samples)
    high = bench.judge(Row("tcp", "ours", "veth", at_most=median), samples)
    assert low is not None
    assert high is not None
    assert (low["ratio"]["median"], low["met"], high["met"]) == (median, False, False)
    for bar in (Row("tcp", "ours", "veth", at_least=0.6), Row("tcp", "ours", "veth", at_most=1.0)):
        row = bench.judge(bar, samples)
        assert row is not None
        assert row["met"]


def test_a_bound_of_nothing_is_a_bound() -> None:
    wrong = bench.judge(Row("counted", "duplicates", at_most=0), {"counted": {"duplicates": [0, 1, 1]}})
    assert wrong is not None
    assert not wrong["met"]


def test_a_side_that_was_not_measured_meets_no_bar() -> None:
    row = bench.judge(Row("tcp", "ours", "theirs", at_least=8), {"tcp": {"ours": [1.0]}})
    assert row is not None
    assert not row["met"]
    assert "not measured" in publish.cells(row)
    assert bench.judge(Row("rtt", "ours", at_most=8), {"tcp": {"ours": [1.0]}}) is None


def test_the_verdict_names_each_missed_bar_with_what_was_measured() -> None:
    samples = {"core": {"direct veth": [10.0] * 5, "lab link": [9.0] * 5, "direct veth, again": [10.0] * 5}}
    report = {"rounds": 5, "minutes": 1.5, "groups": bench.table({"packets": samples})}
    assert publish.verdict(report) == [
        "missed: TCP, one connection, both ends on one processor, 12 slices a round: lab link / direct veth: "
        "0.9 [0.9 - 0.9], bar ≥ 0.95",
        "1 of 2 bars met in 1.5 minutes, 5 rounds",
    ]


def test_kept_numbers_can_be_read_and_drawn_again() -> None:
    samples = {
        "tcp": {"direct veth": [1.0, 1.1], "lab link": [0.5, 0.7], "kernel bridge": [0.9, 0.8], "TAP wire": [1, 2]}
    }
    report = {"version": "0", "machine": {"cpu": "a & b"}, "rounds": 2, "groups": bench.table({"packets": samples})}
    again = json.loads(publish.compact(report))
    assert publish.compact(again) == publish.compact(report)
    assert "lab link" in plot.svg(again)
    assert "| lab link / direct veth |" in publish.markdown(again)
