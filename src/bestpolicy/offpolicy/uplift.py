"""Uplift: what a target earns beyond the policy that logged, from the same rows.

    at every n   bets on 1 + (w-1) r, whose mean is 1 + uplift, and on 1 + (w-1)(1-r), whose mean is
                 1 - uplift; neither is ever negative
    asymptotic   Σ w r / Σ w - mean r, by the delta method

Paired, as both values are read off one log: narrower than the difference of two intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from scipy.stats import norm

from bestpolicy.core.betting import Purse, lower
from bestpolicy.core.nouns import Array, Interval
from bestpolicy.offpolicy.rows import Rows


@dataclass(frozen=True, slots=True)
class Uplift:
    """What the target earns beyond the policy that logged, in rewards per row."""

    value: float
    low: float  # at every n
    high: float
    asymptotic: Interval
    logged: float  # mean reward of the log,
    logged_stderr: float = 0.0  # and its standard error


@dataclass(frozen=True, slots=True)
class Pairs:
    """Sums for the uplift; they add up."""

    up: Purse = field(default_factory=Purse)
    down: Purse = field(default_factory=Purse)
    sums: Array = field(default_factory=lambda: np.zeros(4))  # of 1, w r, w, r, rows as often
    gram: Array = field(
        default_factory=lambda: np.zeros((4, 4))
    )  # as it stands for; and of products

    @classmethod
    def of(cls, rows: Rows) -> Pairs:
        w, r = rows.w, rows.r
        often = rows.log.weight if rows.log.weight is not None else np.ones(len(w))
        columns = np.stack([np.ones(len(w)), w * r, w, r]) * often
        up, down = uplift_bets(rows)
        return cls(Purse.of(up), Purse.of(down), columns.sum(axis=1), columns @ columns.T)

    def __add__(self, other: Pairs) -> Pairs:
        sums, gram = self.sums + other.sums, self.gram + other.gram
        return Pairs(self.up + other.up, self.down + other.down, sums, gram)


def uplift_bets(rows: Rows) -> tuple[Array, Array]:
    """(m,) 1 + (w-1) r, whose mean in [0, 2] is 1 + uplift, and 1 + (w-1)(1-r)."""
    w, r = rows.w, rows.r
    return 1 + (w - 1) * r, 1 + (w - 1) * (1 - r)


def uplift(
    pairs: Pairs, bounds: tuple[float, float], alpha: float, *, uneven: bool = False
) -> Uplift:
    """The difference with both its intervals, on the scale of the rewards."""
    n, wr, w, r = pairs.sums.tolist()
    value, logged = (wr / w if w else float("nan")), r / n
    # The influence of a row: w (r - V) / mean w - (r - V0).
    slopes = np.array([logged, n / w, -value * n / w, -1.0]) if w else np.zeros(4)
    se = sqrt(max(0.0, float(slopes @ pairs.gram @ slopes))) / n
    reach = float(norm.ppf(1 - alpha / 2)) * se
    low, high = -1.0, 1.0
    if not uneven:
        low = lower(pairs.up, alpha / 2, most=2.0) - 1
        high = 1 - lower(pairs.down, alpha / 2, most=2.0)
    scale = bounds[1] - bounds[0]
    up = value - logged
    usual = Interval(scale * up, scale * (up - reach), scale * (up + reach))
    off = np.array([-logged, 0.0, 0.0, 1.0])
    own_se = sqrt(max(0.0, float(off @ pairs.gram @ off))) / n
    ends = scale * up, scale * low, scale * high
    return Uplift(*ends, usual, bounds[0] + scale * logged, scale * own_se)
