"""Knockout: a tournament in which each match is as long as the gap that it was told of demands.

    a match ends when |p̂ - 1/2| > c(r) - ε or r > m;   the larger share goes through
    c(r) = sqrt(log(4 r² / δ_s) / (2 r)),   m = log(2 / δ_s) / (2 ε²),   δ_s = δ / 2^s in round s

ε is the `indifference` of the study, read as "the best policy beats every other by ε at least"; 0
tells it nothing, and matches end by c alone. The best policy then loses its match of round s with
chance δ_s at most, so the champion is right with chance 1 - δ *if a winner exists and ε is no
larger than its smallest gap*: the paper assumes strong transitivity instead, and shares ε out over
the rounds. Where no winner may be assumed, the champion is asked against every rival until the
certificate speaks.
Source: Falahatgar, Orlitsky, Pichapati and Suresh 2017, "Maximum selection and ranking under noisy
comparisons".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, log, sqrt

import numpy as np

from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import Duels, DuelState
from bestpolicy.core.nouns import Comparison, Context, Outcome, Rng, Standing, Verdict
from bestpolicy.designs import racing


@dataclass(frozen=True, slots=True)
class Match:
    """Shares so far, and answers that will never come."""

    i: int
    j: int
    won: float = 0.0
    lost: float = 0.0
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class KnockoutState:
    duels: DuelState
    round: int  # s, from 1
    waiting: tuple[int, ...]  # no match yet in this round
    playing: tuple[Match, ...]  # several only when asked in batches
    through: tuple[int, ...]  # won their match of this round

    @property
    def left(self) -> tuple[int, ...]:
        """Who has lost no match."""
        matched = [policy for match in self.playing for policy in (match.i, match.j)]
        return tuple(sorted([*self.waiting, *matched, *self.through]))


@dataclass(frozen=True, slots=True)
class Knockout:
    """The Design: duels arranged as a tournament."""

    duels: Duels

    @property
    def policies(self) -> int:
        return self.duels.policies

    def init(self) -> KnockoutState:
        return KnockoutState(self.duels.init(), 1, tuple(range(self.policies)), (), ())

    def ask(
        self,
        state: KnockoutState,
        contexts: Sequence[Context],
        rng: Rng,
        pending: Sequence[Comparison],
    ) -> list[Comparison]:
        return [Comparison(self._pair(state, rng), context) for context in contexts]

    def tell(self, state: KnockoutState, outcomes: Sequence[Outcome]) -> KnockoutState:
        for outcome in outcomes:
            state = replace(state, duels=self.duels.tell(state.duels, [outcome]))
            state = _next_round(self._scored(state, outcome))
        return state

    def verdict(self, state: KnockoutState) -> Verdict[int]:
        ledger, left = self.duels.ledger, state.left
        if not ledger.assume_winner:
            return self.duels.verdict(state.duels)
        if len(left) == 1:
            reason = (
                f"it won every match, if the best beats each by {ledger.indifference:g} or more"
            )
            return Verdict("winner", left[0], ledger.confidence, left, state.duels.told, reason)
        reason = f"{len(left)} policies have lost no match"
        return Verdict("undecided", None, ledger.confidence, left, state.duels.told, reason)

    def standing(self, state: KnockoutState) -> Standing:
        """Evidence as the certificate would count it."""
        return self.duels.standing(state.duels)

    def _pair(self, state: KnockoutState, rng: Rng) -> tuple[int, int]:
        if state.playing:
            match = state.playing[int(rng.integers(len(state.playing)))]
            return match.i, match.j
        if len(state.waiting) > 1:
            i, j = rng.choice(state.waiting, 2, replace=False)
            return int(i), int(j)
        champion, proof = state.left[0], state.duels.certificate.proof
        if proof and (proof[champion] < inf).any():
            return champion, int(rng.choice(np.flatnonzero(proof[champion] < inf)))
        return racing.pair(state.duels, self.duels.ledger, rng)

    def _scored(self, state: KnockoutState, outcome: Outcome) -> KnockoutState:
        """The tournament after one answer; one about policies that are not matched says nothing."""
        i, j = outcome.comparison.arms
        match = next((m for m in state.playing if {m.i, m.j} == {i, j}), None)
        rest = tuple(m for m in state.playing if m is not match)
        waiting = state.waiting
        if match is None:
            if i not in waiting or j not in waiting:
                return state
            match = Match(i, j)
            waiting = tuple(policy for policy in waiting if policy not in (i, j))
        if outcome.scores is None:
            match = replace(match, unanswered=match.unanswered + 1)
        else:
            won = outcome.scores[0] if i == match.i else outcome.scores[1]
            match = replace(match, won=match.won + won, lost=match.lost + 1 - won)
        state = replace(state, waiting=waiting)
        best = decided(match, self.duels.ledger.indifference, self._error(state))
        if best is None:
            return replace(state, playing=(*rest, match))
        return replace(state, playing=rest, through=(*state.through, best))

    def _error(self, state: KnockoutState) -> float:
        """Log of δ_s."""
        return log(self.duels.ledger.delta) - state.round * log(2)


def design(policies: int, ledger: Ledger) -> Knockout:
    return Knockout(Duels(policies, ledger, racing.pair))  # it brings its own rule


def decided(match: Match, gap: float, log_error: float) -> int | None:
    """Who goes through, or None while the match is open; unanswered counts against either."""
    r = match.won + match.lost + match.unanswered
    margin = max(sqrt((log(4 * r**2) - log_error) / (2 * r)) - gap, 0.0)
    if gap > 0 and match.unanswered == 0 and r > (log(2) - log_error) / (2 * gap**2):
        margin = 0.0
    for policy, shares in ((match.i, match.won), (match.j, match.lost)):
        if shares / r - 0.5 > margin:
            return policy
    return None


def _next_round(state: KnockoutState) -> KnockoutState:
    if state.playing or len(state.waiting) > 1 or len(state.left) == 1:
        return state
    return replace(state, round=state.round + 1, waiting=state.left, through=())
