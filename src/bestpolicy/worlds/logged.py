"""Logged: a world whose logs can be asked what a policy is worth, with the true answer known.

    x ~ N(0, I_5),   pi_0(a | x) = softmax(x W / 2),   r ~ Bernoulli(1 / (1 + exp(-x B - b)))
    target pi(a | x) = softmax(g x T),   50 actions

The larger g, the fewer rows of the log speak for the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import expit, softmax
from scipy.stats import norm, qmc

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.rng import stream

DIMENSIONS = 5
POINTS = 13  # 2^13 points of a Sobol sequence, in each of
SCRAMBLES = 8  # several scramblings, which differ by the error of the truth


@dataclass(frozen=True, eq=False)
class Prompted:
    """Fifty prompts, of which one is logged and gets a yes or a no."""

    gain: float = 1.0  # g: how far the target is from the policy that logs
    actions: int = 50
    seed: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"prompt {a}" for a in range(self.actions))

    def log(self, n: int, rng: Rng) -> tuple[Log, Array]:
        """A log of n rows, and the target's chances of what was logged."""
        x = rng.standard_normal((n, DIMENSIONS))
        pi_0 = self.logging(x)
        # Inverse of the cumulated chances: one draw a row.
        a = (rng.random(n)[:, None] > np.cumsum(pi_0, axis=1)).sum(axis=1).clip(0, self.actions - 1)
        rows = np.arange(n)
        r = (rng.random(n) < self.rewards(x)[rows, a]).astype(np.float64)
        log = Log(a, r, pi_0[rows, a], self.names, contexts=x, propensities=pi_0)
        return log, self.target(x)[rows, a]

    def logging(self, x: Array) -> Array:
        """(n, A) pi_0(. | x)."""
        made: Array = softmax(0.5 * x @ _matrix(self.seed, "W", self.actions), axis=1)
        return made

    def target(self, x: Array) -> Array:
        """(n, A) pi(. | x)."""
        made: Array = softmax(self.gain * x @ _matrix(self.seed, "T", self.actions), axis=1)
        return made

    def rewards(self, x: Array) -> Array:
        """(n, A) the chance of a yes."""
        made: Array = expit(x @ _matrix(self.seed, "B", self.actions) - 1)
        return made

    def truth(self) -> tuple[float, float]:
        """The target's value, and the standard error with which it is known."""
        return _truth(self.gain, self.actions, self.seed)[0]

    def logged_truth(self) -> tuple[float, float]:
        """The same of the policy that logs."""
        return _truth(self.gain, self.actions, self.seed)[1]


@lru_cache(16)
def _matrix(seed: int, name: str, actions: int) -> Array:
    return stream(seed, f"worlds/logged/{name}").standard_normal((DIMENSIONS, actions))


@lru_cache(16)
def _truth(gain: float, actions: int, seed: int) -> tuple[tuple[float, float], tuple[float, float]]:
    world, means = Prompted(gain, actions, seed), []
    for k in range(SCRAMBLES):
        number = int(stream(seed, "worlds/logged/truth", k).integers(1 << 31))
        sobol = qmc.Sobol(DIMENSIONS, rng=number)
        x = norm.ppf(np.clip(sobol.random_base2(POINTS), 1e-12, 1 - 1e-12))
        r = world.rewards(x)
        policies = world.target(x), world.logging(x)
        means.append([float(np.einsum("ia,ia->", pi, r)) / len(x) for pi in policies])
    value = np.mean(means, axis=0)
    error = np.std(means, axis=0, ddof=1) / np.sqrt(SCRAMBLES)
    target, logged = ((float(v), float(e)) for v, e in zip(value, error, strict=True))
    return target, logged
