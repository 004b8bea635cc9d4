"""Material: what methods learn from, each part made once, when a method first asks for it.

    log                        contexts, actions, rewards, chances, and what was said
    prompts                    numbers that say what prompts are like; names alone if there are none
    source, kernel, density    what prompts say, when two sentences are alike, and D_i of each row

Reward models are nets, cross-fitted: no row is foreseen by a model that has seen it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.density import Sampled, Source, Speaker, embeddings, logged
from bestpolicy.offpolicy.kernel import Kernel
from bestpolicy.offpolicy.learners.support import Heard
from bestpolicy.offpolicy.learners.training import Training
from bestpolicy.offpolicy.reward_nets import Crossed, Fit, calibration, crossed, fit_net

Floats = NDArray[Any]
CELLS = 1 << 25  # of a table of predictions that is kept: 128 MB
PART = 1 << 21  # and of the part of it that is made at once


@dataclass(frozen=True)
class Material:
    """A log at hand, what is known besides, and how to learn from it."""

    log: Log
    seed: int = 0
    prompts: Floats | None = None  # (A, d)
    source: Source | None = None
    kernel: Kernel | None = None
    density_of: Callable[[Material], Floats] | None = None  # summed over prompts, if nobody says
    training: Training = field(default_factory=Training)
    fit: Fit = fit_net  # of reward models
    folds: int = 5
    shrinks: float | None = None  # of CF-DR-DSO: what calibration says, if nobody else does
    watch: Callable[[int], object] | None = None  # told the step, now and then

    def rng(self, purpose: str) -> Rng:
        return stream(self.seed, f"learn/{purpose}")

    @cached_property
    def x(self) -> Floats:
        """(n, d) contexts as numbers; a log without any has the same one in all rows."""
        if self.log.contexts is None:
            return np.zeros((len(self.log), 1))
        return np.asarray(self.log.contexts, dtype=np.float64).reshape(len(self.log), -1)

    @cached_property
    def centred(self) -> Floats:
        r = self.log.rewards
        return np.asarray(r - r.mean())

    @cached_property
    def said(self) -> Floats:
        """(n, D) what the log showed."""
        return embeddings(self.log)

    @cached_property
    def propensities(self) -> Array:
        """(n, A) chances of all prompts when the log was written."""
        return logged(self.log)

    @cached_property
    def speaker(self) -> Speaker:
        return self._source.speaker(self.log)

    @cached_property
    def density(self) -> Floats:
        """(n,) D_i."""
        return (self.density_of or summed)(self)

    def near(self, one: Floats, other: Floats) -> Floats:
        """K, of sentences that stand against each other."""
        return self._kernel(((one - other) ** 2).sum(-1))

    def closeness(self, rows: Ints) -> Floats:
        """(m, A) Kbar(x_i, ., s_i) of these rows."""
        return self._near[rows] if self._keeps else self._nearness(self.log.at(rows))

    @cached_property
    def support(self) -> Heard:
        """c(x, s'), by draws of the policy that logged."""
        return Heard(self.log, self._source, self._kernel, seed=self.seed)

    @cached_property
    def of_prompts(self) -> Crossed:
        """Models of the reward by context and prompt."""
        inputs = np.hstack([self.x, self.alike[self.log.actions]])
        return crossed(
            inputs, self.centred, self.rng("prompt model"), fit=self.fit, folds=self.folds
        )

    def predicted(self, rows: Ints) -> Floats:
        """(m, A) rewards of all prompts in these rows, by models that have not seen the row."""
        return self._predictions[rows] if self._keeps else self._predict(rows)

    @cached_property
    def of_sentences(self) -> Crossed:
        """Models of the reward by context and sentence."""
        inputs = np.hstack([self.x, self.said])
        return crossed(
            inputs, self.centred, self.rng("sentence model"), fit=self.fit, folds=self.folds
        )

    def foreseen(self, rows: Ints, said: Floats) -> Floats:
        """(m, k) rewards of sentences in the contexts of these rows, by models that have not seen
        the row."""
        x = np.broadcast_to(self.x[rows][:, None], (*said.shape[:2], self.x.shape[1]))
        return self.of_sentences.unseen(rows, np.concatenate([x, said], axis=-1))

    @cached_property
    def shrink(self) -> float:
        """How much of what the sentence model says CF-DR-DSO believes."""
        if self.shrinks is not None:
            return self.shrinks
        own = self.foreseen(np.arange(len(self.log)), self.said[:, None])[:, 0]
        return calibration(self.log.rewards, own)

    @property
    def _source(self) -> Source:
        if self.source is None:
            raise ConfigError(
                "this method needs what prompts say: give bank=, a bank of sentences (read_bank)"
            )
        return self.source

    @property
    def _kernel(self) -> Kernel:
        if self.kernel is None:
            raise ConfigError("this method needs a kernel, which says when sentences are alike")
        return self.kernel

    @cached_property
    def alike(self) -> Floats:
        """(A, d) what prompts are like; where nobody says, each is like itself alone."""
        return np.eye(len(self.log.names)) if self.prompts is None else self.prompts

    @property
    def _keeps(self) -> bool:
        return len(self.log) * len(self.log.names) <= CELLS

    @cached_property
    def _predictions(self) -> Floats:
        made = np.empty((len(self.log), len(self.log.names)), dtype=np.float32)
        part = max(1, PART // len(self.log.names))
        for first in range(0, len(made), part):
            rows = np.arange(first, min(len(made), first + part))
            made[rows] = self._predict(rows)
        return made

    @cached_property
    def _near(self) -> Floats:
        made = np.empty((len(self.log), len(self.log.names)), dtype=np.float32)
        for part in self.log.split(max(1, PART // len(self.log.names))):
            first = part.start - self.log.start
            made[first : first + len(part)] = self._nearness(part)
        return made

    def _nearness(self, part: Log) -> Floats:
        return self._source.closeness(part, self._kernel)

    def _predict(self, rows: Ints) -> Floats:
        return self.of_prompts.unseen_beside(rows, self.x[rows], self.alike)


def summed(at: Material) -> Floats:
    """D_i = Σ_a pi_0(a | x_i) Kbar(x_i, a, s_i): over all prompts, by what the source knows."""
    made = np.empty(len(at.log))
    for part in at.log.split(max(1, PART // len(at.log.names))):
        here = slice(part.start - at.log.start, part.start - at.log.start + len(part))
        near = at._source.closeness(part, at._kernel)
        made[here] = np.einsum("ia,ia->i", logged(part), near)
    return made


def sampled(count: int = 100) -> Callable[[Material], Floats]:
    """D_i as the mean over so many draws of the policy that logged."""

    def density(at: Material) -> Floats:
        return Sampled(at._source, at._kernel, count).density(at.log)

    return density
