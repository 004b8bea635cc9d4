"""A model of the reward of sentences: ridge, cross-fitted by row number, by normal equations.

    Rhat^-i(x, s) = theta_f . phi(x, s),   phi = (1, x, emb(s), x ⊗ emb(s)),   f the fold of row i

theta_f is fitted to the rows of the other folds, so that no row's reward moves its own prediction.
Only sums of phi phi' and phi r are kept: the log may be of any length. Products are left out where
they would be more than `MOST` columns. The penalty is picked by generalised cross-validation, which
the sums suffice for (Golub, Heath and Wahba 1979). Rhat is linear in emb(s), so that its mean over
sentences is its value at their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bestpolicy.core.log import Ints, Log, Logged
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.offpolicy.density import Source, embeddings
from bestpolicy.offpolicy.rows import Given, Rows, Side

MOST = 1000  # columns of phi
PENALTIES = np.geomspace(1e-6, 10, 29)  # per row, on columns of variance 1


@dataclass(frozen=True, slots=True)
class SentenceModel:
    """One theta a fold, and where the mean sentence comes from."""

    thetas: Array  # (folds, p)
    products: bool
    source: Source | None  # None: for sentences at hand only

    def __call__(self, rows: Rows) -> tuple[Array, Array]:
        """q_i and d_i, on the rewards' own scale."""
        log, source = rows.log, self.source
        assert source is not None
        return self.predicted(log, embeddings(log)), self.predicted(
            log, source.mean(log, rows.table)
        )

    def predicted(self, log: Log, said: Array) -> Array:
        """(m,) Rhat^-i(x_i, .) of these (m, d) sentences."""
        theta = self.thetas[fold_of(log, len(self.thetas))]
        made: Array = np.einsum("ip,ip->i", features(log, said, products=self.products), theta)
        return made


def sentence_model(
    log: Logged, source: Source | None, *, folds: int = 2, products: bool = True
) -> SentenceModel:
    """The model of this log; without `products`, context and sentence only add up."""
    if folds < 2 or len(log) < 2 * folds:
        raise ConfigError(
            f"a model that has not seen a row needs 2 folds of 2 rows at least; saw {folds} folds "
            f"of {len(log)} rows"
        )
    sums: list[_Sums] = []
    for chunk in log.chunks():
        said = embeddings(chunk)
        products = products and _columns(chunk, said) <= MOST
        phi, fold = features(chunk, said, products=products), fold_of(chunk, folds)
        sums = sums or [_Sums.nothing(phi.shape[1]) for _ in range(folds)]
        sums = [s + _Sums.of(phi[fold == f], chunk.rewards[fold == f]) for f, s in enumerate(sums)]
    others = (
        sum((s for g, s in enumerate(sums) if g != f), _Sums.nothing(len(sums[0].moment)))
        for f in range(folds)
    )
    return SentenceModel(np.stack([ridge(s) for s in others]), products, source)


def beside(log: Logged, source: Source, kernel: Side, *, model: bool = True) -> Given:
    """What kernel estimators need beside the log: weights, a model of sentences, and the centre."""
    n, total = 0.0, 0.0
    for chunk in log.chunks():
        often = np.ones(len(chunk)) if chunk.weight is None else chunk.weight
        n, total = n + float(often.sum()), total + float(often @ chunk.rewards)
    fitted = sentence_model(log, source) if model else None
    return Given(kernel=kernel, sentences=fitted, centre=total / n)


def fold_of(log: Log, folds: int) -> Ints:
    """(m,) the fold of each row, by its number in the whole log."""
    return (log.start + np.arange(len(log), dtype=np.intp)) % folds


def features(log: Log, said: Array, *, products: bool) -> Array:
    """(m, p) phi."""
    one = np.ones((len(log), 1))
    if log.contexts is None:
        return np.hstack([one, said])
    x = np.asarray(log.contexts, dtype=np.float64).reshape(len(log), -1)
    parts = [one, x, said]
    if products:
        parts.append(np.einsum("ix,is->ixs", x, said).reshape(len(log), -1))
    return np.hstack(parts)


@dataclass(frozen=True, slots=True)
class _Sums:
    """n, Σ phi phi', Σ phi r and Σ r²; they add up."""

    n: int
    gram: Array
    moment: Array
    square: float

    @classmethod
    def nothing(cls, p: int) -> _Sums:
        return cls(0, np.zeros((p, p)), np.zeros(p), 0.0)

    @classmethod
    def of(cls, phi: Array, r: Array) -> _Sums:
        return cls(len(r), phi.T @ phi, phi.T @ r, float(r @ r))

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.n + other.n,
            self.gram + other.gram,
            self.moment + other.moment,
            self.square + other.square,
        )


def ridge(sums: _Sums) -> Array:
    """theta, the first column of phi being 1 and not penalised."""
    n = sums.n
    mean, level = sums.gram[0, 1:] / n, sums.moment[0] / n
    spread = sums.gram[1:, 1:] / n - np.outer(mean, mean)
    scale = np.sqrt(np.maximum(np.diag(spread), 0))
    scale = np.where(scale > 1e-9 * np.maximum(1, np.abs(mean)), scale, np.inf)  # a constant column
    moment = (sums.moment[1:] / n - mean * level) / scale
    lengths, turn = np.linalg.eigh(spread / np.outer(scale, scale))
    lengths, turned = np.maximum(lengths, 0), turn.T @ moment
    left = np.array(
        [
            sums.square / n
            - level**2
            - (turned**2 * (lengths + 2 * penalty) / (lengths + penalty) ** 2).sum()
            for penalty in PENALTIES
        ]
    )
    spent = np.array([1 + (lengths / (lengths + penalty)).sum() for penalty in PENALTIES])
    # Where parameters outnumber rows the score means nothing; the largest penalty always counts.
    free = np.maximum(1 - spent / n, 1e-3)
    penalty = PENALTIES[int(np.argmin(np.maximum(left, 0) / free**2))]
    slopes = turn @ (turned / (lengths + penalty)) / scale
    return np.concatenate([[level - slopes @ mean], slopes])


def _columns(log: Log, said: Array) -> int:
    x = 0 if log.contexts is None else int(np.prod(log.contexts.shape[1:]))
    return int((1 + x) * (1 + said.shape[1]))
