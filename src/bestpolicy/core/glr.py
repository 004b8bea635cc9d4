"""The generalised likelihood ratio of a structured model: the customary stop, which proves nothing.

    Z = min over rivals j of  max_λ log L(λ) - max {log L(λ) : λ·u_j <= 0},   u_j = x_i* - x_j,

i* the best at the maximum; the custom stops when Z >= log((1 + log t) / delta). With n and p̂ the
comparisons and shares of each pair, log L(θ) - log L(λ) = Σ n kl(p̂, μ(λ·z)) - Σ n kl(p̂, μ(θ·z)),
so Z is what core/program.py calls D_j, with n for w and p̂ for p. It is taken from below: any θ
will do for the maximum, and the dual bounds the other term, also where answers are separable.
Source: Garivier and Kaufmann 2016, "Optimal best arm identification with fixed confidence".
"""

from __future__ import annotations

from math import log

import numpy as np

from bestpolicy.core.likelihood import Seen, refitted
from bestpolicy.core.logistic import entropy, mu
from bestpolicy.core.program import Game, brought_level, spanned, weakest
from bestpolicy.core.strengths import Strengths

FLAT = 1e4  # prior standard deviation that says next to nothing


def glr(strengths: Strengths, seen: Seen) -> tuple[float, int]:
    """Z, never above the exact one, and i*."""
    fit = refitted(strengths, seen, FLAT)
    best = int(fit.rating.argmax())
    x = np.eye(len(fit.rating)) if fit.x is None else fit.x
    basis = spanned(x)
    z = seen.z @ basis
    if len(z) < z.shape[1] or np.linalg.matrix_rank(z) < z.shape[1]:
        return 0.0, best  # some rival can move freely
    if min(np.abs(fit.rating[best] - np.delete(fit.rating, best))) <= 1e-12:
        return 0.0, best  # a tie at the top
    theta, u = basis.T @ fit.mean, (x[best] - np.delete(x, best, axis=0)) @ basis
    share, q = seen.won / seen.n, mu(z @ theta)
    game = Game(z, share, entropy(share), u)
    with np.errstate(all="ignore"):  # where nothing is found, nothing is said
        lam, _ = brought_level(z, seen.n * q * (1 - q), u, theta)
        Z = weakest(game, seen.n, lam).floor - float(game.cost(theta) @ seen.n)
    return max(0.0, float(np.nan_to_num(Z, nan=0.0).min())), best


def bar(told: int, delta: float) -> float:
    """The customary bar for Z, which no theorem covers."""
    return log((1 + log(max(told, 1))) / delta)
