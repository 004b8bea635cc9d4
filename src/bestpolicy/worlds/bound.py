"""The data requirement of a structured truth, p_ab = μ(θ·z_ab) with z_ab = x_a - x_b, certified.

A rule that assumes a winner i* and knows x, but not θ, needs E[comparisons] >= T* kl(δ, 1 - δ):

    1/T*   = max over shares w of min over rivals j of D_j(w)
    D_j(w) = min over λ with λ·u_j <= 0 of Σ w_ab kl(p_ab, μ(λ·z_ab)),   u_j = x_{i*} - x_j

Bradley-Terry is x = identity. Both sides are proven, up to rounding, by what is handed back.
T* <= high: the Lagrangian dual bounds every D_j(w) from below (core/program.py).
T* >= low: any mixture α of rivals, with any feasible λ_j, is a dual point of the linear program
over w whose cuts are D_j(w) <= Σ w kl(p, μ(λ_j·z)), so 1/T* <= max_ab Σ_j α_j kl(p, μ(λ_j·z)).

w is reached through the regularised program of core/program.py while its γ = η falls.
Derived in this project; the lower bound is that of Garivier and Kaufmann 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from scipy.optimize import linprog

from bestpolicy.core.nouns import Array
from bestpolicy.core.program import (
    FALL,
    START,
    STEPS,
    Game,
    Point,
    begin,
    game_of,
    newton,
    rated,
    square,
    tied,
)

STAGES = 16  # of falling η
MEMORY = 8  # points whose cuts the linear program mixes


@dataclass(frozen=True, eq=False)
class Bound:
    """T* lies in [low, high]; `high` is what the shares `w` need."""

    low: float
    high: float
    w: Array  # (K, K) w[a, b], a < b, the share of comparing a with b; they sum to one
    mixture: Array  # (K,) α, how much each rival holds the value down; 0 at the winner
    nearest: Array  # (K, d) λ_j, the closest truth in which rival j is no worse than the winner

    @property
    def value(self) -> float:
        """The middle of the two."""
        return (self.low + self.high) / 2 if self.high < inf else inf

    @property
    def gap(self) -> float:
        """How far apart the two are, relative to the lower one."""
        return self.high / self.low - 1 if self.high < inf else 0.0


def structured_t_star(x: Array, theta: Array, *, gap: float = 1e-3) -> Bound:
    """T* of p_ab = μ(θ·(x_a - x_b)), climbing until its two ends are a relative `gap` apart.

    Infinite when the best are tied. A rival that is all but tied can leave a wider gap.
    """
    x, theta = np.asarray(x, float), np.asarray(theta, float)
    k = len(x)
    game, basis, best = game_of(x, theta)
    rivals = np.flatnonzero(np.arange(k) != best)
    if tied(game, basis.T @ theta):
        none = np.full((k, k), np.nan)
        return Bound(inf, inf, none, none[0], np.full(x.shape, np.nan))
    point, scale = begin(game, basis.T @ theta)
    floor, ceiling, at_floor = 0.0, inf, point
    alpha, lam = point.alpha, point.reply.lam
    seen: list[Point] = []
    for stage in range(STAGES):
        eta = START * FALL**stage * scale
        point = rated(game, point.log_w, point.reply.lam, eta, eta)
        enough = 2 * eta * np.log(game.z.shape[0] * len(rivals))
        for _ in range(STEPS):
            here, there = float(point.reply.floor.min()), float((point.alpha @ point.cost).max())
            if here > floor:
                floor, at_floor = here, point
            if there < ceiling:
                ceiling, alpha, lam = there, point.alpha, point.reply.lam
            seen = [*seen[1 - MEMORY :], point]
            if there - here <= enough or ceiling <= floor * (1 + gap):
                break
            point, moved = newton(game, point, eta, eta)
            if moved == 0:
                break
        if there - here > enough and ceiling > floor * (1 + gap):
            # A rival is all but tied and the climb zigzags: what it saw proves more together.
            proposed = _mixed(game, seen)
            if (there := float((proposed[0] @ game.cost(proposed[1])).max())) < ceiling:
                ceiling, (alpha, lam) = there, proposed
        if ceiling <= floor * (1 + gap):
            break
    mixture, nearest = np.zeros(k), np.tile(theta, (k, 1))
    mixture[rivals] = alpha
    # What lies outside the span of x is free; 0 there keeps λ·u_j where it is.
    nearest[rivals] = lam @ basis.T
    return Bound(1 / ceiling, 1 / floor, square(at_floor.log_w, k), mixture, nearest)


def _mixed(game: Game, points: Sequence[Point]) -> tuple[Array, Array]:
    """The mixture of all rivals' cuts at these points with the least highest cost of a pair.

    Several λ of one rival become their mean: it is feasible, and kl is convex, so no cost rises.
    """
    J = len(game.u)
    cuts = np.concatenate([point.cost for point in points])
    unit = cuts.max(axis=1).min()
    solved = linprog(
        c=np.append(np.zeros(len(cuts)), 1.0),
        A_ub=np.column_stack([cuts.T / unit, -np.ones(cuts.shape[1])]),
        b_ub=np.zeros(cuts.shape[1]),
        A_eq=np.append(np.ones(len(cuts)), 0.0)[None],
        b_eq=[1.0],
        method="highs",
    )
    if solved.x is None:  # the last softmin is a mixture too
        return points[-1].alpha, points[-1].reply.lam
    share = np.maximum(solved.x[:-1], 0).reshape(len(points), J)
    share = share / share.sum()
    alpha = share.sum(axis=0)
    lam = np.stack([point.reply.lam for point in points])
    mean = (share[:, :, None] * lam).sum(axis=0) / np.maximum(alpha, 1e-300)[:, None]
    return alpha, np.where((alpha > 1e-12)[:, None], mean, lam[-1])
