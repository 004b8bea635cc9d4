"""Estimates, uplift and verdict of one target and of several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bestpolicy.core.betting import STAKES, Purse, log_wealth, lower
from bestpolicy.core.log import Log
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.evaluate import evaluate, evaluate_all
from bestpolicy.offpolicy.rows import Proof, Rows
from bestpolicy.offpolicy.weighting import ips, snips


def world(n: int, *, gain: float = 0.3, seed: int = 1) -> tuple[Log, Any]:
    """A coin chooses; b earns `gain` more; the target takes b more often."""
    rng = stream(seed, "world of two")
    actions = rng.integers(2, size=n)
    rewards = (rng.random(n) < 0.4 + gain * actions).astype(float)
    log = Log(actions, rewards, np.full(n, 0.5), ("a", "b"))
    return log, np.where(actions == 1, 0.8, 0.2)


def test_weighted_means_are_what_the_formulas_say() -> None:
    log, pi = world(500)
    w = [pi[i] / log.propensity[i] for i in range(500)]
    total = sum(w[i] * log.rewards[i] for i in range(500))
    assert ips(log, pi).value == pytest.approx(total / 500, abs=1e-12)
    assert snips(log, pi).value == pytest.approx(total / sum(w), abs=1e-12)
    v = total / sum(w)
    spread = sum((w[i] * (log.rewards[i] - v)) ** 2 for i in range(500))
    assert snips(log, pi).stderr == pytest.approx(np.sqrt(spread * 500 / 499) / sum(w), rel=1e-9)


def test_bounds_only_stretch_the_scale() -> None:
    log, pi = world(400)
    stretched = Log(log.actions, 10 * log.rewards - 4, log.propensity, log.names, bounds=(-4, 6))
    one, other = evaluate(log, pi), evaluate(stretched, pi)
    for name in one:
        assert other[name].n == one[name].n
        assert other[name].low == pytest.approx(10 * one[name].low - 4)
        assert other[name].high == pytest.approx(10 * one[name].high - 4)
    assert other["snips"].value == pytest.approx(10 * one["snips"].value - 4)
    assert other["ips"].value == pytest.approx(np.mean(pi / log.propensity * stretched.rewards))
    assert other.uplift.value == pytest.approx(10 * one.uplift.value)
    assert other.uplift.low == pytest.approx(10 * one.uplift.low)


def test_the_logging_policy_has_the_plain_mean_and_no_uplift() -> None:
    log, _ = world(300)
    found = evaluate(log, log.propensity)
    assert found["ips"].value == pytest.approx(log.rewards.mean())
    assert found["snips"].value == pytest.approx(log.rewards.mean())
    assert found.uplift.value == pytest.approx(0.0)
    assert found.uplift.low <= 0 <= found.uplift.high
    assert found.verdict == "undecided"


def test_a_gain_is_proven_and_a_loss_too() -> None:
    log, pi = world(4000)
    assert evaluate(log, pi).verdict == "better"
    log, pi = world(4000, gain=-0.3)
    assert evaluate(log, pi).verdict == "worse"


def test_several_candidates_share_the_error() -> None:
    log, pi = world(800)
    alone = evaluate(log, pi, confidence=0.99)
    three = evaluate_all(log, {"x": pi, "y": 1 - pi, "z": pi}, confidence=0.97)
    assert three["x"].uplift.low == pytest.approx(alone.uplift.low)
    assert three["x"].confidence == pytest.approx(0.97)


def test_rows_that_all_stand_for_as_many_change_nothing_and_uneven_ones_claim_nothing() -> None:
    log, pi = world(300)
    twice = Log(*(log.actions, log.rewards, log.propensity, log.names), weight=np.full(300, 2.0))
    assert evaluate(twice, pi)["ips"].value == pytest.approx(evaluate(log, pi)["ips"].value)
    assert evaluate(twice, pi)["ips"].low == pytest.approx(evaluate(log, pi)["ips"].low)
    often = np.where(np.arange(300) % 2, 2.0, 1.0)
    uneven = Log(log.actions, log.rewards, log.propensity, log.names, weight=often)
    found = evaluate(uneven, pi)
    w = pi / log.propensity
    assert found["ips"].value == pytest.approx((often * w * log.rewards).sum() / often.sum())
    assert not found["ips"].claims
    assert (found["ips"].low, found["ips"].high) == (0.0, 1.0)


def test_few_effective_rows_claim_nothing() -> None:
    log, pi = world(60)
    found = evaluate(log, pi)["snips"]
    assert not found.claims
    assert "fewer than 100" in found.warnings[0]


def exact(y: Any, v: float) -> float:
    growth = np.array([np.log1p(f * (y / v - 1)).sum() for f in STAKES])
    return float(growth.max() + np.log(np.mean(np.exp(growth - growth.max()))))


def test_a_purse_never_wins_more_than_its_rows_and_hardly_less() -> None:
    rng = stream(3, "purse")
    for tail in (0.3, 1.0, 2.0):
        y = rng.lognormal(0, tail, 3000) * (rng.random(3000) < 0.3)
        purse = Purse.of(y[:1000]) + Purse.of(y[1000:1001]) + Purse.of(y[1001:])
        assert purse.mean == pytest.approx(y.mean())
        for v in np.geomspace(y.mean() / 3, y.mean() * 3, 7):
            gap = exact(y, v) - log_wealth(purse, v)
            assert -1e-9 <= gap < 0.02
        bound = lower(purse, 0.025)
        assert exact(y, bound) >= np.log(40) - 1e-6
        assert exact(y, bound * 1.001) < np.log(40)


def test_a_purse_that_rounds_to_the_nearest_point_wins_too_much() -> None:
    """The twin: one whole row at the point above it."""
    y = np.full(2000, 1.0 + 1 / 200)
    rounded = np.full(2000, 1.0 + 1 / 128)
    assert log_wealth(Purse.of(y), 0.9) <= exact(y, 0.9) + 1e-9
    assert exact(rounded, 0.9) > exact(y, 0.9) + 1e-3


def test_proofs_of_parts_add_up() -> None:
    log, pi = world(900)
    from bestpolicy.offpolicy.rows import Given
    from bestpolicy.offpolicy.targets import target_of

    target = target_of(pi, log)
    whole = Proof.of(Rows(log, target, Given()))
    parts = sum((Proof.of(Rows(p, target, Given())) for p in log.split(70)), Proof())
    assert parts.interval(0.05).low == pytest.approx(whole.interval(0.05).low, rel=1e-9)
    assert parts.effective == pytest.approx(whole.effective)


def test_what_is_unknown_is_refused_with_the_nearest_word() -> None:
    log, pi = world(50)
    with pytest.raises(ConfigError, match="did you mean 'snips'"):
        evaluate(log, pi, estimators=["snip"])
    with pytest.raises(ConfigError, match="saw 95"):
        evaluate(log, pi, confidence=95)
