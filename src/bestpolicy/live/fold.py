"""The fold: rows of the ledger read in the order of their assignment, and what they come to.

A unit is read when its feedback came or its time has passed, and never before the units that were
assigned before it: feedback that comes fast is not like feedback that comes slowly. Each row
counts with the chances of the snapshot that it was drawn with. So the verdict is a function of
the rows alone, and the first one that decides ends it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from math import inf, isnan, nan

import numpy as np

from bestpolicy.core.nouns import Array
from bestpolicy.core.ratio import Ratio
from bestpolicy.core.rewards import Rewards
from bestpolicy.live.terms import Terms
from bestpolicy.store.ledger import Assigned, Ended, Snapshot

OPEN, MISSING = nan, inf  # in place of a reward
STEP = 50  # units of evidence that a new snapshot waits for, and:
GROWTH = 1.05  # how many times as many as the last one knew
SPARE = 100_000  # rows read that are kept before their room is given back


class Fold:
    """What the rows read so far come to."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.at = 0  # rows read into evidence: all before this number
        self.known = 0  # rows that are in the ledger
        self.told = 0  # rows that were evidence
        self.decided_at: int | None = None  # rows read when the verdict became final
        self.rewards = Rewards(
            terms.policies,
            confidence=terms.confidence,
            indifference=terms.indifference,
            explore=terms.explore,
        )
        self.found = self.rewards.verdict()
        self.ratio = Ratio(terms.policies)  # of units assigned
        self.answered_ratio = Ratio(terms.policies)  # of those that gave feedback
        self.assigned, self.answered, self.missing = (
            np.zeros(terms.policies, np.int64) for _ in range(3)
        )
        self.sums = np.zeros(terms.policies)  # of the rewards that came
        self.drawn_with: dict[int, Array] = {}  # the chances of each snapshot
        self._base = 0  # number of the first row that is kept
        self._policy, self._snapshot = array("i"), array("i")
        self._counts, self._reward = array("b"), array("d")
        self._early: dict[int, float] = {}  # ends of rows that are not known yet

    def learn(
        self, snapshots: Iterable[Snapshot], assigned: Iterable[Assigned], ended: Iterable[Ended]
    ) -> None:
        """Take note of these rows, which follow those known, and of how rows ended."""
        for snapshot in snapshots:
            self.drawn_with[snapshot.version] = np.array(snapshot.chances)
        for row in assigned:
            self._policy.append(row.policy)
            self._snapshot.append(row.snapshot)
            self._counts.append(row.counts)
            self._reward.append(self._early.pop(row.number, OPEN))
            self.known = row.number + 1
            if row.counts:
                self.assigned[row.policy] += 1
                self.ratio.tell(self.drawn_with[row.snapshot], row.policy)
        for end in ended:
            if end.number < 0:  # of a duel: live/matches.py
                continue
            value = MISSING if end.reward is None else end.reward
            if end.number < self.known:
                self._reward[end.number - self._base] = value
            else:
                self._early[end.number] = value

    @property
    def readable(self) -> bool:
        """Whether the next row's end is known."""
        return self.at < self.known and not isnan(self._reward[self.at - self._base])

    def advance(self, stop: int | None = None) -> None:
        """Read on, as far as the first unit whose end is not known, or to row `stop`."""
        stop = self.known if stop is None else min(stop, self.known)
        while self.at < stop and self.readable:
            here = self.at - self._base
            self.at += 1
            if self._counts[here]:
                self._read(self._policy[here], self._snapshot[here], self._reward[here])
        if self.at - self._base > SPARE:
            for column in (self._policy, self._snapshot, self._counts, self._reward):
                del column[: self.at - self._base]
            self._base = self.at

    def open(self, upto: int) -> list[int]:
        """The rows before number `upto` whose end is not known."""
        rows = range(self.at, min(upto, self.known))
        return [number for number in rows if isnan(self._reward[number - self._base])]

    def chances(self) -> tuple[float, ...]:
        """What units to come should be drawn with; a winner gets all of them."""
        if not self.told:
            return (1 / self.terms.policies,) * self.terms.policies
        if self.found.final and self.found.policy is not None:
            return tuple(float(p == self.found.policy) for p in range(self.terms.policies))
        return tuple(self.rewards.allocation().tolist())

    def due(self, last: Snapshot) -> bool:
        """Whether enough is new since the last snapshot to take another."""
        if self.decided_at is not None:
            return last.reached < self.decided_at
        if self.told == last.told:
            return False
        if self.told >= max(last.told + STEP, GROWTH * last.told):
            return True
        return any(
            old > 0 and new == 0 for old, new in zip(last.chances, self.chances(), strict=True)
        )

    def _read(self, policy: int, snapshot: int, reward: float) -> None:
        chances, value = self.drawn_with[snapshot], self.terms.missing
        if reward == MISSING:
            self.missing[policy] += 1
        else:
            value = reward
            self.answered[policy] += 1
            self.sums[policy] += reward
            self.answered_ratio.tell(chances, policy)
        if self.decided_at is not None:
            return
        self.rewards.tell(policy, chances, value)
        if value is None:
            return
        self.told += 1
        self.found = self.rewards.verdict()
        if self.found.final:
            self.decided_at = self.at
