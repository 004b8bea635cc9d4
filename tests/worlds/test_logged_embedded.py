"""Prompts that look like something: the truth is what playing earns, and looks carry it or leak."""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.stats import norm

from bestpolicy.core.rng import stream
from bestpolicy.worlds.logged_embedded import Embedded

N = 60_000
REACH = float(norm.isf(5e-7))  # beyond it once in a million


def test_the_true_value_is_what_playing_the_policy_earns() -> None:
    for leak in (0.0, 0.5):
        world = Embedded(2.0, seed=2, leak=leak)
        log, _ = world.log(N, stream(3, "tests/embedded", int(2 * leak)))
        earned, reach = log.rewards.mean(), REACH * sqrt(0.25 / N)
        assert abs(earned - world.logged_truth()[0]) < reach
        assert abs(earned - world.truth()[0]) > reach  # the broken twin: the other policy's value
        assert world.truth()[1] < 1e-3


def test_weights_of_looks_are_unbiased_only_where_looks_carry_all() -> None:
    off = {}
    for leak in (0.0, 2.0):
        world = Embedded(1.0, seed=3, leak=leak)
        log, _ = world.log(N, stream(3, "tests/embedded/mips"))
        assert log.contexts is not None
        assert log.propensities is not None
        e, rows = log.columns["e"], np.arange(N)
        above, below = (
            (pi @ world.looks)[rows, e] for pi in (world.target(log.contexts), log.propensities)
        )
        terms = above / below * log.rewards
        off[leak] = abs(terms.mean() - world.truth()[0]) / (terms.std() / sqrt(N))
    assert off[0.0] < REACH
    assert off[2.0] > 2 * REACH


def test_a_leak_changes_rewards_and_nothing_else() -> None:
    closed, leaky = Embedded(1.0, seed=3), Embedded(1.0, seed=3, leak=0.5)
    logs = [world.log(500, stream(3, "tests/embedded/leak"))[0] for world in (closed, leaky)]
    assert (logs[0].actions == logs[1].actions).all()
    assert (logs[0].columns["e"] == logs[1].columns["e"]).all()
    assert (logs[0].rewards != logs[1].rewards).any()
    assert closed.clusters.shape == (50,)
