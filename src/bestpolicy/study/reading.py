"""A reading: the answers folded into the design one by one, and what they come to.

Answers fold in the order they were *asked*, up to the first that decides. The verdict is then a
function of the record alone: neither the order of telling, nor the size of a batch, nor a killed
process has a part in it.

A judge who changes, or whose answers repeat each other, breaks what the certificate rests on, and
`Watch` raises a doubt. After a change the evidence begins anew: what was answered before says
nothing of the judge as he is now. Repeats cannot be undone, so that no verdict follows. A false
alarm begins anew in one study of a hundred, for which `SPARE` of the error budget is set aside.

A policy that joins or leaves does so at an ask number; from there the answers are read again as if
the new roster had always been (core/roster.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from copy import copy
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np

from bestpolicy.core.nouns import (
    Comparison,
    ConfigError,
    Design,
    Kind,
    Outcome,
    Standing,
    Verdict,
)
from bestpolicy.core.roster import Change, Roster, share_of
from bestpolicy.core.watch import DOUBTS, FALSE_ALARM, Doubt, Watch

# Each new beginning may be wrong with chance delta; a false alarm comes with chance FALSE_ALARM,
# a second one with its square, and so on.
SPARE = FALSE_ALARM
REPEATS = (
    "the answers of a pair repeat each other more than separate answers would, so that evidence "
    "cannot be counted: tell which inputs belong together (cluster), or ask about different ones"
)
ALL_BREAK = "every policy is proven to break a constraint"

# Of a roster, and after how many of the answers that it reads each policy came.
Make = Callable[[Roster, tuple[int, ...]], Design[Any]]


class Reading:
    """The answers folded in so far, what they come to, and what speaks against counting them."""

    def __init__(self, make: Make, roster: Roster, kept: float) -> None:
        self.make = make
        self.roster = roster
        self.kept = kept  # share of the error budget for policies that join or leave
        self.told = 0  # answers folded in; also the ask number that evidence waits for
        self.since = 0  # evidence counts from this ask number on
        # Recorded, whose ask number is not reached yet; and the policy's number in the record.
        self.changes: list[tuple[Change, int]] = []
        self.doubts: list[tuple[str, int]] = []  # raised, and after how many answers
        self._repeats = False
        self._highest = dict.fromkeys(DOUBTS, 0.0)  # of watches that have been ended
        self.watch = Watch(len(roster.policies))
        self._begin(())
        self.found = self._verdict()

    @property
    def over(self) -> bool:
        """Whether asking on is pointless."""
        return self.found.final or self._repeats

    def change(self, change: Change, number: int) -> None:
        """A policy, by its number in the record, joins or leaves once its ask number is reached."""
        self.changes.append((change, number))
        self.watch.knows(number + 1)

    def advance(self, answers: Mapping[int, Outcome], late: Set[int] = frozenset()) -> None:
        """Fold answers in as far as the first that decides."""
        while not self.over:
            if self.changes and self.changes[0][0].at <= self.told:
                # Those that are due together count together: all may leave at once.
                while self.changes and self.changes[0][0].at <= self.told:
                    self._turn(*self.changes.pop(0), answers)
            elif (outcome := answers.get(self.told)) is not None:
                self._fold(outcome)
                self._watch(outcome, late)
            else:
                break
            self.found = self._verdict()

    def ahead(self, answers: Mapping[int, Outcome]) -> Reading:
        """This reading once all recorded changes hold, which is who may still be asked about."""
        if not self.changes or self.over:
            return self
        then = copy(self)
        for change, number in self.changes:
            then._turn(change, number, answers)
        return then

    def tried(self, change: Change, number: int) -> None:
        """Refuse a change that no design can be made for."""
        if self.kept == 0:
            raise ConfigError("reserve is 0: nothing is kept for policies that join or leave")
        roster = self._changed(change, number)
        if len(roster.policies) > 1:
            self.make(roster, roster.joined)

    def doubted(self) -> list[Doubt]:
        """Each doubt, raised or not."""
        return [
            Doubt(about, evidence, tuple(at for doubt, at in self.doubts if doubt == about))
            for about, evidence in self._peaks().items()
        ]

    def standing(self, known: int) -> Standing:
        """The design's, by the numbers of all policies ever known."""
        here, policies = self.design.standing(self.state), list(self._compared)
        if policies == list(range(known)):
            return here
        alive, evidence = np.zeros(known, np.bool_), np.zeros(known)
        proof, rival = np.full(known, inf), np.full(known, -1)
        alive[policies], evidence[policies], proof[policies] = here.alive, here.evidence, here.proof
        rival[policies] = [policies[r] if r >= 0 else -1 for r in here.rival.tolist()]
        leader = policies[here.leader]
        return replace(
            here, leader=leader, alive=alive, evidence=evidence, proof=proof, rival=rival
        )

    def seated(self, comparisons: Iterable[Comparison]) -> list[Comparison]:
        """Those between policies that are compared, by their places in the design."""
        if self._everybody:
            return [c for c in comparisons if max(c.arms) < len(self.roster.policies)]
        place = {policy: at for at, policy in enumerate(self.roster.policies)}
        return [
            replace(c, arms=tuple(place[arm] for arm in c.arms))
            for c in comparisons
            if all(arm in place for arm in c.arms)
        ]

    def _begin(self, answers: Sequence[Outcome]) -> None:
        """Read these answers, which came since evidence counts, from the first on."""
        if len(self.roster.policies) < 2:  # nobody is left to be compared with
            return
        self._compared = self.roster.policies
        seats = [(o.comparison.id, self._seat(o)) for o in answers]
        read = [(number, seat) for number, seat in seats if seat is not None]
        joined = tuple(
            sum(number < joined for number, _ in read) if joined > self.since else 0
            for joined in self.roster.joined
        )
        self.design = self.make(self.roster, joined)
        # Nobody has left: places in the design are numbers in the record.
        self._everybody = self.roster.policies[-1] == len(self.roster.policies) - 1
        self.state = self.design.tell(self.design.init(), [seat for _, seat in read])

    def _fold(self, outcome: Outcome) -> None:
        if (seat := self._seat(outcome)) is not None:
            self.state = self.design.tell(self.state, (seat,))
        self.told += 1

    def _seat(self, outcome: Outcome) -> Outcome | None:
        """The same by places in the design; None if it is about a policy that left."""
        if len(self.roster.policies) < 2:
            return None
        if self._everybody:
            return outcome if max(outcome.comparison.arms) < len(self.roster.policies) else None
        seats = self.seated((outcome.comparison,))
        return replace(outcome, comparison=seats[0]) if seats else None

    def _changed(self, change: Change, number: int) -> Roster:
        share = share_of(change.number, self.kept)
        if change.joins:
            return self.roster.plus(number, change.at, share)
        return self.roster.minus(number, share)

    def _turn(self, change: Change, number: int, answers: Mapping[int, Outcome]) -> None:
        """Read all answers again under another roster."""
        self.roster = self._changed(change, number)
        self._begin([answers[n] for n in range(self.since, self.told)])

    def _watch(self, outcome: Outcome, late: Set[int]) -> None:
        number, (a, b) = outcome.comparison.id, outcome.comparison.arms
        known = len(self.watch.alarms)
        share = None if outcome.scores is None else outcome.scores[0]
        self.watch.told(a, b, share, late=number in late)
        if len(self.watch.alarms) == known:
            return
        raised = {doubt for doubt, at in self.watch.alarms.items() if at == self.watch.read}
        self.doubts += [(doubt, self.told) for doubt in sorted(raised)]
        self._repeats |= "repeats" in raised
        if "drift" in raised:
            self._highest = self._peaks()
            self.since, self.watch = self.told, Watch(self.watch.policies)
            self._begin(())

    def _peaks(self) -> dict[str, float]:
        return {about: max(e, self.watch.highest[about]) for about, e in self._highest.items()}

    def _alone(self, found: Verdict[int]) -> Verdict[int]:
        """All but one, or all, have left because of a constraint."""
        policies = self.roster.policies
        kind: Kind = "winner" if policies else "infeasible"
        reason = "every other policy breaks a constraint" if policies else ALL_BREAK
        last = policies[0] if policies else None
        return replace(
            found, kind=kind, policy=last, survivors=policies, comparisons=self.told, reason=reason
        )

    def _verdict(self) -> Verdict[int]:
        policies = self.roster.policies
        found = self.design.verdict(self.state)
        if len(policies) < 2:
            return self._alone(found)
        if not self._everybody:
            found = replace(
                found,
                policy=None if found.policy is None else policies[found.policy],
                survivors=tuple(policies[survivor] for survivor in found.survivors),
            )
        if found.comparisons != self.told:
            found = replace(found, comparisons=self.told)
        if self._repeats:
            return replace(
                found, kind="undecided", policy=None, survivors=policies, reason=REPEATS, given=""
            )
        if self.since and found.reason:
            aside = f"the first {self.since:,} answers are set aside, as the judge has changed"
            return replace(found, reason=f"{found.reason}; {aside}")
        return found
