"""Boosted trees, and any object with fit and predict: models that want all their rows at once.

Each fold's model learns from the rows of the other folds. A row is its context and its action: a
category for the trees built in, ones and zeros for other objects, or the action's features.
Source: Friedman 2001; scikit-learn's histogram trees, which come with bestpolicy[logs].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Ints, rows_of
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.offpolicy.folds import Fit, Folds, Moments, Seen, Source

GATHERED = 1 << 26  # numbers that are brought together, rows x columns: 512 MB
PAIRS = 1 << 17  # rows x actions that are predicted at once
MANY = 1 << 15  # rows, from which threads help each other
CATEGORIES = 255  # that a histogram tree can tell apart
Encoder = Callable[[Array, Ints], Array]


@dataclass(frozen=True, slots=True)
class Pooled:
    """A model for each fold, of rows gathered from the others."""

    models: tuple[Any, ...]
    encode: Encoder
    cells: int
    folds: Folds
    fit: Fit

    def at(self, seen: Seen) -> Array:
        fold, made = self.folds.folds(seen), np.empty(len(seen))
        for f, model in enumerate(self.models):
            made[fold == f] = _said(model, self.encode, seen.x[fold == f], seen.cell[fold == f])
        return made

    def every(self, seen: Seen) -> Array:
        made = np.empty((len(seen), self.cells))
        for rows, cells, said in self._pairs(seen, np.ones((len(seen), self.cells), dtype=bool)):
            made[rows, cells] = said
        return made

    def under(self, seen: Seen, table: Array) -> Array:
        """Only actions that the target may take are asked about."""
        made = np.zeros(len(seen))
        for rows, cells, said in self._pairs(seen, table > 0):
            made += np.bincount(rows, table[rows, cells] * said, len(seen))
        return made

    def _pairs(self, seen: Seen, asked: NDArray[np.bool_]) -> Iterator[tuple[Ints, Ints, Array]]:
        """Rows and cells that are asked about, and what is said of them, not too many at a time."""
        fold, step = self.folds.folds(seen), max(1, PAIRS // self.cells)
        for f, model in enumerate(self.models):
            own = np.flatnonzero(fold == f)
            for first in range(0, len(own), step):
                some = own[first : first + step]
                at, cells = np.nonzero(asked[some])
                rows = some[at]
                yield rows, cells, _said(model, self.encode, seen.x[rows], cells)


class Trees:
    """Boosted regression trees of scikit-learn; for few rows one thread, since more would wait for
    each other."""

    def __init__(self, categories: int | None) -> None:
        """`categories` is the column that holds the action's number."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        last = None if categories is None else [categories]
        self._model = HistGradientBoostingRegressor(
            max_leaf_nodes=15, l2_regularization=1.0, categorical_features=last, random_state=0
        )

    def fit(self, rows: Array, y: Array, sample_weight: Array | None = None) -> Trees:
        with _threads(len(rows)):
            self._model.fit(rows, y, sample_weight=sample_weight)
        return self

    def predict(self, rows: Array) -> Array:
        with _threads(len(rows)):
            made: Array = self._model.predict(rows)
        return made


@lru_cache(1)
def _pools() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _threads(rows: int) -> AbstractContextManager[Any]:
    made: AbstractContextManager[Any] = _pools().limit(
        limits=1 if rows < MANY else None, user_api="openmp"
    )
    return made


def trees(source: Source, cells: int, folds: Folds, *, features: Array | None = None) -> Pooled:
    """Boosted regression trees of scikit-learn."""
    if features is None and cells > CATEGORIES:
        raise ConfigError(
            f"boosted trees tell at most {CATEGORIES} actions apart and there are {cells}: give "
            "action_features, or use model='ridge'"
        )
    seen = next(iter(source()), None)
    try:
        model = Trees(seen.x.shape[1] if seen is not None and features is None else None)
    except ImportError:
        raise ConfigError(
            "boosted models need scikit-learn: pip install 'bestpolicy[logs]'"
        ) from None
    encode = _by_number if features is None else by_features(features)
    return pooled(source, model, cells, folds, encode)


def pooled(source: Source, model: Any, cells: int, folds: Folds, encode: Encoder) -> Pooled:
    """A copy of this model for each fold."""
    x, y, often, fold = _gathered(source, encode, folds)
    models, moments = [], Moments()
    for f in range(folds.count):
        learn = fold != f if folds.count > 1 else fold == f
        one = deepcopy(model)
        weights = {} if often is None else {"sample_weight": often[learn]}
        one.fit(x[learn], y[learn], **weights)
        models.append(one)
        own = fold == f
        stand = None if often is None else often[own]
        moments += Moments.of(_expected(one, x[own]), y[own], stand)
    return Pooled(tuple(models), encode, cells, folds, moments.fit(folds.count))


def one_hot(cells: int) -> Encoder:
    """(x, 1 at the action's number)."""

    def encode(x: Array, cell: Ints) -> Array:
        made = np.zeros((len(cell), x.shape[1] + cells))
        made[:, : x.shape[1]] = x
        made[np.arange(len(cell)), x.shape[1] + cell] = 1
        return made

    return encode


def by_features(features: Array) -> Encoder:
    """(x, features of the action)."""
    f = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    return lambda x, cell: np.column_stack([x, f[cell]])


def _by_number(x: Array, cell: Ints) -> Array:
    return np.column_stack([x, cell])


def _gathered(
    source: Source, encode: Encoder, folds: Folds
) -> tuple[Array, Array, Array | None, Ints]:
    parts, ys, oftens, numbers, size = [], [], [], [], 0
    for seen in source():
        parts.append(encode(seen.x, seen.cell))
        if (size := size + parts[-1].size) > GATHERED:
            most = GATHERED // parts[-1].shape[1]
            raise ConfigError(
                f"this model gathers its rows, and takes at most {most} of {parts[-1].shape[1]} "
                "numbers each; this log has more: use model='ridge', which reads a log of any "
                "length in one pass, or fit the model on a part of the log and give its predictions"
            )
        ys.append(seen.y)
        oftens.append(seen.often)
        numbers.append(folds.folds(seen))
    if not parts:
        raise ConfigError("there are no rows to learn from: the log is empty")
    often = None if oftens[0] is None else np.concatenate([o for o in oftens if o is not None])
    return np.concatenate(parts), np.concatenate(ys), often, np.concatenate(numbers)


def _said(model: Any, encode: Encoder, x: Array, cell: Ints) -> Array:
    """Predictions, with few rows encoded at a time."""
    made, width = np.empty(len(cell)), encode(x[:1], cell[:1]).shape[1]
    for first in range(0, len(cell), step := rows_of(width)):
        some = slice(first, first + step)
        made[some] = _expected(model, encode(x[some], cell[some]))
    return made


def _expected(model: Any, rows: Array) -> Array:
    """The expected reward; of a classifier, the mean of its classes."""
    if not len(rows):
        return np.zeros(0)
    if hasattr(model, "predict_proba"):
        made = model.predict_proba(rows) @ np.asarray(model.classes_, dtype=np.float64)
    else:
        made = model.predict(rows)
    return np.asarray(made, dtype=np.float64).reshape(-1)
