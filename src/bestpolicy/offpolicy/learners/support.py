"""Support: how much of what would be said was logged by the like of it.

    c(x, s') = E_{s ~ pi_0}[K(s, s') / D(x, s)],    E_{s' ~ pi_0} c = 1

A policy that says things of small c asks about what the log has not seen. `quantiles` sums D over
all prompts, so that its mean c is 1 but for chance; learners ask for too many c to do the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import CELLS, Ints, Log
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import drawn
from bestpolicy.offpolicy.density import EMBEDDING, Source, embeddings, logged
from bestpolicy.offpolicy.kernel import Kernel, squares

Floats = NDArray[Any]
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)
AMONG = 100  # draws of pi_0 in a context
LOOKED_AT = 200  # contexts of which quantiles are taken


class Heard:
    """c by draws of pi_0 in the context of each row, kept where they are few enough.

    D of a draw is the mean of K to the others, and no less than one of its own kind would make it:
    a draw that no other is near would else count without bound.
    """

    def __init__(
        self, log: Log, source: Source, kernel: Kernel, *, among: int = AMONG, seed: int = 0
    ) -> None:
        self._log, self._kernel, self._among, self._seed = log, kernel, among, seed
        self._speaker = source.speaker(log)
        self._kept: tuple[Floats, Floats] | None = None
        if len(log) * among * embeddings(log).shape[1] <= 16 * CELLS:  # 128 MB
            parts = [self._draw(part) for part in self._parts()]
            said, below = (np.concatenate([part[i] for part in parts]) for i in range(2))
            self._kept = said, below

    def __call__(self, rows: Ints, said: Floats) -> Floats:
        """(m, k) c of (m, k, D) sentences in the contexts of these rows."""
        if self._kept is None:
            heard, below = self._draw(rows)
        else:
            heard, below = (column[rows] for column in self._kept)
        return _counts(self._kernel(squares(heard, said)), below)

    def _draw(self, rows: Ints) -> tuple[Floats, Floats]:
        """(m, B, D) draws, and (m, B) the density at each."""
        rng = stream(self._seed, "learn/support", int(rows[0]))
        said = self._speaker(rows, drawn(logged(self._log)[rows], self._among, rng), rng)
        others = self._kernel(squares(said, said)).sum(axis=-1) - 1
        below = np.maximum(others / (self._among - 1), 1 / self._among)
        return said.astype(np.float32), below

    def _parts(self) -> list[Ints]:
        many = max(1, CELLS // (self._among * max(self._among, len(self._log.names))))
        return [
            np.arange(first, min(len(self._log), first + many))
            for first in range(0, len(self._log), many)
        ]


def quantiles(
    log: Log,
    source: Source,
    kernel: Kernel,
    chances: Array | None = None,
    *,
    at: tuple[float, ...] = QUANTILES,
) -> dict[float, float]:
    """Of c over what a policy says, of (n, A) chances; of the policy that logged, if none is given.

    Looks at some rows, spread over the log."""
    c = supports(log, source, kernel, chances)
    return {q: float(np.quantile(c, q)) for q in at}


def supports(
    log: Log,
    source: Source,
    kernel: Kernel,
    chances: Array | None = None,
    *,
    rows: int = LOOKED_AT,
    among: int = AMONG,
) -> Array:
    """(m, B) c of what a policy says in some rows' contexts."""
    found = []
    for i in range(0, len(log), max(1, -(-len(log) // rows))):
        one = log.at(slice(i, i + 1))
        own = logged(one)
        _, heard = source.draws(one, own, among, "support")
        _, said = source.draws(one, own if chances is None else chances[[i]], among, "said")
        many = log.at(np.full(among, i))
        many = replace(many, columns={**many.columns, EMBEDDING: heard[0]})
        below = np.einsum("ba,ba->b", logged(many), source.closeness(many, kernel))
        found.append(_counts(kernel(squares(heard, said)), below[None])[0])
    return np.array(found)


def _counts(near: Floats, below: Floats) -> Floats:
    """(m, k) the mean over B draws of K / D, of (m, B, k) and (m, B)."""
    made: Floats = np.divide(
        near, below[..., None], out=np.zeros_like(near), where=below[..., None] > 0
    ).mean(axis=-2)
    return made
