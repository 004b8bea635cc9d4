"""SAVAGE: explore evenly, and leave out every pair whose answer is known or no longer matters.

    c(n) = sqrt(log(π² N n² / (3 δ)) / (2 n)),   N = K (K-1) / 2 pairs
    i beats j when p̂_ij - 1/2 > c(n_ij); all N bounds hold at every n at once with chance 1 - δ

The least asked pair goes next, among those undecided between policies that have lost to nobody
(one of the two, when a winner has to be verified).
It stops by these bounds of its own, not by the certificate: valid, and far from tight. An
indifference zone is no part of it.
Source: Urvoy, Clerot, Feraud and Naamane 2013, "Generic exploration and K-armed voting bandits".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import Duels, DuelState, first
from bestpolicy.core.nouns import Array, Comparison, Context, Kind, Outcome, Rng, Standing, Verdict
from bestpolicy.designs import uniform


@dataclass(frozen=True, slots=True)
class SavageState:
    duels: DuelState
    beats: NDArray[np.bool_]  # (K, K) i has been proven to beat j
    unanswered: Array  # (K, K) answers of each pair that will never come

    @property
    def alive(self) -> NDArray[np.bool_]:
        """(K,) not proven to lose to anybody."""
        return np.asarray(np.logical_not(self.beats.any(axis=0)))


@dataclass(frozen=True, slots=True)
class Savage:
    """The Design: duels that stop by bounds of their own."""

    duels: Duels

    @property
    def policies(self) -> int:
        return self.duels.policies

    def init(self) -> SavageState:
        none = np.zeros((self.policies, self.policies))
        return SavageState(self.duels.init(), none.astype(np.bool_), none)

    def ask(
        self,
        state: SavageState,
        contexts: Sequence[Context],
        rng: Rng,
        pending: Sequence[Comparison],
    ) -> list[Comparison]:
        wins = state.duels.wins()
        priority = np.where(self._active(state), wins + wins.T + state.unanswered, np.inf)
        asked = []
        for context in contexts:
            i, j = divmod(first(priority.ravel(), rng), self.policies)
            priority[i, j] += 1  # the rest of a batch goes elsewhere
            asked.append(Comparison((i, j), context))
        return asked

    def tell(self, state: SavageState, outcomes: Sequence[Outcome]) -> SavageState:
        for outcome in outcomes:
            i, j = outcome.comparison.arms
            state = replace(state, duels=self.duels.tell(state.duels, [outcome]))
            if outcome.scores is None:
                unanswered = state.unanswered.copy()
                unanswered[[i, j], [j, i]] += 1
                state = replace(state, unanswered=unanswered)
            for a, b in ((i, j), (j, i)):
                if not state.beats[a, b] and self._proves(state, a, b):
                    beats = state.beats.copy()
                    beats[a, b] = True
                    state = replace(state, beats=beats)
        return state

    def verdict(self, state: SavageState) -> Verdict[int]:
        survivors = tuple(np.flatnonzero(state.alive).tolist())
        all_beaten = [i for i in survivors if state.beats[i].sum() == self.policies - 1]

        def say(kind: Kind, policy: int | None, reason: str) -> Verdict[int]:
            confidence = self.duels.ledger.confidence
            return Verdict(kind, policy, confidence, survivors, state.duels.told, reason)

        if all_beaten:
            return say("winner", all_beaten[0], "by Hoeffding's bounds it beats every rival")
        if not survivors:
            return say("no-winner", None, "by Hoeffding's bounds every policy loses to another")
        if len(survivors) == 1 and self.duels.ledger.assume_winner:
            return say("winner", survivors[0], "by Hoeffding's bounds every rival loses")
        return say("undecided", None, f"{len(survivors)} policies may still be the best")

    def standing(self, state: SavageState) -> Standing:
        """Evidence as the certificate would count it, survivors as the bounds have it."""
        return replace(self.duels.standing(state.duels), alive=state.alive)

    def _active(self, state: SavageState) -> NDArray[np.bool_]:
        alive = state.alive
        pairs = np.triu(~(state.beats | state.beats.T), 1)
        if self.duels.ledger.assume_winner:
            active = pairs & alive[:, None] & alive[None, :]
        else:
            active = pairs & (alive[:, None] | alive[None, :])
        # Nothing active: it is decided, and whatever is asked now changes nothing.
        return np.asarray(active if active.any() else np.triu(np.ones_like(pairs), 1))

    def _proves(self, state: SavageState, i: int, j: int) -> bool:
        """Whether i beats j even if every answer that never came had gone to j."""
        won, lost, _ = state.duels.record[i][:, j].tolist()
        n = won + lost + state.unanswered.item(i, j)
        return bool(won / n - 0.5 > radius(n, self.policies, self.duels.ledger.delta))


def design(policies: int, ledger: Ledger) -> Savage:
    return Savage(Duels(policies, ledger, uniform.pair))  # it brings its own rule


def radius(n: float, policies: int, delta: float) -> float:
    """c(n)."""
    pairs = policies * (policies - 1) / 2
    return sqrt((log(pi**2 * pairs * n**2 / 3) - log(delta)) / (2 * n))
