"""Training: climb the mean over rows of whatever direction a method names.

    d/d logits of log pi(a | x)            1[a] - pi(. | x)
    d/d logits of E_{a~pi} f(a)            pi (f - E_pi f)

A method is a function from a batch of rows and the policy's chances there to slopes by the logits;
the loop, the net and the optimiser are the same for all.
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
from bestpolicy.core.softmax import Softmax, softmax

Floats = NDArray[Any]
Slope = Callable[[Ints, Floats, Rng], Floats]  # rows of the log, (m, A) chances -> (m, A) slopes
PROGRESS = 50  # steps between two words to whoever watches


@dataclass(frozen=True, slots=True)
class Training:
    """How long and how fast to climb."""

    steps: int = 2000
    batch: int = 128
    rate: float = 2e-3
    hidden: int = 100


def trained(
    contexts: Floats,
    actions: int,
    slope: Slope,
    rng: Rng,
    *,
    training: Training = Training(),
    watch: Callable[[int], object] | None = None,
) -> Softmax:
    """A policy over `actions`, climbed from small random weights."""
    centre, spread = contexts.mean(axis=0), contexts.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    x = ((contexts - centre) / spread).astype(np.float32)
    net = Net.drawn(rng, x.shape[1], training.hidden, actions, single=True)
    adam = Adam.fresh(net)
    for step in range(training.steps):
        rows = rng.integers(len(x), size=training.batch)
        some = x[rows]
        slopes: Floats = slope(rows, softmax(net(some)), rng).astype(np.float32)
        slopes /= -training.batch
        net, adam = adam.step(net, net.back(some, slopes), training.rate)
        if watch is not None and step % PROGRESS == 0:
            watch(step)
    return Softmax(Scored(net, centre, spread))


@dataclass(frozen=True, slots=True)
class Scored:
    """A net over contexts that have been shifted and scaled to be alike."""

    net: Net
    centre: Floats  # (d,) taken off each context,
    spread: Floats  # (d,) and what it is divided by then

    def __call__(self, contexts: Floats) -> Floats:
        x = ((contexts - self.centre) / self.spread).astype(self.net.W.dtype)
        return self.net(x)


def scored(chances: Floats, actions: Ints, worth: Floats) -> Floats:
    """Σ_j worth_ij (1[a_ij] - pi(. | x_i)), over the actions of each row: (m, k) each."""
    worth = worth.astype(chances.dtype, copy=False)
    slopes: Floats = -worth.sum(axis=1, keepdims=True) * chances
    np.add.at(slopes, (np.arange(len(actions))[:, None], actions), worth)
    return slopes


def expected(chances: Floats, worth: Floats) -> Floats:
    """The slope of E_{a~pi} worth(x_i, a): (m, A)."""
    mean = np.einsum("ia,ia->i", chances, worth)
    return np.asarray(chances * (worth - mean[:, None]))
