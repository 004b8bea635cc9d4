"""What the learners are asked to reach, and twins of theirs that must not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.bench.offline_prompts.grids import LONG, MODELS, PUBLISHED, Cell, Fit
from bestpolicy.bench.offline_prompts.reference import STDERR, reference

Worlds = Mapping[tuple[Cell, Fit], dict[int, float]]  # optimality by number of the world
MAIN, HARD = Cell(), Cell(rows=2000)
MARGIN = 0.03  # by which a method may fall short of another it should equal
MINUTES = 3.0
DR = LONG[1]
DSO, CROSSED = Fit("dso"), Fit("cf-dr-dso")


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise with its figure; a twin's must be missed."""

    says: str
    found: float
    stderr: float | None
    wanted: str
    passes: bool
    twin: bool = False


def goals(worlds: Worlds, spent: Mapping[tuple[Cell, Fit], float]) -> list[Goal]:
    """All for which there are fits."""
    return [*_levels(worlds), *_order(worlds), *_laws(worlds), *_replicated(worlds), *_cost(spent)]


def _levels(worlds: Worlds) -> Iterator[Goal]:
    at_least = [(MAIN, DSO, 0.45), (MAIN, CROSSED, 0.60), (HARD, CROSSED, 0.62)]
    for cell, fit, goal in at_least:
        if (cell, fit) in worlds:
            mean, error = _mean(worlds[cell, fit])
            yield Goal(f"{fit.said}, {_where(cell)}", mean, error, f">= {goal}", mean >= goal)
    for fit, near in ((Fit("is"), 0.22), (DR, 0.25)):
        if (MAIN, fit) in worlds:
            mean, error = _mean(worlds[MAIN, fit])
            passes = abs(mean - near) <= 0.04
            yield Goal(f"{fit.said}, {_where(MAIN)}", mean, error, f"within .04 of {near}", passes)


def _order(worlds: Worlds) -> Iterator[Goal]:
    if both := _pair(worlds, MAIN, DSO, DR):
        ratio = float(np.mean(both[0]) / np.mean(both[1]))
        yield Goal(f"dso / dr, {_where(MAIN)}", ratio, None, ">= 1.7", ratio >= 1.7)
    for size in (10, 100):
        cell = Cell(size)
        others = [fit for at, fit in worlds if at == cell and fit.method in OFFLINE]
        pairs = [_pair(worlds, cell, CROSSED, fit) for fit in others]
        gaps = [_gap(*both) for both in pairs if both]
        if gaps:
            gap, error = min(gaps)
            says = f"cf-dr-dso less the best other, {_where(cell)}"
            yield Goal(says, gap, error, ">= -0.02", gap >= -0.02)


def _laws(worlds: Worlds) -> Iterator[Goal]:
    exact = Fit("dso", density="exact")
    plain = Fit("dso-published", density="exact")
    wrong = Fit("cf-dr-dso", model="linear")
    lines = [
        ("cf-dr-dso with a linear model less dso", wrong, DSO, False),
        ("the same with a model that has seen the row", _seen("linear"), DSO, True),
        ("a net that has seen the row, less dso", _seen("net-long"), DSO, True),
        ("cf-dr-dso with exact rewards less regression", _known("cf-dr-dso"), Fit("regression"), 0),
        ("cf-dr-dso with exact rewards less sdm of a net", _known("cf-dr-dso"), Fit("sdm"), 0),
        ("cf-dr-dso less dso", CROSSED, DSO, False),
    ]
    for sign in (1.0, -1.0):
        moved = f"r {sign:+g}"
        own = Fit("dso", density="exact", shift=sign)
        lines.append((f"dso on {moved} less dso on r", own, exact, False))
        own = Fit("dso-published", density="exact", shift=sign)
        lines.append((f"dso, not centred, on {moved} less the same on r", own, plain, True))
    for says, fit, other, twin in lines:
        if both := _pair(worlds, MODELS, fit, other):
            gap, error = _gap(*both)
            yield Goal(
                *(f"{says}, {_where(MODELS)}", gap, error, f">= -{MARGIN}", gap >= -MARGIN),
                bool(twin),
            )


def _replicated(worlds: Worlds) -> Iterator[Goal]:
    """DSO, IS and DR within two joint standard errors of the re-run of public code."""
    for (cell, fit), found in worlds.items():
        if fit not in (PUBLISHED, Fit("is"), DR) or len(found) < 2:
            continue
        if (then := reference(cell, fit)) is not None:
            mean, error = _mean(found)
            joint = (error**2 + STDERR**2) ** 0.5
            says = f"{fit.method} less the re-run, {_where(cell)}"
            yield Goal(says, mean - then, joint, "within 2 joint se", abs(mean - then) <= 2 * joint)


def _cost(spent: Mapping[tuple[Cell, Fit], float]) -> Iterator[Goal]:
    if (MAIN, DSO) in spent:
        minutes = spent[MAIN, DSO] / 60
        says = f"CPU minutes of a dso fit, {_where(MAIN)}"
        yield Goal(says, minutes, None, f"<= {MINUTES:g}", minutes <= MINUTES)


OFFLINE = ("regression", "is", "dr", "potec", "dso-published", "dso", "sdm")


def _seen(model: str) -> Fit:
    return Fit("cf-dr-dso", model=model, folds=1)


def _known(method: str) -> Fit:
    return Fit(method, model="exact")


def _pair(
    worlds: Worlds, cell: Cell, one: Fit, other: Fit
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Both in the worlds that both have."""
    a, b = worlds.get((cell, one), {}), worlds.get((cell, other), {})
    if not (both := sorted(a.keys() & b.keys())):
        return None
    return np.array([a[i] for i in both]), np.array([b[i] for i in both])


def _gap(one: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    return _mean(dict(enumerate(one - other)))


def _mean(found: dict[int, float]) -> tuple[float, float]:
    values = np.array(list(found.values()))
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return float(values.mean()), float(error)


def _where(cell: Cell) -> str:
    noise = "" if cell.sigma == 1 else f", sigma {cell.sigma:g}"
    clean = "" if cell.compat else ", clean"
    return f"{cell.prompts:,} prompts, {cell.rows:,} rows{noise}{clean}"
