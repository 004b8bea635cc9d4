"""Folds: rows to learn from and to predict, so that no model meets a row it has seen.

A row's fold follows from its number in the log: it is the same in every pass and for chunks of any
size. Each fold has two halves, for what a learner must choose without looking beyond its own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bestpolicy.core.log import Ints
from bestpolicy.core.nouns import Array, ConfigError, Rng


@dataclass(frozen=True, slots=True)
class Seen:
    """Some rows: what is known of each, and what is to be predicted."""

    x: Array  # (m, d) numbers, d may be 0
    cell: Ints  # (m,) an action, a category, a cluster
    y: Array  # (m,)
    start: int = 0  # number of the first row
    often: Array | None = None  # (m,) rows that each row stands for

    def __len__(self) -> int:
        return len(self.cell)


Source = Callable[[], Iterator[Seen]]  # all rows in order, as often as they are asked for


@dataclass(frozen=True, slots=True)
class Folds:
    """`count` folds of equal size, neighbours dealt out at random."""

    count: int
    salt: int

    @classmethod
    def of(cls, count: int, rng: Rng) -> Folds:
        if count < 1:
            raise ConfigError(f"folds must be 1 or more, saw {count}; 2 keeps every row unseen")
        return cls(count, int(rng.integers(1 << 62)))

    def halves(self, seen: Seen) -> Ints:
        """(m,) in 0 … 2 count - 1: the half that a row is in; its fold is that // 2."""
        parts = np.uint64(2 * self.count)
        number = np.arange(seen.start, seen.start + len(seen), dtype=np.uint64)
        turn = _mixed(number // parts + np.uint64(self.salt))
        return ((number + turn % parts) % parts).astype(np.intp)

    def folds(self, seen: Seen) -> Ints:
        """(m,) in 0 … count - 1."""
        return self.halves(seen) // 2


@dataclass(frozen=True, slots=True)
class Fit:
    """How far predictions can be trusted, on rows that their model has not seen (folds >= 2)."""

    slope: float  # cov(r, Rhat) / var(Rhat): 1 where differences are right, 0 where they are noise
    r2: float  # 1 - Σ (r - Rhat)² / Σ (r - mean r)²
    folds: int  # 1: in-sample; 0: predictions were given, and nobody knows what they had seen


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over rows of predictions q and what came of them; they add up."""

    n: float = 0.0
    q: float = 0.0
    r: float = 0.0
    qq: float = 0.0
    qr: float = 0.0
    rr: float = 0.0

    @classmethod
    def of(cls, q: Array, r: Array, often: Array | None = None) -> Moments:
        o = np.ones(len(q)) if often is None else often
        return cls(*(float(s) for s in (o.sum(), o @ q, o @ r, o @ q**2, o @ (q * r), o @ r**2)))

    def __add__(self, other: Moments) -> Moments:
        return Moments(*(getattr(self, s) + getattr(other, s) for s in self.__slots__))

    @property
    def squares(self) -> float:
        """Σ (r - q)²."""
        return self.rr - 2 * self.qr + self.qq

    def fit(self, folds: int) -> Fit:
        """A prediction that never varies has no slope; it is as trustworthy as none."""
        n = max(self.n, 1.0)
        varied, around = self.qq - self.q**2 / n, self.rr - self.r**2 / n
        slope = (self.qr - self.q * self.r / n) / varied if varied > 1e-12 * self.qq else 0.0
        return Fit(slope, 1 - self.squares / around if around > 0 else 0.0, folds)


class Model(Protocol):
    """Models of y that have not seen the rows they predict, one for each fold."""

    @property
    def fit(self) -> Fit: ...

    def at(self, seen: Seen) -> Array:
        """(m,) of each row's own cell."""

    def every(self, seen: Seen) -> Array:
        """(m, C) of every cell."""

    def under(self, seen: Seen, table: Array) -> Array:
        """(m,) Σ_c table[i, c] of the prediction for cell c."""


def _mixed(
    number: np.ndarray[tuple[int], np.dtype[np.uint64]],
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Bits well mixed (the finaliser of SplitMix64: Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        z = number * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
