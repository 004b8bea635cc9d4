"""The logistic function and the entropy of a coin, safe at both ends."""

from __future__ import annotations

import numpy as np

from bestpolicy.core.nouns import Array


def mu(v: Array) -> Array:
    """1 / (1 + e^-v)."""
    q: Array = 1 / (1 + np.exp(-np.clip(v, -700, 700)))
    return q


def entropy(q: Array) -> Array:
    """-q log q - (1-q) log (1-q), 0 at both ends."""
    return -_x_log(q) - _x_log(1 - q)


def _x_log(q: Array) -> Array:
    return q * np.log(np.maximum(q, 1e-300))
