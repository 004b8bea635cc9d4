"""RUCB: play a policy that may still be the best against whoever may beat it by most.

    u_ij = W_ij / n_ij + sqrt(α log t / n_ij),   u_ii = 1/2,   1 where n_ij = 0
    C = {i : u_ij >= 1/2 for all j}      who may still be the winner; alone in C, it is remembered
    champion     the remembered one with chance 1/2, else anyone else in C
    challenger   argmax_j u_j,champion

Ours differs in one place: a champion is never compared with itself, which would tell us nothing.
Source: Zoghi, Whiteson, Munos and de Rijke 2014, "Relative upper confidence bound for the K-armed
dueling bandit problem", algorithm 1; α = 0.51 as in its experiments. Stopped by the certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import Duels, DuelState, first
from bestpolicy.core.nouns import Array, Comparison, Context, Outcome, Rng, Standing, Verdict
from bestpolicy.core.strengths import Structure
from bestpolicy.designs import uniform

ALPHA = 0.51


@dataclass(frozen=True, slots=True)
class RucbState:
    duels: DuelState
    best: int | None  # B in the paper: the last one that was alone in C and has not left it since


@dataclass(frozen=True, slots=True)
class Rucb:
    """The Design: duels, and the memory of who was last alone at the top."""

    duels: Duels

    @property
    def policies(self) -> int:
        return self.duels.policies

    def given(self, structure: Structure) -> Rucb:
        """The same, its forecasts told how the policies hang together."""
        return Rucb(self.duels.given(structure))

    def seated(self, joined: Sequence[int], capital: Sequence[float]) -> Rucb:
        """The same, with policies that came later."""
        return Rucb(self.duels.seated(joined, capital))

    def init(self) -> RucbState:
        return RucbState(self.duels.init(), None)

    def ask(
        self,
        state: RucbState,
        contexts: Sequence[Context],
        rng: Rng,
        pending: Sequence[Comparison],
    ) -> list[Comparison]:
        u = upper_bounds(state.duels)
        return [Comparison(pair(u, state.best, rng), context) for context in contexts]

    def tell(self, state: RucbState, outcomes: Sequence[Outcome]) -> RucbState:
        duels, best = state.duels, state.best
        for outcome in outcomes:  # one by one: C must be seen after every answer
            duels = self.duels.tell(duels, [outcome])
            candidates = np.flatnonzero((upper_bounds(duels) >= 0.5).all(axis=1))
            if candidates.size == 1:
                best = int(candidates[0])
            elif best not in candidates:
                best = None
        return RucbState(duels, best)

    def verdict(self, state: RucbState) -> Verdict[int]:
        return self.duels.verdict(state.duels)

    def standing(self, state: RucbState) -> Standing:
        return self.duels.standing(state.duels)


def design(policies: int, ledger: Ledger) -> Rucb:
    return Rucb(Duels(policies, ledger, uniform.pair))  # it brings its own rule


def pair(u: Array, best: int | None, rng: Rng) -> tuple[int, int]:
    """Champion and challenger, given the upper bounds."""
    candidates = np.flatnonzero((u >= 0.5).all(axis=1))
    others = candidates[candidates != best]
    if candidates.size == 0:
        champion = int(rng.integers(len(u)))
    elif best is not None and (others.size == 0 or rng.random() < 0.5):
        champion = best
    else:
        champion = int(rng.choice(others))
    against = -u[:, champion]
    against[champion] = np.inf
    return champion, first(against, rng)


def upper_bounds(state: DuelState) -> Array:
    """u_ij, (K, K)."""
    wins = state.wins()
    n = wins + wins.T
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.where(n > 0, wins / n + np.sqrt(ALPHA * log(max(state.told, 1)) / n), 1.0)
    np.fill_diagonal(u, 0.5)
    return np.asarray(u)
