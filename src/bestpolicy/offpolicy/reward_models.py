"""Reward models: Rhat(x, a), given as numbers or learnt from the log, for estimators to lean on.

A model that has seen row i repeats its noise, and the correction w_i (r_i - q_i) then misses what
it should mend. Models learnt here are cross-fitted: what row i is told comes of other folds.
Predictions of all actions are made for a chunk at a time, and never kept for the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bestpolicy.core.log import Ints, Log, Logged
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.boosted import by_features, one_hot, pooled, trees
from bestpolicy.offpolicy.folds import Fit, Folds, Model, Seen, Source
from bestpolicy.offpolicy.ridge import Ridge, ridge
from bestpolicy.offpolicy.rows import Rows, Side

IN_SAMPLE = (
    "the model of the reward has seen the rows that it is corrected on (folds=1): the error is "
    "understated; fit it with folds=2 or more"
)


class Sampler(Protocol):
    """Chooses actions; its chances need not be known."""

    def sample(self, contexts: Array, rng: Rng) -> Ints: ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model learnt from the log itself: predictions of a chunk, and how good they are."""

    model: Model

    def __call__(self, rows: Rows) -> Array:
        """(m, A) Rhat(x_i, .)."""
        return self.model.every(_seen(rows.log))

    def pair(self, rows: Rows) -> tuple[Array, Array]:
        """(m,) q_i and (m,) d_i, without predictions of actions that the target never takes."""
        table, seen = rows.table, _seen(rows.log)
        return self.model.at(seen), self.model.under(seen, table)

    @property
    def fit(self) -> Fit:
        return self.model.fit

    @property
    def warnings(self) -> tuple[str, ...]:
        return () if self.fit.folds > 1 else (IN_SAMPLE,)


@dataclass(frozen=True, slots=True)
class Drawn:
    """q_i, and d_i as the mean over draws from a policy that can only be sampled: unbiased.

    The draws of a row are the same in every pass, and differ with the size of chunks.
    """

    model: Model
    policy: Sampler
    draws: int
    salt: int

    def __call__(self, rows: Rows) -> tuple[Array, Array]:
        if rows.log.contexts is None:
            raise ConfigError("a policy is sampled in contexts, and the log has none: name them")
        seen, rng = _seen(rows.log), stream(self.salt, "draws", rows.log.start)
        every = [self.policy.sample(rows.log.contexts, rng) for _ in range(self.draws)]
        at = [self.model.at(_seen(rows.log, np.asarray(drawn, np.intp))) for drawn in every]
        return self.model.at(seen), np.mean(at, axis=0)

    @property
    def warnings(self) -> tuple[str, ...]:
        return Fitted(self.model).warnings


def predicted(values: Array) -> Side:
    """(n, A) predictions for every action in every row; nobody knows what their model had seen."""
    values = np.asarray(values)

    def side(rows: Rows) -> Array:
        part = values[rows.log.start : rows.log.start + len(rows.log)]
        if part.shape != (len(rows.log), len(rows.log.names)):
            raise ConfigError(
                f"predictions must say a reward for each of the {len(rows.log.names)} actions in "
                f"every row of the log; saw an array of shape {values.shape}"
            )
        return part

    return side


def predicted_pair(q: Array, d: Array) -> Side:
    """(n,) predictions q_i = Rhat(x_i, a_i) and (n,) d_i = Σ_a pi(a | x_i) Rhat(x_i, a)."""
    q, d = np.asarray(q), np.asarray(d)

    def side(rows: Rows) -> tuple[Array, Array]:
        part = slice(rows.log.start, rows.log.start + len(rows.log))
        for name, values in (("q", q), ("d", d)):
            if values.ndim != 1 or len(values[part]) != len(rows.log):
                raise ConfigError(
                    f"{name} must be a predicted reward for every row of the log; saw an array of "
                    f"shape {values.shape}"
                )
        return q[part], d[part]

    return side


def fitted(
    log: Logged,
    kind: Any = "ridge",
    *,
    rng: Rng,
    folds: int = 2,
    action_features: Array | None = None,
) -> Fitted:
    """A model of the reward learnt from the log: "ridge", "boosted", `Ridge(penalties)`, or an
    object with fit(X, y) and predict(X), which is copied for each fold."""
    dealt, cells, source = Folds.of(folds, rng), len(log.names), _source(log)
    return Fitted(learnt(source, cells, kind, dealt, action_features))


def drawn(model: Fitted, policy: Sampler, *, draws: int, rng: Rng) -> Side:
    """A pair for a policy that can only be sampled: `Given(pair=drawn(...))`."""
    if draws < 1:
        raise ConfigError(f"draws must be 1 or more, saw {draws}")
    return Drawn(model.model, policy, draws, int(rng.integers(1 << 62)))


def learnt(
    source: Source, cells: int, kind: Any, folds: Folds, features: Array | None = None
) -> Model:
    """A model of y in each cell, of the kind that was asked for."""
    if kind == "ridge":
        kind = Ridge()
    if isinstance(kind, Ridge):
        return ridge(source, cells, folds, features=features, penalties=kind.penalties)
    if isinstance(kind, str) and kind == "boosted":
        return trees(source, cells, folds, features=features)
    if not (hasattr(kind, "fit") and hasattr(kind, "predict")):
        raise ConfigError(
            "a model is 'ridge', 'boosted', an (n, A) array of predictions or an object with fit "
            f"and predict; saw {kind!r}"
        )
    encode = one_hot(cells) if features is None else by_features(features)
    return pooled(source, kind, cells, folds, encode)


def _source(log: Logged) -> Source:
    def rows() -> Iterator[Seen]:
        for chunk in log.chunks():
            yield _seen(chunk)

    return rows


def _seen(log: Log, actions: Ints | None = None) -> Seen:
    cell = log.actions if actions is None else actions
    return Seen(contexts_of(log), cell, log.rewards, log.start, log.weight)


def contexts_of(log: Log) -> Array:
    """(m, d) what is known of each row as numbers, which may be nothing."""
    if log.contexts is None:
        return np.zeros((len(log), 0))
    return log.contexts.reshape(len(log), -1)
