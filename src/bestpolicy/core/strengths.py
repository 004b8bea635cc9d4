"""Strengths: what answers about some policies say of others, when shares hang together.

    p_ij = μ(θ·(x_i - x_j)), μ logistic;   x_i the features of policy i, or e_i (Bradley-Terry)

One pass over the answers keeps θ ~ N(mean, cov). An answer y about z = x_i - x_j moves the mean to
the exact maximum of posterior times likelihood along cov z, and the curvature found there shrinks
cov: with v = z'cov z the step a solves a = y - μ(z·mean + v a). That is the Laplace filter without
its overshoot. Nothing here enters a proof unless the user trusts the structure (core/trust.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

from bestpolicy.core.logistic import sigmoid
from bestpolicy.core.nouns import Array, ConfigError

PRIOR_SD = 1.0  # of each entry of θ, features having been scaled to about one
WIDEST = 200  # free numbers beyond which a full covariance costs more than it saves


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """What a study says of how its policies hang together."""

    features: Array | None = None  # (K, d), or None for Bradley-Terry
    trust: bool = False  # whether proofs may rest on it

    @classmethod
    def of(cls, features: Array | None, policies: int, *, trust: bool = False) -> Structure:
        if features is None:
            if trust and policies > WIDEST:
                raise ConfigError(
                    f"trust_structure: with bradley-terry and {policies} policies the likelihood "
                    f"has too many free numbers to prove anything sooner (at most {WIDEST}): leave "
                    "trust_structure out, or describe the policies by features"
                )
            return cls(None, trust)
        x = np.array(features, float)
        if x.ndim != 2 or len(x) != policies or x.shape[1] < 1 or not np.isfinite(x).all():
            raise ConfigError(
                f"features must be a ({policies}, d) array of finite numbers, one row per policy: "
                f"saw shape {x.shape}{'' if np.isfinite(x).all() else ' with NaN or inf'}"
            )
        if x.shape[1] > WIDEST:
            raise ConfigError(f"features: at most {WIDEST} columns, saw {x.shape[1]}")
        x -= x.mean(axis=0)
        spread = x.std(axis=0)
        if (spread == 0).any():
            column = int(np.flatnonzero(spread == 0)[0])
            raise ConfigError(
                f"features: column {column} is the same for every policy, which tells nothing: "
                "leave it out"
            )
        x /= spread
        x.setflags(write=False)
        return cls(x, trust)

    def strengths(self, policies: int) -> Strengths | None:
        """What is known before any answer; None where ratings one by one are all we keep."""
        if self.features is None and policies > WIDEST:
            return None
        d = policies if self.features is None else self.features.shape[1]
        start = np.zeros(policies)
        mean = start if self.features is None else np.zeros(d)
        return Strengths(self.features, mean, np.eye(d) * PRIOR_SD**2, start)


@dataclass(frozen=True, slots=True, eq=False)
class Strengths:
    """θ ~ N(mean, cov), and the ratings x_j·mean that follow from it."""

    x: Array | None  # (K, d), None when every policy has a number of its own
    mean: Array  # (d,)
    cov: Array  # (d, d)
    rating: Array  # (K,)

    def chance(self, i: int, j: int) -> float:
        """That i beats j, θ integrated out (MacKay 1992)."""
        _, v = self._reach(i, j)
        return sigmoid((self.rating.item(i) - self.rating.item(j)) / sqrt(1 + pi / 8 * v))

    def chances(self, i: int) -> Array:
        """(K,) that i beats each policy."""
        gap = self.rating.item(i) - self.rating
        shrunk: Array = 1 / (1 + np.exp(-gap / np.sqrt(1 + pi / 8 * self.variances(i))))
        return shrunk

    def variances(self, i: int) -> Array:
        """(K,) of the gap between the rating of i and of each policy."""
        if self.x is None:
            own = self.cov.diagonal()
            gaps: Array = own[i] + own - 2 * self.cov[i]
        else:
            z = self.x - self.x[i]
            gaps = ((z @ self.cov) * z).sum(axis=1)
        positive: Array = np.maximum(gaps, 0.0)
        return positive

    def draw(self, rng: np.random.Generator, bold: float) -> Array:
        """(K,) ratings of one θ from the posterior, its standard deviations stretched by `bold`."""
        if self.x is None:  # one by one: a joint draw would cost K^3
            noise = np.sqrt(self.cov.diagonal()) * rng.standard_normal(len(self.rating))
            return self.rating + bold * noise
        root = np.linalg.cholesky(self.cov)
        drawn: Array = self.rating + bold * (self.x @ (root @ rng.standard_normal(len(self.mean))))
        return drawn

    def told(self, i: int, j: int, y: float) -> Strengths:
        """After i's share y against j."""
        reach, v = self._reach(i, j)
        m = self.rating.item(i) - self.rating.item(j)
        a = y - sigmoid(m)
        for _ in range(4):  # Newton on a convex one-dimensional problem
            q = sigmoid(m + v * a)
            a -= (a - (y - q)) / (1 + v * q * (1 - q))
        q = sigmoid(m + v * a)
        w = q * (1 - q)
        mean = self.mean + a * reach
        cov = self.cov - np.outer(reach, reach * (w / (1 + w * v)))
        return Strengths(self.x, mean, cov, mean if self.x is None else self.x @ mean)

    def _reach(self, i: int, j: int) -> tuple[Array, float]:
        """cov z and z'cov z, for z = x_i - x_j."""
        if self.x is None:
            reach: Array = self.cov[i] - self.cov[j]
            return reach, reach.item(i) - reach.item(j)
        z = self.x[i] - self.x[j]
        reach = self.cov @ z
        return reach, float(z @ reach)
