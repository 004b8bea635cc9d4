"""Regression: predicted rewards, corrected by what the log says of their errors.

    q_i = Rhat(x_i, a_i)    d_i = Σ_a pi(a | x_i) Rhat(x_i, a)    V = mean [d_i + v_i (r_i - q_i)]

v = 0 trusts the model alone (dm); v = w corrects it without bias where p_i is right, however wrong
the model is, if Rhat has not seen row i (dr); in between, large w are cut or shrunk.
Sources: Dudík, Langford & Li 2011; Wang, Agarwal & Dudík 2017 (switch); Su et al. 2020 (shrinkage);
Chernozhukov et al. 2018 (models that have not seen the row).
"""

from __future__ import annotations

from math import inf

import numpy as np

from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.rows import Rows, Terms, needing


@needing("predictions", caveat="the error leaves out that the model may be wrong")
def dm(rows: Rows) -> Terms:
    """mean d: as good as the model, and its errors do not show in the standard error."""
    return rows.q_d[1], 1.0


@needing("predictions")
def dr(rows: Rows) -> Terms:
    """mean [d + w (r - q)]: unbiased when p_i is right; a good model makes it precise."""
    q, d = rows.q_d
    return d + rows.w * (rows.r - q), 1.0


@needing("predictions")
def switch_dr(rows: Rows, most: float = 10.0) -> Terms:
    """mean [d + w 1(w <= most) (r - q)]: where weights are large, the model alone speaks."""
    q, d = rows.q_d
    kept = np.where(rows.w <= _at_least_0(most), rows.w, 0.0)
    return d + kept * (rows.r - q), 1.0


@needing("predictions")
def dros(rows: Rows, lam: float = 100.0) -> Terms:
    """mean [d + lam w / (w² + lam) (r - q)]: no weight exceeds sqrt(lam) / 2.

    lam = 0 is dm, lam = inf is dr.
    """
    q, d = rows.q_d
    if _at_least_0(lam) == 0:
        return d, 1.0
    shrunk = rows.w if lam == inf else lam * rows.w / (rows.w * rows.w + lam)
    return d + shrunk * (rows.r - q), 1.0


def _at_least_0(bound: float) -> float:
    if not bound >= 0:
        raise ConfigError(f"the bound of the weights must be 0 or more; saw {bound:g}")
    return bound
