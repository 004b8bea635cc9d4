"""Duels: a Design made of a rule that picks the next pair and the one certificate that stops it.

    state_t+1 = (record, beliefs, certificate) after  back the leader -> forecast -> bet -> learn

A design file supplies the rule, `pair(state, ledger, rng) -> (i, j)`; forecasts and proof are
the same for all, so that every design keeps the same promise and only its speed differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core import certificate as proof
from bestpolicy.core.certificate import Certificate, Ledger
from bestpolicy.core.forecast import (
    FAR_EDGE,
    PRIOR_REFUTED,
    Beliefs,
    forecast,
    learn,
    views,
    within,
)
from bestpolicy.core.likelihood import Likelihood, refitted, totals
from bestpolicy.core.nouns import (
    Array,
    Comparison,
    Context,
    Kind,
    Outcome,
    Rng,
    Standing,
    Verdict,
)
from bestpolicy.core.strengths import Structure

HOLDS = "the structure holds"
TIES = 2.0  # answers without a tie that each pair is taken to have had
CAME = 5.0  # answers that are taken to have come before the first


@dataclass(frozen=True, slots=True)
class DuelState:
    """What the next step needs: totals, what we believe, and what is proven."""

    told: int
    # Row j, (3, K): shares that j won against, and lost to, each k; and how many of them were ties.
    record: list[Array]
    beliefs: Beliefs
    certificate: Certificate
    likelihood: Likelihood | None = None  # what the study's structure makes of the answers
    lost: int = 0  # answers that will never come

    @property
    def alive(self) -> NDArray[np.bool_]:
        """(K,) who may still be the best; while the structure is trusted, only that counts."""
        known = self.likelihood
        return ~known.out if known is not None and known.trusted else self.certificate.alive

    @property
    def trusts(self) -> bool:
        return self.likelihood is not None and self.likelihood.trusted

    @property
    def policies(self) -> int:
        return len(self.record)

    @property
    def survivors(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.alive)

    def wins(self) -> Array:
        """(K, K) shares that each row won against each column; with its transpose, the counts."""
        return np.array([row[0] for row in self.record])


Rule = Callable[[DuelState, Ledger, Rng], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Duels:
    """The Design of a pair rule."""

    policies: int
    ledger: Ledger
    rule: Rule
    structure: Structure | None = None
    joined: Array | None = None  # (K,) answers before each came; None: all were there
    capital: Array | None = None  # (K,) log of what the claims about each begin with

    def seated(self, joined: Sequence[int], capital: Sequence[float]) -> Duels:
        """The same, with policies that came later."""
        return replace(self, joined=np.array(joined), capital=np.array(capital, float))

    def given(self, structure: Structure) -> Duels:
        """The same, told how the policies hang together."""
        return replace(self, structure=structure)

    def init(self) -> DuelState:
        K = self.policies
        rows = list(np.zeros((K, 3, K)))
        told, known = self.structure, None
        strengths = None if told is None else told.strengths(K)
        beliefs = Beliefs.blank(K, strengths)
        if strengths is not None and told is not None:
            known = Likelihood.blank(K, len(strengths.mean), trusted=told.trust)
        return DuelState(0, rows, beliefs, Certificate.blank(K, self.ledger, self.capital), known)

    def ask(
        self, state: DuelState, contexts: Sequence[Context], rng: Rng, pending: Sequence[Comparison]
    ) -> list[Comparison]:
        return [Comparison(self.rule(state, self.ledger, rng), context) for context in contexts]

    def tell(self, state: DuelState, outcomes: Sequence[Outcome]) -> DuelState:
        record, beliefs, c = state.record.copy(), state.beliefs.copy(), state.certificate.copy()
        known, delta, gone = state.likelihood, self.ledger.delta, state.lost
        for told, outcome in enumerate(outcomes, state.told):
            x, k = outcome.comparison.arms
            won, lost, even = record[x][:, k].tolist()
            q = views(beliefs, x, k, won - even / 2, lost - even / 2)
            f = forecast(beliefs, x, k, q)
            there = None if self.joined is None else self.joined <= told
            seen = c.alive if there is None else c.alive & there
            if c.proof and seen.any():
                leader = int(np.argmin(scores(beliefs, c, seen)))
                proof.back(c, leader, lead(beliefs, leader, seen), told, there)
            y = None if outcome.scores is None else outcome.scores[0]
            stakes = spoilt(f, gone / (told + CAME)) if gone else f
            proof.read(c, self.ledger, x, k, y, stakes, even / (won + lost + TIES))
            gone += y is None
            if known is not None and beliefs.strengths is not None:
                said = within(beliefs.strengths.chance(x, k), FAR_EDGE)
                known = known.told(y, said, f).bets(c.evidence, delta)
            if y is not None:
                learn(beliefs, x, k, y, q)
                record[x] = _plus(record[x], k, y)
                record[k] = _plus(record[k], x, 1 - y)
            if known is not None and beliefs.strengths is not None and told + 1 >= known.next:
                met = totals(record, beliefs.played, beliefs.strengths.x)
                beliefs.strengths = refitted(beliefs.strengths, met)
                known = known.checked(told + 1, met, beliefs.strengths, c.evidence, delta)
                # What is refuted and yet foretells best is kept: it may, as proofs do without it.
                if known.refuted(delta) and not beliefs.follows_structure():
                    beliefs.prior = PRIOR_REFUTED
        return DuelState(state.told + len(outcomes), record, beliefs, c, known, gone)

    def verdict(self, state: DuelState) -> Verdict[int]:
        if not state.trusts:
            return proof.verdict(state.certificate, self.ledger, state.told)
        left = tuple(state.survivors.tolist())
        kind: Kind = "winner" if len(left) == 1 else "undecided"
        policy = left[0] if len(left) == 1 else None
        reason = (
            "every rival loses to some policy"
            if policy is not None
            else f"{len(left)} policies may still be the best"
        )
        return Verdict(kind, policy, self.ledger.confidence, left, state.told, reason, HOLDS)

    def standing(self, state: DuelState) -> Standing:
        return standing(state, self.ledger)


def spoilt(f: float, lost: float) -> float:
    """What a bet should foretell where this share of the answers is lost, each of which counts as
    the worst for it: who stakes as if all came loses more by the lost ones than the others win."""
    worst = 1.0 if f < 0.5 else 0.0
    foretold = (1 - lost) * f + lost * worst
    return min(foretold, 0.5) if f < 0.5 else max(foretold, 0.5)


def scores(b: Beliefs, c: Certificate, alive: NDArray[np.bool_]) -> Array:
    """(K,) the lower, the likelier the best: evidence against less rating; inf when dropped."""
    return np.where(alive, np.maximum(c.evidence, 0.0) - b.best_rating(), inf)


def lead(b: Beliefs, i: int, alive: NDArray[np.bool_]) -> float:
    """By how many standard deviations i's rating exceeds the nearest survivor's."""
    rating = b.best_rating()
    gap = (rating.item(i) - rating) / np.sqrt(b.gap_variances(i) + 1e-12)
    gap[i] = inf
    return float(np.where(alive, gap, inf).min())


def first(values: Array, rng: Rng) -> int:
    """The index of the smallest value, ties broken at random."""
    i = int(values.argmin())
    low = values.item(i)
    if np.count_nonzero(values == low) > 1:
        i = int(rng.choice(np.flatnonzero(values == low)))
    return i


def standing(state: DuelState, ledger: Ledger) -> Standing:
    c, b, K = state.certificate, state.beliefs, state.policies
    alive = state.alive
    score = scores(b, c, alive) if alive.any() else -b.best_rating()
    leader = int(np.argmin(score))
    goal = c.proof[leader] if c.proof else (c.close[leader] if c.close else c.evidence)
    bar = ledger.win if c.proof else (ledger.close if c.close else ledger.drop)
    wins = state.wins()
    pull = np.where(wins + wins.T > 0, (wins.T - wins) / np.sqrt(wins + wins.T + 1.0), -inf)
    np.fill_diagonal(pull, -inf)
    rival = np.where(pull.max(axis=1) > 0, pull.argmax(axis=1), -1)
    to_go = 0.0
    for j in range(K):
        done = goal[j] == inf if c.proof or c.close else not c.alive[j]
        if j == leader or done:
            continue
        won, lost, even = state.record[j][:, leader].tolist()
        f = forecast(b, j, leader, views(b, j, leader, won - even / 2, lost - even / 2))
        speed = log(2) + f * log(f) + (1 - f) * log(1 - f)
        speed *= 1 - even / (won + lost + TIES)
        to_go += max(bar - goal[j], 0.0) / speed if f < 0.5 and speed > 1e-9 else inf
    known = state.likelihood
    return Standing(
        leader,
        alive.copy(),
        c.evidence.copy(),
        goal.copy(),
        ledger.drop,
        bar,
        rival,
        to_go,
        misfit=None if known is None else known.misfit,
        refuted=known is not None and known.refuted(ledger.delta),
    )


def _plus(row: Array, k: int, y: float) -> Array:
    row = row.copy()
    row[0, k] += y
    row[1, k] += 1 - y
    row[2, k] += 1 - abs(2 * y - 1)
    return row
