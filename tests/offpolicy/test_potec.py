"""POTEC climbs over clusters what a right model says of the best prompt in each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bestpolicy.bench.offline_prompts.grids import Cell, Fit
from bestpolicy.bench.offline_prompts.play import material, place
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import drawn, softmax
from bestpolicy.offpolicy.learners.methods import METHODS, learnt
from bestpolicy.offpolicy.learners.potec import best_of, clusters_of, first_stage

Q = np.array([[0.2, 0.7, 0.4], [0.6, 0.1, 0.5]])  # (x, a) rewards
LOGGING = np.array([[0.5, 0.2, 0.3], [0.3, 0.3, 0.4]])
CLUSTER = np.array([0, 0, 1])
LOGITS = np.array([[0.2, -0.3], [-0.1, 0.4]])
N = 60_000


def slopes(predictions: Any) -> tuple[Any, Any]:
    rng = stream(1, "tests/potec")
    x = rng.integers(2, size=N)
    a = drawn(LOGGING[x], 1, rng)[:, 0]
    r = Q[x, a] + 0.3 * rng.normal(size=N)
    shares = np.stack([LOGGING[:, :2].sum(axis=1), LOGGING[:, 2]], axis=1)
    chance = shares[x, CLUSTER[a]]
    slope = first_stage(a, r, chance, lambda rows: predictions[x[rows]], CLUSTER)
    found = slope(np.arange(N), softmax(LOGITS)[x], rng)
    by = [np.where((x == one)[:, None], found, 0.0) for one in range(2)]
    return np.array([b.mean(axis=0) for b in by]), np.array([b.std(axis=0) for b in by]) / N**0.5


def climbed() -> Any:
    best = best_of(Q, CLUSTER)[1]
    made = np.empty((2, 2))
    for x in range(2):
        for c in range(2):
            up = LOGITS.copy()
            up[x, c] += 1e-6
            made[x, c] = ((softmax(up) - softmax(LOGITS)) * best).sum() / 1e-6 / 2
    return made


def test_with_a_right_model_the_slope_is_that_of_the_best_of_each_cluster() -> None:
    found, error = slopes(Q)
    assert (np.abs(found - climbed()) < 6 * error + 1e-4).all()


def test_a_model_that_is_wrong_within_clusters_climbs_something_else() -> None:
    found, error = slopes(Q[:, [1, 0, 2]])
    assert (np.abs(found - climbed()) > 6 * error + 1e-4).any()


def test_clusters_hold_what_is_near() -> None:
    rng = stream(2, "tests/potec")
    prompts = np.concatenate([rng.normal(c, 0.1, (5, 2)) for c in (0, 5, 10)])
    cluster = clusters_of(prompts, 3, rng)
    assert [len(set(cluster[i : i + 5].tolist())) for i in (0, 5, 10)] == [1, 1, 1]
    assert len(set(cluster.tolist())) == 3


@pytest.mark.slow
def test_every_method_learns_a_policy_and_most_beat_chance() -> None:
    at = place(Cell(6, 600), 1)
    some = at.world.contexts(50, stream(1, "tests/contexts"))
    better = 0
    for method in METHODS:
        table = learnt(material(at, Fit(method)), method).table
        assert np.allclose(table(some).sum(axis=1), 1)
        better += at.world.optimality(table) > 0.1
    assert better >= 8
