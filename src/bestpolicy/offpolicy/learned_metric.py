"""Learned metric: distances between sentences in which the directions that rewards see count.

    M = E_x[g(x) g(x)ᵀ],  g(x) the slope of R(x, s) in s, s whitened among sentences of one context

Two sentences should be near where R(x, .) takes them for the same; M says by how much, on average
over contexts, moving one of them moves its reward. With residuals e of the reward on the context,
features X of contexts of unit covariance (1 among them) and whitened sentences z, g(x) = X E[e X z]
if R is linear in s, and M is estimated without bias by pairs of different rows:

    M = Σ_{i != j} (X_i . X_j) e_i e_j z_i z_jᵀ / n (n - 1)

A row paired with itself would add its own noise. Rewards shuffled among rows show how large
eigenvalues grow by chance: their means are taken off, and where the largest is one that chance
makes as large in one of twenty shuffles, nothing was learnt and distances stay as they are.

Cross-fitted: the map of row i's fold was fitted without the rows of that fold. Whether the learned
metric is used is for rows to say that it has not seen (`chosen`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import t as student

from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.density import embeddings
from bestpolicy.offpolicy.kernel import gaussian, squares

Floats = NDArray[Any]
FOLDS, SHUFFLES, CHANCE = 10, 20, 0.05
NEAREST = 0.02  # of pairs, by context, whose rewards are held against each other
WIDTH = 0.5  # of the kernel that metrics are compared by, in median distances


@dataclass(frozen=True, slots=True)
class Metric:
    """Coordinates in which the distance is Euclid's."""

    maps: Array  # (folds, d, k) the map of fold f was fitted without the rows of fold f

    def __call__(self, rows: Ints, said: Floats) -> Floats:
        """(m, …, k) of (m, …, d) sentences that are compared with what these rows showed."""
        fold = rows % len(self.maps)
        made = np.empty((*said.shape[:-1], self.maps.shape[2]))
        for f, one in enumerate(self.maps):
            if (mine := fold == f).any():
                made[mine] = said[mine] @ one
        return made


@dataclass(frozen=True, slots=True)
class Choice:
    """Which metric unseen rows speak for, and how clearly."""

    metric: Metric
    learned: bool
    gain: float  # mean over folds of the learned metric's alignment less the raw one's
    error: float  # its standard error


def raw(log: Log) -> Metric:
    """Distances as they are."""
    return Metric(np.eye(embeddings(log).shape[1])[None])


def by_slopes(log: Log, *, folds: int = FOLDS, shuffles: int = SHUFFLES, seed: int = 0) -> Metric:
    """Distances along the directions in which the reward is seen to move."""
    x, said, r = _columns(log, folds)
    return _joined(
        [_slopes(x[o], said[o], r[o], shuffles, rng) for o, rng in _others(log, folds, seed)], said
    )


def by_pairs(log: Log, *, folds: int = FOLDS, seed: int = 0) -> Metric:
    """A scale for each dimension, none below 0, so that squared distances add up to half the
    squared difference of rewards, less their noise, in pairs of rows of near contexts."""
    x, said, r = _columns(log, folds)
    return _joined(
        [_scales(x[o], said[o], r[o], rng) for o, rng in _others(log, folds, seed)], said
    )


def alignment(log: Log, metric: Metric, *, folds: int = FOLDS) -> Array:
    """(folds,) how well nearness foretells products of residuals, among rows of one fold:

        Σ (X_i . X_j) e_i e_j K_ij / sqrt(Σ (X_i . X_j)² K_ij²),  K less its mean

    Rows of one fold were seen by no map that is used on them."""
    x, said, r = _columns(log, folds)
    near, fold = gaussian(WIDTH), np.arange(len(r)) % folds
    if len(metric.maps) not in (1, folds):
        raise ConfigError(
            f"a metric of {len(metric.maps)} folds cannot be compared in {folds}: pairs would be "
            "seen by one of their maps; use the same number"
        )
    own, found = metric(np.arange(len(r)), said), np.empty(folds)
    X, e, _ = _residuals(x, said, r)
    for f in range(folds):
        mine = np.flatnonzero(fold == f)
        i, j = np.triu_indices(len(mine), 1)
        far = squares(own[mine], own[mine])[i, j]
        K = near(far / (np.median(far) or 1.0))
        alike = (X[mine] @ X[mine].T)[i, j] * (K - K.mean())
        size = float(np.sqrt((alike**2).sum())) * float(e.var())
        found[f] = float((e[mine][i] * e[mine][j]) @ alike) / size if size else 0.0
    return found


def chosen(log: Log, learned: Metric, *, folds: int = FOLDS, chance: float = CHANCE) -> Choice:
    """The learned metric, if its alignment is larger on rows it has not seen by more than chance
    brings in so many of a hundred cases; the raw one otherwise."""
    one = raw(log)
    more = alignment(log, learned, folds=folds) - alignment(log, one, folds=folds)
    gain, error = float(more.mean()), float(more.std(ddof=1) / folds**0.5)
    better = gain > float(student.ppf(1 - chance, folds - 1)) * error and gain > 0
    return Choice(learned if better else one, better, gain, error)


def _slopes(x: Array, said: Array, r: Array, shuffles: int, rng: Rng) -> Array | None:
    """(d, k) the map of these rows, or None where chance would do as well."""
    X, e, off = _residuals(x, said, r)
    white = _whitening(off)
    z, often = off @ white, (X**2).sum(axis=1)
    lengths, turn = np.linalg.eigh(_moment(X, z, e, often))
    chance = np.array(
        [np.linalg.eigvalsh(_moment(X, z, rng.permutation(e), often)) for _ in range(shuffles)]
    )
    if lengths[-1] <= np.quantile(chance[:, -1], 1 - CHANCE):
        return None
    left = np.sqrt(np.maximum(0, lengths - np.maximum(0, chance.mean(axis=0))))
    made: Array = white @ turn[:, left > 0] * left[left > 0]
    return made if left.any() else None


def _moment(X: Array, z: Array, e: Array, often: Array) -> Array:
    """(d, d) M."""
    n, of = len(e), (X * e[:, None]).T @ z
    made: Array = (of.T @ of - z.T @ ((e**2 * often)[:, None] * z)) / (n * (n - 1))
    return made


def _scales(x: Array, said: Array, r: Array, rng: Rng) -> Array | None:
    """(d, d) the map of these rows, or None where no dimension counts."""
    X, e, _ = _residuals(x, said, r)
    some = rng.permutation(len(r))[:2000]
    i, j = np.triu_indices(len(some), 1)
    apart = squares(X[some], X[some])[i, j]
    near = np.argpartition(apart, int(NEAREST * len(apart)))[: max(1, int(NEAREST * len(apart)))]
    i, j = some[i[near]], some[j[near]]
    far = np.hstack([np.ones((len(i), 1)), (said[i] - said[j]) ** 2])
    noise_and_scales, _ = nnls(far, (e[i] - e[j]) ** 2 / 2)
    scales = np.sqrt(noise_and_scales[1:])
    return np.diag(scales) if scales.any() else None


def _residuals(x: Array, said: Array, r: Array) -> tuple[Array, Array, Array]:
    """Features of contexts with unit covariance, and what they leave of rewards and sentences."""
    n = len(r)
    left, sizes, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    kept = sizes > 1e-8 * max(1.0, float(sizes.max(initial=0)))
    X = np.hstack([np.ones((n, 1)), left[:, kept] * n**0.5])
    return X, r - X @ (X.T @ r) / n, said - X @ (X.T @ said) / n


def _whitening(off: Array) -> Array:
    """(d, k) by which these points have unit covariance; flat directions are left out."""
    sizes, turn = np.linalg.eigh(off.T @ off / len(off))
    kept = sizes > 1e-10 * sizes.max(initial=0)
    made: Array = turn[:, kept] / np.sqrt(sizes[kept])
    return made


def _joined(maps: list[Array | None], said: Array) -> Metric:
    """All folds' maps, each scaled so that distances are as large as they were on average; raw
    where nothing was learnt."""
    d = said.shape[1]
    spread, found = float(said.var(axis=0).sum()), np.zeros((len(maps), d, d))
    for f, one in enumerate(maps):
        own = np.eye(d) if one is None else one
        found[f, :, : own.shape[1]] = own * (spread / (said @ own).var(axis=0).sum()) ** 0.5
    return Metric(found)


def _others(log: Log, folds: int, seed: int) -> list[tuple[NDArray[np.bool_], Rng]]:
    fold = np.arange(len(log)) % folds
    return [(fold != f, stream(seed, "learned metric", f)) for f in range(folds)]


def _columns(log: Log, folds: int) -> tuple[Array, Array, Array]:
    said = embeddings(log)
    if folds < 2 or len(log) < 3 * folds:
        raise ConfigError(
            f"a metric that has not seen a row needs 2 folds of 3 rows at least; saw {folds} folds "
            f"of {len(log)} rows"
        )
    x = np.zeros((len(log), 1)) if log.contexts is None else np.asarray(log.contexts, np.float64)
    return x.reshape(len(log), -1), said, np.asarray(log.rewards, dtype=np.float64)
