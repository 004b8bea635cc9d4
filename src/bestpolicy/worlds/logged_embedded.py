"""The world of logs where prompts look like something, and what they earn acts through it or leaks.

    e ~ p(e | a)    r ~ Bernoulli(R(x, a, e)),  R = 1 / (1 + exp(-(b_e + x . m_e + leak x . v_a)))

Contexts, logging and target are those of `logged.py`. With leak = 0 the embedding e carries all of
the reward, so that weights of e alone are unbiased; with a leak they are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from scipy.stats import norm, qmc

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.rng import stream
from bestpolicy.worlds.logged import DIMENSIONS, Prompted

SHIFTS, POINTS = 8, 15  # of the true value: Sobol's 2^15 contexts, shifted at random that often


@dataclass(frozen=True, eq=False)
class Embedded(Prompted):
    """Fifty prompts that look like something; the column `e` of a log says what was seen."""

    leak: float = 0.0
    kinds: int = 8

    def log(self, n: int, rng: Rng) -> tuple[Log, Array]:
        """A log of n rows, and the target's chances of what was logged."""
        x, rows = rng.standard_normal((n, DIMENSIONS)), np.arange(n)
        pi_0 = self.logging(x)
        a = _pick(pi_0, rng)
        e = _pick(self.looks[a], rng)
        base, slopes, own = self._worth
        scores = base[e] + np.einsum("nd,nd->n", x, slopes.T[e])
        scores += self.leak * np.einsum("nd,nd->n", x, own.T[a])
        r = (rng.random(n) < expit(scores)).astype(np.float64)
        log = Log(
            *(a, r, pi_0[rows, a], self.names), contexts=x, propensities=pi_0, columns={"e": e}
        )
        return log, self.target(x)[rows, a]

    @cached_property
    def looks(self) -> Array:
        """(A, E) p(e | a)."""
        rng = stream(self.seed, "worlds/logged_embedded/looks")
        made: Array = softmax(2 * rng.standard_normal((self.actions, self.kinds)), axis=1)
        return made

    @property
    def clusters(self) -> NDArray[np.intp]:
        """(A,) what each prompt looks like most often."""
        return np.asarray(self.looks.argmax(axis=1), dtype=np.intp)

    def rewards(self, x: Array) -> Array:
        """(n, A) the chance of a yes, whatever the prompt will look like."""
        base, slopes, own = self._worth
        of_looks = base + x @ slopes
        if not self.leak:
            means: Array = expit(of_looks) @ self.looks.T
            return means
        leaks = self.leak * x @ own
        made = np.zeros((len(x), self.actions))
        for e in range(self.kinds):
            made += expit(of_looks[:, e, None] + leaks) * self.looks[:, e]
        return made

    def truth(self) -> tuple[float, float]:
        """The target's value, and the standard error with which it is known."""
        return self._truths[0]

    def logged_truth(self) -> tuple[float, float]:
        """The same of the policy that logs."""
        return self._truths[1]

    @cached_property
    def _truths(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Prompts and looks are summed, contexts integrated by Sobol's points."""
        rng, means = stream(self.seed, "worlds/logged_embedded/truth"), []
        even = qmc.Sobol(DIMENSIONS, scramble=False).random_base2(POINTS)
        for _ in range(SHIFTS):
            shifted = (even + rng.random(DIMENSIONS)) % 1
            total = np.zeros(2)
            for x in np.split(norm.ppf(np.clip(shifted, 1e-12, 1 - 1e-12)), 16):
                r = self.rewards(x)
                total += [np.vdot(pi, r) for pi in (self.target(x), self.logging(x))]
            means.append(total / len(even))
        value = np.mean(means, axis=0)
        error = np.std(means, axis=0, ddof=1) / np.sqrt(SHIFTS)
        target, logged = ((float(v), float(se)) for v, se in zip(value, error, strict=True))
        return target, logged

    @cached_property
    def _worth(self) -> tuple[Array, Array, Array]:
        """(E,) b, (d, E) m and (d, A) v."""
        rng = stream(self.seed, "worlds/logged_embedded/worth")
        base = rng.standard_normal(self.kinds)
        slopes = 0.5 * rng.standard_normal((DIMENSIONS, self.kinds))
        return base, slopes, rng.standard_normal((DIMENSIONS, self.actions))


def _pick(chances: Array, rng: Rng) -> NDArray[np.intp]:
    """One of each row's columns, by its chances."""
    below = chances.cumsum(axis=1) < rng.random((len(chances), 1))
    picked: NDArray[np.intp] = below.sum(axis=1).clip(0, chances.shape[1] - 1)
    return picked
