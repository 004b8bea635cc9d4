"""Pictures: what a diagnosis was read from, for whoever draws it: plain numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from bestpolicy.core.nouns import Array, Interval
from bestpolicy.offpolicy.seen import TEN, Actions, Parts, Weights

USUAL = 1.96  # standard errors, of what is only drawn


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose weight is in [low, high)."""

    low: float
    high: float
    rows: float
    share: float  # of the sum of all weights


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the log, or all rows of one logger."""

    name: str  # "1" … "10" in time order; of loggers their number
    rows: float
    weight: Interval  # mean w, with its 95 % interval by the normal law
    reward: Interval  # mean reward as logged, likewise
    effective: float  # (Σ w)² / Σ w²
    since: float | None = None  # seconds, where the log has times
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One action: how often it was logged, with what chances, and how much the target wants it."""

    name: str
    rows: float
    share: float  # of all rows
    reward: float | None  # mean reward of its rows
    least: float | None  # the smallest and the largest chance that it was logged with
    most: float | None
    reciprocal: float  # Σ 1/p over its rows, by n: 1 when the chances are right,
    error: float  # within a few of these
    expected: float | None = None  # mean pi_0(a | x), where all chances were logged
    target: float | None = None  # mean pi(a | x), where the target is known everywhere


@dataclass(frozen=True, slots=True)
class Top:
    """One of the rows that the IPS sum rests on."""

    row: int  # counted from 0
    share: float  # of the sum
    weight: float


@dataclass(frozen=True, slots=True)
class Pictures:
    """All that is drawn beside a diagnosis."""

    weights: tuple[Bin, ...] = ()  # w > 0, two bins an octave
    never: float = 0.0  # rows with w = 0
    parts: tuple[Part, ...] = ()  # ten, in time order
    loggers: tuple[Part, ...] = ()  # where there are several
    actions: tuple[Action, ...] = ()
    top: tuple[Top, ...] = ()  # at most ten, the largest first

    def as_json(self) -> dict[str, Any]:
        """The same under stable names."""
        return asdict(self)


def drawn(
    seen: Weights,
    actions: Actions,
    parts: Parts,
    names: tuple[str, ...],
    bounds: tuple[float, float],
) -> Pictures:
    """What was seen, as it is drawn; rewards are back on their own scale."""
    whole = parts.sums.sum(axis=0)
    loggers = parts.sums.sum(axis=1)
    times = list(zip(parts.since, parts.until, strict=True))
    return Pictures(
        _bins(seen),
        seen.purse.n - float(seen.purse.counts.sum()),
        tuple(_part(str(k + 1), whole[k], bounds, times[k]) for k in range(TEN) if whole[k, 0]),
        tuple(_part(str(k), sums, bounds) for k, sums in enumerate(loggers) if sums[0])
        if len(loggers) > 1
        else (),
        listed(actions, names, bounds),
        tuple(
            Top(int(row), float(wr / seen.wr), float(w))
            for row, (wr, w) in zip(seen.rows, seen.top, strict=True)
            if wr > 0
        ),
    )


def listed(
    actions: Actions, names: tuple[str, ...], bounds: tuple[float, float]
) -> tuple[Action, ...]:
    """The actions, as they were logged."""
    low, high = bounds
    rows, r, _, one, two = actions.sums
    n = float(rows.sum())
    error = np.sqrt(np.maximum(0.0, two - one**2 / n)) / n
    return tuple(
        Action(
            name,
            float(rows[a]),
            float(rows[a] / n),
            float(low + (high - low) * r[a] / rows[a]) if rows[a] else None,
            float(actions.least[a]) if rows[a] else None,
            float(actions.most[a]) if rows[a] else None,
            float(one[a] / n),
            float(error[a]),
            None if actions.logged is None else float(actions.logged[0, a] / n),
            None if actions.target is None else float(actions.target[a] / n),
        )
        for a, name in enumerate(names)
    )


def _bins(seen: Weights) -> tuple[Bin, ...]:
    w, counts = seen.purse.points
    half = np.floor(2 * np.log2(w)).astype(int) if len(w) else np.zeros(0, dtype=int)
    total = float(w @ counts)
    made = []
    for k in np.unique(half):
        own = half == k
        share = float(w[own] @ counts[own]) / total
        made.append(
            Bin(float(2 ** (k / 2)), float(2 ** ((k + 1) / 2)), float(counts[own].sum()), share)
        )
    return tuple(made)


def _part(
    name: str,
    sums: Array,
    bounds: tuple[float, float],
    times: tuple[float, float] = (np.inf, -np.inf),
) -> Part:
    n, w, ww, _, r, rr = (float(x) for x in sums)
    low, high = bounds
    since, until = (float(t) if np.isfinite(t) else None for t in times)
    effective = w**2 / ww if ww else 0.0
    weight, reward = usual(n, w, ww), usual(n, r, rr)
    scaled = (low + (high - low) * x for x in (reward.value, reward.low, reward.high))
    return Part(name, n, weight, Interval(*scaled), effective, since, until)


def usual(n: float, x: float, xx: float) -> Interval:
    """A mean with its 95 % interval by the normal law."""
    mean = x / n
    reach = USUAL * sqrt(max(0.0, xx / n - mean**2) / n)
    return Interval(mean, mean - reach, mean + reach)
