"""Sequence: an interval that holds at every look, for those who look daily.

    P(some look's interval misses the value) <= alpha, for looks that were fixed in advance

The wealth K_t(v) of a bet against "the value is v or less" is no submartingale there, so that its
running maximum passes 2/alpha with chance alpha/2 at most (Ville). K_t falls in v: the values
refuted at some look are those below the largest of the looks' lower bounds, and the interval at a
look is what all looks so far agree on. Purses of the rows between looks add up, so that a look
costs what the grid has points, not what the log has rows.
Source: Waudby-Smith & Ramdas 2024, arXiv 2010.09686.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log as ln
from typing import Any

import numpy as np

from bestpolicy.core.betting import Purse, log_wealth, lower
from bestpolicy.core.log import Ints, Log, Logged
from bestpolicy.core.nouns import Array, ConfigError, Interval
from bestpolicy.offpolicy.rows import Given, Rows, value_bets
from bestpolicy.offpolicy.targets import Column, target_of
from bestpolicy.offpolicy.uplift import uplift_bets

LOOKS = 64
DAY = 86_400.0
Bets = Callable[
    [Rows], tuple[Array, Array]
]  # rows -> y with the mean looked for, y of the other end


def uplift_sequence(log: Logged, target: Any, *, alpha: float = 0.05) -> list[tuple[int, Interval]]:
    """The same of the uplift over the policy that logged, looked at after each day, or after each
    64th of a log without times. Rows must be alike through time: this bounds one uplift, and not
    the average of several."""
    found = _walk(log, target, _Book(alpha, uplift_bets, 2.0), LOOKS, _days(log))
    scale = log.bounds[1] - log.bounds[0]
    return [
        (rows, Interval(*(scale * (x - 1) for x in (now.value, now.low, now.high))))
        for rows, now in found
    ]


def sequence(
    log: Logged,
    target: Any,
    *,
    alpha: float = 0.05,
    looks: int = LOOKS,
    times: Sequence[float] = (),
) -> list[tuple[int, Interval]]:
    """How many rows had been seen at each look, and what was known of the value by then.

    Looks come after equal shares of the rows, or at `times` in seconds (each day's end, say).
    Rows must be alike: of one logger, in the order in which they came.
    """
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha must be between 0 and 1, saw {alpha:g}")
    if looks < 1:
        raise ConfigError(f"there must be a look at least; saw looks={looks}")
    low, high = log.bounds
    return [
        (rows, Interval(*(low + (high - low) * x for x in (now.value, now.low, now.high))))
        for rows, now in _walk(log, target, _Book(alpha, value_bets, 1.0), looks, times)
    ]


def _walk(
    log: Logged, target: Any, book: _Book, looks: int, times: Sequence[float]
) -> list[tuple[int, Interval]]:
    wanted, seen = target_of(target, log), 0
    if isinstance(wanted, Column):
        log = log.keeping(wanted.column)
    ends = np.unique((np.arange(1, looks + 1) * len(log)) // looks)
    found: list[tuple[int, Interval]] = []

    def look() -> None:
        if seen and (not found or found[-1][0] != seen):
            found.append((seen, book.look()))

    loggers: set[int] = set()
    for chunk in log.chunks():
        _refuse(chunk, loggers, timed=bool(times))
        after = _rows_until(chunk, times) if times else ends - chunk.start
        cuts = [int(row) for row in np.unique(after) if 0 < row <= len(chunk)]
        first = 0
        for last in (*cuts, len(chunk)):
            if last > first:
                book.add(Rows(chunk.at(slice(first, last)), wanted, Given()))
            seen += last - first
            if last in cuts:
                look()
            first = last
    look()
    return found


class _Book:
    """Purses of all rows so far, and the best bounds of all looks so far."""

    def __init__(self, alpha: float, bets: Bets, top: float) -> None:
        self._alpha, self._bets, self._top = alpha / 2, bets, top
        self._purses = [Purse(), Purse()]
        self._least = [0.0, 0.0]  # the mean, and `top` minus the mean, are at least that

    def add(self, rows: Rows) -> None:
        for side, y in enumerate(self._bets(rows)):
            self._purses[side] += Purse.of(y)

    def look(self) -> Interval:
        for side, purse in enumerate(self._purses):
            # Only where the best bound so far is beaten need the new one be searched.
            if log_wealth(purse, max(self._least[side], 1e-12)) >= ln(1 / self._alpha):
                bound = lower(purse, self._alpha, most=self._top)
                self._least[side] = max(self._least[side], bound)
        low, high = self._least[0], self._top - self._least[1]
        mean = self._purses[0].mean
        # Bounds that cross refute the logged chances, not every value.
        return Interval(mean, low, high) if low <= high else Interval(mean, 0.0, self._top)


def _days(log: Logged) -> list[float]:
    """The ends of the days of the log, where it says when."""
    first = last = None
    for chunk in log.chunks():
        if chunk.times is None or not len(chunk):
            return []
        first = float(chunk.times[0]) if first is None else first
        last = float(chunk.times[-1])
    if first is None or last is None:
        return []
    last_day = int(last // DAY)
    # Midnight belongs to the day that it begins.
    return [DAY * day - 1e-3 for day in range(int(first // DAY) + 1, last_day + 2)]


def _rows_until(chunk: Log, times: Sequence[float]) -> Ints:
    assert chunk.times is not None
    return np.searchsorted(chunk.times, np.sort(np.asarray(times)), side="right")


def _refuse(chunk: Log, loggers: set[int], *, timed: bool) -> None:
    if chunk.loggers is not None:
        loggers |= set(np.unique(chunk.loggers).tolist())
    if len(loggers) > 1:
        raise ConfigError(
            "the log has several loggers, whose rows are not alike: an interval for every look "
            "holds for one logger alone; keep the rows of one"
        )
    if chunk.weight is not None and chunk.weight.min() != chunk.weight.max():
        raise ConfigError("rows stand for different numbers of rows: no interval holds at finite n")
    if timed and chunk.times is None:
        raise ConfigError("looks at given times need a log with times: name the column of times")
    if timed and chunk.times is not None and (np.diff(chunk.times) < 0).any():
        raise ConfigError("looks at given times need rows in time order; these are not")
