"""Learned metrics find the directions in which rewards move, and nothing where nothing moves them.

The world is Gaussian, so that M is known: slopes g(x) = B x over two of six directions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy import learned_metric
from bestpolicy.offpolicy.learned_metric import (
    Metric,
    alignment,
    by_pairs,
    by_slopes,
    chosen,
    raw,
)

D, X = 6, 2
SLOPES = np.zeros((D, X))
SLOPES[0, 0], SLOPES[1, 1] = 1.0, 0.5
SPREAD = np.array([1.0, 1.0, 3.0, 3.0, 3.0, 3.0])  # what means nothing is what varies most
RARE = 1e-6


def gaussian_log(seed: int, n: int = 1500, *, shuffled: bool = False, noise: float = 1.0) -> Log:
    rng = stream(seed, "tests/learned metric")
    x, z = rng.normal(size=(n, X)), rng.normal(size=(n, D))
    r = np.einsum("nx,dx,nd->n", x, SLOPES, z) + noise * rng.normal(size=n)
    if shuffled:
        r = rng.permutation(r)
    return Log(
        np.zeros(n, dtype=np.intp),
        r,
        np.ones(n),
        ("a",),
        (-100.0, 100.0),
        contexts=x,
        columns={"sentence_emb": z * SPREAD},
    )


def share(metric: Metric) -> float:
    """Of the mean squared distance, what comes from the two directions that count."""
    counts = (metric.maps**2).sum(axis=2) * SPREAD**2
    return float(counts[:, :2].sum() / counts.sum())


def test_the_moment_of_slopes_is_unbiased() -> None:
    """Its mean over logs is E[g gᵀ] = B Bᵀ; the twin pairs each row with itself too."""
    right, wrong = [], []
    for seed in range(200):
        log = gaussian_log(seed, 60)
        x, said, r = learned_metric._columns(log, 2)
        features = np.hstack([np.ones((60, 1)), x])  # of unit covariance, as drawn
        z, often = said / SPREAD, (features**2).sum(axis=1)
        right.append(learned_metric._moment(features, z, r, often))
        of = (features * r[:, None]).T @ z
        wrong.append(of.T @ of / 60**2)

    def off(found: list[Array]) -> float:
        error = np.std(found, axis=0) / len(found) ** 0.5
        return float((np.abs(np.mean(found, axis=0) - SLOPES @ SLOPES.T) / error).max())

    assert off(right) < 6
    assert off(wrong) > 6


def test_the_directions_that_count_are_found() -> None:
    log = gaussian_log(1)
    found = by_slopes(log)
    assert share(raw(log)) < 0.1
    assert share(found) > 0.9
    assert share(by_pairs(gaussian_log(1, noise=0.1))) > 0.5
    choice = chosen(log, found)
    assert choice.learned
    assert choice.metric is found


def test_lengths_are_those_of_the_slopes() -> None:
    """A step along the first direction is worth four times the square of one along the second."""
    maps = by_slopes(gaussian_log(2, 6000)).maps
    first, second = ((maps**2).sum(axis=2)[:, k].mean() for k in (0, 1))
    assert first / second == pytest.approx(4, rel=0.5)


def test_rewards_shuffled_among_rows_teach_nothing() -> None:
    """The learned metric is used in no more logs than chance brings in; see the twin below."""
    logs = [gaussian_log(seed, 400, shuffled=True) for seed in range(20)]
    choices = [chosen(log, by_slopes(log)) for log in logs]
    used = sum(choice.learned for choice in choices)
    assert used <= binom.isf(RARE, len(logs), learned_metric.CHANCE)
    gains = np.array([choice.gain for choice in choices])
    assert gains.mean() < 6 * gains.std() / len(logs) ** 0.5


def test_a_map_that_has_seen_the_rows_it_is_judged_on_gains_from_shuffled_rewards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The twin of cross-fitting and of the shuffles that stand guard."""
    monkeypatch.setattr(learned_metric, "CHANCE", 1.0)

    def own_rows(log: Log, folds: int, seed: int) -> list[Any]:
        fold = np.arange(len(log)) % folds
        return [(fold == f, stream(seed, "twin", f)) for f in range(folds)]

    monkeypatch.setattr(learned_metric, "_others", own_rows)
    choices = []
    for seed in range(10):
        log = gaussian_log(seed, 400, shuffled=True)
        choices.append(chosen(log, by_slopes(log)))
    gains = [choice.gain for choice in choices]
    assert np.mean(gains) > 6 * np.std(gains) / len(gains) ** 0.5
    assert sum(choice.learned for choice in choices) > binom.isf(RARE, 10, 0.05)


def test_no_rows_reward_moves_the_map_that_is_used_on_it() -> None:
    log = gaussian_log(3, 300)
    for row in (0, 7):
        rewards = log.rewards.copy()
        rewards[row] += 50
        for fit in (by_slopes, by_pairs):
            before, after = (fit(one).maps for one in (log, replace(log, rewards=rewards)))
            assert np.array_equal(before[row % 10], after[row % 10])
            assert not np.array_equal(before, after)


def test_a_metric_maps_what_is_said_in_a_row_by_the_rows_fold() -> None:
    metric = Metric(np.stack([np.eye(2), 2 * np.eye(2)]))
    said = np.ones((3, 4, 2))
    found = metric(np.array([0, 1, 3]), said)
    assert [float(part.mean()) for part in found] == [1, 2, 2]


def test_distances_keep_their_size_and_permuted_dimensions_change_nothing() -> None:
    log = gaussian_log(4)
    said = log.columns["sentence_emb"]
    own = by_slopes(log)(np.arange(len(log)), said)
    assert own.var(axis=0).sum() == pytest.approx(said.var(axis=0).sum(), rel=0.05)
    order = np.array([3, 0, 5, 1, 2, 4])
    moved = replace(log, columns={"sentence_emb": said[:, order]})
    there = by_slopes(moved)(np.arange(len(log)), said[:, order])
    assert np.allclose((own**2).sum(axis=1), (there**2).sum(axis=1))


def test_a_log_without_contexts_and_one_with_constant_dimensions_have_metrics() -> None:
    log = gaussian_log(5)
    said = log.columns["sentence_emb"].copy()
    said[:, 2] = 1.0
    r = said[:, 0] + 0.1 * stream(5, "noise").normal(size=len(log))
    plain = replace(log, contexts=None, rewards=r, columns={"sentence_emb": said})
    found = by_slopes(plain)
    assert np.isfinite(found.maps).all()
    assert (found.maps[:, 0] ** 2).sum() > 0.9 * (found.maps**2).sum() * SPREAD[0] ** 2 / 9
    assert not chosen(plain, raw(plain)).learned


def test_too_few_rows_and_other_folds_are_refused() -> None:
    with pytest.raises(ConfigError, match="3 rows"):
        by_slopes(gaussian_log(1, 20))
    log = gaussian_log(1, 200)
    with pytest.raises(ConfigError, match="same number"):
        alignment(log, by_slopes(log, folds=4))
