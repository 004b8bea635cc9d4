"""The logistic function and the entropy of a coin, safe at both ends."""

from __future__ import annotations

from math import exp, log

import numpy as np

from bestpolicy.core.nouns import Array

LEAST_GAP = 0.05  # between ratings, or a tie would take for ever


def mu(v: Array) -> Array:
    """1 / (1 + e^-v)."""
    q: Array = 1 / (1 + np.exp(-np.clip(v, -700, 700)))
    return q


def sigmoid(v: float) -> float:
    """The same of one number, which numpy would take ten times as long for."""
    return 1 / (1 + exp(-v)) if v > -700 else 0.0


def worth(gap: Array) -> Array:
    """kl(μ(-gap), 1/2): nats that an answer tells of which of two is worse, at least a little."""
    told: Array = log(2) - entropy(mu(-np.maximum(gap, LEAST_GAP)))
    return told


def entropy(q: Array) -> Array:
    """-q log q - (1-q) log (1-q), 0 at both ends."""
    return -_x_log(q) - _x_log(1 - q)


def _x_log(q: Array) -> Array:
    return q * np.log(np.maximum(q, 1e-300))
