"""Limits: whether a mean is proven to be above what is allowed, at every moment.

    e_n = (1/m) Σ_λ Π_i (1 + λ (y_i - h)),   0 < λ <= 1/h,   null E[y] <= h, y >= 0

No bound from above is needed, so that seconds and dollars are taken as they come. The mixture over
λ finds by itself how much they scatter. Source: Waudby-Smith & Ramdas 2024, arXiv 2010.09686.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log

import numpy as np

from bestpolicy.core.nouns import Array, Interval

GRID = np.geomspace(1e-4, 0.999, 24)  # λ as parts of the largest that is allowed


@dataclass(slots=True)
class Above:
    """The evidence that a mean is above `limit`, and the highest that it ever was."""

    limit: float
    n: int = 0
    total: float = 0.0
    highest: float = 0.0
    _wealth: Array = field(default_factory=lambda: np.zeros(len(GRID)))

    def tell(self, y: float) -> None:
        """One more value, of 0 or more."""
        self.n, self.total = self.n + 1, self.total + y
        # A limit of 0 is broken by the first value above it.
        if self.limit == 0:
            self.highest = float("inf") if y > 0 else self.highest
            return
        self._wealth += np.log1p(GRID * (y / self.limit - 1))
        top = float(self._wealth.max())
        evidence = top + float(np.log(np.mean(np.exp(self._wealth - top))))
        self.highest = max(self.highest, evidence)

    def proven(self, alpha: float) -> bool:
        """Whether it was ever proven, wrong with chance alpha at most."""
        return self.highest >= log(1 / alpha)


def mean_interval(values: Array, alpha: float) -> Interval:
    """A mean of values of 0 or more. Its lower end is covered with chance 1 - alpha / 2 whenever
    one looks; its upper end is 1.96 standard errors, an approximation, as no bound is known."""
    mean = float(values.mean())
    scatter = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return Interval(mean, _lowest(values, alpha / 2), mean + 1.96 * scatter / len(values) ** 0.5)


def _lowest(values: Array, alpha: float) -> float:
    """The largest h that E[y] <= h is refuted for, rounded down."""
    top = float(values.mean())
    good, bad = 0.0, top
    if top <= 0:
        return 0.0
    for _ in range(30):
        h = (good + bad) / 2
        if h <= 0:
            break
        wealth = np.log1p(GRID[:, None] * (values[None, :] / h - 1)).sum(axis=1)
        evidence = wealth.max() + np.log(np.mean(np.exp(wealth - wealth.max())))
        good, bad = (h, bad) if evidence >= log(1 / alpha) else (good, h)
    return good
