"""Shape: a part of a source as a chunk of a log, by what is known of the whole.

While the source is looked through for the first time, what is known grows with each part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyarrow import types

from bestpolicy.core.log import SUM_TOLERANCE, BadRow, Feature, Ints, Log
from bestpolicy.core.nouns import Array
from bestpolicy.offpolicy.readers.books import Book, Positions
from bestpolicy.offpolicy.readers.cells import Cells, cells, numbers, seconds, values
from bestpolicy.offpolicy.readers.plan import Plan
from bestpolicy.offpolicy.readers.source import Part
from bestpolicy.offpolicy.readers.tables import Kind, kind_of, listed, named

REWARD = "a reward must be a number"
UNKNOWN = "leave out rows whose reward is not known yet, or log the 0 that they mean"
CHANCE = "a chance must be a number in (0, 1]"


@dataclass
class Known:
    """What is known of a source besides its columns."""

    actions: Book | Positions
    table: Kind | None = None
    contexts: dict[str, Book | None] = field(default_factory=dict)  # None: numbers
    loggers: Book = field(default_factory=Book)
    shares: Array | None = None  # of rows, by logger
    weighted: bool = True  # whether any row stands for more than itself

    @property
    def names(self) -> tuple[str, ...]:
        return self.actions.names


def as_log(part: Part, plan: Plan, known: Known, start: int, *, untyped: bool) -> Log:
    """Rows of a log, all of whose rules they keep; a row that does not is named by its place at
    the source."""

    def column(name: str) -> Cells:
        return cells(part, name, untyped=untyped)

    rewards = numbers(column(plan.reward), REWARD, UNKNOWN, truths=True)
    p = None if plan.propensity is None else numbers(column(plan.propensity), CHANCE)
    loggers = None
    if plan.logger is not None:
        loggers = known.loggers.code(column(plan.logger), "a logger must be named")
        if plan.loggers is not None:
            p = _mixture(part, plan, known, loggers, p, untyped=untyped)
    table = _table(part, plan, known, untyped=untyped)
    of = column(plan.action)
    if isinstance(known.actions, Positions):
        if plan.count is not None:
            known.actions.width = max(known.actions.width, _most(column(plan.count)))
        places = known.actions.code(of, table, p)
        table = _widened(table, known.actions.width)
    else:
        before = len(known.names)
        places = known.actions.code(of, "an action must be named")
        table = _widened(table, len(known.names))
        if table is not None and (places >= before).any():
            raise of.bad(
                int(np.argmax(places >= before)), "its chance must be logged with the rest"
            )
    if p is None:
        assert table is not None
        p = np.asarray(table[np.arange(len(part)), places])
    weight = plan.weight if known.weighted else None
    contexts, features = _contexts(part, plan, known, untyped=untyped)
    beside: dict[str, Any] = {
        "contexts": contexts,
        "features": features,
        "weight": None if weight is None else numbers(column(weight), "a number is meant"),
        "times": None if plan.time is None else _times(column(plan.time)),
        "columns": {name: values(column(name)) for name in plan.keep},
    }
    try:
        return Log(
            *(places, rewards, p, known.names, plan.bounds),
            **beside,
            propensities=table,
            loggers=loggers,
            start=start,
            called=plan.called,
        )
    except BadRow as error:
        raise error.moved(int(part.rows[error.row - start])) from error


def _table(part: Part, plan: Plan, known: Known, *, untyped: bool) -> Array | None:
    said = plan.propensities
    if said is None:
        return None
    if known.table is None:
        known.table = kind_of(part, said, untyped=untyped)
        if known.table == "listed" and plan.names is None:
            known.actions = Positions(plan.base)
    if known.table == "named":
        assert isinstance(known.actions, Book)
        return named(part, str(said), known.actions, untyped=untyped)
    if isinstance(known.actions, Book):
        width = len(known.actions.names)
        return listed(part, said, width, ragged=False, untyped=untyped)
    ragged = plan.count is not None
    made = listed(part, said, known.actions.width, ragged=ragged, untyped=untyped)
    known.actions.width = max(known.actions.width, made.shape[1])
    return made


def _widened(table: Array | None, width: int) -> Array | None:
    if table is None or table.shape[1] == width:
        return table
    return np.pad(table, ((0, 0), (0, width - table.shape[1])))


def _most(of: Cells) -> int:
    return int(numbers(of, "a number of actions is meant").max())


def _mixture(
    part: Part, plan: Plan, known: Known, loggers: Ints, p: Array | None, *, untyped: bool
) -> Array:
    """(m,) Σ_l rho_l pi_l(a_i | x_i); before the shares are known, the chance of the row's own
    logger, which is checked here."""
    said: Mapping[str, str] = plan.loggers or {}
    each = np.empty((len(said), len(part)))
    for i, name in enumerate(known.loggers.names):
        of = cells(part, said[name], untyped=untyped)
        each[i] = numbers(of, "a chance is meant")
        right = (each[i] >= 0) & (each[i] <= 1)
        if not right.all():
            raise of.bad(int(np.argmin(right)), "a chance must be in [0, 1]")
        own = loggers == i
        never = own & (each[i] == 0)
        if never.any():
            raise of.bad(int(np.argmax(never)), "the chance of what this logger did is above 0")
    own = each[loggers, np.arange(len(part))]
    if p is not None and plan.propensity is not None:
        differs = ~(np.abs(own - p) <= SUM_TOLERANCE)
        if differs.any():
            of = cells(part, plan.propensity, untyped=untyped)
            rule = "it must be the chance of the logger that chose"
            raise of.bad(int(np.argmax(differs)), rule)
    return own if known.shares is None else np.asarray(known.shares @ each)


def _contexts(
    part: Part, plan: Plan, known: Known, *, untyped: bool
) -> tuple[Array | None, tuple[Feature, ...]]:
    if not plan.context:
        return None, ()
    made: list[NDArray[Any]] = []
    features: list[Feature] = []
    for name in plan.context:
        of = cells(part, name, untyped=untyped)
        kind = of.array.type
        if types.is_nested(kind):
            wide = listed(part, name, 0, ragged=False, untyped=untyped)
            made.append(_finite(wide, of))
            features.append(Feature(name, width=wide.shape[1]))
            continue
        if name not in known.contexts:
            known.contexts[name] = Book() if types.is_string(kind) and _words(of) else None
        if (book := known.contexts[name]) is not None:
            made.append(book.code(of, "a context must be there").astype(np.float64)[:, None])
            features.append(Feature(name, tuple(book.names)))
        else:
            found = numbers(of, "a context must be a number", truths=True)
            made.append(_finite(found[:, None], of))
            features.append(Feature(name))
    return np.concatenate(made, axis=1), tuple(features)


def _words(of: Cells) -> bool:
    """Whether a context is of texts: its first cell is one that is no number."""
    if not of.untyped:
        return True
    try:
        numbers(Cells(of.array[:1], of.name, of.rows, untyped=True), "", truths=True)
    except BadRow:
        return True
    return False


def _times(of: Cells) -> Array:
    found = seconds(of)
    if not np.isfinite(found).all():
        raise of.bad(int(np.argmin(np.isfinite(found))), "a time must be a number")
    return found


def _finite(found: Array, of: Cells) -> Array:
    right = np.isfinite(found).all(axis=1)
    if not right.all():
        raise of.bad(int(np.argmin(right)), "a context must be numbers")
    return found
