"""A record in one SQLite file: what it has acknowledged, no crash takes back.

`synchronous=FULL` makes each commit wait for the disk, so power loss takes nothing either, provided
that the disk honours sync.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from bestpolicy.core.nouns import Comparison, Outcome, Settings, Verdict
from bestpolicy.core.roster import Change
from bestpolicy.store import file
from bestpolicy.store.calls import Calls
from bestpolicy.store.commits import Commits
from bestpolicy.store.rows import Event, Key, body, event_of, key, may_join

READ = (
    "SELECT e.seq, e.kind, e.duel, e.body, e.checksum, q.body FROM event e LEFT JOIN event q"
    " ON q.study = e.study AND q.kind = 'asked' AND q.duel = e.duel"
)
# The plus keeps SQLite from the index on the study, of which it would read and sort all rows.
SINCE = f"{READ} WHERE +e.study = ? AND e.seq > ? ORDER BY e.seq"
HELD = f"{READ} WHERE e.study = ? AND e.kind = ? AND e.duel = ?"


class SqliteStore:
    """The append-only record of one study in a SQLite file, shared with other processes."""

    def __init__(self, path: str, name: str, settings: Settings) -> None:
        self._ours: set[int] = set()  # ask numbers that this store wrote
        self._commits = Commits(path)
        try:
            self._study = file.study(self._commits.db, path, name, settings)
        except BaseException:
            self._commits.close()
            raise

    def calls(self) -> Calls:
        """What models were asked on behalf of this study."""
        return Calls(self._commits, self._study)

    def lay_ballast(self, size: int) -> None:
        """Set room on the disk aside, for what is under way when the disk is full."""
        self._commits.lay_ballast(size)

    def asked(self, comparisons: Sequence[Comparison]) -> None:
        self._write(comparisons)
        self._ours.update(comparison.id for comparison in comparisons)

    def told(self, outcomes: Sequence[Outcome]) -> None:
        self._write(outcomes)

    def announce(self, verdict: Verdict[int]) -> None:
        self._write((verdict,))

    def changed(self, changes: Sequence[Change]) -> None:
        self._write(changes)

    def history(self, after: int = 0) -> list[tuple[int, Event]]:
        commits = self._commits
        with commits.lock, file.plainly(commits.path):
            rows = commits.db.execute(SINCE, (self._study, after))
            return [(row[0], self._event(row)) for row in rows]

    def close(self) -> None:
        self._commits.close()

    def _write(self, events: Sequence[Event]) -> None:
        bodies = [body(event) for event in events]
        self._commits.write(lambda db: self._append(db, events, bodies))

    def _append(
        self, db: sqlite3.Connection, events: Sequence[Event], bodies: Sequence[str]
    ) -> None:
        news = self._news(events, bodies)
        (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
        for (kind, duel), text in news.items():
            last += 1
            row = (last, self._study, kind, duel, text)
            db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", (*row, file.checksum(*row)))

    def _news(self, events: Sequence[Event], bodies: Sequence[str]) -> dict[Key, str]:
        """What of these is not in the record yet."""
        texts: dict[Key, str] = {}
        fresh: dict[Key, Event] = {}
        for event, text in zip(events, bodies, strict=True):
            name = key(event)
            question = self._held(("asked", name[1])) if isinstance(event, Outcome) else None
            asked = question if isinstance(question, Comparison) else None
            held = fresh.get(name) or self._held(name)
            if may_join(event, held, asked, ours=name in fresh or name[1] in self._ours):
                texts[name], fresh[name] = text, event
        return texts

    def _held(self, name: Key) -> Event | None:
        row = self._commits.db.execute(HELD, (self._study, *name)).fetchone()
        return None if row is None else self._event(row)

    def _event(self, row: tuple[int, str, int, str, int, str | None]) -> Event:
        seq, kind, duel, text, checksum, question = row
        if checksum != file.checksum(seq, self._study, kind, duel, text):
            raise sqlite3.DatabaseError(f"event {seq} is not what was written")
        return event_of(kind, duel, text, question)
