"""LLM-PO: find the leader, then refute every rival where it is weakest.

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

Told a structure, r and v are its strengths and their joint spread, and half of the questions go to
the rival that is soonest done while another one, all but tied, may never be. Trusted, it may prove
too: then the pair that tells most about the least refuted rival is asked, as one step of Frank and
Wolfe on the design problem, unless bets would be done sooner (core/likelihood.py).
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
from bestpolicy.core.forecast import EDGE, RATED, RIVAL, RIVAL_OF_ALL, SHRINK, STRUCTURED, weigh
from bestpolicy.core.likelihood import best_pair
from bestpolicy.core.logistic import worth
from bestpolicy.core.nouns import Array, Rng

BOLD = 1.3  # how far challengers are drawn from their rating, in sd
BONUS = 0.2  # head start of the leader as opponent
FADE = 60.0  # comparisons of j until it halves, while few have left
ANY_PAIR = 0.04  # share of questions about any pair at all, while the structure is trusted
OVERSHOOT = 1.0  # nats that a bar is passed by and a forecast is off
HOPELESS = 20.0  # part of the evidence needed that a rival must have reached to be aimed at
STALLED, LONG = 1.0, 100  # a rival takes that many times more, after so many of its own
SLOWER = 2.0  # while bets are made the likelihood grows that much slower than so far
WARY = 1.5  # the cost by likelihood is taken for that many times what is reckoned
WIDE = 8.0  # no forecaster's draw is wider than that of so many comparisons


def design(policies: int, ledger: Ledger) -> Duels:
    return Duels(policies, ledger, pair)


def pair(state: DuelState, ledger: Ledger, rng: Rng) -> tuple[int, int]:
    if state.trusts and (chosen := trusting(state, ledger, rng)) is not None:
        return chosen
    leader, open_rivals = contest(state, rng)
    b = state.beliefs
    draw = b.drawn_rating(rng, BOLD)
    challenger = int(np.where(open_rivals, draw, -inf).argmax())
    if b.strengths is not None and rng.random() < 0.5:
        challenger = kept_waiting(state, ledger, leader, open_rivals, challenger, rng)
    if not state.trusts and (not ledger.assume_winner or ledger.indifference > 0):
        return leader, challenger
    return weakest_spot(state, challenger, leader, rng), challenger


def contest(state: DuelState, rng: Rng) -> tuple[int, NDArray[np.bool_]]:
    """The leader, and which rivals are still to be refuted against it."""
    c = state.certificate
    score = scores(state.beliefs, c, state.alive)
    if state.trusts:
        leader = first(score, rng)
        rivals = state.alive.copy()
        rivals[leader] = False
        return leader, rivals
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


def kept_waiting(
    state: DuelState,
    ledger: Ledger,
    leader: int,
    rivals: NDArray[np.bool_],
    drawn: int,
    rng: Rng,
) -> int:
    """The rival that is refuted soonest, where another one may never be; else the one drawn.

    What a structure says of everybody leaves no doubt about those that are far behind, so nobody
    would ask about them while one that ties with the leader is in the way.
    """
    c, b = state.certificate, state.beliefs
    if state.trusts and state.likelihood is not None:
        need = state.likelihood.bets_bar(ledger.delta) - c.evidence
    else:
        need = ledger.win - c.proof[leader] if c.proof else ledger.drop - c.evidence
    rating = b.best_rating()
    cost = np.where(rivals, np.maximum(need, 0.1) / worth(rating[leader] - rating), inf)
    hardest = int(np.where(rivals, cost, -inf).argmax())
    stalled = cost[hardest] >= STALLED * state.told and b.played[hardest] >= LONG
    return first(cost, rng) if stalled else drawn


def trusting(state: DuelState, ledger: Ledger, rng: Rng) -> tuple[int, int] | None:
    """Any pair now and then, to see a misfit; else the pair that tells most about the least
    refuted rival, where the likelihood will be done before the bets; else none of its own."""
    b, known = state.beliefs, state.likelihood
    if known is None or b.strengths is None or rng.random() < ANY_PAIR:
        i, j = rng.choice(state.policies, 2, replace=False)
        return int(i), int(j)
    if known.pace == inf or known.near is None:
        return None
    still = state.alive[known.near.rivals]
    if not still.any():
        return None
    rivals, distance = known.near.rivals[still], np.maximum(known.near.distance[still], 1e-3)
    best = np.where(state.alive, b.strengths.rating, -inf).max()
    speed = worth(best - b.strengths.rating[rivals])
    bar = known.bets_bar(ledger.delta) + OVERSHOOT
    by_bets = np.maximum(bar - np.maximum(state.certificate.evidence[rivals], 0), 0) / speed
    need = known.bar(ledger.delta) + OVERSHOOT + known.regret
    # While the bets are made the likelihood grows too, and takes care of those that are far.
    alone = SLOWER * state.told * (need / distance - 1)
    order = np.argsort(-alone)
    together = np.maximum(np.append(0, by_bets[order].cumsum()), np.append(alone[order], 0)).min()
    if known.pace * max(need - float(distance.min()), 0) * WARY > together:
        return None
    # A rival that ties with the leader is never refuted: the others must not wait for that, and
    # those go first that are soonest done.
    aim = int(distance.argmin())
    least = min(need / HOPELESS, float(distance.max()))
    if distance[aim] < least and rng.random() < 0.5:
        hoped = np.where(distance >= least, distance, inf)
        aim = int(distance.argmax() if state.told >= LONG * STALLED else hoped.argmin())
    return best_pair(b.strengths, known.near.towards[still][aim], b.strengths.cov)


def weakest_spot(state: DuelState, j: int, leader: int, rng: Rng) -> int:
    """Thompson's draw of whom j loses to hardest: first of a forecaster, then of the shares."""
    b = state.beliefs
    believed = drawn(weigh(b, j, j), rng)
    m = max(SHRINK[believed], WIDE)
    centre: Array | float = 0.5
    if believed in STRUCTURED and b.strengths is not None:
        centre = np.minimum(np.maximum(b.strengths.chances(j), EDGE), 1 - EDGE)
    elif believed in RATED:
        q = 1 / (1 + np.exp(b.rating - b.rating.item(j)))
        centre = np.minimum(np.maximum(q, EDGE), 1 - EDGE)
    elif believed == RIVAL_OF_ALL:
        centre = 1 - (RIVAL / 2 + b.shares) / (RIVAL + b.decided)
    won, lost, even = state.record[j]
    share = rng.beta(m * centre + won - even / 2, m * (1 - centre) + lost - even / 2)
    left = np.count_nonzero(state.alive) / state.policies
    # Fewer survivors, fewer reasons to look for another opponent.
    share[leader] -= BONUS * max(FADE / (FADE + b.played.item(j)), 1 - left)
    share[j] = inf
    return int(share.argmin())


def drawn(weights: list[float], rng: Rng) -> int:
    """An index with the chance that its weight says."""
    below = list(accumulate(weights))
    return bisect(below, rng.random() * below[-1], hi=len(below) - 1)
