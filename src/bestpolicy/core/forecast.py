"""Forecasts: the chance that one policy beats another, made before the answer is seen.

A hedge over five forecasters (seven, when the study says how its policies hang together), weighed
by how well each has foretold the answers of the two policies at hand (and, less, of all):
f = Σ_e w_e q_e / Σ_e w_e,

    q_e = (m_e c_e + won) / (m_e + won + lost)      the pair's own record, shrunk to c_e by m_e

    far, near      c = sigmoid((r_x - r_k) / sqrt(1 + π (v_x + v_k) / 8)), m = 60, 10: strengths
    loose, tight   c = 1/2, m = 4, 30: the pair alone
    rival          c = how all fare against the more-played of the two, m = 20
    told, hinted   c = what the study's own structure says (core/strengths.py), m = 300, 30

A tie says nothing of who wins when somebody does, and a bet against 1/2 neither gains nor loses by
one. So what is foretold is the share among decided answers, where an answer y counts |2y - 1|: with
ties as halves, a pair that mostly ties would look even, and hardly anything be staked on it.

The rating is a diagonal Gaussian filter of a logistic model. Nothing here needs to be true: a
wrong forecast costs comparisons, never validity. The mixture of forecasters keeps the cost of a
misfit near that of the best of them (Littlestone & Warmuth 1994; floors after Herbster &
Warmuth 1998, so that a forecaster that was wrong before can come back).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, pi, sqrt

import numpy as np

from bestpolicy.core.logistic import sigmoid
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.strengths import Strengths

# m: far, near, loose, tight, rival; told, hinted
SHRINK = (60.0, 10.0, 4.0, 30.0, 20.0, 300.0, 30.0)
PRIOR = (0.0, 0.0, -2.5, -2.5, -2.5)  # log weights before any answer
PRIOR_STRUCTURED = (0.0, 0.0, -1.0, -1.0, -1.0, 0.0, -1.0)
PRIOR_REFUTED = (*PRIOR, -inf, -inf)
RATED, RIVAL_OF_ALL, STRUCTURED = (0, 1), 4, (5, 6)  # which forecasters look beyond the pair
RIVAL = 10.0  # comparisons that "half of all beat the rival" is worth
OWN, ALL = 0.5, 0.3  # how much the record of each of the two policies, and of everybody, weighs
OWN_FLOOR, ALL_FLOOR = -4.0, -10.0  # log weights below the best forecaster never sink further
EDGE, FAR_EDGE = 0.02, 0.005  # ratings, and forecasts, keep this far from 0 and 1

Views = tuple[float, ...]  # one chance per forecaster


@dataclass(slots=True)
class Beliefs:
    """What steers. Only `learn` writes, and only to a copy that nobody else holds."""

    rating: Array  # (K,) r_j
    spread: Array  # (K,) v_j, its variance
    played: Array  # (K,) comparisons of j
    decided: Array  # (K,) of them, how many, a tie being none and a win one
    shares: Array  # (K,) those that j won
    trust: list[Views]  # per policy, log score of each forecaster on its comparisons
    trust_all: Views
    prior: Views
    strengths: Strengths | None = None  # what the study's structure says

    @classmethod
    def blank(cls, policies: int, strengths: Strengths | None = None) -> Beliefs:
        K = policies
        prior = PRIOR if strengths is None else PRIOR_STRUCTURED
        even = (0.0,) * len(prior)
        zeros, ones = np.zeros(K), np.ones(K)
        return cls(zeros, ones, zeros, zeros, zeros, [even] * K, even, prior, strengths)

    def copy(self) -> Beliefs:
        return Beliefs(
            self.rating.copy(),
            self.spread.copy(),
            self.played.copy(),
            self.decided.copy(),
            self.shares.copy(),
            self.trust.copy(),
            self.trust_all,
            self.prior,
            self.strengths,
        )

    def follows_structure(self) -> bool:
        """Whether the structure has foretold all answers better than the rest have."""
        if self.strengths is None:
            return False
        scores = [p + ALL * t for p, t in zip(self.prior, self.trust_all, strict=True)]
        return max(scores[STRUCTURED[0] :]) >= max(scores[: STRUCTURED[0]])

    def best_rating(self) -> Array:
        """(K,) of the structure while it leads, else one by one."""
        if self.strengths is not None and self.follows_structure():
            return self.strengths.rating
        return self.rating

    def gap_variances(self, i: int) -> Array:
        """(K,) of the gap between i's best rating and each policy's."""
        if self.strengths is not None and self.follows_structure():
            return self.strengths.variances(i)
        return self.spread.item(i) + self.spread

    def drawn_rating(self, rng: Rng, bold: float) -> Array:
        """(K,) ratings as they may be, their standard deviations stretched by `bold`."""
        if self.strengths is not None and self.follows_structure():
            return self.strengths.draw(rng, bold)
        noise: Array = bold * np.sqrt(self.spread) * rng.standard_normal(len(self.rating))
        return self.rating + noise


def views(b: Beliefs, x: int, k: int, won: float, lost: float) -> Views:
    """Each forecaster's chance that x beats k if either does, with its own record of decided
    answers `won` to `lost`."""
    r = b.rating.item(x) - b.rating.item(k)
    v = b.spread.item(x) + b.spread.item(k)
    q = within(sigmoid(r / sqrt(1 + pi / 8 * v)), EDGE)
    if b.played.item(x) > b.played.item(k):  # the more-played one, mostly the leader
        against = (RIVAL / 2 + b.shares.item(x)) / (RIVAL + b.decided.item(x))
    else:
        against = 1 - (RIVAL / 2 + b.shares.item(k)) / (RIVAL + b.decided.item(k))
    n = won + lost
    centres: Views = (q, q, 0.5, 0.5, against)
    if b.strengths is not None:
        said = within(b.strengths.chance(x, k), FAR_EDGE)
        centres = (*centres, said, said)
    return tuple([(m * c + won) / (m + n) for m, c in zip(SHRINK, centres, strict=False)])


def weigh(b: Beliefs, x: int, k: int) -> list[float]:
    """How much each forecaster is believed on this pair; on (j, j), how much about j."""
    scores = [
        prior + OWN * (tx + tk) + ALL * ta
        for prior, tx, tk, ta in zip(b.prior, b.trust[x], b.trust[k], b.trust_all, strict=True)
    ]
    top = max(scores)
    weights = [exp(s - top) for s in scores]
    total = sum(weights)
    return [w / total for w in weights]


def forecast(b: Beliefs, x: int, k: int, q: Views) -> float:
    """The hedged chance that x beats k."""
    f = sum([w * p for w, p in zip(weigh(b, x, k), q, strict=True)])
    return within(f, FAR_EDGE)


def learn(b: Beliefs, x: int, k: int, y: float, q: Views) -> None:
    """Score the forecasters on x's share y against k, then move the ratings."""
    decided, won = abs(2 * y - 1), 1.0 if y > 0.5 else 0.0
    score = [decided * (won * log(p) + (1 - won) * log(1 - p)) for p in q]
    b.trust[x] = _scored(b.trust[x], score, OWN_FLOOR)
    b.trust[k] = _scored(b.trust[k], score, OWN_FLOOR)
    b.trust_all = _scored(b.trust_all, score, ALL_FLOOR)
    if b.strengths is not None:
        b.strengths = b.strengths.told(x, k, y)
    surprise = decided * (won - sigmoid(b.rating.item(x) - b.rating.item(k)))
    for j, sign, share in ((x, 1.0, won), (k, -1.0, 1 - won)):
        v = 1 / (1 / b.spread.item(j) + 0.25 * decided)  # 1/4: the most that one answer can tell
        b.spread[j] = v
        b.rating[j] += sign * v * surprise
        b.played[j] += 1
        b.decided[j] += decided
        b.shares[j] += decided * share


def within(p: float, edge: float) -> float:
    return min(max(p, edge), 1 - edge)


def _scored(trust: Views, score: list[float], floor: float) -> Views:
    total = [t + s for t, s in zip(trust, score, strict=True)]
    low = max(total)
    return tuple([max(t - low, floor) for t in total])
