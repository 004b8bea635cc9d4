"""Weighting: the log's own rewards, reweighted by how much likelier the target was to do the same.

    w_i = pi(a_i | x_i) / p_i

Only the chances of logged actions are needed. Unbiased when p_i is right and positive wherever the
target may act. Of several loggers any one may lack support, if their mixture has it (`balanced`).
Sources: Horvitz & Thompson 1952; Swaminathan & Joachims 2015 (self-normalised); Agarwal et al. 2017
(several loggers).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bestpolicy.core.log import SUM_TOLERANCE, BadRow, Log
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.offpolicy.rows import Rows, Terms, estimator


@estimator
def ips(rows: Rows) -> Terms:
    """mean w r: unbiased, and wild where weights are."""
    return rows.weighed(rows.w), 1.0


@estimator
def snips(rows: Rows) -> Terms:
    """Σ w r / Σ w: a little biased, bounded like the rewards, and indifferent to their zero."""
    return rows.w * rows.r, rows.w


@estimator
def clipped_ips(rows: Rows, most: float = 10.0) -> Terms:
    """mean min(w, most) r: biased downwards by what is cut off, for tamer errors."""
    return rows.weighed(np.minimum(rows.w, most)), 1.0


def mixture(chances: Array, shares: Array) -> Array:
    """(m,) Σ_l rho_l pi_l(a_i | x_i), from (m, L) chances that each logger gave to the action."""
    chances, shares = np.asarray(chances, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if chances.ndim != 2 or shares.shape != chances.shape[1:]:
        raise ConfigError(
            f"chances are (rows, loggers), with a share of the rows for each logger; saw "
            f"{chances.shape} and {shares.shape}"
        )
    if not ((shares >= 0).all() and abs(shares.sum() - 1) <= SUM_TOLERANCE):
        raise ConfigError(f"the shares of the loggers must sum to 1; saw {shares.tolist()}")
    made: Array = chances @ shares
    return made


def balanced(log: Log, chances: Array) -> Log:
    """The same rows as if one logger, the mixture of all, had chosen: w_i = pi / Σ_l rho_l pi_l.

    `chances` are (n, L): what each logger's chance of the logged action was, its own or not. Each
    logger must have logged rows of the same stream of contexts.
    """
    chances = np.asarray(chances, dtype=np.float64)
    if log.loggers is None:
        raise ConfigError("the log does not say which logger chose: give it the column `loggers`")
    if (
        chances.ndim != 2
        or len(chances) != len(log)
        or log.loggers.max(initial=0) >= (chances.shape[1])
    ):
        raise ConfigError(
            f"give the chance of each of the {len(log)} logged actions under each logger, (rows, "
            f"loggers); saw an array of shape {chances.shape}"
        )
    fine = ((chances >= 0) & (chances <= 1)).all(axis=1)
    own = chances[np.arange(len(log)), log.loggers]
    for right, rule in (
        (fine, "a chance must be in [0, 1]"),
        (
            np.abs(own - log.propensity) <= SUM_TOLERANCE,
            "the chance under the row's own logger must be the one logged for it",
        ),
    ):
        if not right.all():
            i = int(np.argmin(right))
            raise BadRow(log.start + i, "chances", chances[i].tolist(), rule)
    rows = np.bincount(log.loggers, log.weight, chances.shape[1])
    note = f"weights are balanced over {chances.shape[1]} loggers"
    mixed = mixture(chances, rows / rows.sum())
    # All chances of one logger are not those of the mixture.
    return replace(log, propensity=mixed, propensities=None, notes=(*log.notes, note))
