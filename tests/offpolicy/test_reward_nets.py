"""Reward nets stop before they learn noise, and nobody foresees a row that it has seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.reward_nets import (
    Fitting,
    Standardised,
    best_steps,
    calibration,
    crossed,
    fit_net,
)

QUICK = Fitting(steps=60)


def noisy(n: int, noise: float, seed: int = 1) -> tuple[Any, Any, Any]:
    """Inputs, rewards, and the rewards' means."""
    rng = stream(seed, "tests/reward nets")
    z = rng.normal(size=(n, 6))
    truth = z[:, 0] * z[:, 1] + 0.5 * z[:, 2]
    return z, truth + noise * rng.normal(size=n), truth


def test_a_rows_reward_does_not_change_what_is_foreseen_of_it() -> None:
    z, r, _ = noisy(150, 1.0)
    moved = r.copy()
    moved[7] += 100.0

    def foreseen(r: Any, folds: int) -> Any:
        def fit(inputs: Any, rewards: Any, rng: Any) -> Standardised:
            return fit_net(inputs, rewards, rng, QUICK)

        made = crossed(z, r, stream(2, "fit"), fit=fit, folds=folds)
        return made.unseen(np.array([7]), z[7:8])[0]

    assert foreseen(r, 5) == foreseen(moved, 5)
    assert foreseen(r, 1) != foreseen(moved, 1)  # the twin: one fold, which has seen the row


@pytest.mark.slow
def test_held_out_rows_stop_a_net_before_it_learns_noise() -> None:
    """A net that takes all its steps is the twin."""
    gains = []
    for seed in range(6):
        z, r, _ = noisy(600, 2.0, seed)
        fresh, _, truth = noisy(2000, 0.0, 100 + seed)
        errors = [
            ((fit_net(z, r, stream(seed, "fit"), Fitting(held=held))(fresh) - truth) ** 2).mean()
            for held in (0.2, 0.0)
        ]
        gains.append(errors[1] - errors[0])
    # Six worlds of six happen by chance once in 64 if both are alike; here by a wide margin too.
    assert min(gains) > 0
    assert np.mean(gains) > 4 * np.std(gains, ddof=1) / len(gains) ** 0.5


def test_too_few_rows_hold_none_out() -> None:
    z, r, _ = noisy(40, 1.0)
    assert best_steps(z, r, stream(1, "few"), QUICK) == 60
    assert best_steps(z, r, stream(1, "few"), Fitting(steps=60, held=0.0)) == 60


def test_noise_is_not_believed_and_the_truth_is_under_heavy_noise_where_r2_would_not() -> None:
    n, noise = 40_000, 5.0
    _, r, truth = noisy(n, noise)
    rng = stream(3, "tests/reward nets")
    # The slope's error is sd(r) / (sd(Rhat) sqrt n): .023 here.
    error = r.std() / (truth.std() * n**0.5)
    assert calibration(r, truth.std() * rng.normal(size=n)) < 6 * error
    assert calibration(r, truth) > 1 - 6 * error
    # The twin: R² of the true rewards.
    assert np.corrcoef(r, truth)[0, 1] ** 2 < 0.1


def test_contexts_beside_things_are_what_the_net_says_of_each() -> None:
    z, r, _ = noisy(200, 1.0)
    model = fit_net(z, r, stream(4, "fit"), QUICK)
    beside = model.beside(z[:5, :4], z[:7, 4:])
    each = [[model(np.concatenate([x[:4], t[4:]])[None])[0] for t in z[:7]] for x in z[:5]]
    assert np.allclose(beside, each, atol=1e-5)
