"""LLM-PO without structure: find the leader, then refute every rival where it is weakest.

Any delta-correct rule needs T* kl(delta, 1-delta) comparisons, T* = Σ_{j≠i*} 1 / d_{j,b(j)}:
test every losing policy against the policy b(j) that beats it hardest, with effort inversely
proportional to how decisive that defeat is (and all against the winner, when it must also be
proven that a winner exists). Elimination enforces these shares by itself: policy j uses up about
log(1/delta) / d_j and leaves. The rule only has to find the leader and the opponents.

    leader      i = argmin over survivors of max(log E_j, 0) - r_j
    challenger  j = argmax of r_j + 1.3 sqrt(v_j) N(0, 1)      over the rivals still to be refuted
    opponent    argmin_k of Beta(m c_jk + W_jk, m c_kj + W_kj), the leader's draw less a bonus

r, v: rating and its variance; W: wins; (c, m): what a forecaster that is itself drawn by its
weight holds of j against k (core/forecast.py): where strengths foretell j well the leader is
asked, where they do not all others are tried. When a winner has to be verified the opponent is
the leader. Forecasts steer and never enter the proof.
Source: after Hu, Gao, Hu & Zhou, arXiv 2604.08779, as far as its abstract tells; the formulas and
the rule are our own derivation.
"""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from math import inf

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import Duels, DuelState, first, scores
from bestpolicy.core.forecast import EDGE, RIVAL, RIVAL_OF_ALL, SHRINK, STRENGTHS, weigh
from bestpolicy.core.nouns import Array, Rng

BOLD = 1.3  # how far challengers are drawn from their rating, in sd
BONUS = 0.2  # head start of the leader as opponent
FADE = 60.0  # comparisons of j until it halves, while few have left
WIDE = 8.0  # no forecaster's draw is wider than that of so many comparisons


def design(policies: int, ledger: Ledger) -> Duels:
    return Duels(policies, ledger, pair)


def pair(state: DuelState, ledger: Ledger, rng: Rng) -> tuple[int, int]:
    leader, open_rivals = contest(state, rng)
    b = state.beliefs
    draw = b.rating + BOLD * np.sqrt(b.spread) * rng.standard_normal(state.policies)
    challenger = int(np.where(open_rivals, draw, -inf).argmax())
    if not ledger.assume_winner or ledger.indifference > 0:
        return leader, challenger
    return weakest_spot(state, challenger, leader, rng), challenger


def contest(state: DuelState, rng: Rng) -> tuple[int, NDArray[np.bool_]]:
    """The leader, and which rivals are still to be refuted against it."""
    c = state.certificate
    score = scores(state.beliefs, c)
    if c.close:  # whoever is proven close to all needs no more: the next survivor takes the lead
        score = np.where(c.close_to_all, inf, score)
    leader = first(score, rng)
    if c.close:
        rivals = c.close[leader] < inf
        rivals[leader] = False
        if not c.proof and (rivals & c.alive).any():  # a drop may still decide
            rivals &= c.alive
    elif c.proof:
        rivals = c.proof[leader] < inf
    else:
        rivals = c.alive.copy()
    rivals[leader] = False
    return leader, rivals


def weakest_spot(state: DuelState, j: int, leader: int, rng: Rng) -> int:
    """Thompson's draw of whom j loses to hardest: first of a forecaster, then of the shares."""
    b = state.beliefs
    believed = drawn(weigh(b, j, j), rng)
    m = max(SHRINK[believed], WIDE)
    centre: Array | float = 0.5
    if believed in STRENGTHS:
        q = 1 / (1 + np.exp(b.rating - b.rating.item(j)))
        centre = np.minimum(np.maximum(q, EDGE), 1 - EDGE)
    elif believed == RIVAL_OF_ALL:
        centre = 1 - (RIVAL / 2 + b.shares) / (RIVAL + b.played)
    won, lost = state.record[j]
    share = rng.beta(m * centre + won, m * (1 - centre) + lost)
    left = np.count_nonzero(state.certificate.alive) / state.policies
    # Fewer survivors, fewer reasons to look for another opponent.
    share[leader] -= BONUS * max(FADE / (FADE + b.played.item(j)), 1 - left)
    share[j] = inf
    return int(share.argmin())


def drawn(weights: list[float], rng: Rng) -> int:
    """An index with the chance that its weight says."""
    below = list(accumulate(weights))
    return bisect(below, rng.random() * below[-1], hi=len(below) - 1)
