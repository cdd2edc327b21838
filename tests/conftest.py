"""What holds for every test: where `CI=true`, one that cannot run has failed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

# What no set-up installs.
EXCUSED = ("this kernel ",)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Turn a skip into a failure in CI, so that a tool that scripts/setup forgets is not a test that nobody runs."""
    report = yield
    if not report.skipped or hasattr(report, "wasxfail") or os.environ.get("CI") != "true":
        return report
    reason = (
        report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
    )
    if not reason.startswith(EXCUSED):
        report.outcome = "failed"
        report.longrepr = f"with CI=true nothing is skipped: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[Any]:
    """The same for a whole file, which `importorskip` takes out."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"with CI=true nothing is skipped: {report.longrepr[2]}"
    return report
