"""The world of logged prompts: its truth is the truth, and its logs are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from bestpolicy.core.rng import stream
from bestpolicy.worlds.logged import Prompted


@pytest.mark.parametrize("gain", [0.3, 2.0])
def test_the_truth_is_what_many_draws_earn_and_is_known_far_better(gain: float) -> None:
    world = Prompted(gain)
    value, error = world.truth()
    assert error < 3e-4
    x = stream(1, "tests/logged").standard_normal((40_000, 5))
    for policy, (truth, known) in (
        (world.target(x), world.truth()),
        (world.logging(x), world.logged_truth()),
    ):
        drawn = np.einsum("ia,ia->i", policy, world.rewards(x))
        assert abs(drawn.mean() - truth) < 5 * np.hypot(drawn.std() / 200, known)
    assert value == world.truth()[0]


def test_a_target_is_not_worth_what_the_logging_policy_is() -> None:
    """Otherwise an interval around the wrong policy would pass as well."""
    world = Prompted(1.0)
    assert abs(world.truth()[0] - world.logged_truth()[0]) > 0.03


def test_actions_are_drawn_with_the_chances_that_are_logged() -> None:
    log, pi = Prompted(0.3).log(20_000, stream(2, "tests/logged"))
    assert log.propensities is not None
    expected = log.propensities.sum(axis=0)
    counts = np.bincount(log.actions, minlength=50)
    assert (np.abs(counts - expected) < 5.5 * np.sqrt(expected)).all()
    assert (pi / log.propensity).mean() == pytest.approx(1, abs=0.1)
