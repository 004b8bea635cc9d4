"""A counted share with its exact interval, and the rule by which it passes or fails.

"Measured <= promised" would fail an exactly calibrated design half the time, so a cell fails only
above the binomial quantile that such a design exceeds once in a thousand tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binom, binomtest


@dataclass(frozen=True, slots=True)
class Share:
    """How often something happened, against how often it was promised to happen at most."""

    count: int
    n: int
    low: float  # Clopper and Pearson 1934, 95 %
    high: float
    limit: int  # the largest count that passes
    passes: bool

    @property
    def value(self) -> float:
        return self.count / self.n

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def share(count: int, n: int, *, promised: float, alarm: float = 1e-3) -> Share:
    """The share count / n; it fails when so many would surprise a true share of `promised`, once
    in 1 / `alarm` tables."""
    interval = binomtest(count, n).proportion_ci(0.95, method="exact")
    limit = int(binom.ppf(1 - alarm, n, promised))
    return Share(count, n, float(interval.low), float(interval.high), limit, count <= limit)
