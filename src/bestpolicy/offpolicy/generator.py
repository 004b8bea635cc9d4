"""Generator: whatever a prompt makes, seen as what learners of sentences ask for.

    sample(contexts, actions, rng) -> things      embed(things) -> (m, d)

Nothing here knows what a thing is: a sentence, a picture, a tune. Two ways of asking:

banked   so many things of each prompt in each query, made and embedded once, as a `Bank`. Right
         where a generator is dear and sees the query and the prompt alone: 2,000 steps of 128 rows
         and 8 draws would ask it 2 million times. Who learns from a bank climbs the value of the
         draws in it, which errs like a mean of that many things, prompt by prompt.
fresh    new things at every call, in the row's own context. Right where the generator is cheap and
         contexts do not come in groups. Nothing is reused but the draws of a density, which come
         from the row's number, so that chunks of any size draw the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bestpolicy.core.log import CELLS, Ints, Log
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import pick
from bestpolicy.offpolicy.bank import QUERY, Bank, bank_of
from bestpolicy.offpolicy.density import Speaker, embeddings
from bestpolicy.offpolicy.kernel import Kernel, squares

EACH = 32  # draws of each prompt where a mean over its things is asked for


class Generator(Protocol):
    """Frozen: the same chances of things for the same context and prompt, today and tomorrow."""

    def sample(self, contexts: Array, actions: Ints, rng: Rng) -> Any:
        """m things, one for each of these (m, d) contexts and (m,) prompts."""

    def embed(self, things: Any) -> Array:
        """(m, d) a point for each, things alike near each other."""


def banked(
    generator: Generator, log: Log, *, draws: int = 16, seed: int = 0, made_by: str = ""
) -> Bank:
    """A bank of so many things for each of the log's queries and prompts.

    A thing is made in the context of a row drawn from those of its query: should the generator see
    more of a row than its query, the bank holds the query's mean over rows.
    """
    if QUERY not in log.columns:
        raise ConfigError(
            f"a bank is made for each query, and the log has no column {QUERY!r}: add it (one name "
            "for all rows if the generator sees the prompt alone), or use Fresh"
        )
    if draws < 1 or not len(log):
        raise ConfigError(
            f"a bank needs rows and one draw of each prompt at least; saw {len(log)} rows, "
            f"draws={draws}"
        )
    x, actions = _x(log), len(log.names)
    queries, number = np.unique(log.columns[QUERY].astype(str), return_inverse=True)
    points, asked = [], np.repeat(np.arange(actions), draws)
    for q in range(len(queries)):
        rng = stream(seed, "generator/bank", q)
        rows = rng.choice(np.flatnonzero(number == q), size=len(asked))
        for part in _parts(len(asked)):
            things = generator.sample(x[rows[part]], asked[part], rng)
            points.append(_points(generator, things, len(asked[part])))
    each = np.tile(np.arange(draws), len(queries) * actions)
    columns = {
        "query_id": np.repeat(queries, len(asked)),
        "prompt_id": np.tile(np.array(log.names)[asked], len(queries)),
        "draw": each,
        "text": np.full(len(each), ""),
        "emb": np.concatenate(points),
    }
    return bank_of(columns, log.names, made_by=made_by)


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a generator makes, made anew whenever it is asked."""

    generator: Generator
    each: int = EACH
    seed: int = 0

    def closeness(self, log: Log, kernel: Kernel) -> Array:
        """(m, A) the mean of K(s_i, s') over `each` things of every prompt in row i's context."""
        own, made = embeddings(log), np.empty((len(log), len(log.names)))
        for i, said in self._every(log):
            made[i] = (
                kernel(squares(own[i : i + 1], said.reshape(-1, said.shape[-1])))[0]
                .reshape(len(log.names), self.each)
                .mean(axis=1)
            )
        return made

    def mean(self, log: Log, chances: Array) -> Array:
        """(m, d) the mean embedding over prompts by these chances."""
        rows = [chances[i] @ said.mean(axis=1) for i, said in self._every(log)]
        return np.array(rows)

    def draws(self, log: Log, chances: Array, count: int, purpose: str) -> tuple[Ints, Array]:
        prompts = np.empty((len(log), count), dtype=np.intp)
        made, x = [], _x(log)
        for i in range(len(log)):
            rng = stream(self.seed, f"generator/{purpose}", log.start + i)
            prompts[i] = pick(chances[i : i + 1], rng.random((1, count)))[0]
            made.append(self._made(x[i : i + 1], prompts[i : i + 1], rng)[0])
        return prompts, np.array(made)

    def speaker(self, log: Log) -> Speaker:
        x = _x(log)

        def say(rows: Ints, actions: Ints, rng: Rng) -> Array:
            return self._made(x[rows], actions, rng)

        return say

    def _every(self, log: Log) -> Iterator[tuple[int, Array]]:
        """(A, each, d) things of every prompt, row by row."""
        x, asked = _x(log), np.repeat(np.arange(len(log.names)), self.each)
        for i in range(len(log)):
            rng = stream(self.seed, "generator/every", log.start + i)
            said = self._made(x[i : i + 1], asked[None], rng)[0]
            yield i, said.reshape(len(log.names), self.each, -1)

    def _made(self, contexts: Array, actions: Ints, rng: Rng) -> Array:
        """(m, k, d) points of things for (m, k) prompts."""
        each, asked = np.repeat(contexts, actions.shape[1], axis=0), actions.ravel()
        points = [
            _points(self.generator, self.generator.sample(each[p], asked[p], rng), len(asked[p]))
            for p in _parts(len(asked))
        ]
        return np.concatenate(points).reshape(*actions.shape, -1)


def _points(generator: Generator, things: Any, count: int) -> Array:
    """(m, d) where the things lie, once it is known that these are as many finite points."""
    points = np.asarray(generator.embed(things), dtype=np.float64)
    if points.ndim != 2 or len(points) != count:
        raise ConfigError(
            f"embed must give a row of numbers for each thing: {count} things were sampled, and "
            f"what came back has shape {points.shape}"
        )
    if not np.isfinite(points).all():
        i = int(np.argmin(np.isfinite(points).all(axis=1)))
        raise ConfigError(f"embed must give finite numbers; thing {i} of {count} has others")
    return points


def _parts(count: int) -> Iterator[slice]:
    """Few things at a time: a picture may be 10,000 numbers."""
    size = max(1, CELLS >> 10)
    for first in range(0, count, size):
        yield slice(first, first + size)


def _x(log: Log) -> Array:
    """(m, d) contexts as numbers; a log without any has the same one in all rows."""
    if log.contexts is None:
        return np.zeros((len(log), 1))
    return np.asarray(log.contexts, dtype=np.float64).reshape(len(log), -1)
