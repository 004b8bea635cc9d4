"""A record in one SQLite file: what it has acknowledged, no crash takes back.

Group commit without a second thread: whoever takes the lock commits for everybody who waits,
one transaction and one sync, and only then is anybody acknowledged. A lone caller pays for no
hand-over, and a crowd shares its syncs. `synchronous=FULL` makes each commit wait for the disk,
so power loss takes nothing either, provided that the disk honours sync.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from bestpolicy.core.nouns import Comparison, Outcome, Settings, StoreError, Verdict
from bestpolicy.core.roster import Change
from bestpolicy.store import file
from bestpolicy.store.rows import Event, Key, body, event_of, key, may_join

READ = (
    "SELECT e.seq, e.kind, e.duel, e.body, e.checksum, q.body FROM event e LEFT JOIN event q"
    " ON q.study = e.study AND q.kind = 'asked' AND q.duel = e.duel WHERE e.study = ?"
)


@dataclass(slots=True, eq=False)
class _Call:
    """One caller's events, which are written together or not at all."""

    events: Sequence[Event]
    bodies: Sequence[str]
    done: bool = False
    error: StoreError | None = None


class SqliteStore:
    """The append-only record of one study in a SQLite file, shared with other processes."""

    def __init__(self, path: str, name: str, settings: Settings) -> None:
        self.path = path
        self._lock = Lock()
        self._waiting: deque[_Call] = deque()
        self._ours: set[int] = set()  # ask numbers that this store wrote
        self._db = file.connect(path)
        try:
            self._study = file.study(self._db, path, name, settings)
        except BaseException:
            self._db.close()
            raise

    def asked(self, comparisons: Sequence[Comparison]) -> None:
        self._write(comparisons)
        self._ours.update(comparison.id for comparison in comparisons)

    def told(self, outcomes: Sequence[Outcome]) -> None:
        self._write(outcomes)

    def announce(self, verdict: Verdict[int]) -> None:
        self._write((verdict,))

    def changed(self, change: Change) -> None:
        self._write((change,))

    def history(self, after: int = 0) -> list[tuple[int, Event]]:
        with self._lock, file.plainly(self.path):
            rows = self._db.execute(f"{READ} AND e.seq > ? ORDER BY e.seq", (self._study, after))
            return [(row[0], self._event(row)) for row in rows]

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _write(self, events: Sequence[Event]) -> None:
        call = _Call(events, [body(event) for event in events])
        self._waiting.append(call)
        with self._lock:
            if not call.done:
                calls = [self._waiting.popleft() for _ in range(len(self._waiting))]
                # A leader that was interrupted may have taken this call away undone.
                self._commit(calls if call in calls else [*calls, call])
        if call.error is not None:
            raise call.error

    def _commit(self, calls: Sequence[_Call]) -> None:
        """Write all calls in one transaction; a refused one leaves its neighbours alone."""
        try:
            with file.plainly(self.path), file.transaction(self._db):
                (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
                for call in calls:
                    try:
                        news = self._news(call)
                    except StoreError as refusal:
                        call.error = refusal
                        continue
                    for (kind, duel), text in news.items():
                        last += 1
                        row = (last, self._study, kind, duel, text)
                        self._db.execute(
                            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)",
                            (*row, file.checksum(*row)),
                        )
        except StoreError as error:
            for call in calls:
                call.error = call.error or error
        except BaseException:
            for call in calls:
                call.error = StoreError("the writer was interrupted: write the same again")
            raise
        finally:
            for call in calls:
                call.done = True

    def _news(self, call: _Call) -> dict[Key, str]:
        """What of this call is not in the record yet."""
        texts: dict[Key, str] = {}
        fresh: dict[Key, Event] = {}
        for event, text in zip(call.events, call.bodies, strict=True):
            name = key(event)
            question = self._held(("asked", name[1])) if isinstance(event, Outcome) else None
            asked = question if isinstance(question, Comparison) else None
            held = fresh.get(name) or self._held(name)
            if may_join(event, held, asked, ours=name in fresh or name[1] in self._ours):
                texts[name], fresh[name] = text, event
        return texts

    def _held(self, name: Key) -> Event | None:
        row = self._db.execute(
            f"{READ} AND e.kind = ? AND e.duel = ?", (self._study, *name)
        ).fetchone()
        return None if row is None else self._event(row)

    def _event(self, row: tuple[int, str, int, str, int, str | None]) -> Event:
        seq, kind, duel, text, checksum, question = row
        if checksum != file.checksum(seq, self._study, kind, duel, text):
            raise sqlite3.DatabaseError(f"event {seq} is not what was written")
        return event_of(kind, duel, text, question)
