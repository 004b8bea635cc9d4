"""Track the optimal proportions: our reading of the procedure that LLM-PO's abstract describes.

**No structure.** Every pair once; a pair with fewer than sqrt(t) - K(K-1)/4 comparisons next; then
a rival that the answers do not yet show beaten, against its b; else the rival that lags its share
t w_j most. When a winner has to be verified, every b(j) is the leader.

    d_jk = kl(p̂_jk, 1/2) if p̂_jk < 1/2 else 0,   b(j) = argmax_k d_jk,   w_j ∝ 1 / d_j,b(j)
    Z_j = Σ_k n_jk d_jk,   leader = argmin_j Z_j

**A structure**, p_ab = μ(θ·(x_a - x_b)). At t = 10, 20, ... (then every 5 %) w is planned anew for
the posterior mode of θ by the program of core/program.py, γ = η = (10/t)^(1/3) of what even shares
are worth, and C-tracked: the next pair is argmax_ab Σ_s≤t w'_ab(s) - n_ab.

    w' = 0.98 w + 0.02 / (K(K-1)/2)

These shares tell the best from its rivals by the likelihood, which no certificate reads as well:
one that trusts no structure not at all, one that does at the price of its forecasts. So once Z has
reached its customary bar, w is what a proof needs: each rival not yet refuted against the leader,
w_j ∝ 1 / kl(μ(θ·(x_j - x_leader)), 1/2). When the misfit test says that the structure does not
hold, the rule without one takes over.

The verdict is the certificate's. min_j Z_j >= log((1 + log t) / delta) is the stop of this
literature: a habit, not a proof, and shown for comparison only.
Source: Hu, Gao, Hu & Zhou, arXiv 2604.08779, as far as its abstract tells; C-, D-tracking after
Garivier and Kaufmann 2016, "Optimal best arm identification with fixed confidence".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, log, sqrt

import numpy as np
from scipy.special import xlogy

from bestpolicy.core import glr as structured
from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import Duels, DuelState, first
from bestpolicy.core.glr import bar
from bestpolicy.core.likelihood import totals
from bestpolicy.core.logistic import worth
from bestpolicy.core.nouns import (
    Array,
    Comparison,
    ConfigError,
    Context,
    Habit,
    Outcome,
    Rng,
    Standing,
    Verdict,
)
from bestpolicy.core.program import even, planned_shares
from bestpolicy.core.strengths import Strengths, Structure

SELDOM, EVERY = 10, 0.05  # answers from one look to the next, and their share of all
EXPLORED = 0.02  # share of questions about all pairs alike
FIRST_PART, FADE = 1.0, 1 / 3  # γ, η at the first look, and the power of t by which they fall
MOST_WORK = 1.6e7  # pairs times rivals times (60 + d^2): a plan comes within about a second


@dataclass(frozen=True, slots=True)
class Plan:
    """Targets of the pairs a < b, each (K, K)."""

    w: Array  # the shares since `since`
    owed: Array  # Σ of the targets until then
    since: int
    asked: Array  # comparisons, lost answers included, or their pairs would be asked for ever

    @classmethod
    def blank(cls, policies: int) -> Plan:
        none = np.zeros((policies, policies))
        return cls(even(policies), none, 0, none)

    def lag(self, t: int) -> Array:
        """By how much each pair is behind its targets of the first t questions."""
        # Never summed answer by answer: telling in pieces has to be telling at once to the bit.
        return self.owed + (t - self.since) * self.w - self.asked

    def told(self, outcomes: Sequence[Outcome]) -> Plan:
        asked = self.asked.copy()
        for outcome in outcomes:
            asked[tuple(sorted(outcome.comparison.arms))] += 1
        return replace(self, asked=asked)

    def turned(self, t: int, w: Array) -> Plan:
        """From answer t on, other shares."""
        mixed = (1 - EXPLORED) * w + EXPLORED * even(len(w))
        return Plan(mixed, self.owed + (t - self.since) * self.w, t, self.asked)


@dataclass(frozen=True, slots=True)
class PaperState:
    duels: DuelState
    next: int = SELDOM  # the answer after which to look again
    stopped: tuple[int, int] | None = None  # when the customary stop was first seen, and for whom
    plan: Plan | None = None  # with a structure


@dataclass(frozen=True, slots=True)
class Paper:
    """Duels that follow a plan."""

    duels: Duels

    @property
    def policies(self) -> int:
        return self.duels.policies

    def given(self, structure: Structure) -> Paper:
        """The same, told how the policies hang together."""
        K = self.policies
        d = K - 1 if structure.features is None else structure.features.shape[1]
        if K * (K - 1) ** 2 / 2 * (60 + d**2) > MOST_WORK:
            raise ConfigError(
                f"design: paper plans over all pairs, and {K} policies with {d} free numbers take "
                'too long: take llm-po, which needs no plan, or structure="free"'
            )
        return replace(self, duels=self.duels.given(structure))

    def seated(self, joined: Sequence[int], capital: Sequence[float]) -> Paper:
        """The same, with policies that came later."""
        return replace(self, duels=self.duels.seated(joined, capital))

    def init(self) -> PaperState:
        plan = None if self.duels.structure is None else Plan.blank(self.policies)
        return PaperState(self.duels.init(), plan=plan)

    def ask(
        self,
        state: PaperState,
        contexts: Sequence[Context],
        rng: Rng,
        pending: Sequence[Comparison],
    ) -> list[Comparison]:
        t, plan = state.duels.told, state.plan
        if plan is None or not self._holds(state.duels):
            return self.duels.ask(state.duels, contexts, rng, pending)
        lag = plan.lag(t + len(pending))
        for comparison in pending:
            lag[tuple(sorted(comparison.arms))] -= 1
        lag[np.tril_indices(self.policies)] = -inf
        asked = []
        for context in contexts:
            lag += plan.w
            i, j = divmod(first(-lag.ravel(), rng), self.policies)
            lag[i, j] -= 1
            asked.append(Comparison((i, j), context))
        return asked

    def tell(self, state: PaperState, outcomes: Sequence[Outcome]) -> PaperState:
        while outcomes:
            now = outcomes[: state.next - state.duels.told]
            outcomes = outcomes[len(now) :]
            plan = None if state.plan is None else state.plan.told(now)
            state = replace(state, duels=self.duels.tell(state.duels, now), plan=plan)
            if state.duels.told == state.next:
                state = self._looked(state)
        return state

    def verdict(self, state: PaperState) -> Verdict[int]:
        return self.duels.verdict(state.duels)

    def standing(self, state: PaperState) -> Standing:
        ratio, _ = self._glr(state.duels)
        habit = Habit(ratio, bar(state.duels.told, self.duels.ledger.delta), *(state.stopped or ()))
        return replace(self.duels.standing(state.duels), habit=habit)

    def _looked(self, state: PaperState) -> PaperState:
        """The plan of this moment, and whether the custom would stop."""
        duels, t = state.duels, state.duels.told
        ratio, leader = self._glr(duels)
        reached = ratio >= bar(t, self.duels.ledger.delta)
        stopped = state.stopped or ((t, leader) if reached else None)
        plan, known = state.plan, duels.beliefs.strengths
        if plan is not None and known is not None and self._holds(duels):
            if reached:
                plan = plan.turned(t, proving_shares(duels, known))
            else:
                x = np.eye(self.policies) if known.x is None else known.x
                part = FIRST_PART * (SELDOM / t) ** FADE
                plan = plan.turned(t, planned_shares(x, known.mean, part, plan.w))
        return PaperState(duels, t + max(SELDOM, int(EVERY * t)), stopped, plan)

    def _glr(self, state: DuelState) -> tuple[float, int]:
        known = state.beliefs.strengths
        if known is None or not self._holds(state):
            return glr(state)
        return structured.glr(known, totals(state.record, state.beliefs.played, known.x))

    def _holds(self, state: DuelState) -> bool:
        """Whether the misfit test has never fired."""
        known = state.likelihood
        return known is not None and not known.refuted(self.duels.ledger.delta)


def design(policies: int, ledger: Ledger) -> Paper:
    return Paper(Duels(policies, ledger, pair))


def proving_shares(state: DuelState, known: Strengths) -> Array:
    """Every rival not yet refuted against the leader, in inverse proportion to what it tells."""
    c, alive = state.certificate, state.alive
    rated = np.where(alive & ~c.close_to_all if c.close else alive, known.rating, -inf)
    leader = int(rated.argmax())
    if state.trusts:
        rivals = alive.copy()
    elif c.close:
        rivals = c.close[leader] < inf
        if not c.proof and (rivals & alive).sum() > 1:  # a drop may still decide
            rivals &= alive
    else:
        rivals = c.proof[leader] < inf if c.proof else alive.copy()
    rivals[leader] = False
    if not rivals.any() or np.count_nonzero(rated == rated[leader]) != 1:
        return even(len(rated))  # no policy's number may decide who leads
    w = np.zeros((len(rated), len(rated)))
    w[leader, rivals] = 1 / worth(known.rating[leader] - known.rating[rivals])
    return np.asarray(np.triu(w + w.T, 1) / w.sum())


def pair(state: DuelState, ledger: Ledger, rng: Rng) -> tuple[int, int]:
    n, share = _counts_and_shares(state)
    upper = np.triu(np.ones_like(n, dtype=np.bool_), 1)
    least = float(n[upper].min())
    if least < max(1.0, sqrt(state.told) - upper.sum() / 2):
        i, j = divmod(first(np.where(upper, n, np.inf).ravel(), rng), state.policies)
        return i, j

    d = defeats(share)
    leader = first((n * d).sum(axis=1), rng)
    if ledger.assume_winner:
        # Nobody beats an undefeated one: its b is then the opponent it has done worst against.
        opponents = np.where(np.eye(state.policies, dtype=np.bool_), np.inf, share).argmin(axis=1)
    else:
        opponents = np.full(state.policies, leader)
    rivals = np.flatnonzero(np.arange(state.policies) != leader)
    speed = d[rivals, opponents[rivals]]
    if (undefeated := rivals[speed == 0]).size:
        j = int(rng.choice(undefeated))
    else:
        w = (1 / speed) / (1 / speed).sum()
        lag = state.told * w - n[rivals, opponents[rivals]]
        j = int(rivals[first(-lag, rng)])
    return int(opponents[j]), j


def glr(state: DuelState) -> tuple[float, int]:
    """Z of the runner-up, how much less likely the answers would be if anyone else were best; and
    the leader."""
    n, share = _counts_and_shares(state)
    Z = (n * defeats(share)).sum(axis=1)
    return float(np.sort(Z)[1]), int(Z.argmin())


def defeats(share: Array) -> Array:
    """d_jk = kl(share_jk, 1/2) where j seems to lose to k, else 0."""
    kl = log(2) + xlogy(share, share) + xlogy(1 - share, 1 - share)
    return np.asarray(np.where(share < 0.5, kl, 0.0))


def _counts_and_shares(state: DuelState) -> tuple[Array, Array]:
    wins = state.wins()
    n = wins + wins.T
    return n, np.divide(wins, n, out=np.full_like(wins, 0.5), where=n > 0)
