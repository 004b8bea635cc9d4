"""What people were shown and what they said, kept row by row before anything rests on it.

    shown ──► said ──► settled ──► the study is told
      │         └────► undone
      └─────► skipped

A view is one pair on one person's screen, with the side that was drawn for it. Rows are only ever
added, each kind at most once for a view, so that an answer that is sent twice counts once. What is
settled stays: whoever reads the rows after a kill tells the study the same answers again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal

from bestpolicy.core.nouns import StoreError
from bestpolicy.store import file
from bestpolicy.store.commits import Commits
from bestpolicy.store.database import Damaged, Database, Job
from bestpolicy.store.rows import canonical

Kind = Literal["duel", "gold", "again"]  # `again`: an answered duel, shown to a second person
Side = Literal["first", "second", "tie"]  # as they stood on the screen
State = Literal["open", "said", "undone", "settled", "skipped"]

SINCE = (
    "SELECT seq, kind, view, rater, at, body, checksum FROM rating"
    " WHERE study = ? AND seq > ? ORDER BY seq"
)
OF_VIEW = "SELECT kind, rater, body FROM rating WHERE study = ? AND view = ?"


class Refused(StoreError):
    """An answer that cannot be taken: why, in one word for programs."""

    def __init__(
        self, why: Literal["unknown", "other", "undone", "skipped", "lost"], message: str
    ) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said of one view."""

    side: Side
    both_bad: bool = False
    ms: int = 0  # that it took, as their browser counted

    def __post_init__(self) -> None:
        if self.both_bad and self.side != "tie":
            raise ValueError("both bad is a tie")


@dataclass(frozen=True, slots=True)
class View:
    """One pair on one person's screen. `turned`: the duel's right answer stands first."""

    id: str
    rater: int
    kind: Kind
    duel: int  # -1 for gold
    turned: bool
    about: Mapping[str, Any] = field(default_factory=dict, hash=False)  # token, or gold's truth


@dataclass(slots=True)
class Seen:
    """A view as far as it has come. `since` is of this process's steady clock."""

    view: View
    at: float
    since: float
    state: State = "open"
    said: Said | None = None


class Ratings:
    """What the people of one study were shown and said, shared with other processes."""

    def __init__(self, commits: Commits, study: int) -> None:
        self._commits = commits
        self._study = study
        self._read_to = 0
        self._reading = Lock()
        self._seen: dict[str, Seen] = {}

    def shown(self, views: Sequence[View]) -> None:
        """Put on record what is shown to whom, and on which side, before it is."""

        def job(db: Database) -> None:
            for view in views:
                about = {"kind": view.kind, "duel": view.duel, "turned": view.turned}
                self._add(db, "shown", view.id, view.rater, {**about, "about": dict(view.about)})

        self._write(job)

    def said(self, view: str, rater: int, said: Said, *, settles: Iterable[str] = ()) -> None:
        """Keep an answer, and settle this person's earlier ones; the same again changes nothing."""
        body = {"side": said.side, "both_bad": said.both_bad, "ms": said.ms}

        def job(db: Database) -> None:
            held = self._rows(db, view)
            if held.get("shown", (None, ""))[0] != rater:
                raise Refused("unknown", f"view {view} was not shown to rater {rater}")
            if "skipped" in held:
                raise Refused("skipped", "that pair was skipped, and went to somebody else")
            if "said" not in held:
                for other in settles:
                    self._settle(db, other)
                self._add(db, "said", view, rater, body)
                return
            before = json.loads(held["said"][1])
            if (before["side"], before["both_bad"]) != (said.side, said.both_bad):
                raise Refused("other", "that pair was answered otherwise; the first answer stands")
            if "undone" in held:
                raise Refused("undone", "that answer was taken back: answer the pair again")

        self._write(job)

    def undone(self, view: str, rater: int) -> bool:
        """Take an answer back; False if it is final, or there is none."""
        done = False

        def job(db: Database) -> None:
            nonlocal done
            held = self._rows(db, view)
            mine = held.get("said", (None, ""))[0] == rater
            done = mine and "settled" not in held and "undone" not in held
            if done:
                self._add(db, "undone", view, rater, {})

        self._write(job)
        return done

    def skipped(self, view: str, rater: int) -> None:
        """Somebody would rather not say; the same again changes nothing."""

        def job(db: Database) -> None:
            held = self._rows(db, view)
            if held.get("shown", (None, ""))[0] != rater:
                raise Refused("unknown", f"view {view} was not shown to rater {rater}")
            if "said" in held:
                raise Refused("other", "that pair was answered before it was skipped")
            if "skipped" not in held:
                self._add(db, "skipped", view, rater, {})

        self._write(job)

    def settle(self, views: Sequence[str]) -> None:
        """From now on these answers are final, those taken back aside."""

        def job(db: Database) -> None:
            for view in views:
                self._settle(db, view)

        if views:
            self._write(job)

    def seen(self) -> list[Seen]:
        """Every view, in the order they were shown."""
        self._catch_up()
        return list(self._seen.values())

    def find(self, view: str) -> Seen | None:
        """One view, if there is such a one."""
        if view not in self._seen:
            self._catch_up()
        return self._seen.get(view)

    def rater(self, key: str) -> int:
        """The number of whoever this key stands for, a new one if it is new."""
        number = 0

        def job(db: Database) -> None:
            nonlocal number
            number = self._numbered(db, key) or self._add_rater(db, key)

        self._write(job)
        return number

    def invite(self, codes: Sequence[str], until: float) -> None:
        """Invitations by the hashes of their codes, good until then (seconds since 1970)."""

        def job(db: Database) -> None:
            for code in codes:
                row = (self._study, code, float(until))
                db.execute("INSERT INTO invite VALUES (?, ?, ?, ?)", (*row, file.checksum(*row)))

        self._write(job)

    def invited(self) -> bool:
        """Whether anybody ever was."""
        found = "SELECT count(*) FROM invite WHERE study = ?"
        with self._commits.reading() as db:
            (many,) = db.execute(found, (self._study,)).fetchone()
        return bool(many)

    def join(self, code: str, now: float) -> int | None:
        """The number of whoever uses this invitation up; None if it is used, over or none."""
        number: int | None = None

        def job(db: Database) -> None:
            nonlocal number
            number = None
            find = "SELECT until FROM invite WHERE study = ? AND code = ?"
            row = db.execute(find, (self._study, code)).fetchone()
            # The number itself is what marks the invitation as used: both or neither.
            if row is not None and now < row[0] and self._numbered(db, f"invite {code}") is None:
                number = self._add_rater(db, f"invite {code}")

        self._write(job)
        return number

    def _write(self, job: Job) -> None:
        self._commits.write(job)

    def _rows(self, db: Database, view: str) -> dict[str, tuple[int, str]]:
        rows = db.execute(OF_VIEW, (self._study, view)).fetchall()
        return {kind: (rater, body) for kind, rater, body in rows}

    def _settle(self, db: Database, view: str) -> None:
        held = self._rows(db, view)
        if "said" in held and "undone" not in held and "settled" not in held:
            self._add(db, "settled", view, held["said"][0], {})

    def _add(self, db: Database, kind: str, view: str, rater: int, body: Mapping[str, Any]) -> None:
        (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM rating").fetchone()
        row = (last + 1, self._study, kind, view, rater, time.time(), canonical(body))
        places = ", ".join("?" * (len(row) + 1))
        db.execute(f"INSERT INTO rating VALUES ({places})", (*row, file.checksum(*row)))

    def _numbered(self, db: Database, key: str) -> int | None:
        find = "SELECT number FROM rater WHERE study = ? AND key = ?"
        row = db.execute(find, (self._study, key)).fetchone()
        return None if row is None else int(row[0])

    def _add_rater(self, db: Database, key: str) -> int:
        most = "SELECT coalesce(max(number), 0) FROM rater WHERE study = ?"
        (last,) = db.execute(most, (self._study,)).fetchone()
        row = (self._study, last + 1, key)
        db.execute("INSERT INTO rater VALUES (?, ?, ?, ?)", (*row, file.checksum(*row)))
        return int(last) + 1

    def _catch_up(self) -> None:
        with self._reading:
            with self._commits.reading() as db:
                rows = db.execute(SINCE, (self._study, self._read_to)).fetchall()
                for seq, *row, checksum in rows:
                    if checksum != file.checksum(seq, self._study, *row):
                        raise Damaged(f"rating {seq} is not what was written")
            now = time.monotonic()
            for seq, kind, view, rater, at, body, _ in rows:
                self._note(kind, view, rater, at, json.loads(body), now)
                self._read_to = seq

    def _note(
        self, kind: str, view: str, rater: int, at: float, body: Mapping[str, Any], now: float
    ) -> None:
        if kind == "shown":
            shown = View(view, rater, body["kind"], body["duel"], body["turned"], body["about"])
            self._seen[view] = Seen(shown, at, now)
            return
        seen = self._seen[view]
        if kind == "said":
            seen.said, seen.state = Said(body["side"], body["both_bad"], body["ms"]), "said"
            # Seconds until it settles are counted from here: a wall clock may jump.
            seen.since = now
        elif kind in ("undone", "settled", "skipped"):
            seen.state = kind  # type: ignore[assignment]
