"""Measured: material whose sentences are near each other by a metric of their own.

A sentence goes as its embedding beside its coordinates, (…, d + k): kernels and densities see the
coordinates, models of the reward the embedding, as ever.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Ints
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import drawn
from bestpolicy.offpolicy.density import Speaker, blocks, embeddings
from bestpolicy.offpolicy.kernel import gaussian, squares
from bestpolicy.offpolicy.learned_metric import Metric
from bestpolicy.offpolicy.learners.material import Material
from bestpolicy.offpolicy.reward_nets import Crossed, crossed

Floats = NDArray[Any]
DRAWS, SOME, PAIRED = 100, 200, 40  # of a density; rows, and draws in each, of a median distance


@dataclass(frozen=True)
class Measured(Material):
    """The same log and source, distances by `metric`."""

    metric: Metric | None = None
    draws: int = DRAWS

    @cached_property
    def said(self) -> Floats:
        return self._beside(np.arange(len(self.log)), embeddings(self.log)[:, None])[:, 0]

    @cached_property
    def speaker(self) -> Speaker:
        plain = self._source.speaker(self.log)

        def say(rows: Ints, actions: Ints, rng: Rng) -> Array:
            return self._beside(rows, plain(rows, actions, rng))

        return say

    def near(self, one: Floats, other: Floats) -> Floats:
        at = embeddings(self.log).shape[1]
        return super().near(one[..., at:], other[..., at:])

    @cached_property
    def density(self) -> Floats:
        """(n,) D_i, the mean over draws of the policy that logged."""
        made, done = np.empty(len(self.log)), 0
        for part in blocks(self.log, self.draws):
            rows = np.arange(done, done := done + len(part))
            _, said = self._source.draws(part, self.propensities[rows], self.draws, "density")
            made[rows] = self.near(self.said[rows, None], self._beside(rows, said)).mean(axis=1)
        return made

    @cached_property
    def of_sentences(self) -> Crossed:
        inputs = np.hstack([self.x, embeddings(self.log)])
        return crossed(
            inputs, self.centred, self.rng("sentence model"), fit=self.fit, folds=self.folds
        )

    def foreseen(self, rows: Ints, said: Floats) -> Floats:
        return super().foreseen(rows, said[..., : embeddings(self.log).shape[1]])

    def _beside(self, rows: Ints, said: Floats) -> Floats:
        assert self.metric is not None
        return np.concatenate([said, self.metric(rows, said)], axis=-1)


def measured(at: Material, metric: Metric, *, width: float, draws: int = DRAWS) -> Measured:
    """This material with a Gaussian kernel by the metric, as wide as so many median distances of
    two sentences in one context."""
    made = Measured(
        **{name: getattr(at, name) for name in Material.__dataclass_fields__},
        metric=metric,
        draws=draws,
    )
    every = max(1, len(at.log) // SOME)
    rows = np.arange(0, len(at.log), every)
    rng = stream(at.seed, "learn/median distance")
    prompts = drawn(at.propensities[rows], PAIRED, rng)
    own = metric(rows, at._source.speaker(at.log)(rows, prompts, rng))
    far = squares(own, own)[:, *np.triu_indices(PAIRED, 1)]
    return replace(made, kernel=gaussian(width * float(np.sqrt(np.median(far)))))
