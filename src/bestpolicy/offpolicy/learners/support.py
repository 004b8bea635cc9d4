"""Support: how much of what would be said was logged by the like of it.

    c(x, s') = E_{s ~ pi_0}[K(s, s') / D(x, s)],    E_{s' ~ pi_0} c = 1

Estimated among draws of pi_0 in one context, which then have a mean c of 1 among themselves. A
policy that says things of small c asks about what the log has not seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import CELLS, Ints, Log
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import drawn
from bestpolicy.offpolicy.density import Source, Speaker, blocks, embeddings, logged
from bestpolicy.offpolicy.kernel import Kernel, squares
from bestpolicy.offpolicy.kernel_lines import counts

Floats = NDArray[Any]
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)
AMONG = 50  # draws of pi_0 in a context


class Heard:
    """c by draws of pi_0 in the context of each row, kept where they are few enough."""

    def __init__(
        self, log: Log, source: Source, kernel: Kernel, *, among: int = AMONG, seed: int = 0
    ) -> None:
        self._log, self._kernel, self._among, self._seed = log, kernel, among, seed
        self._speaker: Speaker = source.speaker(log)
        size = len(log) * among * embeddings(log).shape[1]
        self._kept: tuple[Floats, Floats] | None = None
        if size <= 8 * CELLS:  # 64 MB in single precision
            parts = [self._draw(part) for part in self._parts()]
            said, near = (np.concatenate([part[i] for part in parts]) for i in range(2))
            self._kept = said, near

    def __call__(self, rows: Ints, said: Floats) -> Floats:
        """(m, k) c of (m, k, D) sentences in the contexts of these rows."""
        if self._kept is None:
            heard, density = self._draw(rows)
        else:
            heard, density = (column[rows] for column in self._kept)
        made: Floats = (self._kernel(squares(heard, said)) / density[..., None]).mean(axis=-2)
        return made

    def _draw(self, rows: Ints) -> tuple[Floats, Floats]:
        """(m, B, D) draws, and (m, B) the density at each; the same for the same rows."""
        rng = stream(self._seed, "learn/support", int(rows[0]))
        actions = drawn(logged(self._log)[rows], self._among, rng)
        said = self._speaker(rows, actions, rng)
        density = self._kernel(squares(said, said)).mean(axis=-1)
        return said.astype(np.float32), density.astype(np.float32)

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
    among: int = AMONG,
    at: tuple[float, ...] = QUANTILES,
) -> dict[float, float]:
    """Of c over what a policy says, of (n, A) chances; of the policy that logged, if none is given.

    Wide kernels have c near 1 everywhere. Narrow ones need more draws than `among` to see any.
    """
    found, done = [], 0
    for part in blocks(log, among):
        here = slice(done, done := done + len(part))
        own = logged(part)
        _, heard = source.draws(part, own, among, "support")
        _, said = source.draws(part, own if chances is None else chances[here], among, "said")
        c = counts(kernel(squares(heard, heard)), kernel(squares(heard, said)))
        found.append(c.ravel())
    every = np.concatenate(found)
    return {q: float(np.quantile(every, q)) for q in at}
