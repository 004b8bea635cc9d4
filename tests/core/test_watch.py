"""A watch doubts a judge who changes, repeats himself or lags, and hardly ever an honest one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pytest
from scipy.stats import binom

from bestpolicy.core import watch as room
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.rng import stream
from bestpolicy.core.watch import DOUBTS, FALSE_ALARM, Watch

POLICIES, ANSWERS, RUNS = 4, 400, 150
Answer = tuple[int, int, float, bool]  # i, k, i's share, whether it came late
Judge = Callable[[Rng], Iterator[Answer]]


def asked(rng: Rng, wins: Array) -> Iterator[tuple[int, int]]:
    """Pairs in an order that follows the answers, as designs do: the leader against anybody."""
    while True:
        if rng.random() < 0.3:
            i, k = rng.choice(POLICIES, 2, replace=False)
        else:
            i = int((wins.sum(axis=1) - wins.sum(axis=0)).argmax())
            k = int(rng.choice([j for j in range(POLICIES) if j != i]))
        yield int(i), int(k)


def honest(rng: Rng) -> Iterator[Answer]:
    p, wins = np.triu(rng.random((POLICIES, POLICIES)), 1), np.zeros((POLICIES, POLICIES))
    p += np.tril(1 - p.T, -1)
    for i, k in asked(rng, wins):
        y = float(rng.random() < p[i, k])
        wins[i, k] += y
        wins[k, i] += 1 - y
        yield i, k, y, bool(rng.random() < 0.3)


def changed(rng: Rng) -> Iterator[Answer]:
    """One policy beats all others at first and loses to them later."""
    wins = np.zeros((POLICIES, POLICIES))
    for n, (i, k) in enumerate(asked(rng, wins)):
        strong = 0.8 if n < ANSWERS // 2 else 0.2
        y = float(rng.random() < (strong if i == 0 else 1 - strong if k == 0 else 0.5))
        wins[i, k] += y
        wins[k, i] += 1 - y
        yield i, k, y, False


def repeated(rng: Rng) -> Iterator[Answer]:
    """Every answer of a pair is heard four times."""
    for i, k, y, late in honest(rng):
        yield from [(i, k, y, late)] * 4


def lagging(rng: Rng) -> Iterator[Answer]:
    """The first policy's defeats come late."""
    wins = np.zeros((POLICIES, POLICIES))
    for i, k in asked(rng, wins):
        y = float(rng.random() < (0.65 if i < k else 0.35))
        yield i, k, y, (y > 0.5) != (i < k)


def seen(judge: Judge, run: int) -> Watch:
    watch = Watch(POLICIES)
    for i, k, y, late in islice(judge(stream(1, f"watch/{judge.__name__}", run)), ANSWERS):
        watch.told(i, k, y, late=late)
    return watch


def raised(judge: Judge, doubt: str) -> int:
    return sum(doubt in seen(judge, run).alarms for run in range(RUNS))


def keeps_its_level(judge: Judge, doubt: str) -> None:
    assert raised(judge, doubt) <= binom.ppf(1 - 1e-6, RUNS, FALSE_ALARM)


@pytest.mark.parametrize("doubt", DOUBTS)
def test_an_honest_judge_is_hardly_ever_doubted(doubt: str) -> None:
    keeps_its_level(honest, doubt)


def test_a_watch_without_the_greatest_likelihood_doubts_honest_judges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if each pair's chance were known to be one half.
    monkeypatch.setattr(room, "entropy", lambda q: np.full_like(q, np.log(2)))
    with pytest.raises(AssertionError):
        keeps_its_level(honest, "drift")


@pytest.mark.parametrize(
    ("judge", "doubt"), [(changed, "drift"), (repeated, "repeats"), (lagging, "lateness")]
)
def test_each_fault_raises_its_doubt(judge: Judge, doubt: str) -> None:
    # 95 % at least, so that fewer than this would be a surprise of one in a million.
    assert raised(judge, doubt) >= binom.ppf(1e-6, RUNS, 0.95)


def test_answers_without_a_side_say_nothing() -> None:
    watch = Watch(2)
    for _ in range(200):
        watch.told(0, 1, 0.5)
        watch.told(0, 1, None)
    assert watch.read == 400
    assert not any(watch.highest.values())
    assert watch.suspect() is None


def test_the_order_of_the_arms_does_not_matter() -> None:
    one, other = Watch(POLICIES), Watch(POLICIES)
    for i, k, y, late in islice(changed(stream(2, "watch", 0)), ANSWERS):
        one.told(i, k, y, late=late)
        other.told(k, i, 1 - y, late=late)
    assert one.doubts() == other.doubts()


def test_the_suspect_is_a_pair_that_has_changed() -> None:
    hits = 0
    for run in range(20):
        found = seen(changed, run).suspect()
        assert found is not None
        hits += 0 in found[0]
    assert hits >= binom.ppf(1e-6, 20, 0.95)
