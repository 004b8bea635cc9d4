"""Softmax: the policy that prefers what scores higher.

pi(a | x) ∝ exp(beta score(x, a))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.nouns import Array, Rng

Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Softmax:
    """A policy whose chances are known everywhere."""

    score: Callable[[Array], Array]  # (n, d) contexts -> (n, A)
    beta: float = 1.0

    def table(self, contexts: Array) -> Array:
        """(n, A) pi(. | x_i)."""
        return softmax(self.beta * np.asarray(self.score(contexts), dtype=np.float64))

    def sample(self, contexts: Array, rng: Rng) -> Ints:
        return pick(self.table(contexts), rng.random((len(contexts), 1)))[:, 0]

    def log_prob(self, contexts: Array, actions: Ints) -> Array:
        made: Array = np.log(self.table(contexts)[np.arange(len(contexts)), actions])
        return made


def softmax(scores: Array) -> Array:
    """exp, normalised along the last axis; in the precision of the scores."""
    chances: Array = scores - scores.max(axis=-1, keepdims=True)
    np.exp(chances, out=chances)
    chances /= chances.sum(axis=-1, keepdims=True)
    return chances


def pick(chances: Array, at: Array) -> Ints:
    """(n, m) actions by these (n, A) chances: where uniform draws `at`, (n, m), fall.

    Row i's ladder stands i higher, so that one sorted search serves all rows.
    """
    n, actions = chances.shape
    ladder = chances.astype(np.float64)  # first: to add up in another precision is slow
    np.cumsum(ladder, axis=1, out=ladder)
    ladder /= ladder[:, -1:]
    height = np.arange(n)[:, None]
    ladder += height
    found = np.searchsorted(ladder.ravel(), (at + height).ravel(), side="right")
    made = found.reshape(at.shape) - actions * height
    # A draw that rounding puts past the end belongs to the last action with a chance.
    return np.asarray(np.clip(made, 0, actions - 1), dtype=np.intp)


def drawn(chances: Array, count: int, rng: Rng) -> Ints:
    """(n, count) actions by these (n, A) chances, with replacement."""
    return pick(chances, rng.random((len(chances), count)))
