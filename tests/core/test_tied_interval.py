"""An interval for a share that mostly ties: narrower, and as sure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from bestpolicy.core.evidence import share_interval, tied_interval
from bestpolicy.core.rng import stream

ALPHA = 0.1
RUNS = 400


def misses(ties: float, decided: float, *, stale: bool = False) -> int:
    """Studies in which the interval ever left out the true share, looked at now and then."""
    mean = ties / 2 + (1 - ties) * decided
    missed = 0
    for run in range(RUNS):
        rng = stream(5, f"tied/{ties}/{decided}", run)
        y = np.where(rng.random(600) < ties, 0.5, (rng.random(600) < decided).astype(float))
        found = False
        for n in (5, 10, 20, 40, 80, 150, 300, 600):
            won, even = float(y[:n].sum()), float((y[:n] == 0.5).sum())
            if stale:  # the twin: three ties of four are taken for decided and still believed sure
                low, high = won / n - 0.5 / n**0.5 / 2, won / n + 0.5 / n**0.5 / 2
            else:
                told = tied_interval(won, n - won, even, ALPHA)
                low, high = told.low, told.high
            found |= not low <= mean <= high
        missed += found
    return missed


@pytest.mark.slow
@pytest.mark.parametrize(("ties", "decided"), [(0.2, 0.5), (0.8, 0.3), (0.95, 0.9)])
def test_it_covers_at_every_look(ties: float, decided: float) -> None:
    assert misses(ties, decided) <= binom.isf(1e-6, RUNS, ALPHA)


@pytest.mark.slow
def test_an_interval_that_is_too_narrow_is_caught() -> None:
    assert misses(0.2, 0.5, stale=True) > binom.isf(1e-6, RUNS, ALPHA)


def test_with_many_ties_it_is_much_narrower_and_without_any_hardly_wider() -> None:
    told, flat = tied_interval(940, 1030, 1759, 0.05), share_interval(940, 1030, 0.05)
    assert told.high - told.low < 0.4 * (flat.high - flat.low)
    told, flat = tied_interval(60, 40, 0, 0.05), share_interval(60, 40, 0.05)
    assert told.high - told.low < 1.2 * (flat.high - flat.low)


@pytest.mark.parametrize("counts", [(0, 0, 0), (5, 0, 0), (0, 5, 0), (2.5, 2.5, 5), (0.5, 0.5, 1)])
def test_few_answers_make_a_wide_interval_that_holds_the_mean(
    counts: tuple[float, float, float],
) -> None:
    told = tied_interval(*counts, 0.05)
    assert 0 <= told.low <= told.value <= told.high <= 1
    assert told.high - told.low > 0.3
