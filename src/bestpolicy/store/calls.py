"""What models were asked, what it cost and what went wrong, kept before any of it is used.

    reserve ──► the call itself ──► settle

An answer is on disk under a key that names its draw before a judge sees it, so that no answer is
paid twice. Money is reserved before it is spent, at the most that the call can cost; what a killed
process had reserved counts as spent, since nobody knows how its calls ended.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bestpolicy.core.talk import Failed, Reply
from bestpolicy.store import file
from bestpolicy.store.commits import Commits
from bestpolicy.store.database import Damaged, Database

Role = Literal["policy", "judge", "canary", "gateway"]
COLUMNS = (
    "seq, study, key, state, settles, duel, role, who, usd, seconds, tokens_in, tokens_out,"
    " text, failures"
)
AT_ONCE = 256  # keys that are looked up together

# The plus keeps SQLite from the index on the study, of which it would read and sort all rows.
EACH = (
    f"SELECT {COLUMNS}, checksum FROM call WHERE +study = ? AND role = ? AND state = 'answered'"
    " AND seq > ? ORDER BY seq LIMIT 256"
)
SINCE = (
    "SELECT seq, key, state, settles, role, who, usd, seconds, tokens_in, tokens_out, failures"
    " FROM call WHERE +study = ? AND seq > ? ORDER BY seq"
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One call to be made. The key names the draw: who shares it shares the answer."""

    key: str
    duel: int
    role: Role
    who: str  # the policy, or the judge's model
    most_usd: float = 0.0


@dataclass(slots=True)
class Account:
    """What the calls of one policy, or of the judge, came to."""

    usd: array[float] = field(default_factory=lambda: array("d"))  # of each answer
    seconds: array[float] = field(default_factory=lambda: array("d"))
    ends: array[float] = field(default_factory=lambda: array("d"))  # 1 for a call that failed
    failed_usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    tries: int = 0
    reasons: Counter[str] = field(default_factory=Counter)  # of every try that failed

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out

    @property
    def answered(self) -> int:
        return len(self.usd)

    @property
    def failed(self) -> int:
        return len(self.ends) - len(self.usd)


class Calls:
    """The calls of one study, shared with other processes."""

    def __init__(self, commits: Commits, study: int) -> None:
        self._commits = commits
        self._study = study
        self._read_to = 0
        self._accounts: dict[tuple[Role, str], Account] = {}
        self._open: dict[int, float] = {}  # reservations that nothing has settled yet
        self._spent = 0.0
        self._known: set[int] = set()  # hashes of the keys that have an answer

    def accounts(self) -> dict[tuple[Role, str], Account]:
        """What each policy's calls, the judge's and the canaries' came to."""
        with self._commits.reading() as db:
            self._catch_up(db)
            return dict(self._accounts)

    def spent(self) -> float:
        """Dollars spent, or reserved by calls of which nobody knows the end."""
        with self._commits.reading() as db:
            return self._committed(db)

    def reserved(self) -> float:
        """The part of `spent` whose calls have no known end."""
        with self._commits.lock:
            return sum(self._open.values())

    def reserve(self, asks: Sequence[Ask], cap: float | None) -> list[int] | None:
        """Set money aside for all of these; None, and nothing done, if the cap forbids it.

        A StoreError when the disk is full: answers that could not be kept would be paid twice.
        """
        self._commits.check_room()
        priced = [ask for ask in asks if ask.most_usd > 0]
        if not priced:
            return [0] * len(asks)
        numbers: list[int] | None = None
        tried = False

        def job(db: Database) -> None:
            nonlocal numbers, tried
            if tried:  # what was read then was rolled back
                self._forget()
            numbers, tried = None, True
            wanted = sum(ask.most_usd for ask in priced)
            if cap is not None and self._committed(db) + wanted > cap:
                return
            first = _last(db) + 1
            for number, ask in enumerate(priced, first):
                self._add(db, number, ask, "reserved", 0, Reply("", usd=ask.most_usd))
            drawn = iter(range(first, first + len(priced)))
            numbers = [next(drawn) if ask.most_usd > 0 else 0 for ask in asks]

        try:
            self._commits.write(job)
        except BaseException:
            with self._commits.lock:
                self._forget()
            raise
        return numbers

    def settle(
        self, asks: Sequence[Ask], ends: Sequence[Reply | Failed], reserved: Sequence[int]
    ) -> dict[str, Reply]:
        """Keep how these calls ended; the answers by key that another process had kept first.

        Two may ask the same when a worker was taken for dead. Both are paid, and the first answer
        is the one that is used: an outcome must be about the texts that the record shows.
        """
        earlier: dict[str, Reply] = {}

        def job(db: Database) -> None:
            earlier.clear()
            for number, told in enumerate(zip(asks, ends, reserved, strict=True), _last(db) + 1):
                ask, end, settles = told
                state = "answered" if isinstance(end, Reply) else "failed"
                if (kept := self._kept(db, ask.key)) is not None:
                    earlier[ask.key], state = kept, "repeated"
                self._add(db, number, ask, state, settles, end)

        self._commits.write(job)
        return earlier

    def find(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The answers that were kept under these keys."""
        found: dict[str, Reply] = {}
        with self._commits.reading() as db:
            self._catch_up(db)
            known = [key for key in keys if hash(key) in self._known]
            for first in range(0, len(known), AT_ONCE):
                some = known[first : first + AT_ONCE]
                # The first answer of a key is the one that counts, and comes last here.
                rows = db.execute(
                    f"SELECT {COLUMNS}, checksum FROM call WHERE study = ? AND state = 'answered'"
                    f" AND key IN ({', '.join('?' * len(some))}) ORDER BY seq DESC",
                    (self._study, *some),
                ).fetchall()
                found |= {row[2]: _reply(row) for row in rows}
        return found

    def each(self, role: Role, *, after: int = 0) -> Iterator[tuple[int, Ask, Reply]]:
        """Every answer since call `after`, numbered, in the order it came; texts are read a few
        at a time."""
        last = after
        while True:
            with self._commits.reading() as db:
                rows = db.execute(EACH, (self._study, role, last)).fetchall()
                answers = [(row[0], Ask(row[2], *row[5:8]), _reply(row)) for row in rows]
            yield from answers
            if not rows:
                return
            last = rows[-1][0]

    def _kept(self, db: Database, key: str) -> Reply | None:
        row = db.execute(
            f"SELECT {COLUMNS}, checksum FROM call WHERE study = ? AND key = ?"
            " AND state = 'answered' ORDER BY seq LIMIT 1",
            (self._study, key),
        ).fetchone()
        return None if row is None else _reply(row)

    def _committed(self, db: Database) -> float:
        self._catch_up(db)
        return self._spent + sum(self._open.values())

    def _forget(self) -> None:
        """Read all of it again: rows were seen that are not there."""
        self._read_to, self._spent = 0, 0.0
        self._accounts, self._open = {}, {}

    def _catch_up(self, db: Database) -> None:
        rows = db.execute(
            SINCE,
            (self._study, self._read_to),
        )
        for seq, key, state, settles, role, who, usd, seconds, read, written, failures in rows:
            self._read_to = seq
            if state == "reserved":
                self._open[seq] = usd
                continue
            self._open.pop(settles, None)
            self._spent += usd
            account = self._accounts.setdefault((role, who), Account())
            reasons = json.loads(failures) if failures else []
            account.reasons.update(reasons)
            account.tokens_in += read
            account.tokens_out += written
            account.tries += len(reasons) + (state == "answered" and role != "canary")
            if state == "answered":
                self._known.add(hash(key))
                account.usd.append(usd)
                account.seconds.append(seconds)
            else:
                account.failed_usd += usd
            if state == "repeated":  # paid, and no evidence of its own
                continue
            account.ends.append(float(state != "answered"))

    def _add(
        self,
        db: Database,
        number: int,
        ask: Ask,
        state: str,
        settles: int,
        end: Reply | Failed,
    ) -> None:
        text, tokens = ("", (0, 0))
        if isinstance(end, Reply):
            text, tokens = end.text, (end.tokens_in, end.tokens_out)
        failures = json.dumps(end.failures) if end.failures else ""
        row = (
            *(number, self._study, ask.key, state, settles, ask.duel, ask.role, ask.who),
            *(float(end.usd), float(end.seconds), *tokens, text, failures),
        )
        places = ", ".join("?" * (len(row) + 1))
        db.execute(f"INSERT INTO call VALUES ({places})", (*row, file.checksum(*row)))


def _last(db: Database) -> int:
    (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM call").fetchone()
    return int(last)


def _reply(row: tuple[int | float | str, ...]) -> Reply:
    *fields, stored = row
    if stored != file.checksum(*fields):
        raise Damaged(f"call {fields[0]} is not what was written")
    usd, seconds, tokens_in, tokens_out, text, failures = fields[8:]
    return Reply(
        str(text),
        tokens_in=int(tokens_in),
        tokens_out=int(tokens_out),
        usd=float(usd),
        seconds=float(seconds),
        failures=tuple(json.loads(str(failures))) if failures else (),
    )
