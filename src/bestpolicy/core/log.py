"""Log: what was logged, as columns, and what is said of it.

    Log ──chunks()──► Log, Log, …         rows in time order, checked once when made
    (Log, Target) ──Estimator──► Estimate

Whoever reads a log reads its chunks, so that one that is larger than memory (a `Logged` with a file
behind it) and one that is at hand are read by the same code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.nouns import Array, ConfigError, Interval, Rng

CHUNK = 1 << 16  # rows of a chunk,
CELLS = 1 << 21  # and cells of its widest table: 16 MB
SUM_TOLERANCE = 1e-6  # what rounding may leave of "they sum to 1"
Ints = NDArray[np.intp]


class BadRow(ConfigError):
    """A row that no log can hold: where it is, what it says, which rule it breaks."""

    def __init__(
        self,
        row: int,
        column: str,
        value: object,
        rule: str,
        remedy: str = "",
        line: int | None = None,  # of a text file, counted from 1
    ) -> None:
        said = f"{value:.12g}" if isinstance(value, float) else f"{value!r:.100}"
        place = "counted from 0" if line is None else f"counted from 0; line {line}"
        about = f", column {column!r}" if column else ""
        super().__init__(
            f"row {row} ({place}){about}: {said} where {rule}" + (f"; {remedy}" if remedy else "")
        )
        self.row, self.column, self.value, self.rule = row, column, value, rule
        self.remedy, self.line = remedy, line

    def moved(self, row: int, line: int | None = None) -> BadRow:
        """The same, of the row's place at its source."""
        return BadRow(row, self.column, self.value, self.rule, self.remedy, line)


@dataclass(frozen=True, slots=True)
class Feature:
    """A column at home that contexts were made of."""

    name: str
    words: tuple[str, ...] = ()  # coded as 0, 1, …; none: it is numbers
    width: int = 1  # how many, of a column of lists


@dataclass(frozen=True, slots=True)
class Log:
    """Rows in time order: what was shown with what chance, and what it was worth.

    Rows are numbered from `start`, so that a chunk knows its place in the whole.
    """

    actions: Ints  # (n,) a_i, an index into `names`
    rewards: Array  # (n,) r_i, within `bounds`
    propensity: Array  # (n,) p_i = pi_0(a_i | x_i) in (0, 1]; of several loggers their mixture
    names: tuple[str, ...]  # (A,) what the actions are called
    bounds: tuple[float, float] = (0.0, 1.0)  # of rewards: declared, never read off the data
    contexts: Array | None = None  # (n, d) x_i as numbers
    propensities: Array | None = None  # (n, A) pi_0(. | x_i)
    weight: Array | None = None  # (n,) rows that each row stands for, where some were dropped
    times: Array | None = None  # (n,) seconds
    loggers: Ints | None = None  # (n,) which logger chose
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # (n, …) whatever else
    start: int = 0
    called: Mapping[str, str] = field(default_factory=dict)  # what the columns are called at home
    notes: tuple[str, ...] = ()  # what the reader found out or changed, to be said
    features: tuple[Feature, ...] = ()  # what contexts were made of, where a reader made them

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.actions)

    def chunks(self) -> Iterator[Log]:
        """The same rows in order, few at a time."""
        wide = len(self.names) if self.propensities is not None else 1
        yield from self.split(rows_of(wide))

    def split(self, rows: int) -> Iterator[Log]:
        """Chunks of at most so many rows."""
        if len(self) <= rows:
            yield self
            return
        for first in range(0, len(self), rows):
            yield self.at(slice(first, first + rows))

    def at(self, rows: slice | Ints) -> Log:
        """These rows, which have been checked; a slice of them is numbered as before."""

        def cut(column: NDArray[Any] | None) -> Any:
            return None if column is None else column[rows]

        made = object.__new__(Log)
        for name in self.__slots__:
            object.__setattr__(made, name, getattr(self, name))
        for name in ROWWISE:
            object.__setattr__(made, name, cut(getattr(self, name)))
        kept = {name: column[rows] for name, column in self.columns.items()}
        object.__setattr__(made, "columns", kept)
        if isinstance(rows, slice):
            object.__setattr__(made, "start", self.start + (rows.start or 0))
        return made

    def picked(self, rows: Ints) -> Log:
        """These rows, in their order here, as a log of their own."""
        made = self.at(np.sort(rows))
        object.__setattr__(made, "start", 0)
        return made

    def keeping(self, *columns: str) -> Log:
        """This log with these columns at hand, which it has or it cannot have."""
        for name in columns:
            if name not in self.columns:
                known = ", ".join(self.columns) or "none beside those that make a log"
                raise ConfigError(f"the log has no column {name!r} at hand; it has {known}")
        return self

    def scaled(self) -> Array:
        """Rewards with `bounds` taken to 0 and 1."""
        low, high = self.bounds
        return self.rewards if (low, high) == (0, 1) else (self.rewards - low) / (high - low)


ROWWISE = (
    *("actions", "rewards", "propensity", "contexts", "propensities"),
    *("weight", "times", "loggers"),
)


class Logged(Protocol):
    """A log to be read in chunks, as often as needed: one at hand, or a file."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def bounds(self) -> tuple[float, float]: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def chunks(self) -> Iterator[Log]: ...

    def keeping(self, *columns: str) -> Logged:
        """The same rows, whose chunks hold these columns too."""


class Policy(Protocol):
    """Chooses actions, and says with what chance."""

    def sample(self, contexts: Array, rng: Rng) -> Ints: ...

    def log_prob(self, contexts: Array, actions: Ints) -> Array: ...


class Target(Protocol):
    """The policy that a log is asked about."""

    @property
    def name(self) -> str: ...

    def chances(self, log: Log) -> Array:
        """(m,) pi(a_i | x_i) of the logged actions of this chunk."""

    def table(self, log: Log) -> Array | None:
        """(m, A) pi(. | x_i), or None where only the chances of logged actions are known."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and how far to trust it.

    `low` and `high` hold at every n with the stated confidence if the propensities are right; the
    `asymptotic` interval is narrower and holds in the long run only.
    """

    value: float
    stderr: float
    n: int
    low: float
    high: float
    warnings: tuple[str, ...] = ()
    asymptotic: Interval | None = None
    claims: bool = True  # whether the log can carry this number at all
    effective: float | None = None  # rows of the target's own that the log is worth
    intervals: Mapping[str, Interval] = field(default_factory=dict)  # all that were asked for

    def warned(self, *warnings: str) -> Estimate:
        return replace(self, warnings=(*self.warnings, *warnings))


def rows_of(width: int) -> int:
    """How many rows a chunk has whose widest table has so many columns."""
    return max(1, min(CHUNK, CELLS // max(1, width)))


def _check(log: Log) -> None:
    n, called = len(log.actions), log.called
    low, high = log.bounds
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ConfigError(f"reward bounds must be two numbers, low < high; saw ({low}, {high})")
    for name in ROWWISE:
        column = getattr(log, name)
        if column is not None and len(column) != n:
            raise ConfigError(
                f"column {called.get(name, name)!r} has {len(column)} rows where the actions have "
                f"{n}; every column of a log has one entry for each row"
            )
    p, r, a = log.propensity, log.rewards, log.actions
    last = len(log.names) - 1
    _rule(log, "actions", (a >= 0) & (a <= last), f"an action number must be in 0 … {last}")
    _rule(
        *(log, "propensity", (p > 0) & (p <= 1), "a chance must be in (0, 1]"),
        "a row that could not happen, did: log the chance with which this action was chosen",
    )
    _rule(
        *(log, "rewards", np.isfinite(r), "a reward must be a number"),
        "leave out rows whose reward is not known yet, or log the 0 that they mean",
    )
    _rule(
        *(log, "rewards", (r >= low) & (r <= high)),
        f"rewards were declared to be in [{low:g}, {high:g}]",
        "declare the bounds that rewards cannot leave: bounds=(low, high)",
    )
    if log.weight is not None:
        right = np.isfinite(log.weight) & (log.weight >= 1)
        _rule(log, "weight", right, "a row stands for at least itself")
    if log.contexts is not None:
        finite = np.asarray(np.isfinite(log.contexts).reshape(n, -1).all(axis=1))
        _rule(log, "contexts", finite, "a context must be numbers")
    if log.propensities is not None:
        _check_table(log)


def _check_table(log: Log) -> None:
    table, n = log.propensities, len(log.actions)
    assert table is not None
    if table.shape != (n, len(log.names)):
        raise ConfigError(
            f"propensities must have a chance for each of the {len(log.names)} actions in every "
            f"row: ({n}, {len(log.names)}); saw {table.shape}"
        )
    for part in range(0, n, rows := rows_of(len(log.names))):
        some = table[part : part + rows]
        said = f"{log.called.get('propensities', 'propensities')}"
        fine = np.isfinite(some).all(axis=1) & (some >= 0).all(axis=1)
        sums = some.sum(axis=1)
        own = some[np.arange(len(some)), log.actions[part : part + rows]]
        p = log.propensity[part : part + rows]
        for right, value, rule in (
            (fine, some.min(axis=1), "a chance must be in [0, 1]"),
            (np.abs(sums - 1) <= SUM_TOLERANCE, sums, "the chances of all actions must sum to 1"),
            (
                np.abs(own - p) <= SUM_TOLERANCE,
                own,
                "the chance of the chosen action must be the one logged for it",
            ),
        ):
            if not right.all():
                i = int(np.argmin(right))
                raise BadRow(log.start + part + i, said, float(value[i]), rule)


def _rule(log: Log, name: str, right: NDArray[np.bool_], rule: str, remedy: str = "") -> None:
    if right.all():
        return
    i = int(np.argmin(right))
    value = getattr(log, name)[i]
    shown = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    raise BadRow(log.start + i, log.called.get(name, name), shown, rule, remedy)
