"""Rosters: who is compared, when policies join or leave a study that runs.

Who joins or leaves may be chosen after a look at the answers, so each change pays from a share of
the error budget that the study keeps for it: ρ_1 = ½ kept, ρ_2 = ¼ kept, ...

**A joiner** n costs the others nothing. Its own claims begin with ρ: E_n = ρ, and ρ/2 in A_in and
A_ni for every i (core/certificate.py). Only two nulls are new, "n is the best" and "the best so far
does not beat n", so wrong verdicts gain at most ρ.
**A leaver** r changes what is claimed: evidence that somebody loses to r no longer counts. All
answers among the others are read again, at the level ρ/K: for each of the K policies that could
have been taken out, that is an e-process of its own, and they add up to ρ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log


@dataclass(frozen=True, slots=True)
class Change:
    """From ask number `at` on, a policy of that name is or is no longer compared."""

    number: int  # of changes before this one
    at: int
    policy: str
    joins: bool
    why: str = ""  # the constraint that a leaver broke


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is compared."""

    policies: tuple[int, ...]  # their numbers in the record
    joined: tuple[int, ...]  # ask number from which each is there
    capital: tuple[float, ...]  # log of what the claims about each begin with
    level: float = 1.0  # share of the error budget that all claims have

    @classmethod
    def whole(cls, policies: int) -> Roster:
        return cls(tuple(range(policies)), (0,) * policies, (0.0,) * policies)

    def plus(self, policy: int, at: int, share: float) -> Roster:
        """With a newcomer, who brings a share of the error budget."""
        return replace(
            self,
            policies=(*self.policies, policy),
            joined=(*self.joined, at),
            capital=(*self.capital, log(share)),
        )

    def minus(self, policy: int, share: float) -> Roster:
        """Without one, at a share of the error budget."""
        gone = self.policies.index(policy)
        rest = [place for place in range(len(self.policies)) if place != gone]
        return Roster(
            tuple(self.policies[place] for place in rest),
            tuple(self.joined[place] for place in rest),
            tuple(self.capital[place] for place in rest),
            min(self.level, share / len(self.policies)),
        )


def share_of(change: int, kept: float) -> float:
    """ρ of a change, the first being number 0."""
    return kept * 0.5 ** (change + 1)
