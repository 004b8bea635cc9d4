"""The books of live traffic: requests settled on the ledger, and the ledger read as it grows.

    settle   a batch of requests, one transaction
    turn     read on, end what has had its time, take a snapshot when one is due, tell a verdict

Time is counted on a clock that nobody sets, from when this process first saw a row. A jump of the
wall clock therefore ends no window early, and whoever waited when the server was stopped gets a
window anew.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock

from bestpolicy.live.intake import Intake, Request, Settled
from bestpolicy.live.stand import Reader, Stand, stand
from bestpolicy.live.terms import Terms
from bestpolicy.store.ledger import Ledger, Page, Snapshot


class Books:
    """The live traffic of one study; any thread may ask."""

    intake = Intake

    def __init__(
        self,
        ledger: Ledger,
        terms: Terms,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = ledger
        self.terms = terms
        self._clock = clock
        self._wall = wall
        self._lock = Lock()  # of the reader
        self._passing = Lock()  # of what has had its time
        self._reader = Reader(ledger, terms)
        self._seen: deque[tuple[float, int]] = deque()  # when, and rows known then
        self._over = 0  # rows before this number have had their time
        self._learn()
        if self._reader.snapshot is None:
            first = Snapshot(0, 0, 0, self._reader.fold.chances())
            ledger.write(lambda page: page.take(first))
            self._learn()
        self.turn()

    @property
    def snapshot(self) -> Snapshot:
        """What units are drawn with now."""
        snapshot = self._reader.snapshot
        assert snapshot is not None  # the first is taken when the books are opened
        return snapshot

    def chances(self, version: int) -> tuple[float, ...] | None:
        """What units were drawn with under that version; None if there is none such."""
        known = self._reader.fold.drawn_with.get(version)
        return None if known is None else tuple(known.tolist())

    def settle(self, requests: Sequence[Request]) -> list[Settled]:
        """What becomes of each request; it is on disk when this returns. A refused one comes back
        as the error that says why."""
        snapshot, over, seconds = self.snapshot, self._past(), self._wall()
        chances = self._reader.fold.drawn_with
        return self.ledger.write(
            lambda page: self.intake(page, snapshot, chances, over, seconds).settle(requests)
        )

    def forget(self, unit: str) -> int:
        """Blank what tells of this unit; how many rows did."""
        return self.ledger.write(lambda page: page.forget(unit))

    def turn(self, most: int | None = None) -> bool:
        """Read what is new, of so many rows at most, and do what follows from it; whether more
        could be read at once."""
        with self._lock:
            self._learn()
            fold = self._reader.fold
            if late := fold.open(self._past())[:most]:
                self._expire(late)
                self._learn()
            fold.advance(None if most is None else fold.at + most)
            more = fold.readable
            last = self.snapshot
            if fold.due(last):
                taken = Snapshot(last.version + 1, fold.at, fold.told, fold.chances())
                self.ledger.write(lambda page: page.take(taken))
                if fold.decided_at is not None:
                    reached, found = fold.decided_at, fold.found
                    self.ledger.write(lambda page: page.decide(reached, found))
                self._learn()
            return more

    def stand(self) -> Stand:
        """Where it stands now."""
        with self._lock:
            self._learn()
            self._reader.fold.advance()
            return stand(self._reader.fold, self._reader.snapshot)

    def _expire(self, numbers: Sequence[int]) -> None:
        snapshot, seconds = self.snapshot, self._wall()

        def work(page: Page) -> None:
            self.intake(page, snapshot, {}, 0, seconds).expire(numbers)

        self.ledger.write(work)

    def _learn(self) -> None:
        before = self._reader.fold.known
        self._reader.learn()
        if self._reader.fold.known > before:
            self._seen.append((self._clock(), self._reader.fold.known))

    def _past(self) -> int:
        """The number before which all rows have had their time."""
        with self._passing:
            now = self._clock()
            while self._seen and now - self._seen[0][0] >= self.terms.window:
                self._over = self._seen.popleft()[1]
            return self._over
