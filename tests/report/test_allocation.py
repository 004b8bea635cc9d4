"""Where the comparisons went and should have gone, and which duels are shown as examples."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bestpolicy.core.nouns import Comparison, Outcome
from bestpolicy.report.allocation import Allocation, allocation
from bestpolicy.report.dossier import Basis, choose
from bestpolicy.report.snapshot import Pair, Snapshot
from bestpolicy.worlds import truth
from report.scripted import TICKETS, dossier, play

TRUTH = np.array([[0.5, 0.6, 0.7], [0.4, 0.5, 0.9], [0.3, 0.1, 0.5]])
CYCLE = np.array([[0.5, 0.6, 0.3], [0.4, 0.5, 0.7], [0.7, 0.3, 0.5]])
BASIS = Basis("llm-po", "free", False, 0.0, False, "somebody", "rows")


def seen(p: Any, n: int, kind: Any = "winner") -> Snapshot:
    """A study in which every pair met n times and won as often as p says."""
    made = dossier(play({"a": 0.0, "b": 0.0, "c": 0.0}, most=3), full=False).snapshot
    pairs = {(a, b): Pair(n * float(p[a, b]), n) for a in range(3) for b in range(3) if a != b}
    verdict = replace(made.verdict, kind=kind, policy="a")
    return replace(made, pairs=pairs, verdict=verdict, standing=replace(made.standing, leader=0))


def best(where: Allocation) -> np.ndarray[Any, Any]:
    w = np.zeros((3, 3))
    for one in where.pairs:
        w[one.loser, one.rival] = one.best.value if one.best else 0.0
    return w


@pytest.mark.parametrize("n", [100, 10_000])
def test_the_optimum_is_that_of_the_shares_seen(n: int) -> None:
    verify = allocation(seen(TRUTH, n), BASIS)
    np.testing.assert_allclose(best(verify), truth.proportions(TRUTH, assume_winner=False))
    assumed = allocation(seen(TRUTH, n), replace(BASIS, assume_winner=True))
    np.testing.assert_allclose(best(assumed), truth.proportions(TRUTH))
    nobody = allocation(seen(CYCLE, n, "no-winner"), BASIS)
    np.testing.assert_allclose(best(nobody), truth.proportions(CYCLE, assume_winner=False))
    # Shares in proportion to how close a pair is would be another answer.
    gaps = np.array([[0, 0, 0], [1 / 0.1, 0, 0], [1 / 0.2, 0, 0]])
    assert not np.allclose(best(verify), gaps / gaps.sum(), atol=0.02)


def test_the_range_holds_the_optimum_of_all_shares_within_their_intervals() -> None:
    at = seen(TRUTH, 2000)
    where = allocation(at, BASIS)
    ranges = {one.loser: one.best for one in where.pairs if one.best}
    shares = [at.against(j, 0) for j in (1, 2)]
    for ends in np.ndindex(2, 2):
        p = TRUTH.copy()
        for j, share, end in zip((1, 2), shares, ends, strict=True):
            assert share is not None
            p[j, 0] = (share.low, share.high)[end]
            p[0, j] = 1 - p[j, 0]
        w = truth.proportions(p, assume_winner=False)
        for j in (1, 2):
            assert ranges[j].low - 1e-9 <= w[j, 0] <= ranges[j].high + 1e-9
    wide = allocation(seen(TRUTH, 20), BASIS)
    assert wide.pairs[0].best is not None
    assert (wide.pairs[0].best.low, wide.pairs[0].best.high) == (0.0, 1.0) or (
        wide.pairs[0].best.high - wide.pairs[0].best.low > ranges[1].high - ranges[1].low
    )


def test_shares_used_are_counts_of_all() -> None:
    at = dossier(play(TICKETS, most=200), full=False).snapshot
    where = allocation(at, BASIS)
    assert where.total == 200 == sum(one.n for one in where.pairs)
    assert sum(one.used for one in where.pairs) == pytest.approx(1)


@pytest.mark.parametrize(
    ("at", "basis", "why"),
    [
        (seen(TRUTH, 100, "equivalent"), BASIS, "equivalence"),
        (seen(TRUTH, 100), replace(BASIS, trust_structure=True), "structure"),
        (seen(CYCLE, 100), BASIS, "does not lose to a"),
        (
            replace(seen(TRUTH, 100), pairs={(0, 1): Pair(6, 10), (1, 0): Pair(4, 10)}),
            BASIS,
            "has not met a",
        ),
    ],
    ids=["equivalent", "structure", "no winner", "never met"],
)
def test_where_no_optimum_is_known_none_is_shown(at: Snapshot, basis: Basis, why: str) -> None:
    where = allocation(at, basis)
    assert why in where.why_not
    assert all(one.best is None for one in where.pairs)


# -- examples ------------------------------------------------------------------------------------


def outcomes(won: int, lost: int, ties: int, others: int, never: int) -> tuple[Outcome, ...]:
    kinds = [((0, 1), 1.0)] * won + [((1, 0), 1.0)] * lost + [((0, 1), 0.5)] * ties
    kinds += [((1, 2), 1.0)] * others + [((0, 2), None)] * never
    return tuple(
        Outcome(Comparison(arms, id=n), None if y is None else (y, 1 - y))
        for n, (arms, y) in enumerate(kinds)
    )


def record(*numbers: int, seed: int = 1) -> Any:
    return SimpleNamespace(
        outcomes=outcomes(*numbers), seed=seed, standing=SimpleNamespace(leader=0)
    )


def kinds(chosen: list[Outcome]) -> list[int]:
    """How many the leader won, lost, tied; others; never answered."""
    count = [0] * 5
    for outcome in chosen:
        (a, b), y = outcome.comparison.arms, outcome.scores
        count[4 if y is None else 2 if y[0] == 0.5 else 0 if a == 0 else 1 if b == 0 else 3] += 1
    return count


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((600, 200, 100, 100, 0), [6, 2, 1, 1, 0]),
        ((988, 3, 3, 3, 3), [6, 1, 1, 1, 1]),  # one at least of each kind
        ((50, 50, 0, 0, 0), [5, 5, 0, 0, 0]),
        ((2, 1, 0, 1, 0), [2, 1, 0, 1, 0]),  # fewer than asked for: all
        ((0, 0, 0, 0, 0), [0, 0, 0, 0, 0]),
    ],
)
def test_examples_show_each_kind_of_outcome_in_proportion(
    numbers: tuple[int, ...], shown: list[int]
) -> None:
    chosen = choose(record(*numbers), since=0)
    assert kinds(chosen) == shown
    ids = [outcome.comparison.id for outcome in chosen]
    assert ids == sorted(set(ids))


def test_examples_are_a_draw_by_the_seed_and_not_a_choice() -> None:
    numbers = (300, 200, 100, 0, 0)
    one, same, other = (choose(record(*numbers, seed=s), since=0) for s in (1, 1, 2))
    assert one == same != other
    assert all(o.comparison.id >= 400 for o in choose(record(*numbers), since=400))
    flattering = record(*numbers).outcomes[:10]
    assert kinds(list(flattering)) != kinds(one)
