"""Reward nets: what a reward will be, from numbers that describe the row and what was shown.

    Rhat = argmin_f Σ (r_i - f(z_i))²,   f a small net over standardised inputs

Cross-fitted: the rows are split by number, and who predicts a row has not seen it. The mean of the
folds' models predicts what no row has, such as sentences that were never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.net import Net, fitted, fitting
from bestpolicy.core.nouns import Rng
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.folds import Moments

Floats = NDArray[Any]
CHECKS = frozenset((25, 50, 100, 200, 300, 450, 600, 800, 1000, 1300, 1600, 2000, 2500))
PATIENCE = 3
LEAST_HELD = 20  # rows, below which they say nothing
Predict = Callable[[Floats], Floats]  # (m, d) inputs -> (m,) rewards


@dataclass(frozen=True, slots=True)
class Fitting:
    """How long and how fast a net is fitted."""

    steps: int = 3000
    batch: int = 128
    rate: float = 1e-3
    hidden: int = 100
    held: float = 0.2  # of the rows, which say when to stop; 0 takes all steps


@dataclass(frozen=True, slots=True)
class Standardised:
    """A fitted net, inputs and rewards shifted and scaled to be alike."""

    net: Net
    centre: Floats
    spread: Floats
    mean: float
    scale: float

    def __call__(self, inputs: Floats) -> Floats:
        made: Floats = self.net((inputs - self.centre) / self.spread)[:, 0]
        return self.mean + self.scale * made

    def beside(self, contexts: Floats, things: Floats) -> Floats:
        """(m, A) of each context with each thing; the first layer is computed once for either."""
        d, z = contexts.shape[1], self.net
        of_x = (contexts - self.centre[:d]) / self.spread[:d] @ z.W[:d] + z.b
        of_a = ((things - self.centre[d:]) / self.spread[d:] @ z.W[d:]).astype(np.float32)
        # Single precision halves the time, and no model is that exact.
        last = (self.scale * z.V[:, 0]).astype(np.float32)
        made = np.empty((len(contexts), len(things)), dtype=np.float32)
        for i, own in enumerate(of_x.astype(np.float32)):
            made[i] = np.maximum(own + of_a, 0) @ last
        made += np.float32(self.mean + self.scale * z.c[0])
        return made


def fit_net(inputs: Floats, rewards: Floats, rng: Rng, how: Fitting | None = None) -> Standardised:
    """Least squares by Adam on random batches, for as many steps as foresee rows best that were
    held out: rewards are noisy, and a net that is fitted for long learns their noise."""
    how = how or Fitting()
    centre, spread = inputs.mean(axis=0), inputs.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    mean, scale = float(rewards.mean()), float(rewards.std()) or 1.0
    z, r = (inputs - centre) / spread, (rewards - mean) / scale
    steps = best_steps(z, r, rng, how)
    net = fitted(z, r, rng, hidden=how.hidden, steps=steps, batch=how.batch, rate=how.rate)
    return Standardised(net, centre, spread, mean, scale)


def best_steps(z: Floats, r: Floats, rng: Rng, how: Fitting) -> int:
    """After how many steps, of those in `CHECKS`, a net that has not seen them foresees the rows
    held out best; looking ends when it has been worse `PATIENCE` times."""
    held = rng.permutation(len(z)) < how.held * len(z)
    if held.sum() < LEAST_HELD or held.sum() > len(z) - LEAST_HELD:
        return how.steps
    best, least, worse = how.steps, np.inf, 0
    path = fitting(
        *(z[~held], r[~held], rng),
        hidden=how.hidden,
        steps=how.steps,
        batch=how.batch,
        rate=how.rate,
    )
    for step, net in path:
        if step not in CHECKS and step != how.steps:
            continue
        error = float(((net(z[held])[:, 0] - r[held]) ** 2).mean())
        if error < least:
            best, least, worse = step, error, 0
        elif (worse := worse + 1) >= PATIENCE:
            break
    return best


Fit = Callable[[Floats, Floats, Rng], Predict]


@dataclass(frozen=True, slots=True)
class Crossed:
    """One model a fold, each fitted on the rows of the others."""

    models: Sequence[Predict]

    @property
    def folds(self) -> int:
        return len(self.models)

    def unseen(self, rows: NDArray[np.intp], inputs: Floats) -> Floats:
        """(m,) Rhat^-i of these rows, or of (m, k) things said in their place: (m, k)."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        fold = np.repeat(rows % self.folds, len(flat) // len(rows))
        made = np.empty(len(flat))
        for f, model in enumerate(self.models):
            if (mine := fold == f).any():
                made[mine] = model(flat[mine])
        return made.reshape(inputs.shape[:-1])

    def unseen_beside(self, rows: NDArray[np.intp], contexts: Floats, things: Floats) -> Floats:
        """(m, A) Rhat^-i of these rows' contexts, each with each thing."""
        fold, made = rows % self.folds, np.empty((len(rows), len(things)), dtype=np.float32)
        for f, model in enumerate(self.models):
            if (mine := fold == f).any():
                made[mine] = beside(model, contexts[mine], things)
        return made

    def mean_beside(self, contexts: Floats, things: Floats) -> Floats:
        """(m, A) the mean over folds, for contexts that are no row of the log."""
        made: Floats = np.mean([beside(m, contexts, things) for m in self.models], axis=0)
        return made


def beside(model: Predict, contexts: Floats, things: Floats) -> Floats:
    """(m, A) what a model says of each context with each thing."""
    if isinstance(model, Standardised):
        return model.beside(contexts, things)
    m, many = len(contexts), len(things)
    each = np.hstack([np.repeat(contexts, many, axis=0), np.tile(things, (m, 1))])
    return model(each).reshape(m, many)


def crossed(
    inputs: Floats, rewards: Floats, rng: Rng, *, fit: Fit = fit_net, folds: int = 2
) -> Crossed:
    """Rows split by number; with one fold the model has seen what it predicts."""
    rows = np.arange(len(inputs))
    kept = [rows % folds != f if folds > 1 else rows >= 0 for f in range(folds)]
    # A stream each: how long one fold draws depends on rewards that another must not know.
    seed = int(rng.integers(1 << 62))
    chance = [stream(seed, "reward nets", f) for f in range(folds)]
    return Crossed([fit(inputs[mine], rewards[mine], chance[f]) for f, mine in enumerate(kept)])


def calibration(rewards: Floats, predicted: Floats) -> float:
    """clip(cov(r, Rhat) / var(Rhat), 0, 1): how much of a model's opinion out of fold is true.

    R² would be capped by the noise of the rewards, which no model can foresee.
    """
    return min(1.0, max(0.0, Moments.of(predicted, rewards).fit(folds=2).slope))
