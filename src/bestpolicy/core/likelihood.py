"""Likelihood: what the structure proves if it holds, and a test of whether it does.

With L_t(λ) = Π μ(λ·z)^y (1 - μ(λ·z))^(1-y) over the answers so far and f_s(y) a forecast made
before answer s, the running products

    UI_j    Π f_s(y_s) / max {L_t(λ) : λ·(x_i - x_j) <= 0, i in I}    against "j is the best"
    misfit  Π f_s(y_s) / max_λ L_t(λ)                                 against the structure itself

are e-processes: the truth is among the λ of its own null, so the maximum is at least its
likelihood, whatever rule asked; I is any set of policies, taken so that few are above j at the
maximum (a policy that no θ makes the best leaves for next to nothing). UI_j uses the structure's
forecasts, misfit those of everybody.
A rival leaves when w UI_j + (1 - w) E_j >= 1 / (0.95 delta), E_j the bets of core/certificate.py
and w = 1 / (1 + 2 d): each of the d free numbers makes UI_j dearer, and the hardest rivals leave by
bets in any case. The misfit test takes the other 0.05 delta as its level. A wrong winner needs the
best policy to leave, one null, so there is no union over rivals. Valid *if the structure holds*;
when the test says it does not, all of this is withdrawn and the bets alone, at the full delta,
decide.

A maximum is never taken on faith: q with Σ n (y - q) z = Σ κ_i u_i, κ >= 0, bounds it from above by
Σ n (q log q + (1-q) log (1-q)), the Lagrangian dual, also where the data are separable.
Sources: Wasserman, Ramdas & Balakrishnan 2020 (universal inference); Ville 1939.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.logistic import entropy, mu
from bestpolicy.core.nouns import Array
from bestpolicy.core.strengths import PRIOR_SD, Strengths

DEAR = 0.5  # free numbers at which likelihood and bets would weigh the same
MISFIT_SHARE = 0.05  # of delta; what the structure proves gets the rest
CHECKED_EVERY, SELDOM = 0.03, 10  # share of the answers so far, and the least number
MOST_AT_ONCE = 2000  # rivals times (10 + d^2) in one check: no call may take long
PACED_EVERY = 1.15
EXTREMES, STEPS = 12, 40
MOST_STEPS, SWEEPS, MOST_LIMITS = 30, 12, 4

Floats = Array | np.float64


class Seen(NamedTuple):
    z: Array  # (n, d) x_i - x_k of each pair that met
    won: Array  # (n,) shares that i won
    n: Array  # (n,) comparisons


class Nearest(NamedTuple):
    rivals: NDArray[np.intp]  # (J,)
    distance: Array  # (J,) log likelihood lost, in its quadratic form
    limits: Array  # (J, m, d) u with θ·u <= 0 where the rival is the best
    towards: Array  # (J, d) what of θ has to change for it


@dataclass(frozen=True, slots=True)
class Likelihood:
    """What is known under the structure. `told` and `checked` give a new one."""

    said: float  # log product of the structure's own forecasts
    foretold: float  # log product of everybody's forecasts
    out: NDArray[np.bool_]  # (K,) proven, if the structure holds, not to be the best
    trusted: bool  # whether that counts: asked for, and the misfit test has never fired
    weight: float  # w, of the likelihood beside the bets
    next: int  # the answer after which to look again
    misfit: float = 0.0  # log evidence against the structure, at its highest
    regret: float = 0.0  # by how much the forecasts fell short of the best λ found since
    near: Nearest | None = None  # who is still to be refuted, and what that hangs on
    pace: float = inf  # comparisons per nat of evidence against the hardest rival, at best
    paced: int = 0  # the answer after which to reckon the pace again

    @classmethod
    def blank(cls, policies: int, d: int, *, trusted: bool) -> Likelihood:
        out = np.zeros(policies, dtype=np.bool_)
        return cls(0.0, 0.0, out, trusted, DEAR / (DEAR + d), SELDOM)

    def bar(self, delta: float) -> float:
        """What log UI_j must reach where the bets have nothing."""
        return leave_bar(delta) - log(self.weight)

    def bets_bar(self, delta: float) -> float:
        """What log E_j must reach where the likelihood has nothing."""
        return leave_bar(delta) - log(1 - self.weight)

    def joined(self, ui: Floats, evidence: Floats) -> Floats:
        """log (w UI_j + (1 - w) E_j)."""
        together: Floats = np.logaddexp(log(self.weight) + ui, log(1 - self.weight) + evidence)
        return together

    def told(self, y: float | None, said: float, foretold: float) -> Likelihood:
        """After an answer that was foretold so; one lost for good counts as the worst of both."""
        if y is None:
            worst = log(min(said, 1 - said)), log(min(foretold, 1 - foretold))
            return replace(self, said=self.said + worst[0], foretold=self.foretold + worst[1])
        gain, all_gain = (y * log(f) + (1 - y) * log(1 - f) for f in (said, foretold))
        return replace(self, said=self.said + gain, foretold=self.foretold + all_gain)

    def refuted(self, delta: float) -> bool:
        """Whether the answers have ever spoken against the structure loudly enough."""
        return self.misfit >= -log(MISFIT_SHARE * delta)

    def bets(self, evidence: Array, delta: float) -> Likelihood:
        """Who leaves by the bets' half alone."""
        gone = evidence >= self.bets_bar(delta)
        return replace(self, out=self.out | gone) if (gone & ~self.out).any() else self

    def checked(
        self, t: int, seen: Seen, strengths: Strengths, evidence: Array, delta: float
    ) -> Likelihood:
        """Look at the likelihood of the first t answers: who leaves, and whether it stands."""
        later = t + max(SELDOM, int(CHECKED_EVERY * t))
        top = ceiling(seen, strengths.mean)
        found = replace(
            self,
            next=later,
            misfit=max(self.misfit, self.foretold - top),
            regret=top - self.said,
        )
        if not self.trusted:
            return found
        if found.refuted(delta):
            return replace(found, trusted=False)
        rating = np.where(self.out, -inf, strengths.rating)
        lead = int(rating.argmax())
        rivals = np.flatnonzero(~self.out & (np.arange(len(rating)) != lead))
        if not len(rivals):
            return found
        near = nearest(strengths, lead, rivals)
        bar = leave_bar(delta)
        hoped = self.joined(near.distance - found.regret, evidence[rivals])
        able = np.flatnonzero(hoped >= bar)
        most = max(2, MOST_AT_ONCE // (10 + len(strengths.mean) ** 2))
        out = self.out.copy()
        for r in able[np.argsort(-near.distance[able])][:most]:
            ui = self.said - ceiling(seen, strengths.mean, near.limits[r])
            out[rivals[r]] = self.joined(np.float64(ui), evidence[rivals[r]]) >= bar
        found = replace(found, out=out, near=near, next=t + 1 if len(able) > most else later)
        if t < self.paced:
            return found
        return replace(found, pace=pace(strengths, near, t), paced=int(PACED_EVERY * t))


def leave_bar(delta: float) -> float:
    return -log((1 - MISFIT_SHARE) * delta)


def totals(record: Sequence[Array], played: Array, x: Array | None) -> Seen:
    """Each pair that met, once."""
    x = np.eye(len(played)) if x is None else x
    rows: list[int] = np.flatnonzero(played).tolist()
    if not rows:
        return Seen(np.zeros((0, x.shape[1])), np.zeros(0), np.zeros(0))
    wins, losses, _ = np.stack([record[row] for row in rows], axis=1)
    r, k = np.nonzero(wins + losses)
    i = np.array(rows)[r]
    once = i < k
    r, i, k = r[once], i[once], k[once]
    return Seen(x[i] - x[k], wins[r, k], wins[r, k] + losses[r, k])


def ceiling(seen: Seen, start: Array, u: Array | None = None) -> float:
    """An upper bound of max log L over {λ: u λ <= 0}, u (m, d), or over all λ.

    Newton's method; each step solves its quadratic program in the multipliers κ >= 0, one by one.
    The bound holds for any λ and κ that it comes from, so neither has to be exact. 0, as no
    likelihood exceeds 1, where no point of the dual was found.
    """
    z, won, n = seen
    lam, limits, best = start, np.zeros((0, len(start))) if u is None else u, 0.0
    kappa, ridge = np.zeros(len(limits)), 1e-9 * np.eye(len(start))
    for _ in range(MOST_STEPS):
        q = mu(z @ lam)
        slope = (won - n * q) @ z
        curve = (z.T * (n * q * (1 - q))) @ z + ridge
        solved = np.linalg.solve(curve, np.column_stack([slope, limits.T]))
        step, away = solved[:, 0], solved[:, 1:]
        if len(limits):
            kappa = multipliers((limits @ away)[None], (limits @ (lam + step))[None], kappa[None])[
                0
            ]
            step = step - away @ kappa
        reach = z @ step
        shares = q + q * (1 - q) * reach
        if ((shares >= 0) & (shares <= 1)).all():
            bound = -float((n * entropy(shares)).sum())
            if abs(best - bound) < 1e-6:
                return min(best, bound)
            best = min(best, bound)
        # A whole step may overshoot where shares are near 0 or 1.
        lam = lam + step / max(1.0, float(np.abs(reach).max(initial=0.0)) / 2)
    return best


def refitted(strengths: Strengths, seen: Seen, prior_sd: float = PRIOR_SD) -> Strengths:
    """The exact maximum of the posterior and its curvature, from the one-pass ones."""
    z, won, n = seen
    mean: Array = strengths.mean
    cov: Array = strengths.cov
    for _ in range(MOST_STEPS):
        q = mu(z @ mean)
        curve = (z.T * (n * q * (1 - q))) @ z + np.eye(len(mean)) / prior_sd**2
        cov = np.asarray(np.linalg.inv(curve), float)
        step = cov @ ((won - n * q) @ z - mean / prior_sd**2)
        reach = float(np.abs(z @ step).max(initial=0.0))
        mean = mean + step / max(1.0, reach / 2)
        if reach < 1e-3:
            break
    cov = (cov + cov.T) / 2
    return Strengths(strengths.x, mean, cov, mean if strengths.x is None else strengths.x @ mean)


def multipliers(a: Array, b: Array, kappa: Array) -> Array:
    """(J, m): argmin over κ >= 0 of κ'aκ/2 - bκ, for each of J, one multiplier at a time."""
    kappa = kappa.copy()
    for _ in range(SWEEPS):
        for m in range(kappa.shape[1]):
            pull = b[:, m] - (a[:, m] * kappa).sum(axis=1)
            kappa[:, m] = np.maximum(kappa[:, m] + pull / (a[:, m, m] + 1e-12), 0)
    return kappa


def nearest(strengths: Strengths, lead: int, rivals: NDArray[np.intp]) -> Nearest:
    """For each rival the nearest θ, in the posterior's own distance, that makes it the best.

    First it must equal the leader; whoever is better still at that θ becomes a further limit.
    """
    x = np.eye(len(strengths.rating)) if strengths.x is None else strengths.x
    own = x[rivals]
    limits = (x[lead] - own)[:, None, :]  # (J, 1, d)
    kappa = np.zeros((len(rivals), 1))
    while True:
        away = limits @ strengths.cov
        a = away @ limits.transpose(0, 2, 1)
        kappa = multipliers(a, limits @ strengths.mean, kappa)
        theta = strengths.mean - (kappa[:, None, :] @ away)[:, 0]
        scores = theta @ x.T
        above = scores.max(axis=1) - (theta * own).sum(axis=1)
        if limits.shape[1] == MOST_LIMITS or not (above > 1e-6).any():
            distance = (kappa[:, None, :] @ a @ kappa[:, :, None])[:, 0, 0] / 2
            return Nearest(rivals, distance, limits, (kappa[:, None, :] @ limits)[:, 0])
        further = x[scores.argmax(axis=1)] - own
        limits = np.concatenate([limits, further[:, None, :]], axis=1)
        kappa = np.concatenate([kappa, np.zeros((len(rivals), 1))], axis=1)


def best_pair(strengths: Strengths, u: Array, cov: Array) -> tuple[int, int]:
    """The pair whose answer would tell most of θ·u: argmax μ' (z'cov u)^2, among extremes."""
    x = np.eye(len(strengths.rating)) if strengths.x is None else strengths.x
    tells = x @ (cov @ u)
    order = np.argsort(tells)
    some = np.unique(np.concatenate([order[:EXTREMES], order[-EXTREMES:]]))
    q = mu(strengths.rating[some][:, None] - strengths.rating[some])
    worth = q * (1 - q) * (tells[some][:, None] - tells[some]) ** 2
    a, b = divmod(int(worth.argmax()), len(some))
    return int(some[a]), int(some[b])


def pace(strengths: Strengths, near: Nearest, t: int) -> float:
    """Comparisons per nat against the hardest rival when all are asked for that: a few steps of
    Frank and Wolfe on min_w max_j of t over the distance, in its quadratic form."""
    rivals = near.distance > 0
    if strengths.x is None or not rivals.any():  # without features bets are cheaper, and this dear
        return inf
    # θ·v is off by κ'aκ, twice the distance.
    v, miss = near.towards[rivals], 2 * near.distance[rivals]
    info = np.linalg.inv(strengths.cov) / t
    least = inf
    for step in range(STEPS):
        inverse = np.asarray(np.linalg.inv(info), float)
        price = 2 * ((v @ inverse) * v).sum(axis=1) / miss**2
        hardest = int(price.argmax())
        least = min(least, price.item(hardest))
        a, b = best_pair(strengths, v[hardest], inverse)
        z = strengths.x[a] - strengths.x[b]
        q = float(mu(z @ strengths.mean))
        info = info + (q * (1 - q) * np.outer(z, z) - info) / (step + 4)
    return least
