"""Marginal models: weights of what actions look like, learnt where p(e | a) or pi_0 are not known.

    w(x, e) = E_{pi_0(a | x, e)} [pi(a | x) / pi_0(a | x)],  the regression of w_i on (x_i, e_i)

Only the chances of logged actions are needed, and nothing of size rows x actions is made. Learnt
cross-fitted, since a weight that knows its own row is as wild as w_i. What is predicted below 0 is
0. Source: Saito & Joachims 2022, arXiv 2202.06317, who learn pi_0(a | x, e) instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from bestpolicy.core.log import Ints, Log, Logged
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.offpolicy.folds import Folds, Model, Seen
from bestpolicy.offpolicy.marginal import Shown, shown
from bestpolicy.offpolicy.reward_models import contexts_of, learnt
from bestpolicy.offpolicy.rows import Given, Rows, parts
from bestpolicy.offpolicy.targets import target_of

MOST = 1 << 62  # combinations of categories that a number can tell apart


@dataclass(frozen=True, slots=True)
class Estimated:
    """Weights from a model of w."""

    model: Model
    seen: Callable[[Log, Array], Seen]

    def __call__(self, rows: Rows) -> Array:
        seen = self.seen(rows.log, np.zeros(len(rows.log)))
        return np.maximum(self.model.at(seen), 0.0)

    @property
    def warnings(self) -> tuple[str, ...]:
        said = "weights are estimated, and the error takes them as known: it is too small"
        if self.model.fit.folds > 1:
            return (said,)
        return (f"{said}, from the rows that they weigh (folds=1): use folds=2 or more",)


def estimated_marginal(
    log: Logged,
    target: Any,
    embeddings: Shown,
    kind: Any = "ridge",
    *,
    rng: Rng,
    folds: int = 2,
) -> Estimated:
    """w(x, e) from w_i, by "ridge", "boosted" or an object with fit and predict.

    Whole numbers and words are categories, (n, D) of them one category for each combination seen;
    other numbers enter as they are and times each context.
    """
    if isinstance(embeddings, str):
        log = log.keeping(embeddings)
    asked, dealt, codes = target_of(target, log), Folds.of(folds, rng), _codes(log, embeddings)

    def seen(part: Log, w: Array) -> Seen:
        x, e = contexts_of(part), shown(embeddings, part)
        if codes is not None:
            return Seen(x, codes.of(e), w, part.start, part.weight)
        both = (x[:, :, None] * e[:, None, :]).reshape(len(part), -1)
        nowhere = np.zeros(len(part), dtype=np.intp)
        return Seen(np.column_stack([x, e, both]), nowhere, w, part.start, part.weight)

    def source() -> Iterator[Seen]:
        for rows in parts(log, asked, Given()):
            yield seen(rows.log, rows.w)

    return Estimated(learnt(source, codes.count if codes else 1, kind, dealt), seen)


def k_means(features: Array, clusters: int, *, rng: Rng) -> Ints:
    """(A,) cluster of each action, by the k-means of its (A, k) features."""
    f = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    if not 1 <= clusters <= len(f):
        raise ConfigError(f"{len(f)} actions make 1 to {len(f)} clusters; saw {clusters}")
    _, found = kmeans2(f, _spread(f, clusters, rng), minit="matrix", missing="warn")
    return np.unique(found, return_inverse=True)[1].astype(np.intp)


def _spread(f: Array, clusters: int, rng: Rng) -> Array:
    """Starting centres far from each other (k-means++: Arthur & Vassilvitskii 2007)."""
    centres = [f[rng.integers(len(f))]]
    for _ in range(clusters - 1):
        near = np.min([((f - centre) ** 2).sum(axis=1) for centre in centres], axis=0)
        chance = near / near.sum() if near.sum() > 0 else np.full(len(f), 1 / len(f))
        centres.append(f[rng.choice(len(f), p=chance)])
    return np.stack(centres)


@dataclass(frozen=True, slots=True)
class Codes:
    """Numbers for categories, or for those combinations of them that were seen."""

    levels: tuple[NDArray[Any], ...]  # of each dimension, in order
    combinations: NDArray[np.int64]  # seen, in order

    @property
    def count(self) -> int:
        return len(self.combinations)

    def of(self, e: NDArray[Any]) -> Ints:
        return np.searchsorted(self.combinations, _combined(self.levels, e)).astype(np.intp)


def _codes(log: Logged, embeddings: Shown) -> Codes | None:
    """None: the embeddings are numbers of another kind."""
    levels: tuple[NDArray[Any], ...] = ()
    for part in log.chunks():
        e = shown(embeddings, part)
        if e.dtype.kind == "f":
            return None
        new = [np.unique(e[:, d]) for d in range(e.shape[1])]
        levels = tuple(map(np.union1d, levels, new)) if levels else tuple(new)
    if prod(len(level) for level in levels) > MOST:
        raise ConfigError("these categories have too many combinations: give fewer dimensions")
    found = np.zeros(0, dtype=np.int64)
    for part in log.chunks():
        found = np.union1d(found, _combined(levels, shown(embeddings, part)))
    return Codes(levels, found)


def _combined(levels: tuple[NDArray[Any], ...], e: NDArray[Any]) -> NDArray[np.int64]:
    code = np.zeros(len(e), dtype=np.int64)
    for d, level in enumerate(levels):
        code = code * len(level) + np.searchsorted(level, e[:, d])
    return code
