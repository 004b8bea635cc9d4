"""Describe: what a log holds and what it could answer, before any target is named.

Of every action: its rows, their mean reward (among those who got it, by betting), the range of its
chances, and (Σ 1/p)² / Σ 1/p², the rows that "always this action" would be worth. The uniform
policy is worth (Σ 1/p)² / Σ 1/p² over all rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from bestpolicy.core.betting import Purse, between
from bestpolicy.core.log import Log, Logged
from bestpolicy.core.nouns import ConfigError, Interval
from bestpolicy.offpolicy import soundness
from bestpolicy.offpolicy.lines import Line, graded, some
from bestpolicy.offpolicy.pictures import Part, drawn, listed
from bestpolicy.offpolicy.rows import FEW
from bestpolicy.offpolicy.seen import Actions, Parts, Weights

MANY = 1000  # actions, above which none gets an interval of its own
ENOUGH = 500  # effective rows that answer without a warning


@dataclass(frozen=True, slots=True)
class Choice:
    """One action, as it was logged."""

    name: str
    rows: float
    share: float
    reward: Interval | None  # of those rows; None where there are none, or too many actions
    least: float | None  # the smallest and the largest chance that it was logged with
    most: float | None
    worth: float  # effective rows for "always this action"


@dataclass(frozen=True, slots=True)
class Description:
    """What a log holds and what it could answer."""

    rows: float
    actions: tuple[Choice, ...]
    reward: Interval  # mean, by betting
    bounds: tuple[float, float]
    binary: bool  # whether every reward is one of the bounds
    propensity: tuple[float, float]  # the smallest and the largest
    full: bool  # whether the chances of all actions were logged
    contexts: int  # numbers in a context
    times: tuple[float, float] | None  # seconds
    parts: tuple[Part, ...]  # ten, in time order; weights are the uniform policy's
    loggers: tuple[Part, ...]
    uniform: float  # effective rows for the uniform policy
    lines: tuple[Line, ...]  # propensities, drift
    notes: tuple[str, ...] = ()
    confidence: float = 0.95

    @property
    def advice(self) -> str:
        """What could be asked of this log, in a sentence."""
        trouble = next((line.advice for line in self.lines if line.verdict == "stop"), "")
        if trouble:
            return trouble
        able = [one for one in self.actions if one.worth >= FEW]
        if self.uniform >= ENOUGH and len(able) == len(self.actions):
            return "The log can answer for any policy that keeps to its actions."
        if not able and self.uniform < FEW:
            return "The log answers only for policies close to the one that logged."
        return (
            f"Single actions can be judged for {len(able)} of {len(self.actions)}; policies that "
            "lean on the others need more rows, or must stay close to the one that logged."
        )

    def as_json(self) -> dict[str, Any]:
        """The same under stable names."""
        return asdict(self) | {"advice": self.advice}


@dataclass(frozen=True, slots=True)
class _Tally:
    """Sums of the first pass; they add up."""

    actions: Actions
    parts: Parts
    weights: Weights  # of the uniform policy
    up: Purse = field(default_factory=Purse)
    down: Purse = field(default_factory=Purse)
    binary: bool = True
    often: tuple[float, float] = (np.inf, -np.inf)  # the least and most that a row stands for

    @classmethod
    def of(cls, log: Log, n: int) -> _Tally:
        r, w = log.scaled(), 1 / (len(log.names) * log.propensity)
        purses = Purse.of(r), Purse.of(1 - r)
        sums = Actions.of(log, None, n), Parts.of(log, w, n), Weights.of(w, r, log)
        often = log.weight if log.weight is not None else np.ones(1)
        ends = float(often.min(initial=np.inf)), float(often.max(initial=-np.inf))
        return cls(*sums, *purses, bool(((r == 0) | (r == 1)).all()), ends)

    def __add__(self, other: _Tally) -> _Tally:
        return _Tally(
            self.actions + other.actions,
            self.parts + other.parts,
            self.weights + other.weights,
            self.up + other.up,
            self.down + other.down,
            self.binary and other.binary,
            (min(self.often[0], other.often[0]), max(self.often[1], other.often[1])),
        )


def describe(log: Logged, *, confidence: float = 0.95) -> Description:
    """What a log holds; every interval has the confidence by itself."""
    alpha, names, n = 1 - confidence, log.names, len(log)
    if not n:
        raise ConfigError("the log has no rows: there is nothing to describe")
    tally, contexts, many = None, 0, len(names) <= MANY
    own: dict[int, tuple[Purse, Purse]] = {}
    for chunk in log.chunks():
        found = _Tally.of(chunk, n)
        tally = found if tally is None else tally + found
        if chunk.contexts is not None:
            contexts = int(np.prod(chunk.contexts.shape[1:]))
        for a, up, down in _purses(chunk) if many else ():
            was = own.get(a, (Purse(), Purse()))
            own[a] = was[0] + up, was[1] + down
    assert tally is not None, "a log has a chunk, if an empty one"
    low, high = log.bounds

    def back(up: Purse, down: Purse) -> Interval:
        even = tally.often[0] == tally.often[1]
        found = between(up, down, alpha) if even else Interval(up.mean, 0.0, 1.0)
        return Interval(*(low + (high - low) * x for x in (found.value, found.low, found.high)))

    rewards = {a: back(*purses) for a, purses in own.items()}
    pictures = drawn(tally.weights, tally.actions, tally.parts, names, log.bounds)
    actions, times = tally.actions, tally.parts
    one, two = actions.sums[3], actions.sums[4]
    choices = [
        Choice(
            *(action.name, action.rows, action.share, rewards.get(a), action.least, action.most),
            float(one[a] ** 2 / two[a]) if two[a] else 0.0,
        )
        for a, action in enumerate(listed(actions, names, log.bounds))
    ]
    uniform = tally.weights.w**2 / tally.weights.ww if tally.weights.ww else 0.0
    drift = soundness.drift(replace(times, sums=_rewards_only(times)))
    return Description(
        tally.weights.n,
        tuple(choices),
        back(tally.up, tally.down),
        log.bounds,
        tally.binary,
        (float(actions.least.min(initial=1.0)), float(actions.most.max(initial=0.0))),
        actions.logged is not None,
        contexts,
        (float(times.since.min()), float(times.until.max()))
        if np.isfinite(times.since).any()
        else None,
        pictures.parts,
        pictures.loggers,
        uniform,
        (soundness.propensities(actions, None, names, uniform), drift, _reach(uniform, n)),
        log.notes,
        confidence,
    )


def _reach(uniform: float, n: int) -> Line:
    verdict = graded(uniform, ENOUGH, FEW)
    said = f"{n:,} rows are worth {some(uniform)} for the policy that chooses at random"
    return Line("effective-rows-of-uniform", said, verdict, uniform, binds=False)


def _rewards_only(parts: Parts) -> Any:
    """Without weights: there is no target whose weights could drift."""
    sums = parts.sums.copy()
    sums[..., 1:4] = 0.0
    return sums


def _purses(log: Log) -> Iterator[tuple[int, Purse, Purse]]:
    """Rewards of each action's rows, and what they miss of the most."""
    order = np.argsort(log.actions, kind="stable")
    a, r = log.actions[order], log.scaled()[order]
    starts = np.flatnonzero(np.r_[True, a[1:] != a[:-1]]) if len(a) else np.zeros(0, dtype=int)
    for first, last in zip(starts, np.r_[starts[1:], len(a)], strict=True):
        some_rows = r[first:last]
        yield int(a[first]), Purse.of(some_rows), Purse.of(1 - some_rows)
