"""Betting: what n independent rows prove about a mean of which only y >= 0 is known.

    K(v) = mean_j Π_i (1 - f_j + f_j y_i / v)      null: the mean of y is v or less

E K(v) <= 1 under the null at every n, whatever the tails of y, so that

    lower = the largest v with K(v) >= 1/alpha

is below the mean with chance 1 - alpha (Markov). By the inequality of the means this needs no rows
that are alike: rows of several loggers, or of changing days, bound their average. K falls in v.

Rows are kept as counts on a grid of 128 points an octave, each row as parts of its two neighbours:
log(1 - f + f y / v) is concave in y, so that the parts never win more than the row. What is kept is
small, adds up, and does not grow with n.
Sources: Waudby-Smith & Ramdas 2024, arXiv 2010.09686; Karampatziakis, Mineiro & Ramdas 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import inf, isfinite, log

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.nouns import Array, Interval

STAKES = np.geomspace(1 / 1.2, 1 / 2000, 24)  # f_j, fixed before anything is seen
_LOSSES = np.log1p(-STAKES)
BITS = 7  # of the mantissa: 2^7 grid points an octave
_SHIFT = 52 - BITS
_PARTS = (1 << _SHIFT) - 1
_LOW, _HIGH = -300, 300  # octaves of the grid
_FIRST = int(np.array(2.0**_LOW).view(np.int64)) >> _SHIFT
_LAST = int(np.array(2.0**_HIGH).view(np.int64)) >> _SHIFT


@dataclass(frozen=True, slots=True)
class Purse:
    """Rows of some y >= 0, folded onto the grid; purses of parts of a log add up."""

    n: float = 0.0  # rows, those with y = 0 among them
    first: int = 0  # number of the first grid point kept
    counts: Array = field(default_factory=lambda: np.zeros(0))  # rows at each point from there on
    total: float = 0.0  # sum of y, exactly as it came

    @classmethod
    def of(cls, y: Array) -> Purse:
        """These rows."""
        y = np.ascontiguousarray(y, dtype=np.float64)
        positive = y[y > 0] if y.min(initial=0.0) <= 0 else y
        if not len(positive):
            return cls(float(len(y)))
        bits = np.clip(positive, 2.0**_LOW, 2.0 ** (_HIGH - 1)).view(np.int64)
        cell = (bits >> _SHIFT) - _FIRST
        first, last = int(cell.min()), int(cell.max())
        cell -= first
        above = (bits & _PARTS) * 2.0**-_SHIFT  # how far each row is towards the next point
        counts = np.zeros(last - first + 2)
        to_next = np.bincount(cell, above, last - first + 1)
        counts[:-1] = np.bincount(cell, minlength=last - first + 1) - to_next
        counts[1:] += to_next
        return cls(float(len(y)), first, counts, float(positive.sum()))

    def __add__(self, other: Purse) -> Purse:
        if not len(self.counts) or not len(other.counts):
            kept = self if len(self.counts) else other
            return replace(kept, n=self.n + other.n, total=self.total + other.total)
        first = min(self.first, other.first)
        end = max(self.first + len(self.counts), other.first + len(other.counts))
        counts = np.zeros(end - first)
        for purse in (self, other):
            counts[purse.first - first : purse.first - first + len(purse.counts)] += purse.counts
        return Purse(self.n + other.n, first, counts, self.total + other.total)

    @property
    def points(self) -> tuple[Array, Array]:
        """The grid points that rows fell on, and how many at each; y = 0 is not among them."""
        held = np.flatnonzero(self.counts > 0)
        return _grid()[self.first + held], self.counts[held]

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else 0.0


def log_wealth(purse: Purse, v: float) -> float:
    """log K(v): what betting that the mean of y exceeds v has won."""
    if v <= 0:
        return inf if len(purse.counts) else 0.0
    return _log_wealth(*purse.points, purse.n, v)


def lower(purse: Purse, alpha: float, *, most: float = inf) -> float:
    """The largest v <= `most` with K(v) >= 1/alpha: the mean of y is at least that, with chance
    1 - alpha."""
    if not len(purse.counts):
        return 0.0
    bar = log(1 / alpha)
    top = min(most, purse.mean)  # at v = mean no bet grows (Jensen), so the bound is below it
    if isfinite(most) and log_wealth(purse, most) >= bar:
        return most
    low, high, points = 0.0, top, purse.points
    while high - low > 1e-7 * top:  # what is left is given away: the bound stays below
        middle = (low + high) / 2
        won = _log_wealth(*points, purse.n, middle)
        low, high = (middle, high) if won >= bar else (low, middle)
    return low


def between(up: Purse, down: Purse, alpha: float, *, top: float = 1.0) -> Interval:
    """The mean of y in [0, top], from rows with mean y and rows with mean top - y.

    Bounds that cross refute what was assumed of the rows, and then say nothing of the mean.
    """
    low = lower(up, alpha / 2, most=top)
    high = top - lower(down, alpha / 2, most=top)
    return Interval(up.mean, low, high) if low <= high else Interval(up.mean, 0.0, top)


def _log_wealth(y: Array, counts: Array, n: float, v: float) -> float:
    growth = np.log1p(STAKES[:, None] * (y / v - 1)) @ counts
    growth += (n - counts.sum()) * _LOSSES
    top = growth.max()
    return float(top + log(np.exp(growth - top).sum() / len(growth)))


@lru_cache(1)
def _grid() -> Array:
    cells: NDArray[np.int64] = (np.arange(_FIRST, _LAST + 2, dtype=np.int64)) << _SHIFT
    return cells.view(np.float64)
