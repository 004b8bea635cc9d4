"""What length has to do with winning: a line through the lengths that says if it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from bestpolicy.core.logistic import mu
from bestpolicy.core.rng import stream
from bestpolicy.report.length import Sized, as_json, at_equal_length, length

NAMES = ("wordy", "brief")
PAIR = [(0, 1), (1, 0)]


def compared(
    taste: float, better: float, *, n: int = 300, seed: int = 1, longer: float = 0.4
) -> list[Sized]:
    """Comparisons of a policy that is mostly the longer one, by a judge with this taste for
    length and this liking for the policy at equal length; sides are a fair coin."""
    rng = stream(seed, "lengths")
    x = rng.normal(longer, 0.5, n)
    won = rng.random(n) < mu(better + taste * x)
    turned = rng.random(n) < 0.5
    return [
        Sized((1, 0), float(not w), -r) if t else Sized((0, 1), float(w), r)
        for w, r, t in zip(won.tolist(), x.tolist(), turned.tolist(), strict=True)
    ]


def test_a_lead_that_is_all_length_is_told_and_one_that_is_not_is_left_alone() -> None:
    bought = length(compared(4.0, 0.0), NAMES, PAIR, 0.95)
    assert bought is not None
    assert bought.longer is not None
    assert bought.longer.low > 0.5
    assert bought.against[0].raw.low > 0.5
    (said,) = bought.warnings(False)
    assert said.startswith("the longer answer wins")
    assert "wordy is not seen to lead brief" in said
    earned = length(compared(0.0, 1.5), NAMES, PAIR, 0.95)
    assert earned is not None
    assert earned.against[0].raw.low > 0.5
    assert earned.against[0].adjusted.low > 0.5
    assert earned.warnings(True) == []


def test_a_rival_that_is_better_at_equal_length_is_named() -> None:
    found = length(compared(6.0, -1.2, n=2000), NAMES, PAIR, 0.95)
    assert found is not None
    (said,) = found.warnings(False)
    assert "brief leads wordy" in said


def test_a_taste_for_short_answers_is_told_too() -> None:
    found = length(compared(-4.0, 0.0, longer=-0.4), NAMES, PAIR, 0.95)
    assert found is not None
    (said,) = found.warnings(False)
    assert said.startswith("the shorter answer wins")
    assert said.endswith("being brief may be all that won")


def test_a_leader_who_leads_in_spite_of_the_lengths_is_not_accused() -> None:
    found = length(compared(2.0, 2.5, n=120, longer=-0.8), NAMES, PAIR, 0.95)
    assert found is not None
    assert found.warnings(True) == []


def test_where_length_and_policy_go_together_the_interval_says_that_nothing_is_known() -> None:
    x = stream(2, "lengths").normal(0.4, 0.5, 200)
    always = np.abs(x)
    for y, ratio in ((np.ones(200), always), ((x > 0).astype(float), x)):
        found = at_equal_length(y, ratio, 0.95)
        assert (found.low, found.high) == (0.0, 1.0)
        # The twin reads the same answers and no lengths, and is sure.
        assert at_equal_length(y, 0 * ratio, 0.95).low > 0.5


def test_the_share_at_equal_length_is_covered_about_as_often_as_promised() -> None:
    runs, truth = 400, float(mu(np.array([0.5]))[0])

    def missed(adjusted: bool) -> int:
        count = 0
        for seed in range(runs):
            rng = stream(seed, "coverage")
            x = rng.normal(0.4, 0.5, 150)
            y = (rng.random(150) < mu(0.5 + 2 * x)).astype(float)
            found = at_equal_length(y, x if adjusted else 0 * x, 0.95)
            count += not found.low <= truth <= found.high
        return count

    assert missed(adjusted=True) <= binom.isf(1e-6, runs, 0.06)  # the interval is approximate
    # The twin reads the same answers and no lengths.
    assert missed(adjusted=False) > binom.isf(1e-6, runs, 0.06)


def test_ties_count_half_and_the_order_of_a_pair_is_nothing() -> None:
    y, x = np.array([1, 0.5, 0, 1, 0.5, 1.0]), np.array([0.3, 0.0, -0.2, 0.1, 0.4, -0.3])
    one, other = at_equal_length(y, x, 0.9), at_equal_length(1 - y, -x, 0.9)
    assert one.value == pytest.approx(1 - other.value, abs=1e-6)
    assert one.low == pytest.approx(1 - other.high, abs=1e-6)
    even = at_equal_length(np.full(50, 0.5), np.zeros(50), 0.95)
    assert even.value == pytest.approx(0.5, abs=1e-6)


def test_only_what_somebody_won_and_differs_in_length_counts_for_the_longer_one() -> None:
    told = [
        Sized((0, 1), 1.0, 0.5),
        Sized((1, 0), 1.0, -0.5),
        Sized((0, 1), 0.5, 0.5),
        Sized((0, 1), 1.0, 0.0),
    ]
    found = length(told, NAMES, PAIR, 0.95, left_out=7)
    assert found is not None
    assert found.longer is not None
    assert (found.n, found.longer.value) == (2, 0.5)
    assert found.against[0].n == 4
    said = as_json(found)
    assert said is not None
    assert said["not_read"] == 7
    assert said["leader"]["policy"] == "wordy"
    assert said["leader"]["share"] == pytest.approx(0.625)


def test_nothing_is_said_where_there_is_nothing_to_tell_it_from() -> None:
    assert length([], NAMES, PAIR, 0.95) is None
    same = length([Sized((0, 1), 1.0, 0.0)] * 5, NAMES, PAIR, 0.95)
    assert same is not None
    assert same.longer is None
    assert same.warnings(True) == []
    assert as_json(None) is None
