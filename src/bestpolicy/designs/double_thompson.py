"""Double Thompson sampling: one draw picks the champion, a second draw its challenger.

    θ_ij ~ Beta(W_ij + 1, W_ji + 1),  θ_ji = 1 - θ_ij
    champion     argmax of #{j : θ_ij > 1/2} among those with the largest #{j : u_ij > 1/2}
    challenger   argmax of a fresh θ_j,champion among those with l_j,champion <= 1/2

u and l are the bounds W_ij / n_ij ± sqrt(α log t / n_ij). Ours differs in one place: a champion is
never compared with itself, which would tell us nothing.
Source: Wu and Liu 2016, "Double Thompson sampling for dueling bandits", algorithm 1; α = 0.51 as
in its experiments. Stopped by the certificate.
"""

from __future__ import annotations

from math import log

import numpy as np

from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import Duels, DuelState, first
from bestpolicy.core.nouns import Rng

ALPHA = 0.51


def design(policies: int, ledger: Ledger) -> Duels:
    return Duels(policies, ledger, pair)


def pair(state: DuelState, ledger: Ledger, rng: Rng) -> tuple[int, int]:  # noqa: ARG001
    wins = state.wins()
    n = wins + wins.T
    seen = n > 0
    share = np.divide(wins, n, out=np.full_like(wins, 0.5), where=seen)
    width = np.divide(ALPHA * log(max(state.told, 1)), n, out=np.full_like(n, np.inf), where=seen)
    width = np.sqrt(width)

    may_beat = share + width > 0.5
    np.fill_diagonal(may_beat, False)
    copeland = may_beat.sum(axis=1)
    theta = np.triu(rng.beta(wins + 1, wins.T + 1), 1)
    beats = np.triu(theta > 0.5, 1) | np.tril(theta.T < 0.5, -1)
    drawn = np.where(copeland == copeland.max(), beats.sum(axis=1), -1)
    champion = first(-drawn, rng)

    against = rng.beta(wins[:, champion] + 1, wins[champion] + 1)
    # Nobody may be left: then whoever was surest to lose is as good as any.
    plausible = (share - width)[:, champion] <= 0.5
    against = np.where(plausible, -against, -against + 1)
    against[champion] = np.inf
    return champion, first(against, rng)
