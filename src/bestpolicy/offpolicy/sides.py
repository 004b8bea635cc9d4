"""Sides: what estimators need beside the log, made from what a caller says in few words.

model       "ridge" (where nothing is said), "boosted", (n, A) predictions, `fitted(...)`, or an
            object with fit and predict
embeddings  what actions look like: (n, …) of each row, (A, …) of each action, or a column
clusters    (A,) the cluster of each action, or how many to make of the actions' embeddings
bank        what the generator says to each prompt (a Bank, or a world that knows)
tau         the kernel's width in medians of the distance of one context's draws; where nothing is
            said, the widest that still agrees with all narrower ones (bandwidth.py)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Logged, Target
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.bandwidth import curve
from bestpolicy.offpolicy.density import Source, Summed
from bestpolicy.offpolicy.kernel import Kernel, dr_kernel, gaussian
from bestpolicy.offpolicy.kernel_lines import kernel_lines, median_distance
from bestpolicy.offpolicy.lines import Line
from bestpolicy.offpolicy.marginal import ByAction, cluster_marginal, clusters_of
from bestpolicy.offpolicy.marginal_models import estimated_marginal, k_means
from bestpolicy.offpolicy.reward_models import Fitted, fitted, predicted
from bestpolicy.offpolicy.rows import Estimator, Given, Side
from bestpolicy.offpolicy.sentence_model import beside

SEED = 0  # of folds and of k-means: the same question gets the same answer


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller said of models, embeddings and clusters."""

    model: Any = None
    embeddings: Any = None
    clusters: Any = None
    bank: Source | None = None
    tau: float | None = None


def with_model(given: Given, log: Logged, estimators: Sequence[Estimator], asked: Asked) -> Given:
    """The same, with a model of the reward if an estimator needs one; it serves every target."""
    if not _lacks(given, "predictions", estimators) or given.pair is not None:
        return given
    said = "ridge" if asked.model is None else asked.model
    if not isinstance(said, Fitted) and callable(said) and not hasattr(said, "fit"):
        return replace(given, predictions=said)
    if isinstance(said, np.ndarray | list):
        return replace(given, predictions=predicted(np.asarray(said)))
    made = said if isinstance(said, Fitted) else fitted(log, said, rng=stream(SEED, "folds"))
    return replace(given, predictions=made, pair=made.pair)


def with_weights(
    given: Given, log: Logged, target: Target, estimators: Sequence[Estimator], asked: Asked
) -> Given:
    """The same, with this target's weights of what actions look like, where they are needed."""
    if _lacks(given, "marginal", estimators):
        given = replace(given, marginal=_marginal(log, target, asked))
    if _lacks(given, "cluster", estimators):
        given = replace(given, cluster=_cluster(log, target, asked))
    return given


def with_sentences(
    given: Given, log: Logged, target: Target, estimators: Sequence[Estimator], asked: Asked
) -> tuple[Given, tuple[Line, ...]]:
    """The same, with weights of sentences where they are needed, and whether they hold."""
    if not _lacks(given, "kernel", estimators):
        return given, ()
    source = asked.bank
    if source is None:
        raise ConfigError(
            "kernel_is and dr_kernel need what the generator says to each prompt: give bank=, a "
            "bank of its sentences (read_bank)"
        )
    made = beside(log, source, Summed(source, gaussian(1.0)))

    def through(kernel: Kernel) -> Given:
        return replace(made, kernel=Summed(source, kernel))

    if asked.tau is not None:
        kernel = gaussian(asked.tau * median_distance(log, source))
    else:
        found = curve(log, target, source, dr_kernel, through, kernel=gaussian)
        kernel = gaussian(found.tau * found.unit)
    weights = Summed(source, kernel)
    filled = replace(
        given,
        kernel=weights,
        sentences=given.sentences or made.sentences,
        centre=made.centre if given.centre is None else given.centre,
    )
    lines = kernel_lines(log, target, source, kernel, weights)
    return filled, lines[1:]  # the diagnosis counts effective rows of sentences by itself


def _lacks(given: Given, side: str, estimators: Sequence[Estimator]) -> bool:
    return getattr(given, side) is None and any(side in one.needs for one in estimators)


def _marginal(log: Logged, target: Target, asked: Asked) -> Side:
    e = asked.embeddings
    if e is None:
        raise ConfigError(
            "mips needs what actions look like: give embeddings=, an (n, …) array of what each row "
            "showed, an (A, …) array of each action, or a column of the log"
        )
    if isinstance(e, str):
        return _estimated(log, target, e)
    e = np.asarray(e)
    if len(e) == len(log):
        return _estimated(log, target, e)
    if len(e) != len(log.names):
        raise ConfigError(
            f"embeddings have one entry for each of {len(log)} rows or {len(log.names)} actions; "
            f"saw an array of shape {e.shape}"
        )
    if e.dtype.kind == "f":
        return _estimated(log, target, ByAction(e))
    found = np.unique(e.reshape(len(e), -1), axis=0, return_inverse=True)[1]
    return _by_cluster(log, target, found.reshape(-1))


def _cluster(log: Logged, target: Target, asked: Asked) -> Side:
    said, e = asked.clusters, asked.embeddings
    if said is None:
        raise ConfigError(
            "off_cem needs clusters of actions: give clusters=, an (A,) array of whole numbers, or "
            "how many to make of embeddings=, an (A, k) array"
        )
    if isinstance(said, int):
        if e is None or isinstance(e, str) or len(e) != len(log.names):
            raise ConfigError(
                f"to make {said} clusters, give embeddings=, an array with a row for each of the "
                f"{len(log.names)} actions"
            )
        return _by_cluster(log, target, k_means(np.asarray(e), said, rng=stream(SEED, "clusters")))
    return _by_cluster(log, target, clusters_of(said))


def _by_cluster(log: Logged, target: Target, clusters: NDArray[np.intp]) -> Side:
    """Exact where both policies are known everywhere, else by regression."""
    if len(clusters) != len(log.names):
        raise ConfigError(f"{len(clusters)} clusters were given for {len(log.names)} actions")
    first = next(iter(log.chunks()))
    if first.propensities is not None and target.table(first) is not None:
        return cluster_marginal(clusters)
    return _estimated(log, target, ByAction(clusters))


def _estimated(log: Logged, target: Target, e: Any) -> Side:
    return estimated_marginal(log, target, e, rng=stream(SEED, "folds"))
