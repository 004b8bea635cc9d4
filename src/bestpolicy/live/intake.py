"""The intake: what becomes of a batch of requests, given what the ledger holds.

    assign     a unit keeps its first policy; only where that has been proven worse does it get
               another one, and then it does not count
    feedback   one for each unit; the same again is the stored answer, another one is refused

All of a batch is settled in one transaction, each request by itself: one that is refused leaves
its neighbours alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bestpolicy.core.nouns import Array, BestPolicyError
from bestpolicy.live.draw import drawn
from bestpolicy.store.ledger import Assigned, Ended, Page, Snapshot


class Conflict(BestPolicyError):
    """It contradicts what is on record."""


class TooLate(BestPolicyError):
    """Its time is over."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A unit that is to be assigned."""

    unit: str  # its keyed hash
    x: float  # where its draw falls
    context: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a token says of an assignment."""

    unit: str
    policy: int
    snapshot: int
    propensity: float
    number: int | None = None  # None: drawn where the ledger could not be asked
    fresh: bool = True  # its window is not over by the token's own time
    context: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody says of an assignment."""

    claim: Claim
    key: str  # keyed hash of the idempotency key
    body: str  # hash of all that was sent
    reward: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """Feedback that is on record."""

    number: int
    counts: bool


Request = Arrival | Claim | Feedback
Settled = Assigned | Receipt | BestPolicyError


class Intake:
    """One batch, while it is settled."""

    def __init__(
        self,
        page: Page,
        snapshot: Snapshot,
        drawn_with: Mapping[int, Array],
        over: int,
        seconds: float,
    ) -> None:
        self._page = page
        self._snapshot = snapshot
        self._drawn_with = drawn_with  # the chances of each snapshot
        self._over = over  # rows before this number have had their time
        self._seconds = seconds
        self._rows: dict[int, Assigned] = {}
        self._units: dict[str, list[Assigned]] = {}
        self._keys: dict[str, Ended] = {}
        self._ends: dict[int, Ended] = {}
        self._assigned: list[Assigned] = []
        self._ended: list[Ended] = []

    def settle(self, requests: Sequence[Request]) -> list[Settled]:
        """What becomes of each."""
        self._look_up(requests)
        settled = [self._one(request) for request in requests]
        self._page.add(self._assigned, self._ended)
        return settled

    def expire(self, numbers: Sequence[int]) -> None:
        """End the rows of these that have not ended."""
        self._ends = self._page.ends(numbers)
        for number in numbers:
            if number not in self._ends:
                self._end(number, None, "", None)
        self._page.add((), self._ended)

    def _one(self, request: Request) -> Settled:
        try:
            match request:
                case Arrival():
                    return self._assign(request)
                case Claim():
                    return self._row(request)
                case Feedback():
                    return self._feedback(request)
        except BestPolicyError as refusal:
            return refusal

    def _look_up(self, requests: Sequence[Request]) -> None:
        page = self._page
        told = [r for r in requests if isinstance(r, Feedback)]
        claims = [r for r in requests if isinstance(r, Claim)] + [r.claim for r in told]
        numbers = [claim.number for claim in claims if claim.number is not None]
        self._rows = page.numbers(numbers)
        lost = [c.unit for c in claims if c.number is None or not _is(self._rows.get(c.number), c)]
        self._units = page.units([r.unit for r in requests if isinstance(r, Arrival)] + lost)
        self._keys = page.keys(r.key for r in told)
        found = [row.number for unit in lost for row in self._units.get(unit, ())]
        self._ends = page.ends([r.claim.number for r in told if r.claim.number is not None] + found)

    def _assign(self, arrival: Arrival) -> Assigned:
        held, chances = self._units.get(arrival.unit, []), self._snapshot.chances
        if held and chances[held[-1].policy] > 0:
            return held[-1]
        policy = drawn(arrival.x, chances)
        claim = Claim(arrival.unit, policy, self._snapshot.version, chances[policy])
        return self._add(claim, arrival.context)

    def _row(self, claim: Claim) -> Assigned:
        """The row that the claim is about, made if a crash came before it."""
        row = None if claim.number is None else self._rows.get(claim.number)
        if row is not None and row.unit is None:
            raise TooLate("what was known of that unit has been deleted")
        if row is not None and _is(row, claim):
            return row
        for row in self._units.get(claim.unit, ()):
            if _is(row, claim):
                return row
        if not claim.fresh:
            raise TooLate("the time for feedback on that assignment is over")
        chances = self._drawn_with.get(claim.snapshot)
        if (
            chances is None
            or not 0 <= claim.policy < len(chances)
            or chances[claim.policy] != claim.propensity
            or not claim.propensity
        ):
            raise Conflict("that assignment was not drawn with chances that are on record here")
        return self._add(claim, claim.context)

    def _feedback(self, told: Feedback) -> Receipt:
        if (again := self._keys.get(told.key)) is not None:
            if again.body != told.body:
                raise Conflict("that key was used for other feedback; use a key once")
            return Receipt(again.number, self._counts(again.number, told.claim))
        row = self._row(told.claim)
        if (end := self._ends.get(row.number)) is not None:
            if end.reward is None:
                raise TooLate("the time for feedback on that assignment is over")
            raise Conflict("that assignment has its feedback already, under another key")
        if row.number < self._over:
            self._end(row.number, None, "", None)
            raise TooLate("the time for feedback on that assignment is over")
        self._keys[told.key] = self._end(row.number, told.key, told.body, told.reward)
        return Receipt(row.number, row.counts)

    def _counts(self, number: int, claim: Claim) -> bool:
        row = self._rows.get(number)
        if row is not None:
            return row.counts
        return any(r.number == number and r.counts for r in self._units.get(claim.unit, ()))

    def _add(self, claim: Claim, context: str) -> Assigned:
        held = self._units.setdefault(claim.unit, [])
        row = Assigned(
            number=self._page.number,
            unit=claim.unit,
            nth=len(held),
            policy=claim.policy,
            snapshot=claim.snapshot,
            propensity=claim.propensity,
            counts=not held,
            seconds=self._seconds,
            context=context,
        )
        self._page.number += 1
        held.append(row)
        self._rows[row.number] = row
        self._assigned.append(row)
        return row

    def _end(self, number: int, key: str | None, body: str, reward: float | None) -> Ended:
        end = Ended(self._page.seq, number, key, body, reward)
        self._page.seq += 1
        self._ends[number] = end
        self._ended.append(end)
        return end


def _is(row: Assigned | None, claim: Claim) -> bool:
    """Whether a row is what the claim is about."""
    return (
        row is not None
        and row.unit == claim.unit
        and row.policy == claim.policy
        and row.snapshot == claim.snapshot
    )
