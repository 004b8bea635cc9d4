"""Evidence: what a run of win shares proves about a mean, at every moment and whoever peeks.

An e-value is a non-negative number whose mean under the null hypothesis is at most 1; a running
product of them stays below 1/alpha for ever with chance at least 1 - alpha (Ville 1939).

    bet       1 + (h-m)(h-y) / (h(1-h))       null E[y] >= h; m <= h foretells y in [0, 1]
    mixture   2 B(s+1, l+1) I_½(s+1, l+1) 2^(s+l)    counts only: s won, l lost, null E[y] >= 1/2
    hedge     Σ_i w_i e_i                     an average of e-values is an e-value
    by_counts Π_k (1 - c + c mixture_k)       null: loses to none of its rivals k

For y in {0, 1} the bet is the likelihood ratio of f against h; for graded y it is its chord, so
the mean under the null is still at most 1. Everything here is a logarithm.
Sources: Ville 1939; Robbins 1970; Waudby-Smith & Ramdas 2024, arXiv 2010.09686.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, inf, lgamma, log, log1p

import numpy as np

from bestpolicy.core.nouns import Array, Interval

MOST_STAKED = 0.99  # of the capital
STAKES = np.geomspace(0.004, 0.99, 16)  # parts of the capital, for a mixture over stakes


def bet(y: float, f: float, h: float = 0.5, ties: float = 0.0) -> float:
    """Log wealth of one bet that the mean of y is below h; nothing is staked when that is not
    foretold. f foretells y where it is decided, and `ties` how often it is 1/2.

    The stake is (h - m) over the variance around h, m = (1-t) f + t/2: h(1-h) without ties, and
    less with them, so that more is staked. It never exceeds what y = 1 could cost.
    """
    if not ties:
        return log1p((h - f) * (h - y) / (h * (1 - h))) if f < h else 0.0
    m = (1 - ties) * f + ties / 2
    if m >= h:
        return 0.0
    spread = (1 - ties) * h * (1 - h) + ties * (h - 0.5) ** 2
    return log1p(min((h - m) / spread, MOST_STAKED / (1 - h)) * (h - y))


def mixture(s: float, losses: float) -> float:
    """Log e-value that the mean share is below 1/2, from totals alone, in any order of reading.

    The mixture of all bets with a flat prior on f in (0, 1/2).
    """
    a, b = s + 1, losses + 1
    return log(2) * (s + losses + 1) + log_beta(a, b) + log_half(a, b)


def by_counts(won: Array, lost: Array) -> float:
    """Log e-value against "this policy loses to nobody", from its totals against each rival.

    Π_k (1 - c + c e^mixture_k), c = 1 / rivals: anybody can redo it from the table of wins, in any
    order. It is the second opinion beside the bets, which need the order of the answers.
    """
    c = 1 / len(won)
    pairs = zip(won.tolist(), lost.tolist(), strict=True)
    return sum(
        hedge([0.0, mixture(s, n)], [1 - c, c]) if c < 1 else mixture(s, n) for s, n in pairs
    )


def hedge(log_e: Sequence[float], weights: Sequence[float]) -> float:
    """Log of the weighted average of e-values; the weights are positive and sum to 1."""
    top = max(log_e)
    return top + log(sum(w * exp(e - top) for w, e in zip(weights, log_e, strict=True)))


def share_interval(s: float, losses: float, alpha: float = 0.05) -> Interval:
    """A confidence sequence for a mean share: it covers at every n at once with chance 1 - alpha.

    {p : B(s+1, l+1) / (p^s (1-p)^l) < 1/alpha}, the flat two-sided mixture turned inside out.
    """
    n = s + losses
    if n == 0:
        return Interval(0.5, 0.0, 1.0)
    peak = s / n
    level = log_beta(s + 1, losses + 1) + log(alpha)

    def inside(p: float) -> bool:
        return _times_log(s, p) + _times_log(losses, 1 - p) > level

    return Interval(peak, edge(inside, peak, 0.0), edge(inside, peak, 1.0))


def tied_interval(won: float, lost: float, even: float, alpha: float) -> Interval:
    """The same where `even` of the answers said 1/2, which makes it narrower.

    {m : (flat mixture + (1/2G) Σ_λ Π (1 + λ (y - m))) / 2 < 1/alpha}, λ of both signs up to what
    ruin allows. An answer between 0, 1/2 and 1 counts as parts of its neighbours, whose wealth is
    never more than its own.
    `won` and `lost` are sums of shares, `even` the sum of 1 - |2y - 1|.
    """
    n = won + lost
    if n == 0:
        return Interval(0.5, 0.0, 1.0)
    wins, losses, peak = won - even / 2, lost - even / 2, won / n
    flat, bar = log_beta(won + 1, lost + 1), log(2) - log(alpha)

    def inside(m: float) -> bool:
        up, down = STAKES / m if m > 0 else STAKES, -STAKES / (1 - m) if m < 1 else -STAKES
        stakes = np.concatenate([up, down])
        wealth = (
            wins * np.log1p(stakes * (1 - m))
            + even * np.log1p(stakes * (0.5 - m))
            + losses * np.log1p(-stakes * m)
        )
        top = float(wealth.max())
        staked = top + log(float(np.mean(np.exp(wealth - top))))
        mixed = flat - _times_log(won, m) - _times_log(lost, 1 - m)
        return max(staked, mixed) + log1p(exp(-abs(staked - mixed))) < bar

    return Interval(peak, edge(inside, peak, 0.0), edge(inside, peak, 1.0))


def log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_half(a: float, b: float) -> float:
    """Log of the regularised incomplete beta function at 1/2, safe where the plain one underflows.

    Lentz's continued fraction (DLMF 8.17.22) on the side where it converges fast.
    """
    if a < b:  # the mass lies below 1/2: the complement is the small number
        return log1p(-exp(min(log_half(b, a), -1e-17)))
    c, d = 1.0, 1.0 / _away(1 - (a + b) * 0.5 / (a + 1))
    value = d
    for m in range(1, 100_000):
        for term in (
            m * (b - m) * 0.5 / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * 0.5 / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return -(a + b) * log(2) - log(a) - log_beta(a, b) + log(value)


def _away(x: float) -> float:
    return x if abs(x) > 1e-300 else 1e-300


def _times_log(n: float, p: float) -> float:
    return 0.0 if n == 0 else (n * log(p) if p > 0 else -inf)


def edge(inside: Callable[[float], bool], good: float, bad: float, *, halvings: int = 60) -> float:
    """The last point inside on the way from `good` to `bad`, rounded outwards."""
    if inside(bad):
        return bad
    for _ in range(halvings):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if inside(middle) else (good, middle)
    return bad
