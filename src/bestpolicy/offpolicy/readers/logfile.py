"""LogFile: a log that stays where it is, and is read in chunks as often as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bestpolicy.core.log import CHUNK, ROWWISE, BadRow, Log, rows_of
from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.readers.guess import nearest
from bestpolicy.offpolicy.readers.plan import Plan
from bestpolicy.offpolicy.readers.shape import Known, as_log
from bestpolicy.offpolicy.readers.source import Source


@dataclass(frozen=True)
class LogFile:
    """A log in a file. All its rows were checked when it was opened, and are each time again."""

    source: Source
    plan: Plan
    known: Known
    rows: int
    notes: tuple[str, ...] = ()  # what the reader found out or changed, to be said

    @property
    def names(self) -> tuple[str, ...]:
        return self.known.names

    @property
    def bounds(self) -> tuple[float, float]:
        return self.plan.bounds

    @property
    def columns(self) -> tuple[str, ...]:
        """What the source has; `keeping` brings any of it into the chunks."""
        return self.source.columns

    def __len__(self) -> int:
        return self.rows

    def keeping(self, *columns: str) -> LogFile:
        """The same log, whose chunks hold these columns of the source too."""
        for name in columns:
            if name not in self.source.columns:
                near = nearest(name, self.source.columns)
                raise ConfigError(f"{self.source.label} has no column {name!r}; {near}")
        kept = tuple(dict.fromkeys([*self.plan.keep, *columns]))
        return replace(self, plan=replace(self.plan, keep=kept))

    def chunks(self) -> Iterator[Log]:
        """The rows in order, few at a time."""
        plan, source, start = self.plan, self.source, 0
        rows = CHUNK if plan.propensities is None else rows_of(len(self.names))
        try:
            for part in source.parts(plan.columns, rows):
                if len(part):
                    yield as_log(part, plan, self.known, start, untyped=source.untyped)
                    start += len(part)
        except BadRow as error:
            raise located(error, source) from error
        if start != self.rows:
            raise ConfigError(f"{source.label} has changed since it was read: read it again")

    def load(self) -> Log:
        """The whole log at hand."""
        parts = list(self.chunks())
        first = parts[0]
        joined: dict[str, Any] = {
            name: None
            if getattr(first, name) is None
            else np.concatenate([getattr(part, name) for part in parts])
            for name in ROWWISE
        }
        columns = {
            name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns
        }
        return replace(first, **joined, columns=columns, start=0, notes=self.notes)


def located(error: BadRow, source: Source) -> BadRow:
    """The same, with the line of the file that it is on."""
    return error if error.line is not None else error.moved(error.row, source.line(error.row))
