"""Seen: sums over rows that a diagnosis is read from; they add up, and do not grow with n.

Weights   w as a histogram, Σ w, Σ w², the ten largest w r
Actions   for each action: rows, Σ r, Σ 1/p, Σ 1/p²; tables where they are known
Parts     for each tenth of the log (and logger): Σ w, Σ w², Σ w⁴, Σ r, Σ r²
Means     for each context f: Σ (w-1) f, and what its error needs
Fit       of a model of the reward: Σ over q, r and w (r - q)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bestpolicy.core.betting import Purse
from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import Array
from bestpolicy.offpolicy.folds import Moments
from bestpolicy.offpolicy.rows import Rows

TEN = 10  # largest rows kept, and parts that a log is cut into
COLUMNS = 64  # of the contexts that are looked at


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights as they fell."""

    n: float = 0.0
    w: float = 0.0
    ww: float = 0.0
    wr: float = 0.0
    purse: Purse = field(default_factory=Purse)  # of w
    rows: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.intp))  # of the ten largest w r
    top: Array = field(default_factory=lambda: np.zeros((0, 2)))  # their w r and w

    @classmethod
    def of(cls, w: Array, r: Array, log: Log) -> Weights:
        """Weights and rewards of the rows of this chunk."""
        wr, stood = w * r, w
        if (often := log.weight) is not None:
            wr, stood = often * wr, often * w
        best = _largest(wr)
        return cls(
            float(len(w)) if often is None else float(often.sum()),
            float(stood.sum()),
            float(stood @ stood),
            float(wr.sum()),
            Purse.of(w),
            log.start + best,
            np.stack([wr[best], w[best]], axis=1),
        )

    def __add__(self, other: Weights) -> Weights:
        rows, top = np.r_[self.rows, other.rows], np.r_[self.top, other.top]
        best = np.lexsort((rows, -top[:, 0]))[:TEN]
        return Weights(
            self.n + other.n,
            self.w + other.w,
            self.ww + other.ww,
            self.wr + other.wr,
            self.purse + other.purse,
            rows[best],
            top[best],
        )


ACTION_SUMS = ("rows", "r", "p", "one", "two")  # rows, Σ r, Σ p, Σ 1/p, Σ 1/p²


@dataclass(frozen=True, slots=True)
class Actions:
    """What befell each action, and what the target would have done."""

    sums: Array  # (5, A) of ACTION_SUMS
    least: Array  # (A,) smallest p; inf where never logged
    most: Array  # (A,)
    logged: Array | None = None  # (3, A) Σ of pi_0, pi_0 (1 - pi_0), [pi_0 > 0], where known
    target: Array | None = None  # (A,) Σ pi, where the target is known everywhere
    thin: float | None = None  # Σ of the target's mass where pi_0 < 1/n

    @classmethod
    def of(cls, log: Log, table: Array | None, n: int) -> Actions:
        """`table` is the target's, of a log of n rows."""
        a, p, many = log.actions, log.propensity, len(log.names)
        often = log.weight if log.weight is not None else np.ones(len(log))
        columns = (often, often * log.scaled(), often * p, often / p, often / p**2)
        sums = np.stack([_sums(a, column, many) for column in columns])
        least, most = np.full(many, np.inf), np.zeros(many)
        np.minimum.at(least, a, p)
        np.maximum.at(most, a, p)
        pi_0, logged, target, thin = log.propensities, None, None, None
        if pi_0 is not None:
            logged = np.stack([often @ x for x in (pi_0, pi_0 * (1 - pi_0), pi_0 > 0)])
        if table is not None:
            target = often @ table
            if pi_0 is not None:
                thin = float(often @ np.einsum("ia,ia->i", table, pi_0 < 1 / n))
        return cls(sums, least, most, logged, target, thin)

    def __add__(self, other: Actions) -> Actions:
        return Actions(
            self.sums + other.sums,
            np.minimum(self.least, other.least),
            np.maximum(self.most, other.most),
            _both(self.logged, other.logged),
            _both(self.target, other.target),
            None if self.thin is None or other.thin is None else self.thin + other.thin,
        )


PART_SUMS = ("rows", "w", "ww", "w4", "r", "rr")


@dataclass(frozen=True, slots=True)
class Parts:
    """The log in ten parts, each logger's rows apart."""

    sums: Array  # (L, 10, 6) of PART_SUMS
    since: Array  # (10,) seconds; inf where the log has no times
    until: Array

    @classmethod
    def of(cls, log: Log, w: Array, n: int) -> Parts:
        part = np.minimum((log.start + np.arange(len(log))) * TEN // max(n, 1), TEN - 1)
        key = part if log.loggers is None else log.loggers * TEN + part
        often = log.weight if log.weight is not None else np.ones(len(log))
        r, ww = log.scaled(), w * w
        columns = (often, often * w, often * ww, often * ww * ww, often * r, often * r * r)
        many = int(key.max(initial=0)) // TEN + 1
        sums = np.stack([_sums(key, c, many * TEN) for c in columns], axis=-1)
        since, until = np.full(TEN, np.inf), np.full(TEN, -np.inf)
        if log.times is not None:
            np.minimum.at(since, part, log.times)
            np.maximum.at(until, part, log.times)
        return cls(sums.reshape(many, TEN, len(PART_SUMS)), since, until)

    def __add__(self, other: Parts) -> Parts:
        many = max(len(self.sums), len(other.sums))
        sums = np.zeros((many, *self.sums.shape[1:]))
        sums[: len(self.sums)] += self.sums
        sums[: len(other.sums)] += other.sums
        least, most = np.minimum(self.since, other.since), np.maximum(self.until, other.until)
        return Parts(sums, least, most)


@dataclass(frozen=True, slots=True)
class Means:
    """Whether reweighted contexts have the mean of the contexts."""

    n: float
    f: Array  # (d,) Σ f
    first: Array  # (2, d) Σ (w-1) f^k for k = 0, 1
    second: Array  # (3, d) Σ (w-1)² f^k for k = 0, 1, 2

    @classmethod
    def of(cls, log: Log, w: Array) -> Means | None:
        if log.contexts is None:
            return None
        f = np.asarray(log.contexts.reshape(len(log), -1)[:, :COLUMNS], dtype=np.float64)
        often = log.weight if log.weight is not None else np.ones(len(log))
        off, sq = often * (w - 1), often * (w - 1) ** 2
        every = np.ones(f.shape[1])
        first = np.stack([off.sum() * every, off @ f])
        second = np.stack([sq.sum() * every, sq @ f, sq @ (f * f)])
        return cls(float(often.sum()), often @ f, first, second)

    def __add__(self, other: Means) -> Means:
        return Means(*(getattr(self, s) + getattr(other, s) for s in self.__slots__))

    @property
    def z(self) -> Array:
        """(d,) mean of (w-1)(f - mean f) in its standard errors; 0 where f never changes."""
        mean = self.f / self.n
        off = self.first[1] - mean * self.first[0]
        spread = self.second[2] - 2 * mean * self.second[1] + mean**2 * self.second[0]
        flat = spread <= 1e-12 * (self.second[2] + 1e-300)
        made: Array = np.where(flat, 0.0, off / np.sqrt(np.where(flat, 1.0, spread)))
        return made


@dataclass(frozen=True, slots=True)
class Foretold:
    """Predicted rewards against what came, and by how much DR corrects DM."""

    moments: Moments = field(default_factory=Moments)
    gap: float = 0.0  # Σ w (r - q)
    gap_squared: float = 0.0

    @classmethod
    def of(cls, rows: Rows) -> Foretold | None:
        if rows.given.pair is None and rows.given.predictions is None:
            return None
        (q, _), r = rows.q_d, rows.r
        gap = rows.w * (r - q)
        return cls(Moments.of(q, r), float(gap.sum()), float(gap @ gap))

    def __add__(self, other: Foretold) -> Foretold:
        moments = self.moments + other.moments
        return Foretold(moments, self.gap + other.gap, self.gap_squared + other.gap_squared)

    @property
    def gap_in_errors(self) -> float:
        """(DR - DM) / se."""
        spread = self.gap_squared - self.gap**2 / self.moments.n
        return self.gap / spread**0.5 if spread > 0 else 0.0


def _largest(wr: Array) -> Ints:
    """The rows of the ten largest, the first of those that are alike."""
    if len(wr) <= TEN:
        return np.arange(len(wr))
    bar = np.partition(wr, -TEN)[-TEN]
    above = np.flatnonzero(wr > bar)
    made: Ints = np.r_[above, np.flatnonzero(wr == bar)[: TEN - len(above)]]
    return made


def _sums(key: Ints, column: Array, many: int) -> Array:
    """(many,) sums of the column by key."""
    made: Array = np.bincount(key, column, many).astype(np.float64)
    return made


def _both(one: Array | None, other: Array | None) -> Array | None:
    return None if one is None or other is None else one + other
