"""A learned policy: chances of prompts by context, and the rows that it must not be valued on.

    raw contexts, as the log has them  ──► words written out as 0s and 1s ──► net ──► chances

A row of a study or a unit's context is a mapping: it is read by the names of the log's columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite
from typing import Any

import numpy as np

from bestpolicy.core.log import Feature, Ints, Log
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.core.softmax import pick
from bestpolicy.offpolicy.learners.methods import Learnt
from bestpolicy.offpolicy.rows_seen import RowsSeen

MOST_WORDS = 200  # of a column: more are no kinds but texts, which a policy cannot tell apart


@dataclass(frozen=True, slots=True)
class LearnedPolicy:
    """What `learn` hands over, and a file keeps."""

    names: tuple[str, ...]  # (A,) the prompts
    features: tuple[Feature, ...]  # what its contexts are made of; none: it asks for no context
    core: Learnt  # contexts, written out -> chances
    method: str
    seen: RowsSeen = field(default_factory=RowsSeen)
    about: Mapping[str, Any] = field(default_factory=dict)  # what it was learnt from, and its value

    def table(self, contexts: Array | None, n: int | None = None) -> Array:
        """(m, A) pi(. | x_i) of raw contexts, (m, d); of a policy without any, n rows."""
        x = written_out(contexts, self.features, n)
        return np.asarray(self.core.table(x), dtype=np.float64)

    def sample(self, contexts: Array, rng: Rng) -> Ints:
        return pick(self.table(contexts), rng.random((len(contexts), 1)))[:, 0]

    def log_prob(self, contexts: Array, actions: Ints) -> Array:
        made: Array = np.log(self.table(contexts)[np.arange(len(contexts)), actions])
        return made

    def on(self, log: Log) -> Array:
        """(m, A) its chances in these rows, none of which it may have seen."""
        self.seen.refuse(log)
        return self.unchecked(log)

    def unchecked(self, log: Log) -> Array:
        """The same, of rows that whoever asks has held out."""
        if log.names != self.names:
            raise ConfigError(
                f"the policy chooses among {_some(self.names)}, and the log has "
                f"{_some(log.names)}: they must be the same prompts in the same order (read the "
                "log with names=)"
            )
        if log.features and self.features and log.features != self.features:
            ours = ", ".join(one.name for one in self.features)
            theirs = ", ".join(one.name for one in log.features)
            raise ConfigError(
                f"the policy reads the contexts {ours}, coded as where it learnt, and the log was "
                f"read with {theirs}: name the same columns, which must hold the same words"
            )
        return self.table(log.contexts, len(log))

    def of_row(self, row: Mapping[str, Any]) -> Array:
        """(A,) its chances for a row of named values."""
        values = np.array([[number for one in self.features for number in _read(one, row)]])
        with np.errstate(over="ignore", invalid="ignore"):
            table: Array = self.table(values if self.features else None, 1)[0]
        if not np.isfinite(table).all():
            raise ConfigError(
                f"a learned policy has no chances for {values[0].tolist()!s:.80}, numbers that are "
                "too far from all that it learnt from"
            )
        return table

    def unreadable(self, row: Mapping[str, Any]) -> Feature | None:
        """The first feature that a row of named values does not tell, if there is one."""
        for one in self.features:
            try:
                _read(one, row)
            except ConfigError:
                return one
        return None

    def choose(self, row: Mapping[str, Any], at: float) -> tuple[str, float]:
        """The prompt where a uniform draw `at` falls, and its chance."""
        chances = self.of_row(row)
        a = int(pick(chances[None], np.array([[at]]))[0, 0])
        return self.names[a], float(chances[a])


def wanted(one: Feature) -> str:
    """What a row must hold of a feature, in words."""
    if one.words:
        return f"{one.name!r}, one of {_some(one.words)}"
    return f"{one.name!r}, " + ("a number" if one.width == 1 else f"a list of {one.width} numbers")


def features_of(log: Log) -> tuple[Feature, ...]:
    """What this log's contexts are made of; numbered, where nobody named them."""
    if log.contexts is None:
        return ()
    if not log.features:
        return (Feature("contexts", width=int(np.prod(log.contexts.shape[1:]))),)
    for one in log.features:
        if len(one.words) > MOST_WORDS:
            raise ConfigError(
                f"context {one.name!r} has {len(one.words)} different texts, and a policy can tell "
                f"apart at most {MOST_WORDS} kinds: leave it out, or give numbers that describe it"
            )
    return log.features


def written_out(contexts: Array | None, features: Sequence[Feature], n: int | None = None) -> Array:
    """(m, d') numbers to learn from: as they are, and for each word a column of 0 and 1."""
    if not features:
        return np.zeros((len(contexts) if contexts is not None else n or 0, 1))
    wide = sum(one.width for one in features)
    if contexts is None or contexts.reshape(len(contexts), -1).shape[1] != wide:
        saw = "none" if contexts is None else f"an array of shape {contexts.shape}"
        raise ConfigError(f"the policy needs contexts of {wide} numbers; saw {saw}")
    x, made, at = np.asarray(contexts, dtype=np.float64).reshape(len(contexts), -1), [], 0
    for one in features:
        column = x[:, at : at + one.width]
        at += one.width
        if one.words:
            known = column[:, 0].astype(np.intp)
            column = (known[:, None] == np.arange(len(one.words))).astype(np.float64)
        made.append(column)
    return np.hstack(made)


def _read(one: Feature, row: Mapping[str, Any]) -> list[float]:
    """The numbers of a feature in a row of named values."""
    if one.name not in row:
        near = get_close_matches(one.name, map(str, row), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {_some(tuple(map(str, row)))}"
        raise ConfigError(f"a learned policy chooses by {one.name!r}, which is missing; {hint}")
    value = row[one.name]
    if one.words:
        if str(value) not in one.words:
            raise ConfigError(
                f"a learned policy knows {one.name!r} as {_some(one.words)}; saw {value!r:.60}"
            )
        return [float(one.words.index(str(value)))]
    values = value if isinstance(value, list | tuple | np.ndarray) else [value]
    try:
        numbers = [float(each) for each in values]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != one.width or not all(map(isfinite, numbers)):
        many = "a number" if one.width == 1 else f"a list of {one.width} numbers"
        raise ConfigError(f"a learned policy needs {many} in {one.name!r}; saw {value!r:.60}")
    return numbers


def _some(names: Sequence[str]) -> str:
    said = ", ".join(names[:6])
    return (said + (f" and {len(names) - 6} more" if len(names) > 6 else "")) or "nothing"
