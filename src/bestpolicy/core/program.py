"""Where to ask when shares are structured: the max-min program of the data requirement.

Policies have p_ab = μ(θ·z_ab), z_ab = x_a - x_b; shares w of pairs tell rival j from the best i* by

    D_j(w) = min over λ with λ·u_j <= 0 of Σ w_ab kl(p_ab, μ(λ·z_ab)),   u_j = x_{i*} - x_j

and the best w is argmax min_j D_j(w) (worlds/bound.py proves its value). That w is not unique and
jumps with θ, so the program that is solved is neither:

    F(w) = -γ log Σ_j exp(-D_j(w)/γ) + η H(w),  H the entropy of w

by Newton's method in log w. At most γ log(K-1) + η log(K(K-1)/2) of the value is lost.
`weakest` finds every D_j at once, each between two bounds: its value at a λ_j that may be used is
no less; and shares q with Σ w (q - p) z = -ν u_j, ν >= 0, give D_j(w) >= Σ w (h(q) - h(p)), h the
entropy of a coin (the Lagrangian dual). A Newton step from λ_j's shares lands on such q exactly.
Derived in this project.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np

from bestpolicy.core.logistic import entropy, mu
from bestpolicy.core.nouns import Array

START, FALL = 0.3, 0.4  # η in units of the first value, then smaller and smaller
STEPS = 20  # of Newton's method per stage; two to six are usual
AT_ONCE, SETTLED = 3, 0.05  # steps of a plan, and a relative change that it need not follow


class Game(NamedTuple):
    """What is fixed: P pairs, J rivals, r coordinates."""

    z: Array  # (P, r)
    p: Array  # (P,) μ(θ·z), or observed shares
    h: Array  # (P,) entropy of p
    u: Array  # (J, r)

    def cost(self, lam: Array) -> Array:
        """kl(p, μ(t)) = A(t) - p t - h(p), A(t) = log(1 + e^t), of t = λ·z; never inf."""
        t = lam @ self.z.T
        return np.logaddexp(0, t) - self.p * t - self.h


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


def regularised_shares(
    x: Array, theta: Array, *, gamma: float, eta: float, settled: float = 1e-8
) -> Array:
    """The one w, (K, K) with a < b, that maximises F; it moves continuously with θ.

    Stops when Newton's step would change no share by more than `settled`, relatively.
    """
    x, theta = np.asarray(x, float), np.asarray(theta, float)
    game, basis, _ = game_of(x, theta)
    if tied(game, basis.T @ theta):
        return even(len(x))
    point, scale = begin(game, basis.T @ theta)
    # Far above the program's own γ and η, Newton's method converges from anywhere.
    above = max(1.0, START * scale / min(gamma, eta))
    while True:
        point = rated(game, point.log_w, point.reply.lam, above * gamma, above * eta)
        for _ in range(STEPS if above > 1 else 3 * STEPS):
            point, moved = newton(game, point, above * gamma, above * eta)
            if moved <= (0.1 if above > 1 else settled):
                break
        if above == 1:
            return square(point.log_w, len(x))
        above = max(1.0, above * FALL)


def planned_shares(x: Array, theta: Array, part: float, near: Array) -> Array:
    """The same with γ = η = `part` of what even shares are worth, from `near`, a w of before.

    Even shares are worth several times less than the best, so a third costs a few hundredths.
    A few steps only: F never falls, and the next plan goes on from where this one ends.
    """
    game, basis, _ = game_of(x, theta)
    theta = basis.T @ theta
    if tied(game, theta):
        return even(len(x))
    z, p, _, u = game
    _, scale = brought_level(z, p * (1 - p) / len(p), u, theta)
    gamma = part * scale
    log_w = np.log(np.maximum(near[np.triu_indices(len(x), 1)], 1e-12))
    lam, _ = brought_level(z, np.exp(log_w) * p * (1 - p), u, theta)
    try:
        point = rated(game, log_w, lam, gamma, gamma)
        for _ in range(AT_ONCE):
            point, moved = newton(game, point, gamma, gamma)
            if moved <= SETTLED:
                break
    except np.linalg.LinAlgError:  # θ beyond what numbers can hold: the plan of before will do
        return near
    w = square(point.log_w, len(x))
    return w if np.isfinite(w).all() else near


def weakest(game: Game, w: Array, lam: Array) -> Reply:
    """D_j(w) for every rival by damped Newton steps along λ·u_j = 0, all rivals at once."""
    z, p, h, u = game
    D, polished = game.cost(lam) @ w, False
    for _ in range(60):
        t = lam @ z.T
        q = mu(t)
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
        floor = np.where(valid, (entropy(np.clip(shares, 0, 1)) - h) @ w, 0.0)
        if polished:
            break
        # Newton's method squares the error: from here one full step is exact up to rounding.
        size, decrement = np.ones(len(lam)), -(slope * step).sum(axis=1)
        to_gain = decrement > 1e-10 * D + 1e-15 * (1 + np.abs(t)) @ w  # else rounding decides
        polished = bool(np.all((D - floor <= 1e-9 * D) | ~to_gain))
        for _ in range(40):
            tried = lam + size[:, None] * step
            there = game.cost(tried) @ w
            worse = (there > D - 0.1 * size * decrement) & to_gain
            if polished or not worse.any():
                break
            size = np.where(worse, size / 2, size)
        lam, D = tried, there
    return Reply(lam, q, D, floor, V, b)


def newton(game: Game, point: Point, gamma: float, eta: float) -> tuple[Point, float]:
    """One step up F, and the largest relative change of a share that it asked for.

    -∇²F = η diag(1/w) + L L', and with s = √w, dw = s e:  (η I + s L L' s) e = s (∇F - mean).
    """
    z, p, _, u = game
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
    e, c = _solved(s[:, None] * L[felt], eta, np.stack([s * rise[felt], s], axis=1)).T
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
        there = rated(game, log_w, reply.lam, gamma, eta)
        if point.F + 0.1 * size * gain <= there.F + 1e-13 * abs(there.F):
            return there, float(np.abs(step).max())
        size /= 2
    return point, 0.0  # nothing higher within reach of rounding


def _solved(A: Array, eta: float, right: Array) -> Array:
    """(η I + A A')^-1 right, by way of the narrower side of A (Woodbury)."""
    rows, columns = A.shape
    if 2 * columns > rows:
        return np.asarray(np.linalg.solve(A @ A.T + eta * np.eye(rows), right))
    small = np.linalg.solve(A.T @ A + eta * np.eye(columns), A.T @ right)
    return np.asarray((right - A @ small) / eta)


def rated(game: Game, log_w: Array, lam: Array, gamma: float, eta: float) -> Point:
    w = np.exp(log_w)
    with np.errstate(all="ignore"):  # a w too far out has no value, and is turned down
        reply = weakest(game, w, lam)
        cost = game.cost(reply.lam)
    D = cost @ w
    soft = np.exp(-(D - D.min()) / gamma)
    F = D.min() - gamma * np.log(soft.sum()) - eta * (w @ log_w)
    return Point(log_w, reply, soft / soft.sum(), cost, float(F))


def game_of(x: Array, theta: Array) -> tuple[Game, Array, int]:
    """The game in coordinates that x spans: only differences count, and V must be invertible."""
    basis = spanned(x)
    a, b = np.triu_indices(len(x), 1)
    best = int((x @ theta).argmax())
    s = (x[a] - x[b]) @ theta
    p = mu(s)
    u = (x[best] - np.delete(x, best, axis=0)) @ basis
    return Game((x[a] - x[b]) @ basis, p, np.logaddexp(0, s) - p * s, u), basis, best


def spanned(x: Array) -> Array:
    """(d, r) an orthonormal basis of the differences of x."""
    _, size, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return np.asarray(axes[size > 1e-10 * size[0]].T)


def begin(game: Game, theta: Array) -> tuple[Point, float]:
    """Even shares, each λ_j from the quadratic form of D_j; and the value there."""
    z, p, h, u = game
    lam, _ = brought_level(z, p * (1 - p), u, theta)
    log_w = np.full(len(p), -np.log(len(p)))
    point = rated(game, log_w, lam, 1.0, 1e-3 * (log(2) - float(h.mean())))
    return point, float(point.reply.D.min())


def brought_level(z: Array, weight: Array, u: Array, theta: Array) -> tuple[Array, float]:
    """Each λ_j, and the least value, of (θ·u)² / (2 u'V^-1 u), V = Σ weight z z'."""
    V = (z.T * weight) @ z
    b = np.linalg.solve(V + 1e-14 * np.trace(V) * np.eye(len(V)), u.T).T
    reach, gap = (u * b).sum(axis=1), u @ theta
    return theta - b * (gap / reach)[:, None], float((gap**2 / reach).min() / 2)


def tied(game: Game, theta: Array) -> bool:
    return bool((game.u @ theta).min() <= 1e-12)


def even(k: int) -> Array:
    return np.triu(np.full((k, k), 2 / (k * (k - 1))), 1)


def square(log_w: Array, k: int) -> Array:
    w = np.zeros((k, k))
    w[np.triu_indices(k, 1)] = np.exp(log_w)
    return w
