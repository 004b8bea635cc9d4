"""Marginal weights: how much likelier the target is to show something that looks like a_i.

    w(x, e) = p(e | x, pi) / p(e | x, pi_0) = Σ_a pi(a | x) p(e | a) / Σ_a pi_0(a | x) p(e | a)
            = E_{a ~ pi_0(. | x, e)} w(x, a),  the regression of w on (x, e)

Tamer than w(x, a), since what two actions share is weighed once. `mips` is unbiased if the action
acts on the reward only through e. `off_cem` leaves to the model what its cluster does not say, and
is unbiased if the model is right about differences inside a cluster.
Sources: Saito & Joachims 2022, arXiv 2202.06317; Saito, Ren & Joachims 2023, arXiv 2305.08062.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import BadRow, Ints, Log
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.offpolicy.rows import Rows, Side, Terms, needing

BLOCK = 1 << 15  # numbers of a table that a core's own memory holds beside two others


@dataclass(frozen=True, slots=True)
class ByAction:
    """What each action looks like, whenever it is shown."""

    values: NDArray[Any]  # (A,) or (A, k)


Shown = NDArray[Any] | str | ByAction  # (n,) or (n, k) of the rows, a column, or of the actions


@needing("marginal")
def mips(rows: Rows) -> Terms:
    """mean w(x, e) r."""
    return rows.weighed(rows.marginal), 1.0


@needing("predictions", "cluster")
def off_cem(rows: Rows) -> Terms:
    """mean [d + w(x, c(a)) (r - q)]."""
    q, d = rows.q_d
    return d + rows.cluster * (rows.r - q), 1.0


def true_marginal(p_e_a: Array, embeddings: Shown) -> Side:
    """w(x, e) where p(e | a) is known: (A, C) of one category e, (A, C, D) of D categories that are
    independent given the action. `embeddings` are the (n,) or (n, D) categories that were shown.
    """
    p = np.asarray(p_e_a, dtype=np.float64)
    if p.ndim == 2:
        p = p[:, :, None]
    if p.ndim != 3 or not ((p >= 0).all() and np.allclose(p.sum(axis=1), 1, atol=1e-6)):
        raise ConfigError(
            "p(e | a) must be (actions, categories) or (actions, categories, dimensions), each "
            f"action's chances summing to 1; saw an array of shape {np.shape(p_e_a)}"
        )
    likelihood = [np.ascontiguousarray(p[:, :, d].T) for d in range(p.shape[2])]

    def side(rows: Rows) -> Array:
        e = shown(embeddings, rows.log)
        _check_categories(e, rows.log, p.shape)
        return _ratio(rows, likelihood, e.astype(np.intp))

    return side


def cluster_marginal(clusters: Ints) -> Side:
    """w(x, c(a)) = pi(c(a) | x) / pi_0(c(a) | x), from the (A,) cluster of each action."""
    c = clusters_of(clusters)
    member = (c[None, :] == np.arange(c.max() + 1)[:, None]).astype(np.float64)

    def side(rows: Rows) -> Array:
        if len(c) != len(rows.log.names):
            raise ConfigError(f"{len(c)} clusters were given for {len(rows.log.names)} actions")
        return _ratio(rows, [member], c[rows.log.actions][:, None])

    return side


def clusters_of(clusters: Any) -> Ints:
    """(A,) numbers of clusters, checked."""
    c = np.asarray(clusters)
    if c.ndim != 1 or c.dtype.kind not in "iu" or not len(c) or c.min() < 0:
        raise ConfigError(
            "clusters are (A,) whole numbers from 0, the cluster of each action; saw "
            f"{c.dtype} of shape {c.shape}"
        )
    return c.astype(np.intp)


def shown(embeddings: Shown, log: Log) -> NDArray[Any]:
    """(m, k) what the actions of these rows looked like."""
    if isinstance(embeddings, ByAction):
        part = embeddings.values[log.actions]
    elif isinstance(embeddings, str):
        if embeddings not in log.columns:
            raise ConfigError(
                f"the log has no column {embeddings!r}; it has {', '.join(log.columns) or 'none'}"
            )
        part = log.columns[embeddings]
    else:
        part = np.asarray(embeddings)[log.start : log.start + len(log)]
    if len(part) != len(log):
        raise ConfigError(f"embeddings end at row {log.start + len(part)}, before the log does")
    return part.reshape(len(part), -1)


def _ratio(rows: Rows, likelihood: Sequence[Array], e: Ints) -> Array:
    """Σ_a pi p(e | a) / Σ_a pi_0 p(e | a), with likelihood[d][e, a] = p(e_d = e | a)."""
    pi, pi_0 = rows.table, rows.log.propensities
    if pi_0 is None:
        raise ConfigError(
            "the log has the chances of chosen actions only, and exact weights of what they look "
            "like need those of all: log them as `propensities`, or use estimated_marginal"
        )
    above, below = np.empty(len(e)), np.empty(len(e))
    step = max(1, BLOCK // pi.shape[1])
    for first in range(0, len(e), step):
        part = slice(first, first + step)
        p = likelihood[0][e[part, 0]]
        for d in range(1, len(likelihood)):
            p *= likelihood[d][e[part, d]]
        np.einsum("ia,ia->i", pi[part], p, out=above[part])
        np.einsum("ia,ia->i", pi_0[part], p, out=below[part])
    if not (below > 0).all():
        i = int(np.argmin(below))
        raise BadRow(
            *(rows.log.start + i, "embeddings", e[i].tolist()),
            "what was shown must have a chance under the logging policy",
            "check p(e | a) or the clusters against the log",
        )
    above /= below
    return above


def _check_categories(e: NDArray[Any], log: Log, shape: tuple[int, ...]) -> None:
    actions, categories, dimensions = shape
    if actions != len(log.names) or e.shape[1] != dimensions:
        raise ConfigError(
            f"p(e | a) is of {actions} actions and {dimensions} categories for each; the log has "
            f"{len(log.names)} actions, the embeddings {e.shape[1]} categories"
        )
    right = ((e >= 0) & (e < categories) & (e == np.floor(e))).all(axis=1)
    if not right.all():
        i = int(np.argmin(right))
        rule = f"a category must be a whole number in 0 … {categories - 1}"
        raise BadRow(log.start + i, "embeddings", e[i].tolist(), rule)
