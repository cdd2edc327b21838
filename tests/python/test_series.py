"""Numbers over time, read by what reads Arrow streams."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow
import pytest
import vnet
from wait import until


@pytest.fixture
def lab():
    with vnet.Network(seed=1) as net:
        h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
        net.link(h1, s1, loss=0.3)
        net.link(h2, s1).attach("count")
        net.start()
        yield net


def lossy_ping(lab: vnet.Network) -> None:
    """Ping until some have passed, and some are lost."""

    def done() -> bool:
        lab["h1"].ping(lab["h2"], count=10, interval=0.01, timeout=0.2)
        links = lab.stats().links
        return links["h2-s1"].to_a.packets > 0 and links["h1-s1"].a_to_b.lost > 0

    until(done, "frames have passed, and were lost")


def test_one_sample_has_a_row_for_each_thing(lab):
    lossy_ping(lab)
    stats = lab.stats()
    table = stats._rows_now().columns()
    kinds = set(zip(table["kind"], table["link"], table["direction"], strict=True))
    assert {("link", "h1-s1", "a>b"), ("link", "h1-s1", "b>a"), ("port", "h1-s1", "rx")} <= kinds
    at = [(k, link, d) for k, link, d in zip(table["kind"], table["link"], table["direction"], strict=True)]
    lossy = at.index(("link", "h1-s1", "a>b"))
    assert table["frames"][lossy] == stats.links["h1-s1"].from_a.packets
    assert table["reasons"][lossy] == {"loss": stats.links["h1-s1"].a_to_b.lost}
    assert table["node"][lossy] == "h1"
    assert table["state"][lossy] == "engine"
    stage = table["kind"].index("stage")
    assert (table["stage"][stage], table["link"][stage]) == ("count", "h2-s1")
    assert table["frames"][stage] > 0
    assert table["ns_per_packet"][stage] > 0
    assert table["cpu_ns"][stage] > 0
    engine = table["kind"].index("engine")
    assert table["node"][engine] == "s1"


def test_a_series_goes_on_while_nothing_of_python_runs(lab):
    with lab.stats(every="20ms", last="30s") as series:
        # The interpreter is inside one call all the time.
        lab["h1"].ping(lab["h2"], count=100, interval=0.01, timeout=0.2)
        until(lambda: len(series) >= 10, "it is so")
    taken = series.taken
    assert taken >= 10
    assert not series.running
    time.sleep(0.1)
    assert series.taken == taken
    table = series._rows_now().columns()
    sent = [
        (t, frames)
        for t, frames, kind, link, way in zip(
            table["time"], table["frames"], table["kind"], table["link"], table["direction"], strict=True
        )
        if (kind, link, way) == ("link", "h1-s1", "a>b")
    ]
    assert sent == sorted(sent)
    assert len(sent) == taken
    assert sent[-1][1] > sent[0][1]
    assert abs(sent[-1][0] / 1e9 - time.time()) < 60


def test_old_samples_go(lab):
    with lab.stats(every=0.005, last=0.1) as series:
        until(lambda: series.taken > 60, "it is so")
    assert 1 <= len(series) <= 22


def test_a_series_ends_with_its_network():
    with vnet.Network() as net:
        h1, h2 = net.host("h1"), net.host("h2")
        net.link(h1, h2)
        series = net.stats(every=0.01)
        until(lambda: series.taken > 2, "it is so")
    until(lambda: not series.running, "it is so")
    assert len(series._rows_now()) > 0
    assert "StatsSeries of lab" in repr(series)


def test_a_series_that_is_forgotten_leaves_no_thread(lab):
    def threads() -> int:
        names = [Path(f"/proc/self/task/{task}/comm").read_text().strip() for task in os.listdir("/proc/self/task")]
        return names.count("vnet-stats")

    series = lab.stats(every=0.01)
    until(lambda: threads() == 1, "it is so")
    del series
    gc.collect()
    until(lambda: threads() == 0, "it is so")


def test_senseless_times_are_refused(lab):
    for every in (0, "0s", "1kg", -1):
        with pytest.raises(vnet.InvalidValue, match="every"):
            lab.stats(every=every)


def test_pandas_reads_it(lab):
    lab["h1"].ping(lab["h2"], timeout=0.2)
    frame = lab.stats().to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert str(frame.time.dtype) == "datetime64[ns, UTC]"
    assert frame[frame.kind == "link"].frames.sum() > 0
    assert frame[frame.kind == "stage"].queue.isna().all()


def test_polars_duckdb_and_pyarrow_read_the_stream(lab):
    lab["h1"].ping(lab["h2"], count=5, interval=0.01, timeout=0.2)
    with lab.stats(every="10ms") as series:
        until(lambda: len(series) > 5, "it is so")
    rows = series._rows_now()
    frame = series.to_polars()
    assert len(frame) == len(rows)
    assert frame["frames"].to_list() == rows.columns()["frames"]
    assert frame["node"].to_list() == rows.columns()["node"]
    assert frame["queue"].null_count() == rows.columns()["queue"].count(None)
    assert frame["reasons"].len() == len(rows)
    assert isinstance(frame["time"].dtype, polars.Datetime)
    table = pyarrow.table(series)
    table.validate(full=True)
    assert [dict(pairs) for pairs in table["reasons"].to_pylist()] == rows.columns()["reasons"]
    connection = duckdb.connect()
    connection.register("numbers", series)
    found = connection.execute("select max(frames) from numbers where kind = 'link'").fetchone()
    assert found == (
        max(f for f, k in zip(table["frames"].to_pylist(), table["kind"].to_pylist(), strict=True) if k == "link"),
    )


def test_a_stream_that_nobody_reads_is_freed(lab):
    stats = lab.stats()
    for _ in range(1000):
        stats.__arrow_c_stream__()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3000):
        pyarrow.table(stats)
        stats.__arrow_c_stream__()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_it_says_what_is_missing(lab):
    code = """
import sys, vnet
sys.modules["pandas"] = sys.modules["polars"] = None
with vnet.Network() as net:
    net.host("h1")
    for give in ("to_pandas", "to_polars"):
        try:
            getattr(net.stats(), give)()
        except vnet.Unsupported as error:
            assert "vnet[df]" in str(error), error
        else:
            raise SystemExit("it was given")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
