"""Betting on means: the bound holds however few rows count, and no stake may look before it bets.

What is checked is checked by the binomial at one in a million, on streams of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import comb

import numpy as np
import pytest

from bestpolicy.core.betting import STAKES, Purse, between, log_wealth, lower
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bounds import at_most

RUNS, N, ALPHA = 1500, 300, 0.2


def heavy(run: int) -> Array:
    """Rows with mean 1, no variance to speak of, and mostly nothing: worth a few rows."""
    rng = stream(run, "tests/betting")
    chance = np.exp(-rng.exponential(2.0, N))
    return (rng.random(N) < chance) / chance


def misses(bound: float) -> bool:
    return bound > 1.0


def test_the_lower_bound_is_above_the_mean_no_more_often_than_promised() -> None:
    assert at_most(sum(misses(lower(Purse.of(heavy(r)), ALPHA)) for r in range(RUNS)), RUNS, ALPHA)


def test_with_y_that_is_nothing_or_a_fortune_it_holds_too_and_is_nearly_spent() -> None:
    """The null's edge: y = 60 once in sixty rows. A bound that never misses would prove nothing."""
    runs, missed = 1500, 0
    for r in range(runs):
        y = 60.0 * (stream(r, "tests/betting/edge").random(60) < 1 / 60)
        missed += misses(lower(Purse.of(y), ALPHA))
    assert at_most(missed, runs, ALPHA)
    assert missed > 0


def exact_mean(wealth: Callable[[Array], float]) -> float:
    """The mean of a wealth over all sequences of eight rows, each 4 once in four and else 0."""
    total = 0.0
    for k in range(9):
        y = np.r_[np.full(k, 4.0), np.zeros(8 - k)]
        total += comb(8, k) * 0.25**k * 0.75 ** (8 - k) * wealth(y)
    return total


def test_the_mean_of_the_wealth_under_the_null_is_at_most_one() -> None:
    """So that 1/alpha is passed with chance alpha at most; at the null's edge all of it is used."""
    assert exact_mean(lambda y: np.exp(log_wealth(Purse.of(y), 1.0))) == pytest.approx(1.0)
    assert exact_mean(lambda y: np.exp(log_wealth(Purse.of(y), 1.3))) < 1.0


def test_a_stake_chosen_after_seeing_the_rows_has_no_such_mean() -> None:
    def best(y: Array) -> float:
        return float(np.prod(1 + STAKES[:, None] * (y - 1), axis=1).max())

    assert exact_mean(best) > 1.2


def test_a_stake_chosen_after_seeing_each_row_misses_far_too_often() -> None:
    missed = 0
    for r in range(200):
        rows = heavy(r)
        won = np.log1p(STAKES[:, None] * (rows - 1)).max(axis=0).sum()
        missed += bool(won >= np.log(1 / ALPHA))
    assert not at_most(missed, 200, ALPHA)


def test_rows_whose_means_differ_bound_their_average() -> None:
    """Half the rows pay three times as much as the rest (two loggers): the means' inequality."""
    stakes = STAKES[:, None]
    means = np.r_[np.full(6, 0.5), np.full(6, 1.5)]
    expected = np.prod(1 - stakes + stakes * means, axis=1).mean()
    assert expected <= 1
    alternating = np.prod(1 - stakes + stakes * means[::-1], axis=1).mean()
    assert alternating == pytest.approx(expected)


def test_the_wealth_falls_in_v_and_the_order_of_rows_is_nothing_to_it() -> None:
    y = heavy(3)
    purse = Purse.of(y)
    wealth = [log_wealth(purse, v) for v in np.geomspace(0.05, 3, 40)]
    assert all(a >= b for a, b in pairwise(wealth))
    assert log_wealth(Purse.of(y[::-1]), 0.7) == pytest.approx(log_wealth(purse, 0.7))
    halves = Purse.of(y[:100]) + Purse.of(y[100:])
    assert lower(halves, 0.05) == pytest.approx(lower(purse, 0.05))


def test_the_grid_never_wins_more_than_the_rows_and_loses_next_to_nothing() -> None:
    y = heavy(5)
    exact = np.log1p(STAKES[:, None] * (y / 0.8 - 1)[None, :]).sum(axis=1)
    top = exact.max()
    truth = top + np.log(np.mean(np.exp(exact - top)))
    assert truth - 1e-3 <= log_wealth(Purse.of(y), 0.8) <= truth + 1e-12


def test_bounds_that_cross_say_that_nothing_is_known() -> None:
    """Weights of mean 4 refute the chances that they were made of: no interval follows."""
    purse = Purse.of(np.full(500, 2.0))
    assert lower(purse, 0.025, most=1.0) > 1 - lower(purse, 0.025, most=1.0)
    found = between(purse, purse, 0.05)
    assert (found.low, found.high) == (0.0, 1.0)
