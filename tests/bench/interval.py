"""Medians of paired runs, with bootstrap intervals."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import NamedTuple

RESAMPLES = 4000


class Estimate(NamedTuple):
    """A median with the bounds of its 95 % percentile-bootstrap interval."""

    median: float
    low: float
    high: float


def estimate(values: Sequence[float]) -> Estimate:
    """Return the median of one number a round; the draws are the same in every run."""
    draw = random.Random(7)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Estimate(statistics.median(values), medians[RESAMPLES // 40], medians[-1 - RESAMPLES // 40])
