"""Learners that know prompts only: regression, importance sampling, doubly robust.

    regression  E_{a~pi} [score(a) Rhat(x, a)]
    IS          w score(a_i) r_i,                        w = pi(a_i|x) / p_i <= 200
    DR          w score(a_i) (r_i - Rhat(x_i, a_i)) + E_{a~pi} [score(a) Rhat(x, a)]

Rewards are centred: a constant added to all of them must not move a policy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Ints
from bestpolicy.core.nouns import Rng
from bestpolicy.offpolicy.learners.training import Slope, expected, scored

Floats = NDArray[Any]
MOST = 200.0  # of a weight
Tables = Callable[[Ints], Floats]  # rows -> (m, A) Rhat(x_i, .)


def regression(predictions: Tables) -> Slope:
    """Climb what a model foresees."""

    def slope(rows: Ints, chances: Floats, rng: Rng) -> Floats:  # noqa: ARG001 - a Slope
        return expected(chances, predictions(rows))

    return slope


def importance(actions: Ints, rewards: Floats, propensity: Floats, *, most: float = MOST) -> Slope:
    """Climb the reweighted rewards."""

    def slope(rows: Ints, chances: Floats, rng: Rng) -> Floats:  # noqa: ARG001 - a Slope
        a = actions[rows]
        w = np.minimum(chances[np.arange(len(rows)), a] / propensity[rows], most)
        return scored(chances, a[:, None], (w * rewards[rows])[:, None])

    return slope


def doubly_robust(
    actions: Ints,
    rewards: Floats,
    propensity: Floats,
    predictions: Tables,
    *,
    most: float = MOST,
) -> Slope:
    """Climb what a model foresees, and the reweighted rest."""

    def slope(rows: Ints, chances: Floats, rng: Rng) -> Floats:  # noqa: ARG001 - a Slope
        a, every = actions[rows], predictions(rows)
        own = np.arange(len(rows)), a
        w = np.minimum(chances[own] / propensity[rows], most)
        rest = w * (rewards[rows] - every[own])
        return scored(chances, a[:, None], rest[:, None]) + expected(chances, every)

    return slope
