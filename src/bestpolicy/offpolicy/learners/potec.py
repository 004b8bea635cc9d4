"""POTEC: a policy learnt over clusters of prompts; within a cluster, what a model likes best.

    pi(a | x) = Σ_c pi1(c | x) 1[a = argmax_{b in c} Rhat(x, b)]
    slope of pi1: w_c score(c_i) (r_i - Rhat(x_i, a_i)) + E_{c~pi1} [score(c) max_{b in c} Rhat]
    w_c = pi1(c(a_i) | x_i) / Σ_{b in c(a_i)} pi_0(b | x_i)

Weights of clusters are tamer than those of prompts, and the model need only be right about what
differs within a cluster. Source: Saito, Yao & Joachims 2024 (policy optimisation by two stages).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from bestpolicy.core.log import Ints
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.softmax import Softmax
from bestpolicy.offpolicy.learners.training import Slope, expected, scored
from bestpolicy.offpolicy.learners.weighted import MOST, Tables
from bestpolicy.offpolicy.reward_nets import Crossed

Floats = NDArray[Any]


def clusters_of(prompts: Floats, clusters: int, rng: Rng) -> Ints:
    """(A,) the cluster of each prompt, by k-means of their embeddings; none is empty."""
    _, found = kmeans2(prompts.astype(np.float64), clusters, minit="++", seed=rng)
    return np.asarray(np.unique(found, return_inverse=True)[1], dtype=np.intp)


def best_of(predictions: Floats, cluster: Ints) -> tuple[Ints, Floats]:
    """(m, C) the prompt that a model likes best in each cluster, and how much."""
    count = int(cluster.max()) + 1
    best = np.empty((len(predictions), count), dtype=np.intp)
    for c in range(count):
        members = np.flatnonzero(cluster == c)
        best[:, c] = members[predictions[:, members].argmax(axis=1)]
    return best, np.take_along_axis(predictions, best, axis=1)


def first_stage(
    actions: Ints,
    rewards: Floats,
    cluster_propensity: Floats,
    predictions: Tables,
    cluster: Ints,
    *,
    most: float = MOST,
) -> Slope:
    """Climb by clusters, doubly robust."""

    def slope(rows: Ints, chances: Floats, rng: Rng) -> Floats:  # noqa: ARG001 - a Slope
        every = predictions(rows)
        _, worth = best_of(every, cluster)
        a = actions[rows]
        c = cluster[a]
        here = np.arange(len(rows))
        w = np.minimum(chances[here, c] / cluster_propensity[rows], most)
        rest = w * (rewards[rows] - every[here, a])
        return scored(chances, c[:, None], rest[:, None]) + expected(chances, worth)

    return slope


@dataclass(frozen=True, slots=True)
class Foreseeing:
    """What models foresee of all prompts in contexts that are no row of a log."""

    models: Crossed
    things: Floats  # (A, d) what prompts are like

    def __call__(self, contexts: Floats) -> Floats:
        """(m, A) Rhat."""
        return self.models.mean_beside(contexts, self.things)


@dataclass(frozen=True, slots=True)
class TwoStages:
    """The policy: a cluster by chance, and in it the prompt that the model likes best."""

    first: Softmax  # over clusters
    predictions: Foreseeing
    cluster: Ints

    def table(self, contexts: Array) -> Array:
        every = self.predictions(contexts)
        best, _ = best_of(every, self.cluster)
        chances = np.zeros(every.shape)
        np.put_along_axis(chances, best, self.first.table(contexts), axis=1)
        return chances
