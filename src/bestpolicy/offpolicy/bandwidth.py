"""Bandwidth: the widest kernel whose value still agrees with those of all narrower ones (SLOPE).

    intervals I(tau), tau ascending:  the last tau with ∩_{tau' <= tau} I(tau') not empty

A narrow kernel is right and noisy, a wide one calm and pulled towards the log. The first interval
that misses the common part of those before it shows a bias larger than their noise.
Source: Su, Srinath and Krishnamurthy 2020, on adaptive selection of estimators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bestpolicy.core.log import Estimate, Logged
from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.density import Source
from bestpolicy.offpolicy.kernel import Kernel
from bestpolicy.offpolicy.kernel_lines import median_distance
from bestpolicy.offpolicy.rows import Estimator, Given

TAUS = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5)  # in medians of the distance of one context's draws


@dataclass(frozen=True, slots=True)
class Curve:
    """Values by width of the kernel, and which of them to believe."""

    taus: tuple[float, ...]  # in median distances, ascending
    unit: float  # the median distance
    estimates: tuple[Estimate, ...]
    chosen: int

    @property
    def tau(self) -> float:
        return self.taus[self.chosen]

    @property
    def estimate(self) -> Estimate:
        return self.estimates[self.chosen]


def curve(
    log: Logged,
    target: object,
    source: Source,
    estimator: Estimator,
    given: Callable[[Kernel], Given],
    *,
    kernel: Callable[[float], Kernel],
    taus: Sequence[float] = TAUS,
) -> Curve:
    """The value at each width, `given` saying what the estimator gets with a kernel."""
    if list(taus) != sorted(set(taus)) or not taus:
        raise ConfigError(f"widths must be ascending, one at least; saw {tuple(taus)}")
    unit = median_distance(log, source)
    found = tuple(estimator(log, target, given=given(kernel(tau * unit))) for tau in taus)
    return Curve(tuple(taus), unit, found, slope(found))


def slope(estimates: Sequence[Estimate]) -> int:
    """The number of the widest kernel to believe, of estimates from narrow to wide."""
    low, high, chosen = float("-inf"), float("inf"), 0
    for i, one in enumerate(estimates):
        reach = one.asymptotic
        assert reach is not None
        low, high = max(low, reach.low), min(high, reach.high)
        if low > high:
            break
        chosen = i
    return chosen
