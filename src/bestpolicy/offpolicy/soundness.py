"""Soundness: support, propensities, drift and the reward model; is the log what it says it is?

    support       mean of Σ_a pi(a | x) [pi_0(a | x) < 1/n], or of actions never logged
    propensities  of each action: Σ 1/p over its rows = n; rows = Σ pi_0; mean w f = mean f
    drift         Σ_k c_k S_k / (s √Σ n_k c_k²), c_k the number of the part, centred: in se
    reward model  slope of r on q, out of fold; w (r - q) in its standard errors

A check of many actions or contexts calls one of them off with chance SURE where none is.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.stats import norm

from bestpolicy.core.nouns import Array
from bestpolicy.offpolicy.lines import Level, Line, graded, several, some
from bestpolicy.offpolicy.seen import PART_SUMS, Actions, Foretold, Means, Parts

SURE = 0.001
FEW = 100  # rows of a logger below which nothing is said of it
ALL_CHANCES = "give the target as an (n, A) array or a policy, and log the chances of all actions"


class Quality(Protocol):
    """How good a model of the reward was on rows that it had not seen."""

    @property
    def slope(self) -> float: ...

    @property
    def r2(self) -> float: ...


def support(actions: Actions, names: tuple[str, ...], bounds: tuple[float, float]) -> Line:
    """How much of what the target does was never tried."""
    name, n = "support", float(actions.sums[0].sum())
    if actions.target is None:
        said = "unchecked: of the target only the chances of logged actions are known"
        return Line(name, said, "unchecked", None, ALL_CHANCES)
    never = (actions.sums[0] == 0) & (actions.target > 0)
    mass = float(actions.target[never].sum()) / n
    kind = "actions that were never logged"
    if actions.thin is not None:
        mass = max(mass, actions.thin / n)
        kind = f"actions that the log had a chance below 1/{n:,.0f} of choosing"
    verdict = graded(mass, 0.01, 0.1)
    said = f"{mass:.1%} of the target's choices are {kind}"
    if not mass:
        said = f"the target chooses none of the {kind}"
    if never.any():
        missing = [names[i] for i in np.flatnonzero(never)[np.argsort(-actions.target[never])]]
        said += f" ({several(missing)})"
    if verdict == "ok":
        if actions.thin is None:
            said += "; chances of all actions were not logged, so that contexts went unchecked"
        return Line(name, said, verdict, mass)
    low, high = (mass * bound for bound in bounds)
    said += f"; what they would earn is anything from {some(low)} to {some(high)} a row"
    advice = "The log says nothing about part of what the target does: log these actions first."
    return Line(name, said, verdict, mass, advice)


def propensities(
    actions: Actions, means: Means | None, names: tuple[str, ...], effective: float
) -> Line:
    """Whether the chances that were logged are those with which actions were chosen."""
    off, fine = [], []
    n = float(actions.sums[0].sum())
    wrong = reciprocals_off(actions)
    if len(wrong):
        some_names = several([names[a] for a in wrong])
        off.append(f"1/p summed over its rows is not the number of rows for {some_names}")
    else:
        fine.append("1/p sums to the number of rows for every action")
    if actions.logged is not None:
        fine.append("chances sum to 1")
        wrong = frequencies_off(actions)
        if len(wrong):
            some_names = several([names[a] for a in wrong])
            off.append(f"logged more or less often than its chances say: {some_names}")
        else:
            fine.append("actions were logged as often as their chances say")
    if means is not None and effective >= FEW:
        worst = float(np.abs(means.z).max(initial=0.0))
        if worst > norm.isf(SURE / 2 / len(means.z)):
            off.append(f"a context's reweighted mean is {worst:.1f} standard errors off")
        else:
            fine.append("reweighted contexts keep their means")
    verdict: Level = ("ok", "warn", "stop")[min(len(off), 2)]
    total = float(actions.sums[3].sum()) / n
    advice = "The logged chances look wrong, or some actions were not always possible: check how "
    advice += "the chance of the chosen action is computed and written where it is drawn."
    return Line("propensities", "; ".join(off or fine), verdict, total, advice if off else "")


def reciprocals_off(actions: Actions) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Actions whose Σ 1/p is not n, or not the number of rows in which they were possible."""
    rows, _, _, one, two = actions.sums
    seen = rows > 0
    n = float(rows.sum())
    due = actions.logged[2] if actions.logged is not None else np.full(len(rows), n)
    excess = one - due
    # A shortfall may be owed to rows with small chances that happened not to come: the smallest
    # chance seen anywhere bounds their variance. What has come is bound by its own.
    smallest = float(actions.least.min(initial=1.0))
    spread = np.where(excess > 0, two - one**2 / n, np.maximum(two, due / smallest) - due)
    bar = norm.isf(SURE / 2 / max(1, int(seen.sum())))
    return np.flatnonzero(seen & (np.abs(excess) > bar * np.sqrt(np.maximum(spread, 0)) + 1e-6 * n))


def frequencies_off(actions: Actions) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Actions whose number of rows is not Σ pi_0, by Bernstein's bound on the tail."""
    assert actions.logged is not None
    expected, spread, _ = actions.logged
    bar = norm.isf(SURE / 2 / len(expected))
    reach = bar * np.sqrt(np.maximum(spread, 0)) + bar**2 / 3
    return np.flatnonzero(np.abs(actions.sums[0] - expected) > reach)


def drift(parts: Parts) -> Line:
    """Whether weights or rewards change over the ten parts, each logger taken for itself."""
    z = trends(parts)
    if not z.size:
        return Line("drift", "unchecked: too few rows", "unchecked")
    bar = norm.isf(SURE / 2 / z.size)
    logger, which = divmod(int(np.abs(z).argmax()), z.shape[1])
    worst = float(z[logger, which])
    if abs(worst) <= bar:
        return Line("drift", "weights and rewards are steady over ten equal parts", "ok", worst)
    what = ("the mean weight", "the mean squared weight", "the mean reward")[which]
    first, last = _ends(parts, which)
    said = f"{what} {'rises' if worst > 0 else 'falls'} over ten equal parts, from {some(first)} "
    said += f"in the first to {some(last)} in the last ({abs(worst):.1f} standard errors)"
    if len(parts.sums) > 1:
        said += ", more than the change of loggers explains"
    advice = "The log changes as it goes: evaluate its last part alone, and see whether it agrees."
    return Line("drift", said, "warn", worst, advice)


def trends(parts: Parts) -> Array:
    """(L, 3) of w, w² and r: the trend over ten parts in standard errors, of loggers with rows."""
    made = []
    for sums in parts.sums:
        n, w, ww, w4, r, rr = sums.T
        if (n > 0).sum() < 3 or n.sum() < FEW:
            continue
        c = np.arange(len(n)) - n @ np.arange(len(n)) / n.sum()
        # The spread of all rows: one large weight cannot make a trend, as it widens this too.
        spread = [_variance(n, x, xx) for x, xx in ((w, ww), (ww, w4), (r, rr))]
        made.append(
            [
                float(c @ x) / np.sqrt(s * (n @ c**2)) if s > 0 else 0.0
                for x, s in zip((w, ww, r), spread, strict=True)
            ]
        )
    return np.array(made).reshape(-1, 3)


def _variance(n: Array, x: Array, xx: Array) -> float:
    mean = float(x.sum() / n.sum())
    spread = float(xx.sum() / n.sum()) - mean**2
    return spread if spread > 1e-12 * mean**2 else 0.0


def _ends(parts: Parts, which: int) -> tuple[float, float]:
    sums = parts.sums.sum(axis=0)
    column = sums[:, PART_SUMS.index(("w", "ww", "r")[which])]
    held = np.flatnonzero(sums[:, 0])
    first, last = (float(column[k] / sums[k, 0]) for k in (held[0], held[-1]))
    return first, last


def reward_model(foretold: Foretold | None, quality: Quality | None) -> Line | None:
    """Whether a model of the reward helps; where it does not, DR leans on weights alone."""
    if quality is None and foretold is None:
        return None
    known = quality or foretold.moments.fit(folds=0)  # type: ignore[union-attr]
    verdict = graded(known.slope, 0.6, 0.2)
    said = f"on rows it has not seen: slope {known.slope:.2f}, R² {known.r2:.3f}"
    advice = ""
    if verdict != "ok":
        advice = "The model of the reward says little: read the estimators that do without it."
    if foretold is not None:
        gap = foretold.gap_in_errors
        said += f"; the weights move its value by {gap:+.1f} standard errors"
        if abs(gap) > 4 and verdict == "ok":
            verdict, advice = "warn", "The model of the reward is biased here: read DR, not DM."
    return Line("reward-model", said, verdict, known.slope, advice, binds=False)
