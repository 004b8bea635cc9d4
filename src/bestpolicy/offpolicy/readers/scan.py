"""Scan: a source looked through once, so that no number is ever made of a bad log.

Every rule is checked here. What the whole is needed for is found out here too: names of actions,
the number of rows, shares of loggers, whether a request was logged twice. For that a hash of 64
bits is kept of each id; where two agree, the ids themselves are read again and compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import CHUNK, BadRow, Log
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.offpolicy.readers.books import Book, Positions, named_actions
from bestpolicy.offpolicy.readers.cells import cells
from bestpolicy.offpolicy.readers.ids import hashes, once
from bestpolicy.offpolicy.readers.logfile import LogFile, located
from bestpolicy.offpolicy.readers.plan import Plan
from bestpolicy.offpolicy.readers.shape import Known, as_log
from bestpolicy.offpolicy.readers.source import Part, Source

WIDE = 1 << 10  # rows looked at together while nobody knows how many actions there are


def scanned(source: Source, plan: Plan, notes: tuple[str, ...] = ()) -> LogFile:
    """The log in this source, every row of which has been checked."""
    known, seen = _beginning(plan), Seen(plan)
    try:
        _look(source, plan, known, seen)
    except BadRow as error:
        raise located(error, source) from error
    if not seen.n:
        why = "; ".join(note for note in source.said() if note.startswith("left out"))
        raise ConfigError(
            f"{source.label} holds no rows to learn from" + (f" ({why})" if why else "")
        )
    known, found = _settled(plan, known, seen)
    return LogFile(source, plan, known, seen.n, (*notes, *source.said(), *found, *seen.said()))


def _beginning(plan: Plan) -> Known:
    """What is known before the first row: what was declared."""
    chosen: Book | Positions = Book() if plan.names is None else Book(plan.names, open=False)
    if plan.count is not None and plan.names is None:
        chosen = Positions(plan.base)
    loggers = Book() if plan.loggers is None else Book(plan.loggers, open=False)
    return Known(chosen, loggers=loggers)


def _settled(plan: Plan, known: Known, seen: Seen) -> tuple[Known, list[str]]:
    """What is known after the last row, and how to say it."""
    notes = []
    chosen = known.actions
    if isinstance(chosen, Positions):
        chosen, note = chosen.settled()
        notes.append(note)
    elif chosen.open:
        chosen, note = named_actions(chosen)
        notes.append(note)
    contexts = {}
    for name, book in known.contexts.items():
        contexts[name] = None if book is None else book.settled()
        if book is not None:
            notes.append(f"{name}: {len(book.names)} texts coded as numbers in rising order")
    loggers, shares = known.loggers.closed(), None
    if plan.logger is not None:
        shares = seen.loggers / seen.loggers.sum()
        each = ", ".join(
            f"{name} ({share:.1%} of rows)"
            for name, share in zip(loggers.names, shares, strict=False)
        )
        if plan.loggers is not None:
            notes.append(f"loggers {each}: each row is weighted by the mixture of their chances")
        elif len(shares) > 1:
            notes.append(
                f"loggers {each}: each row is weighted by its own logger's chance alone; with "
                "loggers={name: column of its chances} the weights are balanced, and better"
            )
        shares = None if plan.loggers is None else _padded(shares, len(loggers.names))
    return Known(chosen, known.table, contexts, loggers, shares, seen.weighted), notes


def _padded(shares: Array, n: int) -> Array:
    return np.pad(shares, (0, n - len(shares)))


class Seen:
    """What adds up over the rows."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.n = 0
        self.hashes: list[NDArray[np.int64]] = []
        self.loggers: NDArray[np.float64] = np.zeros(0)
        self.weighted = False
        self._last = -np.inf
        self._backwards = 0

    def see(self, part: Part, log: Log, source: Source) -> None:
        """These rows too."""
        self.n += len(log)
        if self._plan.id is not None:
            of = cells(part, self._plan.id, untyped=source.untyped)
            self.hashes.append(hashes(of))
        if log.loggers is not None:
            stand = log.weight if log.weight is not None else np.ones(len(log))
            found = np.bincount(log.loggers, stand, minlength=len(self.loggers))
            self.loggers = found.astype(np.float64) + _padded(self.loggers, len(found))
        if log.weight is not None:
            self.weighted |= bool((log.weight > 1).any())
        if log.times is not None:
            times = np.concatenate([[self._last], log.times])
            self._backwards += int((np.diff(times) < 0).sum())
            self._last = float(times[-1])

    def said(self) -> tuple[str, ...]:
        if not self._backwards:
            return ()
        where = f"{self._backwards:,} of {self.n:,} rows"
        return (f"times go backwards at {where}: rows are taken in the order of the source",)


def _look(source: Source, plan: Plan, known: Known, seen: Seen) -> None:
    rows = CHUNK if plan.propensities is None else WIDE
    for part in source.parts(plan.columns, rows):
        if len(part):
            log = as_log(part, plan, known, seen.n, untyped=source.untyped)
            seen.see(part, log, source)
    if plan.id is not None and seen.n:
        once(source, plan.id, seen.hashes)
