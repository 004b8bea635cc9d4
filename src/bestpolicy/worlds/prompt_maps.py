"""What a prompt adds to a sentence, as a function of t = e_a N: the default bends, others vary."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bestpolicy.core.nouns import Array, Rng

HIGHEST = 5.0


def _linear(t: Array, _: Rng) -> Array:
    return t


def _trigonometric(t: Array, _: Rng) -> Array:
    return HIGHEST * np.sin(t)


def _sigmoid(t: Array, _: Rng) -> Array:
    return HIGHEST / (1 + np.exp(-t))


def _rational(t: Array, rng: Rng) -> Array:
    h = rng.normal(size=t.shape[1])
    made: Array = np.clip((t + h) / (1 + 2 * h + t), -HIGHEST, HIGHEST)
    return made


def _power(t: Array, _: Rng) -> Array:
    bent = t / 4 * np.abs((t**2 - 9) * (t**2 - 25)) ** 0.2
    return np.where(np.abs(t) < HIGHEST, bent, 0.0)


def _exponential(t: Array, _: Rng) -> Array:
    made: Array = 25 * t / (1 + np.exp(t) + np.exp(-t))
    return made


MAPS: dict[str, Callable[[Array, Rng], Array]] = {
    "trigonometric": _trigonometric,
    "linear": _linear,
    "sigmoid": _sigmoid,
    "rational": _rational,
    "power": _power,
    "exponential": _exponential,
}
