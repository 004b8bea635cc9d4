"""Diagnose: whether a log can carry an answer, line by line, each with a verdict of its own.

    mean weight      Σ w / n against 1: in standard errors, and in [1/2, 2] whatever these are
    effective rows   (Σ w)² / Σ w²
    top rows         share of the ten largest w r in Σ w r
    tail             Hill's index of the largest 3 % of the weights; above 1 they have no mean

and support, propensities, drift, reward model (`soundness`). One line that says stop forbids a
headline number. The z-test on the mean weight alone is no guard: the row that ruins an estimate
inflates the standard error too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, inf, sqrt
from typing import Any

import numpy as np

from bestpolicy.core.betting import Purse
from bestpolicy.core.log import Logged
from bestpolicy.offpolicy import soundness
from bestpolicy.offpolicy.lines import Level, Line, graded, some
from bestpolicy.offpolicy.pictures import Pictures, drawn
from bestpolicy.offpolicy.rows import Rows
from bestpolicy.offpolicy.seen import Actions, Foretold, Means, Parts, Weights
from bestpolicy.offpolicy.soundness import Quality

__all__ = ["Diagnosis", "Level", "Line", "Quality", "Watch", "hill"]
TAIL = 0.03  # of the rows: where the tail begins
ENOUGH = 200  # rows, before a tail is looked at


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All lines, the worst of their verdicts, and one sentence of advice."""

    lines: tuple[Line, ...]
    pictures: Pictures = field(default_factory=Pictures)

    @property
    def verdict(self) -> Level:
        if any(line.verdict == "stop" and line.binds for line in self.lines):
            return "stop"
        return "warn" if any(line.verdict in ("warn", "stop") for line in self.lines) else "ok"

    @property
    def worst(self) -> Line | None:
        """The line that the verdict rests on; None where all is well."""
        found = [line for line in self.lines if line.verdict == self.verdict]
        found += [line for line in self.lines if line.verdict == "stop"]
        return found[0] if found and self.verdict != "ok" else None

    @property
    def advice(self) -> str:
        if self.worst is not None:
            return self.worst.advice
        return "Nothing in this log speaks against reading the estimates with their intervals."


class Watch:
    """Looks at rows as they pass; `extra` lines come from whoever knows more."""

    def __init__(self, log: Logged) -> None:
        self._log, self._n = log, len(log)
        self._weights = Weights()
        self._actions: Actions | None = None
        self._parts: Parts | None = None
        self._means: Means | None = None
        self._foretold: Foretold | None = None
        self._kernel: Weights | None = None

    def see(self, rows: Rows) -> None:
        """These rows too."""
        log = rows.log
        table = rows.table if "table" in rows.__dict__ else rows.target.table(log)
        if table is not None:
            rows.table = table  # so that nobody makes it again
        self._weights += Weights.of(rows.w, rows.r, log)
        self._actions = _plus(self._actions, Actions.of(log, table, self._n))
        self._parts = _plus(self._parts, Parts.of(log, rows.w, self._n))
        self._means = _plus(self._means, Means.of(log, rows.w))
        self._foretold = _plus(self._foretold, Foretold.of(rows))
        if rows.given.kernel is not None:
            self._kernel = _plus(self._kernel, Weights.of(rows.k, rows.r, log))

    def diagnosis(self, quality: Quality | None = None, extra: Sequence[Line] = ()) -> Diagnosis:
        """What was seen; `quality` is of a model of the reward that measured itself."""
        if self._actions is None or self._parts is None:
            return Diagnosis((Line("rows", "the log has no rows", "stop", 0.0, "Log some rows."),))
        seen, names = self._weights, self._log.names
        lines: list[Line | None] = [
            mean_weight(seen),
            effective_rows(seen),
            None if self._kernel is None else effective_rows(self._kernel, sentences=True),
            top_rows(seen),
            tail(seen),
            soundness.support(self._actions, names, self._log.bounds),
            soundness.propensities(self._actions, self._means, names, effective(seen)),
            soundness.drift(self._parts),
            soundness.reward_model(self._foretold, quality),
            *extra,
        ]
        return Diagnosis(
            tuple(line for line in lines if line is not None),
            drawn(seen, self._actions, self._parts, names, self._log.bounds),
        )


def effective(seen: Weights) -> float:
    """(Σ w)² / Σ w²."""
    return seen.w**2 / seen.ww if seen.ww else 0.0


def mean_weight(seen: Weights) -> Line:
    """1 when the propensities are right and the target is supported, target and rewards aside."""
    mean = seen.w / seen.n
    spread = max(0.0, seen.ww / seen.n - mean**2)
    error = sqrt(spread / max(1.0, seen.n - 1))
    rounding = 1e-9
    z = (mean - 1) / error if error > rounding else 0.0 if abs(mean - 1) < 1e-6 else inf
    verdict = graded(abs(z), 2, 4)
    said = f"{some(mean)}, expected 1"
    if error > rounding:
        said += f" ± {some(error)} (off by {abs(z):.1f} standard errors)"
    if not 0.5 <= mean <= 2:
        verdict = "stop"
        said += "; outside [0.5, 2], whatever the error"
    advice = ""
    if verdict != "ok" and mean > 1:
        advice = "Weights are too large on average: some logged chances are too small to be true, "
        advice += "or a single row with a tiny chance rules the sum."
    elif verdict != "ok":
        advice = "Weights are too small on average: the log lacks part of what the target does, or "
        advice += "logged chances are too large."
    return Line("mean-weight", said, verdict, mean, advice)


def effective_rows(seen: Weights, *, sentences: bool = False) -> Line:
    """How many rows of the target's own the log is worth."""
    worth = effective(seen)
    verdict = graded(worth, 500, 100)
    said = f"{seen.n:,.0f} rows are worth {worth:,.0f} of the target's own"
    said += " by what was said" if sentences else ""
    advice = ""
    if verdict == "warn":
        advice = "Few rows speak for the target: read the interval, not the number."
    elif verdict == "stop":
        advice = "Too few rows speak for the target: log more, or ask about a target that is closer"
        advice += " to the policy that logged."
    name = "effective-rows-of-sentences" if sentences else "effective-rows"
    return Line(name, said, verdict, worth, advice, binds=not sentences)


def top_rows(seen: Weights) -> Line:
    """Whether an estimate is the average of a log or the tale of ten rows."""
    if seen.wr <= 0:
        said = "no row that the target would have had earned anything"
        return Line("top-rows", said, "unchecked")
    share = float(seen.top[:, 0].sum()) / seen.wr
    verdict = graded(share, 0.25, 0.8)
    rows = ", ".join(str(row) for row in seen.rows[:3])
    said = f"ten rows make {share:.0%} of what the target is thought to earn (rows {rows}, …)"
    advice = "" if verdict == "ok" else "A handful of rows decides: look at them, then log more."
    return Line("top-rows", said, verdict, share, advice)


def tail(seen: Weights) -> Line:
    """How heavy the tail of the weights is."""
    if seen.n < ENOUGH:
        return Line("tail", f"unchecked: fewer than {ENOUGH} rows", "unchecked")
    index = hill(seen.purse)
    verdict = graded(index, 0.7, 1.0)
    meaning = "no mean" if index > 1 else "no variance" if index > 0.5 else "a variance"
    said = f"tail index {index:.2f}: weights with such a tail have {meaning}"
    advice = ""
    if verdict != "ok":
        advice = "Large weights are so frequent that errors are larger than they look: trust only "
        advice += "the interval that holds at every n, or ask about a milder target."
    return Line("tail", said, verdict, index, advice)


def hill(purse: Purse, share: float = TAIL) -> float:
    """Mean of log(w / w_k) over the k - 1 largest w, w_k the k-th; k = 3 % of the rows.

    Source: Hill 1975. 1/index is the power with which the tail falls.
    """
    w, counts = purse.points
    if not len(w):
        return 0.0
    w, counts = w[::-1], counts[::-1]
    k = min(float(ceil(share * purse.n)), float(counts.sum()))
    upto = np.minimum(np.cumsum(counts), k)
    own = np.diff(upto, prepend=0.0)
    last = w[int(np.argmax(upto >= k * (1 - 1e-12)))]
    return float(own @ np.log(w / last)) / max(k - 1, 1.0)


def _plus(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other
