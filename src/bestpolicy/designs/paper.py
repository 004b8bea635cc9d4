"""Track the optimal proportions: our reading of the procedure that LLM-PO's abstract describes.

    d_jk = kl(p̂_jk, 1/2) if p̂_jk < 1/2 else 0,   b(j) = argmax_k d_jk,   w_j ∝ 1 / d_j,b(j)
    Z_j = Σ_k n_jk d_jk,   leader = argmin_j Z_j

Every pair once; a pair with fewer than sqrt(t) - K(K-1)/4 comparisons next; then a rival that the
answers do not yet show beaten, against its b; else the rival that lags its share t w_j most. When
a winner has to be verified, every b(j) is the leader.
The verdict is the certificate's. `glr` is the stop of this literature, log((1 + log t) / delta):
a habit, not a proof, and shown for comparison only.
Source: Hu, Gao, Hu & Zhou, arXiv 2604.08779, as far as its abstract tells; D-tracking after
Garivier and Kaufmann 2016, "Optimal best arm identification with fixed confidence".
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from scipy.special import xlogy

from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import Duels, DuelState, first
from bestpolicy.core.nouns import Array, Rng


def design(policies: int, ledger: Ledger) -> Duels:
    return Duels(policies, ledger, pair)


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


def glr(state: DuelState) -> float:
    """Z of the runner-up: how much less likely the answers would be if anyone else were best."""
    n, share = _counts_and_shares(state)
    return float(np.sort((n * defeats(share)).sum(axis=1))[1])


def glr_bar(told: int, delta: float) -> float:
    """The customary bar for `glr`, which no theorem covers."""
    return log((1 + log(max(told, 1))) / delta)


def defeats(share: Array) -> Array:
    """d_jk = kl(share_jk, 1/2) where j seems to lose to k, else 0."""
    kl = log(2) + xlogy(share, share) + xlogy(1 - share, 1 - share)
    return np.asarray(np.where(share < 0.5, kl, 0.0))


def _counts_and_shares(state: DuelState) -> tuple[Array, Array]:
    wins = state.wins()
    n = wins + wins.T
    return n, np.divide(wins, n, out=np.full_like(wins, 0.5), where=n > 0)
