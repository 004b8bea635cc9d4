"""Intervals: five ways to say how far an estimate can be trusted; one of them decides.

    betting    holds at every n, whatever the weights: the one that decides (core/betting.py)
    bernstein  mean z - √(2 var(z) L / n) - 7 √n L / (3 (n - 1)), z = min(w, √n) r,
               L = log(4/alpha), and 1 minus the same of 1 - r; holds at every n too, and is wide
    delta      V ± z_{alpha/2} se; of a plain mean the usual normal interval. In the long run
    student    V ± t_{alpha/2} se with effective rows - 1 degrees of freedom. In the long run
    bootstrap  percentiles over resampled rows, each row Poisson(1) times. In the long run

Sources: Maurer & Pontil 2009 (Bernstein); Hanley & MacGibbon 2006 (Poisson resampling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, log, sqrt

import numpy as np
from scipy.stats import poisson, t

from bestpolicy.core.nouns import Array, ConfigError, Interval
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.rows import Proof, Rows, Sums

SURE = ("betting", "bernstein")  # hold at every n
USUAL = ("delta", "student", "bootstrap")  # hold in the long run
BITS = 16  # of the uniform draws behind Poisson counts


@dataclass(frozen=True, slots=True)
class Clipped:
    """Sums for Bernstein's bound; they add up."""

    most: float  # √n: where weights are cut, known before anything is seen
    n: float = 0.0
    up: tuple[float, float] = (0.0, 0.0)  # Σ z and Σ z² of min(w, most) r
    down: tuple[float, float] = (0.0, 0.0)  # of min(w, most) (1 - r)

    def plus(self, rows: Rows) -> Clipped:
        """With these rows."""
        w = np.minimum(rows.w, self.most)
        sides = []
        for kept, z in ((self.up, w * rows.r), (self.down, w * (1 - rows.r))):
            sides.append((kept[0] + float(z.sum()), kept[1] + float(z @ z)))
        return Clipped(self.most, self.n + len(w), sides[0], sides[1])

    def interval(self, alpha: float) -> Interval:
        """The value in [0, 1]: cutting weights only lowers either lower bound."""
        low, high = self._least(self.up, alpha), 1 - self._least(self.down, alpha)
        return Interval(self.up[0] / max(self.n, 1.0), max(0.0, low), min(1.0, high))

    def _least(self, side: tuple[float, float], alpha: float) -> float:
        n, reach = self.n, log(4 / alpha)
        if n < 2:
            return 0.0
        mean = side[0] / n
        spread = max(0.0, side[1] / n - mean**2) * n / (n - 1)
        return mean - sqrt(2 * spread * reach / n) - 7 * self.most * reach / (3 * (n - 1))


class Resamples:
    """Any estimator's terms, summed over many resamples of the rows as they pass."""

    def __init__(self, alpha: float, *, seed: int = 0) -> None:
        self._alpha, self._seed = alpha, seed
        self.sums = np.zeros((max(200, ceil(10 / alpha)), 2))  # Σ z and Σ u of each resample

    def see(self, z: Array, u: Array | float, start: int) -> None:
        """The terms of the rows from number `start` on; the same rows, the same draws."""
        terms = np.stack([z, np.broadcast_to(u, z.shape)], axis=1)
        rng = stream(self._seed, "offpolicy/bootstrap", start)
        for sums in self.sums:
            times = _COUNTS[rng.integers(1 << BITS, size=len(z), dtype=np.uint16)]
            sums += times @ terms

    def interval(self, value: float) -> Interval:
        """Percentiles of the resampled estimates."""
        z, u = self.sums.T
        held = u > 0
        if not held.any():
            return Interval(value, -inf, inf)
        low, high = np.quantile(z[held] / u[held], [self._alpha / 2, 1 - self._alpha / 2])
        return Interval(value, float(low), float(high))


def student(sums: Sums, effective: float, alpha: float) -> Interval:
    """V ± t se with as many degrees of freedom as the log has effective rows, less one."""
    value, freedom = sums.value, max(1.0, effective - 1)
    reach = float(t.ppf(1 - alpha / 2, freedom)) * sums.stderr
    return Interval(value, value - reach, value + reach)


@dataclass(frozen=True, slots=True)
class Spread:
    """Which intervals are wanted, at which chance of being wrong."""

    names: tuple[str, ...]
    alpha: float
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in SURE + USUAL:
                listed = ", ".join(SURE + USUAL)
                raise ConfigError(f"no interval is called {name!r}; known are {listed}")

    def begin(self, estimators: Sequence[str], n: int) -> Others:
        """What folds them over a log of n rows."""
        return Others(self, estimators, n)


class Others:
    """Folds what the intervals need besides the sums that every estimate has."""

    def __init__(self, spread: Spread, estimators: Sequence[str], n: int) -> None:
        self._spread = spread
        self._clipped = Clipped(sqrt(max(n, 1)))
        wanted = estimators if "bootstrap" in spread.names else ()
        self._resamples = {one: Resamples(spread.alpha, seed=spread.seed) for one in wanted}

    def see(self, rows: Rows) -> None:
        """These rows too."""
        if "bernstein" in self._spread.names:
            self._clipped = self._clipped.plus(rows)

    def resample(self, estimator: str, z: Array, u: Array | float, start: int) -> None:
        """The terms of one estimator."""
        if estimator in self._resamples:
            self._resamples[estimator].see(z, u, start)

    def intervals(self, sums: Mapping[str, Sums], proof: Proof) -> dict[str, dict[str, Interval]]:
        """By estimator and name, for rewards in [0, 1]."""
        alpha, names = self._spread.alpha, self._spread.names
        # Betting and Bernstein are of the target's value, whichever the estimator.
        sure = {"betting": proof.interval(alpha)}
        if "bernstein" in names:
            whole = Interval(proof.up.mean, 0.0, 1.0)
            sure["bernstein"] = whole if proof.uneven else self._clipped.interval(alpha)
        made = {}
        for one, found in sums.items():
            every = sure | {
                "delta": found.normal(alpha),
                "student": student(found, proof.effective, alpha),
            }
            if one in self._resamples:
                every["bootstrap"] = self._resamples[one].interval(found.value)
            made[one] = {name: every[name] for name in (*names, "betting") if name in every}
        return made


_COUNTS = poisson.ppf((np.arange(1 << BITS) + 0.5) / (1 << BITS), 1.0)
