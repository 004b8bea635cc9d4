"""Learners that know what prompts say: sentence-level direct method, DSO, and CF-DR-DSO.

Draw a_ij ~ pi_theta and what it says, s'_ij; k_ij = K(s_i, s'_ij) / D_i, the chance of something
like the logged sentence under pi over that under the log, one draw of it:

    sdm         (1/m) Σ_j score(a_ij) Rhat(x_i, s'_ij)
    DSO         (1/m) Σ_j k_ij score(a_ij) (r_i - b)
    CF-DR-DSO   (1/m) Σ_j score(a_ij) [v_ij - mean_{l != j} v_il],
                v_ij = k_ij (r_i - Rl(x_i, s_i)) + Rl(x_i, s'_ij),  Rl = b + lambda (Rhat^-i - b)

Drawing again from the learner is what makes the sum over prompts, and their likelihoods, cancel.
The baseline leaves each draw's own value out, so that the mean stays what it was. lambda 0 is
centred DSO; 1 smooths the residual only. b is the mean logged reward: without it a constant added
to all rewards would push the policy towards, or off, whatever was logged often.
Source: arXiv 2504.02646; the doubly robust form is this project's.
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
from bestpolicy.offpolicy.learners.training import Slope, scored

Floats = NDArray[Any]
DRAWS, MOST = 8, 5.0


Near = Callable[[Floats, Floats], Floats]  # (m, 1, D), (m, k, D) -> (m, k) kernel
Foreseen = Callable[[Ints, Floats], Floats]  # rows, (m, k, D) sentences -> (m, k) Rhat^-i


def sentence_direct(speaker: Speaker, foreseen: Foreseen, *, draws: int = DRAWS) -> Slope:
    """Climb what a model foresees of what will be said: no weights at all."""

    def slope(rows: Ints, chances: Floats, rng: Rng) -> Floats:
        actions = drawn(chances, draws, rng)
        worth = foreseen(rows, speaker(rows, actions, rng))
        return scored(chances, actions, alone(worth) / draws)

    return slope


def dso(
    sentences: Floats,
    worth: Floats,
    density: Floats,
    speaker: Speaker,
    near: Near,
    *,
    draws: int = DRAWS,
    most: float = MOST,
    baseline: bool = True,
) -> Slope:
    """Climb the reweighted worth (n,) = r - b of what was said, by likeness to what would be."""

    def slope(rows: Ints, chances: Floats, rng: Rng) -> Floats:
        actions = drawn(chances, draws, rng)
        k = weights(rows, speaker(rows, actions, rng), sentences, density, near, most)
        value = k * worth[rows, None]
        return scored(chances, actions, (alone(value) if baseline else value) / draws)

    return slope


def doubly_robust_dso(
    sentences: Floats,
    rewards: Floats,
    density: Floats,
    speaker: Speaker,
    near: Near,
    foreseen: Foreseen,
    *,
    shrink: float,
    draws: int = DRAWS,
    most: float = MOST,
) -> Slope:
    """Climb what is foreseen of what will be said, and the reweighted rest of what was."""
    mean = float(rewards.mean())
    own = mean + shrink * (foreseen(np.arange(len(rewards)), sentences[:, None])[:, 0] - mean)
    rest = rewards - own

    def slope(rows: Ints, chances: Floats, rng: Rng) -> Floats:
        actions = drawn(chances, draws, rng)
        said = speaker(rows, actions, rng)
        k = weights(rows, said, sentences, density, near, most)
        value = k * rest[rows, None]
        if shrink:
            value = value + shrink * (foreseen(rows, said) - mean)
        return scored(chances, actions, alone(value) / draws)

    return slope


def weights(
    rows: Ints, said: Floats, sentences: Floats, density: Floats, near: Near, most: float
) -> Floats:
    """(m, k) k_ij, none above `most`; 0 where nothing like the logged sentence was drawn."""
    found, below = near(sentences[rows, None], said), density[rows, None]
    made: Floats = np.divide(found, below, out=np.zeros_like(found), where=below > 0)
    return np.minimum(made, most, out=made)


def alone(value: Floats) -> Floats:
    """Each draw's value less the mean of the others'; a single draw has no others."""
    draws = value.shape[1]
    if draws == 1:
        return value
    made: Floats = (value - value.mean(axis=1, keepdims=True)) * (draws / (draws - 1))
    return made
