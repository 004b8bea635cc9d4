"""A sequence of intervals: what it agrees with, when it looks, and which logs it refuses."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.evaluate import evaluate
from bestpolicy.offpolicy.sequence import sequence, uplift_sequence
from bestpolicy.offpolicy.weighting import ips
from bestpolicy.worlds.logged import Prompted


def played(n: int = 2000) -> tuple[Log, np.ndarray]:
    return Prompted(0.3).log(n, stream(4, "tests/sequence"))


def test_a_single_look_is_the_fixed_interval_and_more_looks_only_ever_narrow() -> None:
    log, pi = played()
    (last,) = sequence(log, pi, alpha=0.1, looks=1)
    fixed = ips(log, pi, alpha=0.1)
    assert last[0] == len(log)
    assert last[1].low == pytest.approx(fixed.low, abs=1e-6)
    assert last[1].high == pytest.approx(fixed.high, abs=1e-6)
    many = sequence(log, pi, alpha=0.1, looks=20)
    assert [rows for rows, _ in many] == list(range(100, 2001, 100))
    for (_, one), (_, after) in pairwise(many):
        assert one.low <= after.low <= after.high <= one.high
    assert many[-1][1].low >= fixed.low - 1e-6


def test_looks_may_be_at_given_times() -> None:
    log, pi = played()
    log = replace(log, times=np.arange(len(log)) * 3600.0)
    days = [24 * 3600.0 * day - 1 for day in range(1, 10)]
    found = sequence(log, pi, times=days)
    assert [rows for rows, _ in found] == [*(24 * day for day in range(1, 10)), 2000]


def test_rewards_keep_their_scale() -> None:
    log, pi = played(600)
    wide = replace(log, rewards=4 * log.rewards - 2, bounds=(-2.0, 2.0))
    (_, one), (_, other) = sequence(log, pi)[-1], sequence(wide, pi)[-1]
    assert other.low == pytest.approx(4 * one.low - 2)
    assert other.high == pytest.approx(4 * one.high - 2)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    log, pi = played()
    whole = sequence(log, pi, looks=7)
    monkeypatch.setattr(Log, "chunks", lambda self: self.split(130))
    pieces = sequence(log, pi, looks=7)
    assert [rows for rows, _ in pieces] == [rows for rows, _ in whole]
    for (_, one), (_, other) in zip(whole, pieces, strict=True):
        assert other.low == pytest.approx(one.low, abs=1e-6)


def test_several_loggers_uneven_rows_and_missing_or_unsorted_times_are_refused() -> None:
    log, pi = played(100)
    half = (np.arange(100) >= 50).astype(np.intp)
    for bad, times, said in (
        (replace(log, loggers=half), [], "several loggers"),
        (replace(log, weight=1.0 + half), [], "different numbers"),
        (log, [5.0], "name the column of times"),
        (replace(log, times=-np.arange(100.0)), [-50.0], "time order"),
    ):
        with pytest.raises(ConfigError, match=said):
            sequence(bad, pi, times=times)
    with pytest.raises(ConfigError, match="alpha"):
        sequence(log, pi, alpha=0.0)


def test_who_looks_daily_is_wrong_as_rarely_as_promised_and_who_rereads_a_plain_one_is_not() -> (
    None
):
    """Nothing is gained by the target; whoever sees a gain at some look is wrong."""
    runs, n, wrong, plain = 120, 640, 0, 0
    for run in range(runs):
        rng = stream(run, "tests/daily")
        actions = rng.integers(2, size=n)
        rewards = (rng.random(n) < 0.5).astype(float)
        log = Log(actions, rewards, np.full(n, 0.5), ("a", "b"))
        pi = np.where(actions == 1, 0.7, 0.3)
        looks = uplift_sequence(log, pi, alpha=0.2)
        wrong += any(look.low > 0 or look.high < 0 for _, look in looks)
        w = pi / 0.5
        gains = np.cumsum((w - 1) * rewards)[9::10] / np.arange(10, n + 1, 10)
        errors = np.array(
            [((w - 1) * rewards)[:k].std() / np.sqrt(k) for k in range(10, n + 1, 10)]
        )
        plain += bool((np.abs(gains) > 1.2816 * errors).any())
    most = binom.isf(1e-6, runs, 0.2)
    assert wrong <= most
    assert plain > most


def test_looks_are_the_days_of_a_log_that_says_when() -> None:
    n = 100
    times = np.arange(n) * 3600.0 * 6  # four rows a day
    log = Log(np.zeros(n, int), np.ones(n), np.ones(n), ("a",), times=times)
    looks = uplift_sequence(log, np.ones(n))
    assert [rows for rows, _ in looks] == list(range(4, n + 1, 4))
    found = evaluate(log, np.ones(n), daily=True)
    assert len(found.looks) == len(looks)
