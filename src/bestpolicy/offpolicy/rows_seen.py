"""Rows that a policy learnt from: it is never valued on any of them.

A row is known by its request's id, where the log has ids, and else by what it says: the action, its
chance, the reward and the context. Rows that say the same then pass for one another, so that a log
of few distinct rows is refused rather than believed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import BadRow, Log
from bestpolicy.core.nouns import ConfigError

Marks = NDArray[np.uint64]
HELD_OUT = "value it on rows that it has not seen, such as those of a later week"


@dataclass(frozen=True, slots=True)
class RowsSeen:
    """Marks of rows, in rising order, and whether they are of ids."""

    marks: Marks = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    by_id: bool = False

    @classmethod
    def of(cls, log: Log) -> RowsSeen:
        by_id = has_ids(log)
        return cls(np.unique(ids(log) if by_id else contents(log)), by_id)

    def __len__(self) -> int:
        return len(self.marks)

    def refuse(self, log: Log) -> None:
        """Refuse a part of a log that holds any of these rows."""
        if not len(self):
            return
        if self.by_id and not has_ids(log):
            raise ConfigError(
                "the policy knows the rows it learnt from by their ids, and this log has none at "
                "hand: read it with id=, the column of its requests' ids"
            )
        met = np.isin(ids(log) if self.by_id else contents(log), self.marks)
        if met.any():
            i = int(np.argmax(met))
            if self.by_id:
                column = log.called["ids"]
                value, rule = _plain(log.columns[column][i]), "the policy learnt from this row"
                raise BadRow(log.start + i, column, value, rule, HELD_OUT)
            raise BadRow(
                *(log.start + i, log.called.get("actions", "action"), log.names[log.actions[i]]),
                "the policy learnt from a row that says the same",
                f"{HELD_OUT}; if this is another row, read both logs with id=",
            )


def has_ids(log: Log) -> bool:
    return log.called.get("ids", "") in log.columns


def ids(log: Log) -> Marks:
    """(m,) 64 bits of each row's id."""
    return _marks(str(_plain(one)).encode() for one in log.columns[log.called["ids"]])


def contents(log: Log) -> Marks:
    """(m,) 64 bits of what each row says."""
    numbers = [log.rewards[:, None], log.propensity[:, None]]
    if log.contexts is not None:
        numbers.append(np.asarray(log.contexts, dtype=np.float64).reshape(len(log), -1))
    said = np.ascontiguousarray(np.hstack(numbers)) + 0.0  # so that no zero has a sign
    names = [name.encode() for name in log.names]
    return _marks(
        row.tobytes() + names[action] for row, action in zip(said, log.actions, strict=True)
    )


def _marks(said: Iterable[bytes]) -> Marks:
    each = (int.from_bytes(blake2b(one, digest_size=8).digest()) for one in said)
    return np.fromiter(each, dtype=np.uint64)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
