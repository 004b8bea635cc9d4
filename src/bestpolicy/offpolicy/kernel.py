"""Kernel: logged sentences, reweighted by how much likelier the target was to say something alike.

    k_i = pi(phi(s_i) | x_i) / pi_0(phi(s_i) | x_i),   pi(phi(s) | x) = E_{a~pi, s'} K(s, s')

    kernel IS   b + mean k_i (r_i - b)                                 b the mean logged reward
    DR-kernel   mean [E_{pi, s'} Rhat^-i(x_i, s') + k_i (r_i - Rhat^-i(x_i, s_i))]

Prompts need not overlap where their sentences do. The price is a bias, the shift of the reward
within a neighbourhood, which grows with the kernel's width; kernel IS is pulled towards the log.
DR-kernel is unbiased if Rhat is right, whatever the kernel, and smooths only what Rhat leaves.
Source: arXiv 2504.02646; the centre b and the form with Rhat are this project's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.offpolicy.rows import Rows, Terms, needing


@dataclass(frozen=True, slots=True)
class Kernel:
    """K(s, s') / K(0) as a function of the distance of two embeddings: constants cancel in k."""

    name: str
    width: float  # Euclidean, in the units of the embedding
    shape: Callable[[Array], Array]  # of (distance / width)²

    def __call__(self, squares: Array) -> Array:
        """K of squared distances."""
        return self.shape(squares / self.width**2)


def gaussian(width: float) -> Kernel:
    """exp(-d² / 2 width²)."""
    return Kernel("gaussian", _positive(width), lambda z: np.exp(-z / 2))


def uniform(width: float) -> Kernel:
    """1[d <= width]."""
    return Kernel("uniform", _positive(width), lambda z: (z <= 1).astype(np.float64))


def squares(a: NDArray[np.floating], b: NDArray[np.floating]) -> Array:
    """Squared distances of (…, m, d) from (…, B, d): (…, m, B)."""
    a, b = a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    far: Array = (a**2).sum(-1)[..., :, None] + (b**2).sum(-1)[..., None, :]
    far -= 2 * (a @ np.swapaxes(b, -1, -2))
    return np.maximum(far, 0, out=far)


@needing("kernel", caveat="the error leaves out that wide kernels pull the value towards the log")
def kernel_is(rows: Rows, b: float | None = None, most: float = inf) -> Terms:
    """b + mean min(k, most) (r - b): indifferent to the rewards' zero, where `b` is their mean.

    The error takes b as known: it is a mean over the whole log. Published code has b = 0, most 200.
    """
    low, high = rows.log.bounds
    centre = rows.centre if b is None else (b - low) / (high - low)
    return centre + np.minimum(rows.k, most) * (rows.r - centre), 1.0


@needing("kernel", "sentences", caveat="the error leaves out what a wide kernel smooths away")
def dr_kernel(rows: Rows, most: float = inf) -> Terms:
    """mean [d + min(k, most) (r - q)]: q, d of a model of sentences that has not seen the row."""
    q, d = rows.sentence_q_d
    return d + np.minimum(rows.k, most) * (rows.r - q), 1.0


def _positive(width: float) -> float:
    if not 0 < width < inf:
        raise ConfigError(f"the width of a kernel must be a positive number, saw {width:g}")
    return width
