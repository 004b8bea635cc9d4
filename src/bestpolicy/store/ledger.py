"""The ledger of live traffic: who was given which policy by what chance, and how that ended.

    snapshot   the chances of all policies, taken after so many units had been read
    assigned   one row for each unit, numbered in the order of their assignment
    ended      what a unit gave back, or that its time passed without; one for each row at most
    decided    a verdict that was announced

Rows are only added. People are known by a keyed hash alone, and deleting somebody blanks it,
with the context and the key of the feedback; policy, chance and reward stay, so that the verdict
can be computed again. A batch is one transaction with a handful of statements, however long.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bestpolicy.core.nouns import Verdict
from bestpolicy.store import file
from bestpolicy.store.commits import Commits
from bestpolicy.store.database import Damaged, Database, Job
from bestpolicy.store.rows import body, canonical, event_of

T = TypeVar("T")
R = TypeVar("R")
MOST = 500  # rows, or values looked for, in one statement


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The chances that units were drawn with, from the moment it was taken."""

    version: int
    reached: int  # assigned rows that the evidence had read
    told: int  # and how many of them were evidence
    chances: tuple[float, ...]  # (K,)


@dataclass(frozen=True, slots=True)
class Assigned:
    """One unit and the policy that it was given."""

    number: int
    unit: str | None  # its keyed hash; None once it was deleted
    nth: int  # rows of the same unit before this one
    policy: int
    snapshot: int
    propensity: float
    counts: bool  # as evidence: a unit counts once
    seconds: float  # wall clock, for readers only
    context: str = ""  # JSON, if contexts are kept


@dataclass(frozen=True, slots=True)
class Ended:
    """What an assigned unit gave back; no reward when its time passed without."""

    seq: int
    number: int  # of the assigned row
    key: str | None  # keyed hash of the idempotency key; None for a unit whose time passed
    body: str  # hash of the feedback as it was sent
    reward: float | None


class Page:
    """The ledger as one transaction sees it; what it adds is there when the transaction ends."""

    def __init__(self, db: Database, study: int) -> None:
        self._db = db
        self._study = study
        self.number = self._next("assigned", "number")
        self.seq = self._next("ended", "seq")

    def units(self, units: Iterable[str]) -> dict[str, list[Assigned]]:
        """All rows of these units, each unit's in order."""
        found: dict[str, list[Assigned]] = {}
        for row in self._find("assigned", "unit", units, "ORDER BY number"):
            assigned = _assigned(row)
            found.setdefault(str(assigned.unit), []).append(assigned)
        return found

    def numbers(self, numbers: Iterable[int]) -> dict[int, Assigned]:
        """The rows of these numbers."""
        return {row[1]: _assigned(row) for row in self._find("assigned", "number", numbers)}

    def ends(self, numbers: Iterable[int]) -> dict[int, Ended]:
        """How these rows ended."""
        return {row[2]: _ended(row) for row in self._find("ended", "number", numbers)}

    def keys(self, keys: Iterable[str]) -> dict[str, Ended]:
        """The feedback that came under these keys."""
        return {row[3]: _ended(row) for row in self._find("ended", "key", keys)}

    def add(self, assigned: Sequence[Assigned], ended: Sequence[Ended]) -> None:
        """Keep these rows; they are numbered from `number` and `seq` on."""
        self._insert("assigned", map(_columns, assigned))
        self._insert("ended", [(e.seq, e.number, e.key, e.body, e.reward) for e in ended])

    def take(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, unless that version has been taken."""
        row = (snapshot.version, snapshot.reached, snapshot.told, canonical(snapshot.chances))
        self._insert("snapshot", [row], "ON CONFLICT DO NOTHING")

    def decide(self, reached: int, verdict: Verdict[int]) -> None:
        """Keep a verdict, unless one was announced after as many rows."""
        told = canonical([verdict.comparisons, body(verdict)])
        self._insert("decided", [(reached, told)], "ON CONFLICT DO NOTHING")

    def forget(self, unit: str) -> int:
        """Blank what tells of this unit; how many rows did."""
        rows = self.units([unit]).get(unit, [])
        for row in rows:
            blank = _columns(replace(row, unit=None, context=""))
            self._db.execute(
                "UPDATE assigned SET unit = NULL, context = '', checksum = ?"
                " WHERE study = ? AND number = ?",
                (self._checksum(blank), self._study, row.number),
            )
        ends = self.ends(row.number for row in rows)
        if (played := self.keys([unit]).get(unit)) is not None:  # a duel: live/matches.py
            ends |= self.ends([played.number, played.number + 1])
        for end in ends.values():
            self._db.execute(
                "UPDATE ended SET key = NULL, body = '', checksum = ? WHERE study = ? AND seq = ?",
                (
                    self._checksum((end.seq, end.number, None, "", end.reward)),
                    self._study,
                    end.seq,
                ),
            )
        return len(rows) + (played is not None)

    def _next(self, table: str, column: str) -> int:
        find = f"SELECT coalesce(max({column}), -1) + 1 FROM {table} WHERE study = ?"
        (number,) = self._db.execute(find, (self._study,)).fetchone()
        return int(number)

    def _find(
        self, table: str, column: str, values: Iterable[Any], order: str = ""
    ) -> list[tuple[Any, ...]]:
        wanted, rows = list(dict.fromkeys(values)), []
        for part in _parts(wanted):
            places = ", ".join("?" * len(part))
            find = f"SELECT * FROM {table} WHERE study = ? AND {column} IN ({places}) {order}"
            rows += self._db.execute(find, (self._study, *part)).fetchall()
        return rows

    def _insert(self, table: str, rows: Iterable[tuple[Any, ...]], unless: str = "") -> None:
        for part in _parts(list(rows)):
            each = ", ".join("?" * (len(part[0]) + 2))
            places = ", ".join([f"({each})"] * len(part))
            values = [value for row in part for value in self._whole(row)]
            self._db.execute(f"INSERT INTO {table} VALUES {places} {unless}", values)

    def _whole(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        plain = [int(value) if isinstance(value, bool) else value for value in row]
        return (self._study, *plain, self._checksum(row))

    def _checksum(self, row: tuple[Any, ...]) -> int:
        return checksum(self._study, *row)


class Ledger:
    """The live traffic of one study, shared with other processes."""

    def __init__(self, commits: Commits, study: int) -> None:
        self._commits = commits
        self._study = study

    def write(self, work: Callable[[Page], T]) -> T:
        """Do this work on the page; what it says comes back when all of it is on disk."""
        said: list[T] = []

        def job(db: Database) -> None:
            said[:] = [work(Page(db, self._study))]  # a job may be done again, after a rollback

        self._commits.write(job)
        return said[0]

    def along(self, work: Callable[[Page], None]) -> Job:
        """The same as a part of a transaction that writes other rows; a StoreError refuses all."""
        return lambda db: work(Page(db, self._study))

    def read(self, look: Callable[[Page], T]) -> T:
        """What the page shows; nothing is written."""
        with self._commits.reading() as db:
            return look(Page(db, self._study))

    def snapshots(self, after: int = -1) -> list[Snapshot]:
        """Every snapshot of a later version, in order."""
        return self._read(
            "SELECT * FROM snapshot WHERE study = ? AND version > ? ORDER BY version",
            (after,),
            _snapshot,
        )

    def assigned(self, after: int = -1, most: int = 5000) -> list[Assigned]:
        """The rows that come after this number, in order of assignment."""
        return self._read(
            "SELECT * FROM assigned WHERE study = ? AND number > ? ORDER BY number LIMIT ?",
            (after, most),
            _assigned,
        )

    def ended(self, after: int = -1, most: int = 5000) -> list[Ended]:
        """How rows ended, in the order in which they did."""
        return self._read(
            "SELECT * FROM ended WHERE study = ? AND seq > ? ORDER BY seq LIMIT ?",
            (after, most),
            _ended,
        )

    def ends(self, numbers: Iterable[int]) -> dict[int, Ended]:
        """How these rows ended."""
        with self._commits.reading() as db:
            return Page(db, self._study).ends(numbers)

    def decided(self) -> list[tuple[int, Verdict[int]]]:
        """Every verdict announced, and after how many assigned rows."""
        return self._read(
            "SELECT * FROM decided WHERE study = ? AND reached >= ? ORDER BY reached",
            (0,),
            _decided,
        )

    def _read(
        self, sql: str, values: tuple[int, ...], make: Callable[[tuple[Any, ...]], R]
    ) -> list[R]:
        with self._commits.reading() as db:
            return [make(row) for row in db.execute(sql, (self._study, *values))]


def checksum(*fields: Any) -> int:
    """What a row's other columns must add up to."""
    return file.checksum(*fields)


def _columns(row: Assigned) -> tuple[Any, ...]:
    return (
        *(row.number, row.unit, row.nth, row.policy, row.snapshot, row.propensity),
        *(row.counts, row.seconds, row.context),
    )


def _checked(row: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    *fields, stored = row
    if stored != checksum(*fields):
        raise Damaged(f"{what} {row[1]} is not what was written")
    return tuple(fields[1:])


def _snapshot(row: tuple[Any, ...]) -> Snapshot:
    version, reached, told, chances = _checked(row, "snapshot")
    return Snapshot(version, reached, told, tuple(json.loads(chances)))


def _assigned(row: tuple[Any, ...]) -> Assigned:
    number, unit, nth, policy, snapshot, propensity, counts, seconds, context = _checked(
        (*row[:7], bool(row[7]), *row[8:]), "assignment"
    )
    return Assigned(number, unit, nth, policy, snapshot, propensity, counts, seconds, context)


def _ended(row: tuple[Any, ...]) -> Ended:
    return Ended(*_checked(row, "the end"))


def _decided(row: tuple[Any, ...]) -> tuple[int, Verdict[int]]:
    reached, told = _checked(row, "the verdict after row")
    comparisons, text = json.loads(told)
    verdict = event_of("announced", comparisons, text, None)
    assert isinstance(verdict, Verdict)
    return reached, verdict


def _parts(values: Sequence[T]) -> Iterable[Sequence[T]]:
    return (values[i : i + MOST] for i in range(0, len(values), MOST))
