"""Logs for tests, with everything that a formula may ask for, and logs that come in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream

ACTIONS, CATEGORIES, DIMENSIONS, LOGGERS = 12, 4, 2, 3
NAMES = tuple(f"prompt {a}" for a in range(ACTIONS))


@dataclass(frozen=True, slots=True)
class Known:
    """A log and all that is known beside it."""

    log: Log
    target: Array  # (n, A) pi
    predictions: Array  # (n, A) Rhat
    p_e_a: Array  # (A, C, D)
    embeddings: Ints  # (n, D)
    clusters: Ints  # (A,)
    loggers: Array  # (n, L) chances of the logged action under each logger


@dataclass(frozen=True, slots=True)
class Pieces:
    """A log that is read so many rows at a time."""

    log: Log
    rows: int

    @property
    def names(self) -> tuple[str, ...]:
        return self.log.names

    @property
    def bounds(self) -> tuple[float, float]:
        return self.log.bounds

    @property
    def notes(self) -> tuple[str, ...]:
        return self.log.notes

    def __len__(self) -> int:
        return len(self.log)

    def chunks(self) -> Iterator[Log]:
        return self.log.split(self.rows)

    def keeping(self, *columns: str) -> Pieces:
        return Pieces(self.log.keeping(*columns), self.rows)


def softmax(scores: Array) -> Array:
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    made: Array = e / e.sum(axis=1, keepdims=True)
    return made


def drawn(chances: Array, rng: np.random.Generator) -> Ints:
    """A column of each row, drawn with the row's chances."""
    past = np.cumsum(chances, axis=1) < rng.random(len(chances))[:, None]
    return np.minimum(past.sum(axis=1), chances.shape[1] - 1).astype(np.intp)


def known(n: int = 2000, seed: int = 0) -> Known:
    """Several loggers chose among twelve prompts, of which two categories are seen."""
    rng = stream(seed, "a log of everything")
    x, scores = rng.normal(size=(n, 4)), rng.normal(size=(4, ACTIONS))
    loggers = rng.integers(LOGGERS, size=n)
    every = np.stack(
        [softmax(0.4 * x @ scores + rng.normal(size=ACTIONS)) for _ in range(LOGGERS)], axis=1
    )
    pi_0 = every[np.arange(n), loggers]
    actions = drawn(pi_0, rng)
    p_e_a = rng.dirichlet(np.ones(CATEGORIES), size=(ACTIONS, DIMENSIONS)).transpose(0, 2, 1)
    embeddings = np.stack([drawn(p_e_a[actions, :, d], rng) for d in range(DIMENSIONS)], axis=1)
    mean = 1 / (1 + np.exp(-x @ scores / 2))
    rewards = (rng.random(n) < mean[np.arange(n), actions]).astype(float)
    own = pi_0[np.arange(n), actions]
    log = Log(actions, rewards, own, NAMES, contexts=x, propensities=pi_0, loggers=loggers)
    clusters = np.arange(ACTIONS) % 5
    chances = every[np.arange(n), :, actions]
    target = softmax(1.5 * x @ scores)
    guess = np.clip(mean + 0.1 * rng.normal(size=mean.shape), 0, 1)
    return Known(log, target, guess, p_e_a, embeddings, clusters, chances)
