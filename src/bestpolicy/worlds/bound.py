"""The data requirement of a structured truth, p_ab = μ(θ·z_ab) with z_ab = x_a - x_b, certified.

A rule that assumes a winner i* and knows x, but not θ, needs E[comparisons] >= T* kl(δ, 1 - δ):

    1/T*   = max over shares w of min over rivals j of D_j(w)
    D_j(w) = min over λ with λ·u_j <= 0 of Σ w_ab kl(p_ab, μ(λ·z_ab)),   u_j = x_{i*} - x_j

Bradley-Terry is x = identity. Both sides are proven, up to rounding, by what is handed back.
T* <= high: shares q with Σ w (q - p) z = -ν u_j, ν >= 0, give D_j(w) >= Σ w (h(q) - h(p)), h the
entropy (the Lagrangian dual); a Newton step from the minimiser's shares lands on such q exactly.
T* >= low: any mixture α of rivals, with any feasible λ_j, is a dual point of the linear program
over w whose cuts are D_j(w) <= Σ w kl(p, μ(λ_j·z)), so 1/T* <= max_ab Σ_j α_j kl(p, μ(λ_j·z)).

w itself is not unique and jumps with θ, so it is reached through a program that is neither:

    F(w) = -γ log Σ_j exp(-D_j(w)/γ) + η H(w),  H the entropy of w

solved by Newton's method in log w while γ = η falls. At most γ log(K-1) + η log(K(K-1)/2) is lost.
Derived in this project; the lower bound is that of Garivier and Kaufmann 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.special import entr, expit

from bestpolicy.core.nouns import Array
from bestpolicy.worlds.truth import kl

START, FALL, STAGES = 0.3, 0.4, 16  # η in units of the first value, then smaller and smaller
MEMORY = 8  # points whose cuts the linear program mixes
STEPS = 20  # of Newton's method per stage; two to six are usual


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


class Game(NamedTuple):
    """What is fixed: P pairs, J rivals, r coordinates."""

    z: Array  # (P, r)
    s: Array  # (P,) θ·z
    p: Array  # (P,) μ(s)
    u: Array  # (J, r)

    def cost(self, lam: Array) -> Array:
        """kl(p, μ(t)) = p (s - t) + A(t) - A(s), A(t) = log(1 + e^t), of t = λ·z; never inf."""
        t = lam @ self.z.T
        return self.p * (self.s - t) + np.logaddexp(0, t) - np.logaddexp(0, self.s)


class Reply(NamedTuple):
    """The nearest alternatives to a w, one per rival."""

    lam: Array  # (J, r) λ_j
    q: Array  # (J, P) μ(λ_j·z)
    D: Array  # (J,) at λ_j, so never below the minimum
    floor: Array  # (J,) the dual's value, so never above it
    V: Array  # (J, r, r) Σ w q (1-q) z z'
    b: Array  # (J, r) V^-1 u_j


class Point(NamedTuple):
    """A w with everything that Newton's method needs to know of it."""

    log_w: Array
    reply: Reply
    alpha: Array  # (J,) the softmin's weights
    cost: Array  # (J, P) kl(p, q_j) = ∇D_j
    F: float


def structured_t_star(x: Array, theta: Array, *, gap: float = 1e-3) -> Bound:
    """T* of p_ab = μ(θ·(x_a - x_b)), climbing until its two ends are a relative `gap` apart.

    Infinite when the best are tied. A rival that is all but tied can leave a wider gap.
    """
    x, theta = np.asarray(x, float), np.asarray(theta, float)
    k = len(x)
    game, basis, best = _game(x, theta)
    rivals = np.flatnonzero(np.arange(k) != best)
    if _tied(game, basis.T @ theta):
        none = np.full((k, k), np.nan)
        return Bound(inf, inf, none, none[0], np.full(x.shape, np.nan))
    point, scale = _begin(game, basis.T @ theta)
    floor, ceiling, at_floor = 0.0, inf, point
    alpha, lam = point.alpha, point.reply.lam
    seen: list[Point] = []
    for stage in range(STAGES):
        eta = START * FALL**stage * scale
        point = _rated(game, point.log_w, point.reply.lam, eta, eta)
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
            point, moved = _newton(game, point, eta, eta)
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
    return Bound(1 / ceiling, 1 / floor, _square(at_floor.log_w, k), mixture, nearest)


def regularised_shares(
    x: Array, theta: Array, *, gamma: float, eta: float, settled: float = 1e-8
) -> Array:
    """The one w, (K, K) with a < b, that maximises F; it moves continuously with θ.

    Stops when Newton's step would change no share by more than `settled`, relatively.
    """
    x, theta = np.asarray(x, float), np.asarray(theta, float)
    game, basis, _ = _game(x, theta)
    if _tied(game, basis.T @ theta):
        return np.triu(np.full((len(x), len(x)), 2 / (len(x) * (len(x) - 1))), 1)  # D_j = 0 for it
    point, scale = _begin(game, basis.T @ theta)
    # Far above the program's own γ and η, Newton's method converges from anywhere.
    above = max(1.0, START * scale / min(gamma, eta))
    while True:
        point = _rated(game, point.log_w, point.reply.lam, above * gamma, above * eta)
        for _ in range(STEPS if above > 1 else 3 * STEPS):
            point, moved = _newton(game, point, above * gamma, above * eta)
            if moved <= (0.1 if above > 1 else settled):
                break
        if above == 1:
            return _square(point.log_w, len(x))
        above = max(1.0, above * FALL)


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


def weakest(game: Game, w: Array, lam: Array) -> Reply:
    """D_j(w) for every rival by damped Newton steps along λ·u_j = 0, all rivals at once."""
    z, _, p, u = game
    h, D, polished = _entropy(p), game.cost(lam) @ w, False
    for _ in range(60):
        q = expit(lam @ z.T)
        V = (z.T * (q * (1 - q) * w)[:, None, :]) @ z
        ridge = 1e-14 * np.trace(V, axis1=1, axis2=2) + np.finfo(float).tiny
        V = V + ridge[:, None, None] * np.eye(z.shape[1])
        slope = ((q - p) * w) @ z
        a, b = np.moveaxis(np.linalg.solve(V, np.stack([slope, u], axis=-1)), -1, 0)
        nu = -(u * a).sum(axis=1) / (u * b).sum(axis=1)
        step = -(a + nu[:, None] * b)
        # Σ w (q + q (1-q) z·step - p) z = slope + V step = -ν u: the dual's constraint is met.
        shares = q + q * (1 - q) * (step @ z.T)
        valid = np.all((shares >= 0) & (shares <= 1) | (w == 0), axis=1) & (nu >= 0)
        floor = np.where(valid, (_entropy(np.clip(shares, 0, 1)) - h) @ w, 0.0)
        if polished:
            break
        # Newton's method squares the error: from here one full step is exact up to rounding.
        polished = bool(np.all(D - floor <= 1e-9 * D))
        size, decrement = np.ones(len(lam)), -(slope * step).sum(axis=1)
        for _ in range(40):
            tried = lam + size[:, None] * step
            there = game.cost(tried) @ w
            worse = there > D - 0.1 * size * decrement
            if polished or not worse.any():
                break
            size = np.where(worse, size / 2, size)
        lam, D = tried, there
    return Reply(lam, q, D, floor, V, b)


def _newton(game: Game, point: Point, gamma: float, eta: float) -> tuple[Point, float]:
    """One step up F, and the largest relative change of a share that it asked for.

    -∇²F = η diag(1/w) + L L', and with s = √w, dw = s e:  (η I + s L L' s) e = s (∇F - mean).
    """
    z, _, p, u = game
    w, alpha, reply = np.exp(point.log_w), point.alpha, point.reply
    mean = alpha @ point.cost
    rise = mean - eta * point.log_w
    rise = rise - w @ rise  # a constant changes nothing, and left in it would drown the rest
    some = alpha > 1e-12
    spread = (point.cost[some] - mean) * np.sqrt(alpha[some] / gamma)[:, None]
    # λ_j moves with w: -∇²D_j = R (V^-1 - b b'/(u·b)) R', rows of R being (q - p) z. With V = C C'
    # the bracket is C^-T (1 - y y'/(y·y)) C^-1, y = C^-1 u, and the middle is its own square.
    C = np.linalg.inv(np.linalg.cholesky(reply.V[some]))
    y = C @ u[some][:, :, None]
    middle = np.eye(z.shape[1]) - y * np.swapaxes(y, 1, 2) / (y * y).sum(axis=1, keepdims=True)
    root = np.swapaxes(C, 1, 2) @ middle * np.sqrt(alpha[some])[:, None, None]
    moving = ((reply.q[some] - p)[:, :, None] * z) @ root
    L = np.concatenate([spread.T, *moving], axis=1)
    felt = w > 1e-20  # the rest of the pairs weigh nothing, yet may come back
    s = np.sqrt(w[felt])
    M = (s[:, None] * L[felt]) @ (s[:, None] * L[felt]).T + eta * np.eye(len(s))
    e, c = np.linalg.solve(M, np.stack([s * rise[felt], s], axis=1)).T
    multiplier = (s @ e) / (s @ c)
    step = (rise - multiplier - L @ (L[felt].T @ (s * (e - multiplier * c)))) / eta
    step -= w @ step
    gain, size = float((w * step) @ rise), 1.0
    while size > 1e-6:
        # A pair that weighed next to nothing may come back at once, but not take everything.
        up = np.log1p(np.maximum(size * step, 0))
        back = np.minimum(size * step, log(1e-3 / len(w)) - point.log_w)
        log_w = point.log_w + np.where(step > 0, np.maximum(up, back), size * step)
        log_w -= log_w.max()
        log_w -= np.log(np.exp(log_w).sum())
        there = _rated(game, log_w, reply.lam, gamma, eta)
        if point.F + 0.1 * size * gain <= there.F + 1e-13 * abs(there.F):
            return there, float(np.abs(step).max())
        size /= 2
    return point, 0.0  # nothing higher within reach of rounding


def _rated(game: Game, log_w: Array, lam: Array, gamma: float, eta: float) -> Point:
    w = np.exp(log_w)
    with np.errstate(all="ignore"):  # a w too far out has no value, and is turned down
        reply = weakest(game, w, lam)
        cost = game.cost(reply.lam)
    D = cost @ w
    soft = np.exp(-(D - D.min()) / gamma)
    F = D.min() - gamma * np.log(soft.sum()) - eta * (w @ log_w)
    return Point(log_w, reply, soft / soft.sum(), cost, float(F))


def _game(x: Array, theta: Array) -> tuple[Game, Array, int]:
    """The game in coordinates that x spans: only differences count, and V must be invertible."""
    centred = x - x.mean(axis=0)
    _, size, axes = np.linalg.svd(centred, full_matrices=False)
    basis = axes[size > 1e-10 * size[0]].T
    a, b = np.triu_indices(len(x), 1)
    best = int((x @ theta).argmax())
    z = (x[a] - x[b]) @ basis
    s = (x[a] - x[b]) @ theta
    game = Game(z, s, expit(s), (x[best] - np.delete(x, best, axis=0)) @ basis)
    return game, basis, best


def _begin(game: Game, theta: Array) -> tuple[Point, float]:
    """Even shares, each λ_j from the quadratic form of D_j; and the value there."""
    z, _, p, u = game
    even = np.full(len(z), -np.log(len(z)))
    b = np.linalg.solve((z.T * (p * (1 - p))) @ z, u.T).T
    lam = theta - b * ((u @ theta) / (u * b).sum(axis=1))[:, None]
    point = _rated(game, even, lam, 1.0, 1e-3 * float((kl(p, 0.5)).mean()))
    return point, float(point.reply.D.min())


def _tied(game: Game, theta: Array) -> bool:
    return bool((game.u @ theta).min() <= 1e-12)


def _square(log_w: Array, k: int) -> Array:
    w = np.zeros((k, k))
    w[np.triu_indices(k, 1)] = np.exp(log_w)
    return w


def _entropy(q: Array) -> Array:
    return np.asarray(entr(q) + entr(1 - q))
