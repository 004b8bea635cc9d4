"""Self-normalised DSO: weights divided by how much weight a sentence gets from the log at all.

    c(x, s') = E_{s ~ pi_0}[K(s, s') / D(x, s)]
    (1/m) Σ_j score(a_ij) [k_ij / c(x_i, s'_ij)] (r_i - b)

What DSO climbs for a sentence s' is Σ of the log's rewards near s', with weights that sum to
c(x, s') and not to 1: a constant added to all rewards counts c times, and c is large where the log
is dense. Divided by c the weights are a mean, and a constant drops out whatever b is. No model of
the reward is needed. Source: this project's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Ints
from bestpolicy.core.nouns import Rng
from bestpolicy.core.softmax import drawn
from bestpolicy.offpolicy.density import Speaker
from bestpolicy.offpolicy.learners.sentences import DRAWS, MOST, Near, alone, weights
from bestpolicy.offpolicy.learners.training import Slope, scored

Floats = NDArray[Any]
Support = Callable[[Ints, Floats], Floats]  # rows, (m, k, D) sentences -> (m, k) c
LEAST = 0.1  # of c: where less was logged, a weight grows no further


def self_normalised_dso(
    sentences: Floats,
    worth: Floats,
    density: Floats,
    speaker: Speaker,
    near: Near,
    support: Support,
    *,
    draws: int = DRAWS,
    most: float = MOST,
    least: float = LEAST,
) -> Slope:
    """Climb the mean worth (n,) of what was said near what would be."""

    def slope(rows: Ints, chances: Floats, rng: Rng) -> Floats:
        actions = drawn(chances, draws, rng)
        said = speaker(rows, actions, rng)
        k = weights(rows, said, sentences, density, near, np.inf)
        k = np.minimum(k / np.maximum(support(rows, said), least), most)
        return scored(chances, actions, alone(k * worth[rows, None]) / draws)

    return slope
