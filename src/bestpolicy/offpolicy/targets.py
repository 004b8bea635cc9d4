"""The policies that a log can be asked about, by how much of them is known.

chances   (n,) pi(a_i | x_i), of the logged actions alone: enough for weights
table     (n, A) pi(. | x_i): what models of the reward and checks of support need besides
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bestpolicy.core.log import SUM_TOLERANCE, BadRow, Log, Logged, Policy, Target
from bestpolicy.core.nouns import Array, ConfigError

BLOCK = 1 << 17  # numbers of a table that stay in a core's own memory
SINGLE_TOLERANCE = 1e-5  # what rounding may leave of "they sum to 1" in single precision


@dataclass(frozen=True, slots=True)
class Chances:
    """What a policy would have done where the log says what was done, and nothing else."""

    values: Array  # (n,) of the whole log
    name: str = "target"

    def chances(self, log: Log) -> Array:
        return checked(self.values[log.start : log.start + len(log)], log, self.name)

    def table(self, log: Log) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Column:
    """The same, in a column of the log."""

    column: str

    @property
    def name(self) -> str:
        return self.column

    def chances(self, log: Log) -> Array:
        column = log.columns[self.column]
        try:
            values = np.asarray(column, dtype=np.float64)
        except (TypeError, ValueError) as error:
            wrong = (i for i, cell in enumerate(column) if not _is_number(cell))
            i = next(wrong, 0)
            raise BadRow(log.start + i, self.column, column[i], "a chance is meant") from error
        return checked(values, log, self.column)

    def table(self, log: Log) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Tabled:
    """A policy that is known everywhere: by an array, or by what makes one for a chunk."""

    make: Callable[[Log], Array]
    name: str = "target"

    def table(self, log: Log) -> Array:
        table = np.asarray(self.make(log))
        if table.dtype.kind != "f":
            table = table.astype(np.float64)
        if table.shape != (len(log), len(log.names)):
            raise ConfigError(
                f"target {self.name!r} must say a chance for each of {len(log.names)} actions in "
                f"each of {len(log)} rows; saw an array of shape {table.shape}"
            )
        _check_chances(table, log, self.name)
        return table

    def chances(self, log: Log) -> Array:
        table: Array = self.table(log)[np.arange(len(log)), log.actions]
        return table


def uniform() -> Tabled:
    """Every action with the same chance."""
    return Tabled(lambda log: np.full((len(log), len(log.names)), 1 / len(log.names)), "uniform")


def always(action: str, names: tuple[str, ...]) -> Tabled:
    """One action, whatever the context."""
    if action not in names:
        raise ConfigError(f"no action of the log is called {action!r}; it has {_some(names)}")
    one = np.eye(len(names))[names.index(action)]
    return Tabled(lambda log: np.broadcast_to(one, (len(log), len(names))), f"always {action}")


def logging() -> Tabled:
    """The policy that wrote the log, where it logged all its chances."""
    return Tabled(_logged, "logging")


def of_policy(policy: Policy, name: str = "target") -> Tabled:
    """A policy that says the log chance of any action in any context."""

    def make(log: Log) -> Array:
        if log.contexts is None:
            raise ConfigError("this target needs contexts, and the log has none: name them")
        every = [policy.log_prob(log.contexts, np.full(len(log), a)) for a in range(len(log.names))]
        return np.exp(np.stack(every, axis=1))

    return Tabled(make, name)


def target_of(said: Any, log: Logged, name: str = "target") -> Target:
    """What a caller means: (n,) or (n, A) numbers, a Policy, a function of contexts, or words."""
    if hasattr(said, "chances") and hasattr(said, "table"):
        target: Target = said
        return target
    if isinstance(said, str):
        return _worded(said, log)
    if hasattr(said, "on"):  # a learned one, which sees to it that it has not seen the rows
        return Tabled(said.on, name)
    if hasattr(said, "log_prob"):
        return of_policy(said, name)
    if callable(said):
        return Tabled(lambda part: np.asarray(said(part.contexts), dtype=np.float64), name)
    values = np.asarray(said)
    if values.dtype.kind not in "fiub":
        raise ConfigError(f"a target is numbers, a policy or a word; saw {type(said).__name__}")
    if values.ndim not in (1, 2) or len(values) != len(log):
        raise ConfigError(
            f"a target has a chance for each of the log's {len(log)} rows, (n,) of the logged "
            f"actions or (n, {len(log.names)}) of all; saw an array of shape {values.shape}"
        )
    if values.ndim == 1:
        return Chances(values, name)
    return Tabled(lambda part: values[part.start : part.start + len(part)], name)


def _worded(word: str, log: Logged) -> Target:
    if word == "uniform":
        return uniform()
    if word == "logging":
        return logging()
    kind, _, rest = word.partition(":")
    if kind == "column" and rest:
        return Column(rest)
    return always(rest if kind == "always" and rest else word, log.names)


def checked(values: Array, log: Log, name: str) -> Array:
    """Chances of logged actions, all in [0, 1]."""
    if len(values) != len(log):
        raise ConfigError(f"target {name!r} ends before the log does")
    fine = (values >= 0) & (values <= 1)
    if not fine.all():
        i = int(np.argmin(fine))
        raise BadRow(log.start + i, name, float(values[i]), "a chance must be in [0, 1]")
    return values


def _check_chances(table: Array, log: Log, name: str) -> None:
    """Few rows at a time, so that they are read from memory once; by einsum, the fastest sum there
    is that starts no threads; what looks wrong is summed again in full precision."""
    sums, least, step = np.empty(len(table)), 0.0, max(1, BLOCK // table.shape[1])
    for first in range(0, len(table), step):
        some = table[first : first + step]
        sums[first : first + step] = np.einsum("ia->i", some)
        least = min(least, float(some.min()))
    single = table.dtype.itemsize < 8
    off = np.flatnonzero(~(np.abs(sums - 1) <= SUM_TOLERANCE))
    sums[off] = table[off].sum(axis=1, dtype=np.float64)
    fine = np.abs(sums - 1) <= (SINGLE_TOLERANCE if single else SUM_TOLERANCE)
    if least < 0:
        fine &= (table >= 0).all(axis=1)
    if not fine.all():
        i = int(np.argmin(fine))
        rule = "its chances must be in [0, 1] and sum to 1"
        raise BadRow(log.start + i, name, float(sums[i]), rule)


def _logged(log: Log) -> Array:
    if log.propensities is None:
        raise ConfigError("the log has the chances of chosen actions only, not of all")
    return log.propensities


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
