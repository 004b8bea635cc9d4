"""DSO with its sum over prompts done exactly, where the source knows what every prompt says.

    DSO, summed    Σ_a grad pi(a | x_i) Kbar(x_i, a, s_i) / D_i (r_i - b)

No chance is left but that of the log: the price is a table over all prompts in every step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Ints
from bestpolicy.core.nouns import Rng
from bestpolicy.offpolicy.learners.sentences import MOST
from bestpolicy.offpolicy.learners.training import Slope, expected

Floats = NDArray[Any]
Closeness = Callable[[Ints], Floats]  # rows -> (m, A) Kbar(x_i, ., s_i)


def dso_summed(
    worth: Floats, density: Floats, closeness: Closeness, *, most: float = MOST
) -> Slope:
    """Climb the reweighted worth (n,) = r - b by how near each prompt comes to what was said."""

    def slope(rows: Ints, chances: Floats, rng: Rng) -> Floats:  # noqa: ARG001 - a Slope
        near, below = closeness(rows), density[rows, None]
        k = np.divide(near, below, out=np.zeros_like(near), where=below > 0)
        np.minimum(k, most, out=k)
        return expected(chances, (k * worth[rows, None]).astype(chances.dtype, copy=False))

    return slope
