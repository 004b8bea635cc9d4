"""A counted share passes and fails by the published rule."""

import pytest
from scipy.stats import binom

from bestpolicy.bench.shares import Share, share
from bestpolicy.core.rng import stream


@pytest.mark.parametrize(
    ("n", "promised", "limit"), [(2000, 0.05, 131), (2000, 0.10, 243), (10_000, 0.05, 569)]
)
def test_a_cell_fails_above_the_published_number_of_errors(
    n: int, promised: float, limit: int
) -> None:
    assert share(limit, n, promised=promised).passes
    assert not share(limit + 1, n, promised=promised).passes


@pytest.mark.parametrize(("n", "promised", "limit"), [(2000, 0.05, 149), (2000, 0.10, 267)])
def test_a_rarer_alarm_allows_more(n: int, promised: float, limit: int) -> None:
    assert share(0, n, promised=promised, alarm=1e-6).limit == limit


def test_the_interval_is_exact() -> None:
    nothing = share(0, 20, promised=0.05)
    assert nothing.low == 0
    assert nothing.high == pytest.approx(1 - 0.025 ** (1 / 20))
    some = share(3, 50, promised=0.05)
    assert binom.sf(2, 50, some.low) == pytest.approx(0.025)
    assert binom.cdf(3, 50, some.high) == pytest.approx(0.025)
    assert str(some) == "6.0 [1.3, 16.5]"


def passes_when_not_above(s: Share) -> bool:
    """The broken twin: fails half of all exactly calibrated designs."""
    return s.value <= 0.05


def test_a_calibrated_design_passes_and_would_not_under_the_plain_rule() -> None:
    counts = stream(4, "tests/shares").binomial(2000, 0.05, size=400)
    shares = [share(int(count), 2000, promised=0.05) for count in counts]
    # Each fails with chance .001 at most, so 12 failures of 400 are rarer than one in a million.
    assert sum(not s.passes for s in shares) < 12
    assert sum(not passes_when_not_above(s) for s in shares) > 100
