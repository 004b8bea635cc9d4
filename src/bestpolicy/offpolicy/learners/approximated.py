"""A density that is learnt: a net that says how near draws of the logging policy come to s.

    f(x, s) = softplus(net(x, s)) + 1e-10,    softplus(z) = log(1 + exp(z / 2)) * 2
    least squares of f(x, s) on K(s, s'),     s, s' two fresh draws of pi_0 in one context

The published choice. The best f is the density, but after the published number of steps the net is
off by a factor of several: DSO does not mind a common factor, whoever corrects a model with its
weights does. Inputs are raw, as published. Source: arXiv 2504.02646.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Ints
from bestpolicy.core.net import Adam, Net
from bestpolicy.core.nouns import Rng
from bestpolicy.core.softmax import drawn
from bestpolicy.offpolicy.learners.material import PART, Material

Floats = NDArray[Any]
BEND = 0.5  # of the softplus: 1 would bend it twice as sharply
LEAST = 1e-10  # of a density, which weights divide by


@dataclass(frozen=True, slots=True)
class Approximation:
    """How long and how fast the net is fitted; the defaults are published."""

    rounds: int = 100  # of fresh draws, each of
    steps: int = 100  # so many batches
    batch: int = 32
    rate: float = 1e-4
    hidden: int = 100


def approximated(how: Approximation = Approximation()) -> Callable[[Material], Floats]:
    """D_i by a net."""

    def density(at: Material) -> Floats:
        return foreseen(fitted(at, how), np.hstack([at.x, at.said]))

    return density


def fitted(at: Material, how: Approximation) -> Net:
    """The net, after all its steps."""
    rng = at.rng("density net")
    net = Net.drawn(rng, at.x.shape[1] + at.said.shape[1], how.hidden)
    adam = Adam.fresh(net)
    for _ in range(how.rounds):
        rows = rng.integers(len(at.log), size=how.steps * how.batch)
        pair = two_draws(at, rows, rng)
        inputs = np.hstack([at.x[rows], pair[:, 0]])
        aims = at.near(pair[:, 0], pair[:, 1])
        for first in range(0, len(rows), how.batch):
            some = slice(first, first + how.batch)
            z = net(inputs[some])
            off = positive(z)[:, 0] - aims[some]
            slopes = (2 / how.batch) * off[:, None] / (1 + np.exp(-BEND * z))
            net, adam = adam.step(net, net.back(inputs[some], slopes), how.rate)
    return net


def foreseen(net: Net, inputs: Floats) -> Floats:
    """(m,) f of contexts beside sentences."""
    return positive(net(inputs))[:, 0]


def positive(z: Floats) -> Floats:
    """softplus, and a little."""
    return np.logaddexp(0, BEND * z) / BEND + LEAST


def two_draws(at: Material, rows: Ints, rng: Rng) -> Floats:
    """(m, 2, D) what the policy that logged says twice in the contexts of these rows."""
    part = max(1, PART // len(at.log.names))
    said = []
    for first in range(0, len(rows), part):
        some = rows[first : first + part]
        said.append(at.speaker(some, drawn(at.propensities[some], 2, rng), rng))
    return np.concatenate(said)
