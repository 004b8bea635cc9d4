"""Duels: a Design made of a rule that picks the next pair and the one certificate that stops it.

    state_t+1 = (record, beliefs, certificate) after  back the leader -> forecast -> bet -> learn

A design file supplies the rule, `pair(state, ledger, rng) -> (i, j)`; forecasts and proof are
the same for all, so that every design keeps the same promise and only its speed differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core import certificate as proof
from bestpolicy.core.certificate import Certificate, Ledger
from bestpolicy.core.forecast import Beliefs, forecast, learn, views
from bestpolicy.core.nouns import Array, Comparison, Context, Outcome, Rng, Standing, Verdict


@dataclass(frozen=True, slots=True)
class DuelState:
    """What the next step needs: totals, what we believe, and what is proven."""

    told: int
    record: list[Array]  # row j, (2, K): shares that j won against, and lost to, each k
    beliefs: Beliefs
    certificate: Certificate

    @property
    def policies(self) -> int:
        return len(self.record)

    @property
    def survivors(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.certificate.alive)

    def wins(self) -> Array:
        """(K, K) shares that each row won against each column; with its transpose, the counts."""
        return np.array([won for won, _ in self.record])


Rule = Callable[[DuelState, Ledger, Rng], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Duels:
    """The Design of a pair rule."""

    policies: int
    ledger: Ledger
    rule: Rule

    def init(self) -> DuelState:
        K = self.policies
        rows = list(np.zeros((K, 2, K)))
        return DuelState(0, rows, Beliefs.blank(K), Certificate.blank(K, self.ledger))

    def ask(
        self, state: DuelState, contexts: Sequence[Context], rng: Rng, pending: Sequence[Comparison]
    ) -> list[Comparison]:
        return [Comparison(self.rule(state, self.ledger, rng), context) for context in contexts]

    def tell(self, state: DuelState, outcomes: Sequence[Outcome]) -> DuelState:
        record, beliefs, c = state.record.copy(), state.beliefs.copy(), state.certificate.copy()
        for told, outcome in enumerate(outcomes, state.told):
            x, k = outcome.comparison.arms
            q = views(beliefs, x, k, record[x].item(0, k), record[x].item(1, k))
            f = forecast(beliefs, x, k, q)
            if c.proof and c.alive.any():
                leader = int(np.argmin(scores(beliefs, c)))
                proof.back(c, leader, lead(beliefs, c, leader), told)
            y = None if outcome.scores is None else outcome.scores[0]
            proof.read(c, self.ledger, x, k, y, f)
            if y is not None:
                learn(beliefs, x, k, y, q)
                record[x] = _plus(record[x], k, y)
                record[k] = _plus(record[k], x, 1 - y)
        return DuelState(state.told + len(outcomes), record, beliefs, c)

    def verdict(self, state: DuelState) -> Verdict[int]:
        return proof.verdict(state.certificate, self.ledger, state.told)

    def standing(self, state: DuelState) -> Standing:
        return standing(state, self.ledger)


def scores(b: Beliefs, c: Certificate) -> Array:
    """(K,) the lower, the likelier the best: evidence against less rating; inf when dropped."""
    return np.where(c.alive, np.maximum(c.evidence, 0.0) - b.rating, inf)


def lead(b: Beliefs, c: Certificate, i: int) -> float:
    """By how many standard deviations i's rating exceeds the nearest survivor's."""
    gap = (b.rating.item(i) - b.rating) / np.sqrt(b.spread.item(i) + b.spread)
    gap[i] = inf
    return float(np.where(c.alive, gap, inf).min())


def first(values: Array, rng: Rng) -> int:
    """The index of the smallest value, ties broken at random."""
    i = int(values.argmin())
    low = values.item(i)
    if np.count_nonzero(values == low) > 1:
        i = int(rng.choice(np.flatnonzero(values == low)))
    return i


def standing(state: DuelState, ledger: Ledger) -> Standing:
    c, b, K = state.certificate, state.beliefs, state.policies
    score = scores(b, c) if c.alive.any() else -b.rating
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
        q = views(b, j, leader, wins[j, leader], wins[leader, j])
        f = forecast(b, j, leader, q)
        speed = log(2) + f * log(f) + (1 - f) * log(1 - f)
        to_go += max(bar - goal[j], 0.0) / speed if f < 0.5 and speed > 1e-9 else inf
    return Standing(
        leader, c.alive.copy(), c.evidence.copy(), goal.copy(), ledger.drop, bar, rival, to_go
    )


def _plus(row: Array, k: int, y: float) -> Array:
    row = row.copy()
    row[0, k] += y
    row[1, k] += 1 - y
    return row
