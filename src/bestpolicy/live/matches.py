"""Matches: where live traffic says which of two is better, each unit plays one duel of the study.

    assign    a duel nobody holds, under a lease; the same one when the unit comes again
    feedback  the winner, once for each unit, in one transaction with the key that it came under

The duels are the study's own, so its design chooses them and its verdict counts them. A duel that
is not answered within its lease goes to somebody else.

In the ledger a duel's answer is a row below zero, and who gave it another: no assigned unit has
such a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bestpolicy.core.nouns import StoreError
from bestpolicy.live.intake import Conflict, Receipt, TooLate
from bestpolicy.store.claims import Claim, Superseded
from bestpolicy.store.ledger import Ended, Ledger, Page
from bestpolicy.study import Study
from bestpolicy.study.shared import Shared

DONE = "that duel has its answer, or that unit has given one"
Side = Literal["left", "right", "tie"]
SHARES: dict[Side, float] = {"left": 1.0, "tie": 0.5, "right": 0.0}


@dataclass(frozen=True, slots=True)
class Match:
    """A duel that a unit plays."""

    left: int
    right: int
    propensity: float | None  # the chance that the design gave to this pair, where it has one
    claim: Claim


class Doubled(StoreError):
    """The duel has its answer, or the unit has given one."""


class Matches:
    """The duels of one study, played by live units."""

    def __init__(self, study: Study, ledger: Ledger, lease: float) -> None:
        self._study = study
        self._ledger = ledger
        self._shared = Shared(study, "live traffic", lease)

    def assign(self, unit: str) -> Match:
        """The duel of this unit; Conflict when none is left to be played."""
        if (told := self._ledger.read(lambda page: page.keys([unit]))).get(unit):
            return self._match(Claim(_duel(told[unit].number), 0, 0.0))
        held = self._shared.mine(unit) or self._shared.ask(1, who=unit)
        if not held:
            found = self._study.verdict()
            raise Conflict(
                "no duel is left to be played: the study is "
                + (f"decided for {found.policy}" if found.policy else found.reason or found.kind)
            )
        return self._match(held[0].claim)

    def feedback(self, unit: str, claim: Claim, key: str, body: str, winner: Side) -> Receipt:
        """Keep who won; it is on disk when this returns."""
        number = _number(claim.duel)

        def look(page: Page) -> Receipt | None:
            if (again := page.keys([key]).get(key)) is None:
                if page.ends([number]) or page.keys([unit]):
                    raise Conflict(DONE)
                return None
            if again.body != body:
                raise Conflict("that key was used for other feedback; use a key once")
            return Receipt(claim.duel, counts=True)

        if (receipt := self._ledger.read(look)) is not None:
            return receipt

        def along(page: Page) -> None:
            if page.ends([number]) or page.keys([unit, key]):
                raise Doubled(DONE)
            told = Ended(page.seq, number, key, body, SHARES[winner])
            page.add((), (told, Ended(page.seq + 1, number - 1, unit, "", None)))

        try:
            held = self._shared.held(claim)
            self._shared.tell(held, winner, along=self._ledger.along(along))
        except Superseded:
            if (receipt := self._ledger.read(look)) is not None:
                return receipt  # the same request came twice at once
            raise TooLate("the time for that duel is over, and somebody else plays it") from None
        except Doubled as doubled:
            raise Conflict(str(doubled)) from None
        return Receipt(claim.duel, counts=True)

    def _match(self, claim: Claim) -> Match:
        asked = self._study.question(claim.duel)
        left, right = asked.arms
        return Match(left, right, asked.propensity, claim)


def _number(duel: int) -> int:
    """The row of a duel's answer; the one below it says who gave it."""
    return -1 - 2 * duel


def _duel(number: int) -> int:
    return -(number + 1) // 2
