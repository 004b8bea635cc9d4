"""Sample ratio: found when it is there, quiet when it is not, exact on small numbers."""

from __future__ import annotations

from itertools import product
from math import exp, log

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from bestpolicy.core.evidence import log_beta
from bestpolicy.core.ratio import STRENGTH, Ratio
from bestpolicy.core.rng import stream


def test_its_mean_is_one_whatever_the_chances_were_counted_exactly() -> None:
    total = 0.0
    for got in product(range(3), repeat=5):
        ratio, chance = Ratio(3), 1.0
        for n, policy in enumerate(got):
            # Chances that follow what came up before, as an adaptive design's do.
            p = np.array([0.2, 0.3, 0.5]) if n < 2 else (ratio.seen + 1) / (ratio.seen.sum() + 3)
            chance *= p[policy]
            ratio.tell(p, policy)
        total += chance * exp(ratio.log_e)
    assert total == pytest.approx(1, abs=1e-12)


def test_for_two_even_policies_it_is_the_beta_mixture() -> None:
    ratio, s = Ratio(2), STRENGTH / 2
    got = stream(0, "even").integers(0, 2, 500)
    for policy in got:
        ratio.tell(np.array([0.5, 0.5]), int(policy))
    ones = int(got.sum())
    exact = log_beta(s + ones, s + 500 - ones) - log_beta(s, s) + 500 * log(2)
    assert ratio.log_e == pytest.approx(exact, abs=1e-9)


def test_52_to_48_where_even_was_logged_is_found_within_30000_units() -> None:
    found = 0
    for seed in range(20):
        ratio, p = Ratio(2), np.array([0.5, 0.5])
        for policy in (stream(seed, "uneven").random(30_000) < 0.48).astype(int).tolist():
            ratio.tell(p, policy)
        found += ratio.raised
    assert found >= binom.ppf(1e-6, 20, 0.99)


def test_a_ratio_that_is_right_is_left_alone_and_a_chi_square_at_every_look_is_not() -> None:
    false, naive = 0, 0
    for seed in range(150):
        ratio, p = Ratio(2, alpha=0.05), np.array([0.5, 0.5])
        got = stream(seed, "right").integers(0, 2, 1000)
        looks = []
        for n, policy in enumerate(got.tolist(), 1):
            ratio.tell(p, policy)
            if n % 20 == 0:
                looks.append(chisquare(ratio.seen).pvalue)
        false += ratio.raised
        naive += min(looks) < 0.05
    bar = binom.ppf(1 - 1e-6, 150, 0.05)
    assert false <= bar < naive


def test_a_policy_without_a_chance_that_comes_up_is_proof() -> None:
    ratio = Ratio(2)
    ratio.tell(np.array([1.0, 0.0]), 1)
    assert ratio.raised
