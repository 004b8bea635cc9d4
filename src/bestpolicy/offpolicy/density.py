"""Density: how likely a policy is to say something near the logged sentence, and the ratio of two.

    Kbar(x, a, s) = E_{s' | x, a} K(s, s'),    D_i = pi_0(phi(s_i) | x_i)

    summed    k_i = Σ_a pi(a | x_i) Kbar(x_i, a, s_i) / Σ_a pi_0(a | x_i) Kbar(x_i, a, s_i)
    sampled   the same above, and below the mean of K(s_i, s_b) over draws of pi_0
    shared    k_i = Σ_b w_b K(s_i, s_b) / Σ_b K(s_i, s_b),  w_b = pi/pi_0 at the prompt of draw b

Summed is the choice where a bank holds sentences of every prompt. Sampled weights are too large on
average, since 1/D bends: 1.3 times with 100 draws where 1.06 with 400. Shared ones are identically
1 at pi = pi_0 and never more than the largest w_b. Where nothing is near, k is 0, and the mean of k
at pi = pi_0 falls short of 1 (a line of the diagnosis).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bestpolicy.core.log import CELLS, Ints, Log
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.offpolicy.kernel import Kernel, squares
from bestpolicy.offpolicy.rows import Rows

EMBEDDING = "sentence_emb"  # the column of the log that holds emb(s_i)


class Speaker(Protocol):
    """What prompts say in the contexts of one log's rows."""

    def __call__(self, rows: Ints, actions: Ints, rng: Rng) -> Array:
        """(m, k, d) embeddings of sentences drawn for these rows' contexts and (m, k) actions."""


class Source(Protocol):
    """What the frozen generator says: a bank of its sentences, or a world that knows."""

    def closeness(self, log: Log, kernel: Kernel) -> Array:
        """(m, A) Kbar(x_i, a, s_i)."""

    def mean(self, log: Log, chances: Array) -> Array:
        """(m, d) E emb(s') over a by these (m, A) chances and s' of the generator."""

    def draws(self, log: Log, chances: Array, count: int, purpose: str) -> tuple[Ints, Array]:
        """(m, count) prompts by these chances, and (m, count, d) embeddings of their sentences;
        the same ones for the same row and purpose."""

    def speaker(self, log: Log) -> Speaker:
        """What prompts say in this log's contexts, drawn anew at every call."""


@dataclass(frozen=True, slots=True)
class Summed:
    """k with both sums over all prompts."""

    source: Source
    kernel: Kernel

    def __call__(self, rows: Rows) -> Array:
        near = self.source.closeness(rows.log, self.kernel)
        above = np.einsum("ia,ia->i", rows.table, near)
        return ratio(above, np.einsum("ia,ia->i", logged(rows.log), near))


@dataclass(frozen=True, slots=True)
class Sampled:
    """k with the sum over all prompts above, and a mean over so many draws of pi_0 below."""

    source: Source
    kernel: Kernel
    count: int = 400

    def __call__(self, rows: Rows) -> Array:
        near = self.source.closeness(rows.log, self.kernel)
        above = np.einsum("ia,ia->i", rows.table, near)
        return ratio(above, self.density(rows.log))

    def density(self, log: Log) -> Array:
        """(m,) D_i."""
        found = [
            nearness(self.source, self.kernel, part, self.count)[1].mean(axis=1)
            for part in blocks(log, self.count)
        ]
        return np.concatenate(found)


@dataclass(frozen=True, slots=True)
class Shared:
    """k with the same draws of pi_0 above and below."""

    source: Source
    kernel: Kernel
    count: int = 200

    def __call__(self, rows: Rows) -> Array:
        made, done = np.empty(len(rows.log)), 0
        for part in blocks(rows.log, self.count):
            here = slice(done, done := done + len(part))
            prompts, near = nearness(self.source, self.kernel, part, self.count)
            each = np.arange(len(part))[:, None]
            w = rows.table[here][each, prompts] / logged(part)[each, prompts]
            made[here] = ratio((w * near).sum(axis=1), near.sum(axis=1))
        return made


def nearness(source: Source, kernel: Kernel, log: Log, count: int) -> tuple[Ints, Array]:
    """(m, count) prompts of draws from pi_0, and K(s_i, s_b) of each."""
    prompts, said = source.draws(log, logged(log), count, "density")
    return prompts, kernel(squares(embeddings(log)[:, None], said)[:, 0])


def ratio(above: Array, below: Array) -> Array:
    """above / below, 0 where nothing is near."""
    made: Array = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return made


def logged(log: Log) -> Array:
    """(m, A) pi_0(. | x_i)."""
    if log.propensities is None:
        raise ConfigError(
            "kernel weights need the chances of all prompts, and the log has those of the chosen "
            "ones only: give `propensities`, a column of lists or an (n, A) array"
        )
    return log.propensities


def embeddings(log: Log) -> Array:
    """(m, d) emb(s_i)."""
    if EMBEDDING not in log.columns:
        raise ConfigError(
            f"the log has no column {EMBEDDING!r}: embed its sentences first, with "
            "embedded(log, embedder)"
        )
    column = log.columns[EMBEDDING]
    if column.dtype == object:
        column = np.stack([np.asarray(row) for row in column])
    return np.asarray(column, dtype=np.float64)


def blocks(log: Log, count: int) -> Iterator[Log]:
    """Parts of a chunk, each small enough for so many draws a row."""
    wide = embeddings(log).shape[1] if len(log) else 1
    return log.split(max(1, CELLS // (count * wide)))
