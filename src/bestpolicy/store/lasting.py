"""A record that lasts, whichever database keeps it: no crash takes back what it acknowledged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from bestpolicy.core.nouns import Comparison, Outcome, Settings, Verdict
from bestpolicy.core.roster import Change
from bestpolicy.store import file
from bestpolicy.store.calls import Calls
from bestpolicy.store.claims import Claim, Claims, check
from bestpolicy.store.commits import Commits
from bestpolicy.store.database import Clock, Damaged, Database, Home, Job
from bestpolicy.store.ledger import Ledger
from bestpolicy.store.ratings import Ratings
from bestpolicy.store.rows import (
    Event,
    Key,
    body,
    canonical,
    check_settings,
    event_of,
    key,
    may_join,
)

READ = (
    "SELECT e.seq, e.kind, e.duel, e.body, e.checksum, q.body FROM event e LEFT JOIN event q"
    " ON q.study = e.study AND q.kind = 'asked' AND q.duel = e.duel"
)
# The plus keeps SQLite from the index on the study, of which it would read and sort all rows.
SINCE = f"{READ} WHERE +e.study = ? AND e.seq > ? ORDER BY e.seq"
HELD = f"{READ} WHERE e.study = ? AND e.kind = ? AND e.duel = ?"


class LastingStore:
    """The append-only record of one study, shared with other processes."""

    def __init__(self, home: Home, name: str, settings: Settings, clock: Clock) -> None:
        self._ours: set[int] = set()  # ask numbers that this store wrote
        self._clock = clock  # of leases
        self._commits = Commits(home)
        try:
            self._study = _study(home, name, settings)
        except BaseException:
            self._commits.close()
            raise

    def calls(self) -> Calls:
        """What models were asked on behalf of this study."""
        return Calls(self._commits, self._study)

    def claims(self) -> Claims:
        """Who plays which duel."""
        return Claims(self._commits, self._study, self._clock, self.appending)

    def ledger(self) -> Ledger:
        """The live units of this study, and what they gave back."""
        return Ledger(self._commits, self._study)

    def ratings(self) -> Ratings:
        """What people were shown and said on behalf of this study."""
        return Ratings(self._commits, self._study)

    def lay_ballast(self, size: int) -> None:
        """Set room on the disk aside, for what is under way when the disk is full."""
        self._commits.lay_ballast(size)

    def asked(self, comparisons: Sequence[Comparison]) -> None:
        self._write(comparisons)
        self._ours.update(comparison.id for comparison in comparisons)

    def told(
        self,
        outcomes: Sequence[Outcome],
        claims: Sequence[Claim] = (),
        *,
        along: Job | None = None,
    ) -> None:
        """Record the answers. Who holds a claim on a duel gives it, and alone may answer.
        `along` writes more in the same transaction, once nothing is refused."""
        append = self.appending(outcomes, {claim.duel: claim.token for claim in claims})

        def job(db: Database) -> None:
            append(db)
            if along is not None:
                along(db)

        self._commits.write(job)

    def announce(self, verdict: Verdict[int]) -> None:
        self._write((verdict,))

    def changed(self, changes: Sequence[Change]) -> None:
        self._write(changes)

    def history(self, after: int = 0) -> list[tuple[int, Event]]:
        with self._commits.reading() as db:
            return [(row[0], self._event(row)) for row in db.execute(SINCE, (self._study, after))]

    def close(self) -> None:
        self._commits.close()

    def appending(self, events: Sequence[Event], tokens: Mapping[int, int] | None = None) -> Job:
        """The job that writes these, for one transaction with other rows; it refuses before it
        writes anything, so let it go first. `tokens` are the claims held on the duels answered."""
        bodies = [body(event) for event in events]
        held = tokens or {}

        def job(db: Database) -> None:
            news = self._news(db, events, bodies, held)
            (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
            for (kind, duel), text in news.items():
                last += 1
                row = (last, self._study, kind, duel, text)
                checksum = file.checksum(*row)
                db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", (*row, checksum))

        return job

    def _write(self, events: Sequence[Event]) -> None:
        self._commits.write(self.appending(events))

    def _news(
        self,
        db: Database,
        events: Sequence[Event],
        bodies: Sequence[str],
        tokens: Mapping[int, int],
    ) -> dict[Key, str]:
        """What of these is not in the record yet."""
        texts: dict[Key, str] = {}
        fresh: dict[Key, Event] = {}
        for event, text in zip(events, bodies, strict=True):
            name = key(event)
            question = self._held(db, ("asked", name[1])) if isinstance(event, Outcome) else None
            asked = question if isinstance(question, Comparison) else None
            token = tokens.get(name[1]) if isinstance(event, Outcome) else None
            if token is not None:  # who was overtaken hears so, whatever the answer is
                check(db, self._study, name[1], token, self._clock)
            held = fresh.get(name) or self._held(db, name)
            if may_join(event, held, asked, ours=name in fresh or name[1] in self._ours):
                texts[name], fresh[name] = text, event
                if isinstance(event, Outcome) and token is None:
                    check(db, self._study, name[1], None, self._clock)
        return texts

    def _held(self, db: Database, name: Key) -> Event | None:
        row = db.execute(HELD, (self._study, *name)).fetchone()
        return None if row is None else self._event(row)

    def _event(self, row: tuple[int, str, int, str, int, str | None]) -> Event:
        seq, kind, duel, text, checksum, question = row
        if checksum != file.checksum(seq, self._study, kind, duel, text):
            raise Damaged(f"event {seq} is not what was written")
        return event_of(kind, duel, text, question)


def _study(home: Home, name: str, settings: Settings) -> int:
    """The row number of the study of that name, made if it is new."""
    find = "SELECT id, settings FROM study WHERE name = ?"
    db = home.db
    with home.plainly():
        # Most openings find their study, and need no lock to do so.
        row = db.execute(find, (name,)).fetchone()
        if row is None:
            with home.transaction():
                row = db.execute(find, (name,)).fetchone() or _add(db, name, canonical(settings))
    number, stored = row
    check_settings(json.loads(stored), settings, name)
    return int(number)


def _add(db: Database, name: str, settings: str) -> tuple[int, str]:
    (number,) = db.execute("SELECT coalesce(max(id), 0) + 1 FROM study").fetchone()
    row = (number, name, settings, datetime.now(UTC).isoformat(timespec="seconds"))
    db.execute("INSERT INTO study VALUES (?, ?, ?, ?, ?)", (*row, file.checksum(*row)))
    return number, settings
