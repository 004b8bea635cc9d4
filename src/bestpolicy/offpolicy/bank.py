"""Bank: sentences of the frozen generator for every query and prompt, kept beside the log.

    query_id, prompt_id, draw, text [, emb, text_hash, model_hash]

Densities, model means and draws all read the bank, so that the generator is called once. What
the log itself showed is no part of it: a logged sentence among its own neighbours would make its
density too large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.embedder import Embedder, Points
from bestpolicy.core.log import BadRow, Ints, Log, Logged
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import pick
from bestpolicy.offpolicy.density import EMBEDDING, Speaker, embeddings
from bestpolicy.offpolicy.kernel import Kernel, squares

PLAIN = 20  # numbers of a sentence, to learn from
QUERY, DRAW, TEXT = "query_id", "draw", "sentence"  # columns of the log


@dataclass(frozen=True, slots=True)
class Bank:
    """Sentences in the order of query, prompt and draw; each query has some of every prompt."""

    names: tuple[str, ...]  # (A,) the prompts, as the log calls them
    queries: tuple[str, ...]  # (Q,)
    first: Ints  # (Q, A + 1) where the draws of each query's prompts begin, and the last ends
    draw: NDArray[Any]  # (B,) numbers of the draws
    texts: NDArray[np.str_]  # (B,)
    emb: Points  # (B, d)
    made_by: str = ""  # what generated them
    seed: int = 0  # of draws from the bank

    def __len__(self) -> int:
        return len(self.emb)

    def draws_of(self, query: str, prompt: str) -> slice:
        """Rows of the bank with what was said to this prompt in this query."""
        if query not in self.queries or prompt not in self.names:
            raise ConfigError(f"the bank has no sentence to {prompt!r} in query {query!r}")
        q, a = self.queries.index(query), self.names.index(prompt)
        return slice(int(self.first[q, a]), int(self.first[q, a + 1]))

    def closeness(self, log: Log, kernel: Kernel) -> Array:
        """(m, A) the mean of K(s_i, s') over draws s' of each prompt in row i's query."""
        said, made = embeddings(log), np.empty((len(log), len(self.names)))
        for q, rows in self._groups(log):
            each = kernel(squares(said[rows], self._of(q)))
            made[rows] = self._means(each.T, q).T
        return made

    def mean(self, log: Log, chances: Array) -> Array:
        """(m, d) the mean embedding over prompts by these chances and their draws."""
        made = np.empty((len(log), self.emb.shape[1]))
        for q, rows in self._groups(log):
            made[rows] = chances[rows] @ self._means(self._of(q).astype(np.float64), q)
        return made

    def draws(self, log: Log, chances: Array, count: int, purpose: str) -> tuple[Ints, Array]:
        """(m, count) prompts by these chances, and embeddings of draws of them, with replacement.

        Chance comes from the row's number, so that chunks of any size draw the same."""
        at = np.stack(
            [
                stream(self.seed, f"bank/{purpose}", row).random((2, count))
                for row in range(log.start, log.start + len(log))
            ]
        )
        prompts, places = pick(chances, at[:, 0]), np.empty((len(log), count), dtype=np.intp)
        for q, rows in self._groups(log):
            begin, end = self.first[q, prompts[rows]], self.first[q, prompts[rows] + 1]
            places[rows] = begin + (at[rows, 1] * (end - begin)).astype(np.intp)
        return prompts, self.emb[places].astype(np.float64)

    def speaker(self, log: Log) -> Speaker:
        """Draws of this bank, with replacement, for rows of this log."""
        queries = self._numbers(log)

        def say(rows: Ints, actions: Ints, rng: Rng) -> Array:
            of = queries[rows][:, None]
            begin, end = self.first[of, actions], self.first[of, actions + 1]
            places = begin + (rng.random(begin.shape) * (end - begin)).astype(np.intp)
            return self.emb[places].astype(np.float64)

        return say

    def for_log(self, log: Logged) -> Bank:
        """This bank, once it is known to go with the log: its prompts, its queries, no sentence of
        its own."""
        if log.names != self.names:
            odd = sorted(set(log.names) ^ set(self.names))
            raise ConfigError(
                "the bank's prompts must be the log's, in their order; "
                + (f"only one of them has {odd[0]!r}" if odd else "their order differs")
            )
        for chunk in log.chunks():
            self._check(chunk)
        return self

    def _check(self, log: Log) -> None:
        numbers = self._numbers(log)
        if DRAW not in log.columns:
            return
        for i, (q, a, draw) in enumerate(zip(numbers, log.actions, log.columns[DRAW], strict=True)):
            if draw in self.draw[self.first[q, a] : self.first[q, a + 1]]:
                raise BadRow(
                    *(log.start + i, DRAW, draw, "the bank has this very draw"),
                    "leave out of the bank what the log showed: it must be drawn by itself",
                )

    def _numbers(self, log: Log) -> Ints:
        if QUERY not in log.columns:
            raise ConfigError(f"the log has no column {QUERY!r}, by which a bank is looked up")
        of_query = {query: q for q, query in enumerate(self.queries)}
        made = np.array([of_query.get(str(said), -1) for said in log.columns[QUERY]], dtype=np.intp)
        if (made < 0).any():
            i = int(np.argmin(made))
            value = str(log.columns[QUERY][i])
            raise BadRow(log.start + i, QUERY, value, "the bank has no sentence of this query")
        return made

    def _groups(self, log: Log) -> list[tuple[int, Ints]]:
        """Rows of the chunk by query."""
        numbers = self._numbers(log)
        order = np.argsort(numbers, kind="stable")
        found, starts = np.unique(numbers[order], return_index=True)
        return list(zip(found.tolist(), np.split(order, starts[1:]), strict=True))

    def _of(self, q: int) -> Points:
        return self.emb[self.first[q, 0] : self.first[q, -1]]

    def _means(self, values: Array, q: int) -> Array:
        """Means over the draws of each prompt: (A, …) of values by bank row of the query."""
        first = self.first[q]
        sums: Array = np.add.reduceat(values, first[:-1] - first[0], axis=0)
        sums /= np.diff(first)[:, None]
        return sums


def bank_of(
    columns: Mapping[str, NDArray[Any]], names: tuple[str, ...], *, made_by: str = ""
) -> Bank:
    """A bank of whole columns query_id, prompt_id, draw, text and emb, in any order."""
    query, prompt, draw = (columns[name] for name in ("query_id", "prompt_id", "draw"))
    of_prompt = {name: a for a, name in enumerate(names)}
    actions = np.array([of_prompt.get(str(said), -1) for said in prompt], dtype=np.intp)
    if len(actions) and actions.min() < 0:
        i = int(np.argmin(actions))
        raise BadRow(i, "prompt_id", str(prompt[i]), "the log has no prompt of this name")
    queries, numbers = np.unique(query.astype(str), return_inverse=True)
    order = np.lexsort((draw, actions, numbers))
    cells = (numbers * len(names) + actions)[order]
    twice = (np.diff(cells) == 0) & (draw[order][1:] == draw[order][:-1])
    if twice.any():
        i = int(max(order[np.argmax(twice) : np.argmax(twice) + 2]))
        rule = "this query and prompt have another row of the same draw"
        raise BadRow(i, "draw", draw[i].item(), rule)
    counts = np.bincount(cells, minlength=len(queries) * len(names)).reshape(-1, len(names))
    if not counts.all():
        q, a = np.argwhere(counts == 0)[0]
        raise ConfigError(
            f"the bank has no sentence to prompt {names[a]!r} in query {str(queries[q])!r}: each "
            "query needs one draw of every prompt at least, since densities sum over prompts"
        )
    ends = np.cumsum(counts).reshape(counts.shape)
    first = np.hstack([ends[:, :1] - counts[:, :1], ends]).astype(np.intp)
    emb = np.asarray(columns["emb"], dtype=np.float32)[order]
    texts = columns["text"].astype(str)[order]
    return Bank(names, tuple(queries.tolist()), first, draw[order], texts, emb, made_by)


def compact(log: Log, bank: Bank, most: int = PLAIN) -> tuple[Log, Bank]:
    """Both with sentences as at most so many numbers, the bank's principal components: what a net
    learns from, and what kernels compare at a tenth of the cost."""
    if bank.emb.shape[1] <= most:
        return log, bank
    centre = bank.emb.mean(axis=0, dtype=np.float64)
    spread = bank.emb.astype(np.float64) - centre
    _, turn = np.linalg.eigh(spread.T @ spread)
    axes = turn[:, ::-1][:, :most]
    said = (embeddings(log) - centre) @ axes
    columns = {**log.columns, EMBEDDING: said}
    return replace(log, columns=columns), replace(bank, emb=(spread @ axes).astype(np.float32))


def embedded(log: Log, embedder: Embedder) -> Log:
    """The log with a point for each of its sentences; the same sentence is embedded once."""
    if TEXT not in log.columns:
        raise ConfigError(f"the log has no column {TEXT!r} to embed")
    texts, where = np.unique(log.columns[TEXT].astype(str), return_inverse=True)
    points = embedder.embed(texts.tolist())[where]
    return replace(log, columns={**log.columns, EMBEDDING: points})
