"""Intervals by name: those that hold at every n cover, the usual ones are seen to fail.

Logs of a world whose truth is known (worlds/logged.py), worth 9 to 700 rows of the target's own;
coverage is checked by the binomial at one in a million.
"""

from __future__ import annotations

import numpy as np
import pytest

from bestpolicy.bench.coverage import ALPHA, TWIN, Cell, Result, played
from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.evaluate import evaluate, evaluate_all
from bestpolicy.offpolicy.intervals import Resamples
from bestpolicy.offpolicy.sequence import sequence
from bestpolicy.offpolicy.weighting import ips
from bestpolicy.worlds.logged import Prompted
from bounds import at_most

RUNS = {Cell(0.3, 5000): 10, Cell(0.3, 500): 16, Cell(2.0, 500): 52}  # bench coverage has 2,000
CELLS = tuple(RUNS)
_KEPT: dict[Cell, dict[str, Result]] = {}


def results(cell: Cell) -> dict[str, Result]:
    """Each cell is played once for all tests."""
    if cell not in _KEPT:
        _KEPT[cell] = {r.interval: r for r in played(cell, RUNS[cell], seed=17)}
    return _KEPT[cell]


def covers(result: Result) -> bool:
    return at_most(result.missed.count, result.missed.n, ALPHA)


def test_the_cells_reach_from_hundreds_of_effective_rows_down_to_nine() -> None:
    worth = [results(cell)["betting"].effective for cell in CELLS]
    assert worth[0] > 600
    assert worth[2] < 12


@pytest.mark.parametrize("cell", CELLS)
def test_betting_and_bernstein_cover_in_every_cell_and_betting_is_narrower(cell: Cell) -> None:
    found = results(cell)
    assert covers(found["betting"])
    assert covers(found["bernstein"])
    assert found["betting"].width < found["bernstein"].width


def test_the_normal_interval_of_ips_does_not_cover_where_few_rows_count() -> None:
    assert not covers(results(Cell(2.0, 500))[TWIN])


@pytest.mark.parametrize("cell", CELLS)
def test_the_paired_uplift_covers_and_is_narrower_than_two_intervals(cell: Cell) -> None:
    found = results(cell)
    assert covers(found["uplift, paired"])
    assert found["uplift, paired"].width < 0.95 * found["uplift, apart"].width


def test_degrees_of_freedom_by_effective_rows_widen_where_these_are_few() -> None:
    many, few = results(Cell(0.3, 5000)), results(Cell(2.0, 500))
    assert many["student, SNIPS"].width == pytest.approx(many["delta, SNIPS"].width, rel=0.01)
    assert few["student, SNIPS"].width > 1.15 * few["delta, SNIPS"].width


def misses(rewards: Array, bounds: tuple[float, float], truth: float) -> bool:
    """Whether the interval of the mean of plain rows, with these bounds, misses the truth."""
    log = Log(np.zeros(len(rewards), dtype=int), rewards, np.ones(len(rewards)), ("a",), bounds)
    found = ips(log, np.ones(len(rewards)), alpha=ALPHA)
    return not found.low <= truth <= found.high


def test_bounds_of_rewards_taken_from_the_data_cover_no_longer() -> None:
    """A reward of 100 comes once in a hundred rows: many a log of as many has never seen it."""
    declared, taken, runs = 0, 0, 60
    for run in range(runs):
        rng = stream(run, "tests/intervals/bounds")
        rewards = np.where(rng.random(100) < 0.01, 100.0, 0.5 * rng.random(100))
        truth = 0.01 * 100 + 0.99 * 0.25
        declared += misses(rewards, (0.0, 100.0), truth)
        taken += misses(rewards, (float(rewards.min()), float(rewards.max())), truth)
    assert at_most(declared, runs, ALPHA)
    assert not at_most(taken, runs, ALPHA)


def test_all_intervals_asked_for_come_back_and_others_do_not() -> None:
    log, pi = Prompted(0.3).log(400, stream(1, "tests/intervals/asked"))
    names = ("betting", "delta", "student", "bootstrap", "bernstein")
    found = evaluate(log, pi, intervals=names)
    for estimate in found.values():
        assert set(estimate.intervals) == set(names)
        for interval in estimate.intervals.values():
            assert interval.low <= interval.high
        assert estimate.intervals["betting"].low == estimate.low
        assert estimate.asymptotic == estimate.intervals["delta"]
    assert set(evaluate(log, pi)["ips"].intervals) == {"betting", "delta"}
    with pytest.raises(ConfigError, match="no interval is called 'beting'"):
        evaluate(log, pi, intervals=("beting",))


def test_a_bootstrap_has_the_spread_of_its_estimator_and_the_same_draws_again() -> None:
    rng = stream(2, "tests/intervals/bootstrap")
    z = rng.normal(3.0, 2.0, 4000)
    made = []
    for _ in range(2):
        resamples = Resamples(0.05, seed=4)
        resamples.see(z[:3000], 1.0, 0)
        resamples.see(z[3000:], 1.0, 3000)
        made.append(resamples.interval(float(z.mean())))
    assert made[0] == made[1]
    reach = 2 * 1.96 * z.std() / np.sqrt(4000)
    assert made[0].high - made[0].low == pytest.approx(reach, rel=0.25)
    assert made[0].low < z.mean() < made[0].high


def test_several_candidates_each_get_their_share_of_the_error() -> None:
    log, pi = Prompted(0.3).log(600, stream(3, "tests/intervals/many"))
    alone = evaluate(log, pi, confidence=0.99)
    among = evaluate_all(log, {str(k): pi for k in range(5)}, confidence=0.95)
    for found in among.values():
        assert found["ips"].low == pytest.approx(alone["ips"].low)
        assert found.uplift.high == pytest.approx(alone.uplift.high)
        assert found.confidence == pytest.approx(0.95)


def test_without_support_the_bet_still_brackets_the_value() -> None:
    """Half of what the target does was never logged: w has mean 1/2, and both bounds hold."""
    missed, runs, truth = 0, 100, 0.5 * 0.2 + 0.5 * 0.9
    for run in range(runs):
        rng = stream(run, "tests/intervals/support")
        rewards = (rng.random(400) < 0.2).astype(float)
        log = Log(np.zeros(400, dtype=int), rewards, np.ones(400), ("a", "never logged"))
        found = evaluate(log, np.full(400, 0.5), estimators=["ips"])
        missed += not found["ips"].low <= truth <= found["ips"].high
        assert found.verdict == "stop" or found.diagnosis.verdict != "ok"
    assert at_most(missed, runs, ALPHA)


def test_a_sequence_covers_at_every_look_and_a_fixed_interval_read_daily_does_not() -> None:
    """A fair coin valued at its own chances. The twin: the usual interval at each of 64 looks."""
    runs, daily, sequential = 60, 0, 0
    for run in range(runs):
        rng = stream(run, "tests/intervals/daily")
        rewards = (rng.random(640) < 0.5).astype(float)
        log = Log(np.zeros(640, dtype=int), rewards, np.ones(640), ("a",))
        looks = sequence(log, np.ones(640), alpha=ALPHA, looks=16)
        sequential += not all(one.low <= 0.5 <= one.high for _, one in looks)
        ends = np.arange(10, 641, 10)
        means = np.cumsum(rewards)[ends - 1] / ends
        reach = 1.96 * np.sqrt(means * (1 - means) / ends)
        daily += bool((np.abs(means - 0.5) > reach).any())
    assert at_most(sequential, runs, ALPHA)
    assert not at_most(daily, runs, ALPHA)


def test_a_sequence_where_few_rows_count_covers_at_every_look_too() -> None:
    found = results(Cell(2.0, 500))["sequence, all looks"]
    assert found.missed.n == 13
    assert covers(found)
