"""A study that many play at once: each takes duels under a claim, and answers what is still his.

    ask ──► (duel, claim) ──► renew ... renew ──► tell, abandon or release

Duels whose claims have run out come first, the oldest before all others, as evidence waits for
them; new ones are claimed in the transaction that asks them. Whoever was overtaken is told so by
`Superseded`, and nothing of his answer is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from bestpolicy.core.nouns import Comparison, ConfigError, Outcome, StoreError
from bestpolicy.core.shares import Winner, share
from bestpolicy.duel import Duel
from bestpolicy.store import LastingStore
from bestpolicy.store.claims import Claim
from bestpolicy.store.database import Job
from bestpolicy.study.settings import text, whole
from bestpolicy.study.study import Study

LEASE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Held:
    """A duel, and the right to answer it."""

    duel: Duel
    claim: Claim

    @property
    def id(self) -> int:
        return self.duel.id


class Shared:
    """One study among many workers, or among the people of one process: each call may say `who`.

    A lease that is not renewed in time may go to somebody else; until it does, its holder may
    still tell.
    """

    def __init__(self, study: Study, who: str, lease: float = LEASE) -> None:
        store = study.store
        if not isinstance(store, LastingStore):
            raise ConfigError("a study is shared by its record on disk: give it a store")
        if not (isfinite(lease) and lease > 0):
            raise ConfigError(f"lease must be a number of seconds above 0, saw {lease!r}")
        self.study = study
        self.lease = lease
        self._who = text("who", who)
        self._store = store
        self._claims = store.claims()

    def ask(
        self, n: int = 1, *, who: str | None = None, except_for: Collection[int] = ()
    ) -> list[Held]:
        """Up to n duels for this one alone: open ones that nobody plays, else new ones. None of
        those in `except_for`; an empty list when the study is decided or may ask no more."""
        study, record, who = self.study, self.study._record, who or self._who
        wanted = whole("ask(n)", n, 1)
        with study._lock:
            record.catch_up()
            if record.over:
                return []
            free = [number for number in record.open if number not in except_for]
            if free and (taken := self._claims.take(free, who, self.lease, most=wanted)):
                return self._with_duels(taken)
            claims: list[Claim] = []

            def put(questions: Sequence[Comparison]) -> None:
                claims.extend(self._claims.asked(questions, who, self.lease))

            while plan := study._questions.plan(wanted):
                if record.ask(plan, put):
                    return self._with_duels(claims)
        return []

    def mine(self, who: str | None = None) -> list[Held]:
        """What this one holds now, also from before a restart."""
        with self.study._lock:
            self.study._record.catch_up()
            return self._with_duels(self._claims.mine(who or self._who))

    def held(self, claim: Claim) -> Held:
        """The duel of a claim that was handed out, whether or not it still stands."""
        self.study.question(claim.duel)  # refuses one that was never asked
        return self._with_duels([claim])[0]

    def others(self) -> int:
        """How many duels are played by others now."""
        return sum(hold.who != self._who for hold in self._claims.held())

    def tell(
        self,
        held: Held,
        winner: Winner,
        *,
        cost: float = 0.0,
        feedback: str = "",
        along: Job | None = None,
    ) -> None:
        """Record who won, as `Study.tell` does; Superseded if somebody else has taken it over.
        `along` writes rows of its own in the same transaction, and only if the answer counts."""
        left = share(winner)
        self._answer(held, (left, 1.0 - left), cost, feedback, along)

    def abandon(self, held: Held, *, cost: float = 0.0, feedback: str = "") -> None:
        """Say that the answer will never come: evidence then counts it at its worst case."""
        self._answer(held, None, cost, feedback)

    def renew(self, helds: Iterable[Held]) -> list[Held]:
        """A new lease on those that are still held; the others are lost."""
        before = {held.id: held for held in helds}
        claims = self._claims.renew([held.claim for held in before.values()], self.lease)
        return [replace(before[claim.duel], claim=claim) for claim in claims]

    def release(self, helds: Iterable[Held]) -> None:
        """Let others have these now: they will not be answered here."""
        self._claims.release([held.claim for held in helds])

    def _with_duels(self, claims: Iterable[Claim]) -> list[Held]:
        asked = self.study._record.asked
        return [Held(self.study._duel(asked[claim.duel]), claim) for claim in claims]

    def _answer(
        self,
        held: Held,
        scores: tuple[float, float] | None,
        cost: float,
        feedback: str,
        along: Job | None = None,
    ) -> None:
        if not (isfinite(cost) and cost >= 0):
            raise ConfigError(f"cost must be a finite number from 0 up, saw {cost!r}")
        if held.claim.duel != held.id:
            raise StoreError(f"the claim is on duel {held.claim.duel}, and duel {held.id} is told")
        outcome = Outcome(self.study.question(held.duel), scores, cost, feedback)
        # Outside the lock, so that answers that arrive together share a commit.
        self._store.told((outcome,), (held.claim,), along=along)
        with self.study._lock:
            self.study._record.catch_up()
