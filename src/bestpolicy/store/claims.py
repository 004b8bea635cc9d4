"""Claims: who plays which duel, until when, and under which token.

    take ──► a lease, and a token that only ever grows ──► renew ... renew ──► tell, or release

Time decides only when somebody else may take over; the token decides who may write. A worker who
was stopped beyond his lease, and did not notice, holds a token that has been overtaken: what he
tells is refused in the very transaction that would have written it. A claim and its lease are one
row written at once, so that there is no moment at which a dead worker's duel has a claim without
an end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bestpolicy.core.nouns import Comparison, StoreError
from bestpolicy.store import file
from bestpolicy.store.commits import Commits
from bestpolicy.store.database import Clock, Damaged, Database, Job
from bestpolicy.store.rows import Event

COLUMNS = "study, duel, token, who, clock, until, lease"
ROW = f"SELECT {COLUMNS}, checksum FROM claim WHERE study = ?"
PUT = (
    f"INSERT INTO claim ({COLUMNS}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (study, duel) DO UPDATE SET token = excluded.token, who = excluded.who,"
    " clock = excluded.clock, until = excluded.until, lease = excluded.lease,"
    " checksum = excluded.checksum"
)
LIVE = (
    f"{ROW} AND duel >= ? AND clock <> '' AND NOT EXISTS (SELECT 1 FROM event WHERE"
    " event.study = claim.study AND event.kind = 'told' AND event.duel = claim.duel)"
    " ORDER BY duel"
)
OF_DUEL = "SELECT kind FROM event WHERE study = ? AND duel = ? AND kind IN ('asked', 'told')"


class Superseded(StoreError):
    """A claim was lost to somebody else, who now answers this duel: drop what was done for it."""


class Taken(StoreError):
    """Somebody holds this duel now, and whoever holds no claim on it may not answer it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer a duel, as long as nobody has a later token on it."""

    duel: int
    token: int
    until: float  # on the store's own clock, which no other clock compares with


@dataclass(frozen=True, slots=True)
class Hold:
    """Who plays a duel now, and for how long nobody else may."""

    duel: int
    who: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Row:
    study: int
    duel: int
    token: int
    who: str
    clock: str
    until: float
    lease: float

    def left(self, now: tuple[str, float]) -> float:
        """Seconds for which nobody else may take it over; 0 or less when anybody may."""
        clock, seconds = now
        left = self.until - seconds
        # More than was ever given: the clock has begun anew since.
        return left if clock == self.clock and left <= self.lease else 0.0


class Claims:
    """The claims on one study's duels, shared with other processes."""

    def __init__(
        self,
        commits: Commits,
        study: int,
        clock: Clock,
        append: Callable[[Sequence[Event], Mapping[int, int]], Job],
    ) -> None:
        self._commits = commits
        self._study = study
        self._clock = clock
        self._append = append

    def asked(self, comparisons: Sequence[Comparison], who: str, lease: float) -> list[Claim]:
        """Put new questions on record and claim them, in one transaction."""
        append = self._append(comparisons, {})
        taken: list[Claim] = []

        def job(db: Database) -> None:
            append(db)
            taken[:] = self._take(db, [c.id for c in comparisons], who, lease, None)

        self._commits.write(job)
        return taken

    def take(
        self, duels: Iterable[int], who: str, lease: float, *, most: int | None = None
    ) -> list[Claim]:
        """Claim those of these duels that are asked, unanswered, and free or expired."""
        wanted = list(duels)
        # Nobody need wait for a lock to learn that all of them are held.
        held = {hold.duel for hold in self.held(first=min(wanted, default=0))}
        wanted = [duel for duel in wanted if duel not in held]
        taken: list[Claim] = []

        def job(db: Database) -> None:
            taken[:] = self._take(db, wanted, who, lease, most)

        if wanted:
            self._commits.write(job)
        return taken

    def renew(self, claims: Iterable[Claim], lease: float) -> list[Claim]:
        """A new lease on those that are still ours, whether or not the old one had run out."""
        ours: list[Claim] = []
        asked = list(claims)

        def job(db: Database) -> None:
            ours.clear()
            clock, now = self._clock(db)
            for claim in asked:
                row = self._row(db, claim.duel)
                if row is not None and row.token == claim.token and row.clock:
                    _put(db, replace(row, clock=clock, until=now + lease, lease=lease))
                    ours.append(replace(claim, until=now + lease))

        if asked:
            self._commits.write(job)
        return ours

    def release(self, claims: Iterable[Claim]) -> None:
        """Let others have those that are still ours, at once."""
        asked = list(claims)

        def job(db: Database) -> None:
            for claim in asked:
                row = self._row(db, claim.duel)
                if row is not None and row.token == claim.token:
                    # The row stays, as tokens must not begin again.
                    _put(db, replace(row, clock="", until=0.0))

        if asked:
            self._commits.write(job)

    def held(self, who: str | None = None, *, first: int = 0) -> list[Hold]:
        """Which open duels are played now, by everybody or by this one; from duel `first` on."""
        now, rows = self._live(first)
        return [Hold(row.duel, row.who, row.left(now)) for row in rows if who in (None, row.who)]

    def mine(self, who: str) -> list[Claim]:
        """The live claims of this one, also of before this process was started."""
        _, rows = self._live(0)
        return [Claim(row.duel, row.token, row.until) for row in rows if row.who == who]

    def _live(self, first: int) -> tuple[tuple[str, float], list[_Row]]:
        with self._commits.reading() as db:
            now = self._clock(db)
            rows = [_checked(row) for row in db.execute(LIVE, (self._study, first))]
        return now, [row for row in rows if row.left(now) > 0]

    def _take(
        self, db: Database, duels: Sequence[int], who: str, lease: float, most: int | None
    ) -> list[Claim]:
        now = self._clock(db)
        taken: list[Claim] = []
        (token,) = db.execute(
            "SELECT coalesce(max(token), 0) FROM claim WHERE study = ?", (self._study,)
        ).fetchone()
        for duel in duels:
            if most is not None and len(taken) >= most:
                break
            row = self._row(db, duel)
            if (row is not None and row.left(now) > 0) or not _open(db, self._study, duel):
                continue
            token += 1
            until = now[1] + lease
            _put(db, _Row(self._study, duel, token, who, now[0], until, lease))
            taken.append(Claim(duel, token, until))
        return taken

    def _row(self, db: Database, duel: int) -> _Row | None:
        return _found(db, self._study, duel)


def check(db: Database, study: int, duel: int, token: int | None, clock: Clock) -> None:
    """Refuse an answer by somebody else than the one who holds this duel."""
    row = _found(db, study, duel)
    if token is None:
        if row is None or (left := row.left(clock(db))) <= 0:
            return
        raise Taken(
            f"duel {duel} is played by {row.who} for another {left:.0f} s: who has no claim on it "
            "cannot answer it; wait, or take duels as a worker does (`bestpolicy work`)"
        )
    if row is None or row.token != token:
        by = "" if row is None or not row.clock else f" by {row.who}"
        raise Superseded(
            f"the claim on duel {duel} (token {token}) ran out and was taken over{by}: this answer "
            "comes too late and is dropped; renew a claim before its lease ends"
        )


def _found(db: Database, study: int, duel: int) -> _Row | None:
    row = db.execute(f"{ROW} AND duel = ?", (study, duel)).fetchone()
    return None if row is None else _checked(row)


def _open(db: Database, study: int, duel: int) -> bool:
    rows = db.execute(OF_DUEL, (study, duel)).fetchall()
    return [kind for (kind,) in rows] == ["asked"]


def _checked(row: Sequence[int | float | str]) -> _Row:
    *fields, stored = row
    if stored != file.checksum(*fields):
        raise Damaged(f"the claim on duel {fields[1]} is not what was written")
    return _Row(*fields)  # type: ignore[arg-type]


def _put(db: Database, row: _Row) -> None:
    times = (float(row.until), float(row.lease))  # as they are read back
    fields = (row.study, row.duel, row.token, row.who, row.clock, *times)
    db.execute(PUT, (*fields, file.checksum(*fields)))
