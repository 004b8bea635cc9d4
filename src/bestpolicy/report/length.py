"""How much of winning is being longer: for readers, never for the verdict.

    raw        share of comparisons that the longer of two answers wins, holds at every moment
    adjusted   μ(θ) with P(policy beats rival) = μ(θ + β x),  x = log(its length / the rival's)

μ(θ) is the share at equal length. Each pair has a θ and a β of its own, so no structure is assumed
beyond that line, ties count half, and answers of equal length count most. The interval holds the θ
whose profile likelihood, max over β, is within χ²/2 of the highest. It is approximate, for one look
and not for all; but where length and policy cannot be told apart the profile is flat, and it says
so by being wide, where a Wald interval would fail. The other way, to read only answers of nearly
equal length, needs no line: but a policy that is always a little longer keeps all that length wins.
Sources: arXiv 2306.05685 (padded answers win), 2404.04475 (the adjustment, with a line of its own).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from bestpolicy.core.evidence import edge, share_interval, tied_interval
from bestpolicy.core.logistic import mu, sigmoid
from bestpolicy.core.nouns import Array, Interval

MOST = 5_000  # comparisons whose texts are read, the latest
WIDEST = 12.0  # |θ|; beyond it a share is 0 or 1
FINE = 30  # halvings of the way to an end
DRAW = 1e-3  # of θ to 0, where the answers leave it open


@dataclass(frozen=True, slots=True)
class Sized:
    """One answered comparison: who, left's share, and log(left's length / right's)."""

    arms: tuple[int, int]
    share: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Against:
    """A policy against its strongest rival: its share as answered, and at equal length."""

    policy: str
    rival: str
    n: int
    raw: Interval
    adjusted: Interval


@dataclass(frozen=True, slots=True)
class Length:
    """What length has to do with winning, in the latest comparisons."""

    longer: Interval | None  # share that the longer answer wins; None: lengths never differed
    n: int  # comparisons that somebody won, of answers that differ in length
    left_out: int  # earlier comparisons, which were not read
    against: tuple[Against, ...]  # the leader first

    def warnings(self, decided: bool) -> list[str]:
        """Whether the leader may lead by its length alone; `decided`: it was named the winner."""
        if self.longer is None or self.longer.low <= 0.5 <= self.longer.high or not self.against:
            return []
        at = self.against[0]
        leads = decided or at.raw.low > 0.5
        if not leads or at.adjusted.low > 0.5 or at.adjusted.value >= at.raw.value:
            return []
        long = self.longer.low > 0.5
        wins = self.longer if long else _turned(self.longer)
        found = (
            f"{at.rival} leads {at.policy}"
            if at.adjusted.high < 0.5
            else f"{at.policy} is not seen to lead {at.rival}"
        )
        said = (
            f"the {'longer' if long else 'shorter'} answer wins {_words(wins)} of {self.n:,} "
            f"comparisons, and at equal length {found}: its share is {_words(at.adjusted)}, and "
            f"{_words(at.raw)} as answered (an adjustment, and approximate); "
            f"{'being wordy' if long else 'being brief'} may be all that won"
        )
        return [said]


def length(
    sized: Sequence[Sized],
    names: Sequence[str],
    rivals: Sequence[tuple[int, int]],
    confidence: float,
    left_out: int = 0,
) -> Length | None:
    """Of these comparisons; `rivals` are policies, each with its strongest rival."""
    if not sized:
        return None
    error = 1 - confidence
    won = [s.share if s.ratio > 0 else 1 - s.share for s in sized if s.ratio and s.share != 0.5]
    sides: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for one in sized:
        left, right = one.arms
        sides.setdefault((left, right), []).append((one.share, one.ratio))
        sides.setdefault((right, left), []).append((1 - one.share, -one.ratio))
    against = []
    for policy, rival in rivals:
        if seen := sides.get((policy, rival)):
            y, x = np.array(seen).T
            raw, level = _raw(y, error), at_equal_length(y, x, confidence)
            against.append(Against(names[policy], names[rival], len(y), raw, level))
    longer = share_interval(sum(won), len(won) - sum(won), error) if won else None
    return Length(longer, len(won), left_out, tuple(against))


def at_equal_length(y: Array, x: Array, confidence: float) -> Interval:
    """μ(θ) and its profile likelihood interval, of shares y at log ratios x of length."""
    apart = np.abs(x[x != 0])
    most = 60 / float(apart.min()) if len(apart) else 0.0  # of |β|: all is decided there
    slope = 0.0

    def best(theta: float) -> tuple[float, float]:
        """The profile's height and its slope at θ."""
        nonlocal slope
        slope = _beta(theta, y, x, most, slope)
        eta = theta + slope * x
        return float(y @ eta - np.logaddexp(0, eta).sum()), float((y - mu(eta)).sum())

    peak = edge(lambda theta: best(theta)[1] > DRAW * theta, -WIDEST, WIDEST, halvings=FINE)
    bar = best(peak)[0] - NormalDist().inv_cdf((1 + confidence) / 2) ** 2 / 2
    ends = [
        edge(lambda theta: best(theta)[0] >= bar, peak, end, halvings=FINE)
        for end in (-WIDEST, WIDEST)
    ]
    low, high = (
        (end > 0) * 1.0 if abs(end) == WIDEST else sigmoid(end) for end in ends
    )  # an end that was never reached is no end
    return Interval(sigmoid(peak), low, high)


def as_json(found: Length | None) -> dict[str, Any] | None:
    """The object that `--json` has under `judge.length`."""
    if found is None:
        return None
    return {
        "longer_wins": None if found.longer is None else found.longer.value,
        "longer_wins_interval": _bounds(found.longer),
        "comparisons": found.n,
        "not_read": found.left_out,
        "leader": _against(found.against[0]) if found.against else None,
        "policies": [_against(one) for one in found.against],
    }


def _against(one: Against) -> dict[str, Any]:
    return {
        "policy": one.policy,
        "rival": one.rival,
        "comparisons": one.n,
        "share": one.raw.value,
        "share_interval": _bounds(one.raw),
        "share_at_equal_length": one.adjusted.value,
        "share_at_equal_length_interval": _bounds(one.adjusted),
    }


def _raw(y: Array, error: float) -> Interval:
    won, even = float(y.sum()), float((1 - np.abs(2 * y - 1)).sum())
    if not even:
        return share_interval(won, len(y) - won, error)
    return tied_interval(won, len(y) - won, even, error)


def _beta(theta: float, y: Array, x: Array, most: float, start: float) -> float:
    """The β that is likeliest at this θ: Newton's steps, halved where they leave the bracket."""
    low, high, beta = -most, most, start
    enough = 1e-9 * float(np.abs(x).sum())
    for _ in range(200):
        q = mu(theta + beta * x)
        slope, bend = float(x @ (y - q)), float((x * x) @ (q * (1 - q)))
        if abs(slope) <= enough:
            break
        low, high = (beta, high) if slope > 0 else (low, beta)
        step = beta + slope / bend if bend > 0 else high
        beta = step if low < step < high else (low + high) / 2
    return beta


def _turned(share: Interval) -> Interval:
    return Interval(1 - share.value, 1 - share.high, 1 - share.low)


def _words(share: Interval) -> str:
    return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"


def _bounds(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
