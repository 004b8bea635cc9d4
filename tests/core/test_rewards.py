"""Rewards: no wealth under the null on average, by counting every outcome; and it ends soon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import exp

import numpy as np
import pytest

from bestpolicy.core import rewards
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.rewards import Rewards
from bestpolicy.core.rng import stream

Means = Callable[[int], Sequence[float]]


def chances_of(evidence: Rewards, n: int) -> Array:
    """An adaptive rule: what the design asks for, every other unit."""
    return evidence.allocation() if n % 2 else np.full(evidence.policies, 1 / evidence.policies)


def mean_wealth(policies: int, units: int, means: Means, twin: type[Rewards] = Rewards) -> Array:
    """(K, K) E[W_ij] after so many units with rewards 0 and 1, every outcome counted exactly."""
    total = np.zeros((policies, policies))
    for rewarded in product(product(range(policies), (0.0, 1.0)), repeat=units):
        evidence, chance = twin(policies, confidence=0.999999), 1.0
        for n, (policy, reward) in enumerate(rewarded):
            p, mean = chances_of(evidence, n), means(n)[policy]
            chance *= p[policy] * (mean if reward else 1 - mean)
            evidence.tell(policy, p, reward)
        total += chance * np.exp(evidence._pair)
    return total


@pytest.mark.parametrize(
    ("policies", "units", "means"),
    [
        (2, 5, lambda n: (0.3, 0.3)),
        (2, 5, lambda n: (0.9, 0.9)),
        (3, 3, lambda n: (0.2, 0.2, 0.2)),
        (2, 5, lambda n: (0.1, 0.1) if n < 2 else (0.8, 0.8)),  # all drift together
    ],
)
def test_nobody_grows_rich_on_average_when_means_are_equal(
    policies: int, units: int, means: Means
) -> None:
    assert mean_wealth(policies, units, means).max() <= 1 + 1e-9


def test_a_bet_on_the_worse_loses_on_average_and_on_the_better_gains() -> None:
    wealth = mean_wealth(2, 5, lambda n: (0.2, 0.7))
    assert wealth[0, 1] < 1 < wealth[1, 0]


class Peeking(Rewards):
    """The broken twin: the stake of a bet depends on the reward that it is about."""

    def tell(self, policy: int, chances: Array, reward: float | None) -> None:
        self._sum[policy] += reward or 0.0
        self._n[policy] += 1
        super().tell(policy, chances, reward)
        self._sum[policy] -= reward or 0.0
        self._n[policy] -= 1


def test_a_centre_that_has_seen_the_reward_is_caught() -> None:
    assert mean_wealth(2, 5, lambda n: (0.3, 0.3), Peeking).max() > 1 + 1e-6


def play(evidence: Rewards, means: Sequence[float], most: int, rng: Rng) -> Rewards:
    chances = evidence.allocation()
    for n in range(most):
        if n % 50 == 0:
            chances = evidence.allocation()
        policy = int(rng.choice(len(means), p=chances))
        evidence.tell(policy, chances, float(rng.random() < means[policy]))
        if evidence.verdict().final:
            break
    return evidence


@pytest.mark.parametrize("means", [(0.2, 0.5), (0.02, 0.1, 0.05), (0.6, 0.5, 0.9, 0.4)])
def test_the_best_wins(means: Sequence[float]) -> None:
    ends = [play(Rewards(len(means)), means, 9000, stream(seed, "best")) for seed in range(5)]
    assert [end.verdict().policy for end in ends] == [int(np.argmax(means))] * 5


def test_nobody_waits_for_a_proof_against_who_gets_no_more_traffic() -> None:
    """A policy may be dropped before the leader, who came late into capital, has proven to beat it;
    a study that waited for that proof would wait for ever."""
    ends = [play(Rewards(2), (0.3, 0.5), 5000, stream(seed, "late")) for seed in range(25)]
    assert all(end.verdict().kind == "winner" for end in ends)


def test_estimates_go_on_after_the_verdict_which_stands() -> None:
    evidence = play(Rewards(2), (0.1, 0.9), 900, stream(2, "traffic"))
    verdict, before = evidence.verdict(), evidence.estimates()[1]
    for _ in range(200):
        evidence.tell(1, evidence.allocation(), 1.0)
    assert evidence.verdict() == verdict
    assert evidence.estimates()[1].low > before.low


def test_policies_alike_are_equivalent_and_others_are_not() -> None:
    alike = play(Rewards(3, indifference=0.15), (0.3, 0.3, 0.05), 8000, stream(1, "alike"))
    assert alike.verdict().kind == "equivalent"
    assert {0, 1} <= set(alike.verdict().survivors)
    apart = play(Rewards(2, indifference=0.1), (0.2, 0.6), 4000, stream(1, "apart"))
    assert (apart.verdict().kind, apart.verdict().policy) == ("winner", 1)


def test_a_unit_that_never_answered_changes_nothing() -> None:
    evidence = play(Rewards(2), (0.4, 0.5), 30, stream(3, "missing"))
    before = evidence._pair.copy()
    evidence.tell(0, np.array([0.5, 0.5]), None)
    assert (evidence._pair == before).all()
    assert evidence.told == 30


def test_most_traffic_goes_where_a_proof_is_slow_and_none_to_who_is_out() -> None:
    evidence = play(Rewards(3), (0.1, 0.5, 0.52), 300, stream(2, "traffic"))
    assert not evidence.verdict().final
    chances = evidence.allocation()
    assert chances.sum() == pytest.approx(1)
    assert chances[1] > chances[0]
    assert chances[2] > chances[0]
    alive = evidence.standing().alive
    assert (chances[alive] >= 0.1 / 3 - 1e-12).all()
    assert (chances[~alive] == 0).all()
    decided = play(Rewards(2), (0.1, 0.9), 900, stream(2, "traffic"))
    assert decided.allocation().tolist() == [0, 1]


def test_the_forecast_is_of_the_right_size() -> None:
    evidence = play(Rewards(2), (0.4, 0.6), 60, stream(4, "forecast"))
    foretold = evidence.standing().forecast
    took = play(evidence, (0.4, 0.6), 4000, stream(5, "forecast")).told - 60
    assert foretold == 0 or foretold == np.inf or took / 20 < foretold < took * 20


def test_every_estimate_has_an_interval_that_shrinks() -> None:
    few = play(Rewards(2), (0.3, 0.32), 40, stream(6, "few")).estimates()
    many = play(Rewards(2), (0.3, 0.32), 2000, stream(6, "few")).estimates()
    for narrow, wide in zip(many, few, strict=True):
        assert narrow.high - narrow.low < wide.high - wide.low
        assert 0 <= narrow.low <= narrow.value <= narrow.high <= 1


def false_winners(runs: int, units: int, count: int = 1) -> int:
    """Of studies whose policies are all the same; `count` times each row is read."""
    wrong = 0
    for run in range(runs):
        rng = stream(run, "a/a")
        evidence, p = Rewards(2, confidence=0.9), np.full(2, 0.5)
        for policy, reward in zip(
            rng.integers(0, 2, units), rng.integers(0, 2, units), strict=True
        ):
            for _ in range(count):
                evidence.tell(int(policy), p, float(reward))
        wrong += evidence.verdict().kind == "winner"
    return wrong


def test_policies_that_are_all_the_same_rarely_have_a_winner() -> None:
    from scipy.stats import binom

    bar = int(binom.ppf(1 - 1e-6, 200, 0.1))
    assert false_winners(200, 150) <= bar
    assert false_winners(200, 150, count=4) > bar  # the twin counts every row four times


def test_equal_rewards_prove_nothing_of_two_who_always_earn_the_same() -> None:
    evidence = Rewards(2)
    for n in range(400):
        evidence.tell(n % 2, np.array([0.5, 0.5]), 1.0)
    assert not evidence.verdict().final
    assert exp(evidence._pair.max()) < 20
    assert rewards.LEAST_SPREAD > 0
