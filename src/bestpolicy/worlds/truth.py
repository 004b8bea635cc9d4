"""What a preference matrix asks of any rule: the winner, and how many comparisons it must cost.

A rule that is wrong at most delta of the time needs E[comparisons] >= T kl(delta, 1 - delta). With
d_jk = kl(p_jk, 1/2) where p_jk < 1/2, else 0, and b(j) = argmax_k d_jk:

    T*        = Σ_{j ≠ i*} 1 / d_{j,b(j)}   some winner exists, which is it?
    T*_verify = Σ_{j ≠ i*} 1 / d_{j,i*}     is there a winner, and is it i*?
    T*_none   = Σ_j 1 / d_{j,b(j)}          there is none: every policy loses to some policy

A pair has one loser, so it helps to refute one policy only; the max-min over shares of pairs then
separates, and the best share of pair (j, b(j)) is its term of the sum. Derived in this project;
the lower bound is that of Garivier and Kaufmann 2016, "Optimal best arm identification with fixed
confidence".
"""

from __future__ import annotations

from math import inf, log, log1p, nan

import numpy as np
from scipy.special import rel_entr

from bestpolicy.core.nouns import Array


def kl(p: Array | float, q: Array | float) -> Array:
    """The Bernoulli divergence p log(p/q) + (1-p) log((1-p)/(1-q))."""
    p, q = np.asarray(p, float), np.asarray(q, float)
    return np.asarray(rel_entr(p, q) + rel_entr(1 - p, 1 - q))


def winner(p: Array) -> int | None:
    """The policy that beats every other one (Condorcet), or None."""
    beats = (p > 0.5) | np.eye(len(p), dtype=bool)
    winners = np.flatnonzero(beats.all(axis=1))
    return int(winners[0]) if winners.size else None


def gap(p: Array) -> float:
    """By how much the winner beats whom it beats least: min_j p_{i*,j} - 1/2; nan without one."""
    best = winner(p)
    return nan if best is None else float(np.delete(p[best], best).min() - 0.5)


def defeats(p: Array) -> Array:
    """d_jk, the information one comparison gives that j loses to k; 0 where it does not."""
    return np.where(p < 0.5, kl(p, 0.5), 0.0)


def t_star(p: Array) -> float:
    """The data requirement when a winner is known to exist; inf when it has none to find."""
    best = winner(p)
    return inf if best is None else float(np.delete(_one_over(defeats(p).max(axis=1)), best).sum())


def t_star_verify(p: Array) -> float:
    """The data requirement of "i* wins" when there might be no winner; inf without a winner."""
    best = winner(p)
    return inf if best is None else float(np.delete(_one_over(defeats(p)[:, best]), best).sum())


def t_star_none(p: Array) -> float:
    """The data requirement of "nobody wins"; inf when some policy loses to nobody."""
    return float(_one_over(defeats(p).max(axis=1)).sum())


def proportions(p: Array, *, assume_winner: bool = True) -> Array:
    """The optimal shares w, (K, K): w[j, k] belongs to refuting j by k, and all sum to one.

    `assume_winner` chooses T*; without it, T*_verify or T*_none, whichever is true. All are nan
    where the requirement is infinite. Tied opponents could share their weight; the first one gets
    it here.
    """
    best, d = winner(p), defeats(p)
    refuted = np.flatnonzero(np.arange(len(p)) != best)  # everyone, if nobody wins
    if best is None or assume_winner:
        opponents = d[refuted].argmax(axis=1)
    else:
        opponents = np.full(len(refuted), best)
    information = d[refuted, opponents]
    if (best is None and assume_winner) or not information.all():
        return np.full_like(d, np.nan)
    w = np.zeros_like(d)
    w[refuted, opponents] = 1 / information
    return np.asarray(w / w.sum())


def floor(p: Array, delta: float, *, assume_winner: bool) -> float:
    """The fewest comparisons, on average, of any rule that errs at most `delta` of the time."""
    if winner(p) is None:
        requirement = t_star_none(p)
    else:
        requirement = t_star(p) if assume_winner else t_star_verify(p)
    return requirement * divergence(delta)


def divergence(delta: float) -> float:
    """kl(delta, 1 - delta), spelt out: 1 - 1e-64 is 1 in floating point."""
    return (1 - 2 * delta) * (log1p(-delta) - log(delta))


def _one_over(d: Array) -> Array:
    return np.divide(1.0, d, out=np.full_like(d, inf), where=d > 0)
