"""What each part of llm-po is worth, on random truths that no constant was picked on.

Every variant plays the same fresh truths with the same streams; comparisons are relative to llm-po
as it is, the geometric mean over truths with its paired interval. Only speed is at stake: the
certificate is the same for every variant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bestpolicy.bench.llm_po.figure import Figure, Row, bars, counted, number, percent
from bestpolicy.bench.llm_po.plays import DELTA, Match, Played, Plays, once, spread
from bestpolicy.core import forecast
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.designs import llm_po
from bestpolicy.worlds import truth
from bestpolicy.worlds.preference import bradley_terry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAMILIES = ("strengths", "features", "cycles")
RUNS = 60  # truths per family
NEVER = -50.0  # a log weight that no record makes up for
LEAST_GAP, MOST = 0.05, 1500  # truths that are too close, or too dear, are drawn again
MODULES = {"llm_po": llm_po, "forecast": forecast}
AS_IT_IS = "as it is"


@dataclass(frozen=True, slots=True)
class Variant:
    """llm-po with other constants."""

    name: str
    constants: tuple[tuple[str, str, Any], ...] = ()  # module, constant, value


def _without(name: str, *forecasters: int) -> Variant:
    prior = tuple(NEVER if i in forecasters else p for i, p in enumerate(forecast.PRIOR))
    return Variant(name, (("forecast", "PRIOR", prior),))


def _shrunk(name: str, times: float) -> Variant:
    shrink = tuple(times * m for m in forecast.SHRINK)
    return Variant(name, tuple((module, "SHRINK", shrink) for module in MODULES))


VARIANTS = (
    Variant(AS_IT_IS),
    Variant("challenger: highest rating", (("llm_po", "BOLD", 0.0),)),
    Variant("challenger: half as bold", (("llm_po", "BOLD", 0.5 * llm_po.BOLD),)),
    Variant("challenger: twice as bold", (("llm_po", "BOLD", 2 * llm_po.BOLD),)),
    Variant("opponent: no head start for the leader", (("llm_po", "BONUS", 0.0),)),
    Variant("opponent: always the leader", (("llm_po", "BONUS", 9.0), ("llm_po", "FADE", 1e9))),
    _without("forecasters: no ratings", 0, 1),
    _without("forecasters: no pair alone", 2, 3),
    _without("forecasters: none by the rival", 4),
    _without("forecasters: the far rating only", 1, 2, 3, 4),
    _shrunk("forecasters: shrunk half as much", 0.5),
    _shrunk("forecasters: shrunk twice as much", 2.0),
)


def rows(plays: Plays) -> list[Row]:
    runs = plays.runs(RUNS)
    tasks = [(variant, family) for variant in VARIANTS for family in FAMILIES]
    table = dict(zip(tasks, plays.each(varied, tasks, runs), strict=True))
    logs = {task: np.log([run.comparisons for run in played]) for task, played in table.items()}
    found = []
    for variant in VARIANTS:
        change = {f: logs[variant, f] - logs[VARIANTS[0], f] for f in FAMILIES}
        wrong = sum(run.wrong for f in FAMILIES for run in table[variant, f])
        found.append(
            {
                "variant": variant.name,
                "relative": {f: _exp(spread(change[f])) for f in FAMILIES},
                "all": _exp(spread(np.concatenate(list(change.values())))),
                "wrong": counted(wrong, runs * len(FAMILIES), DELTA),
            }
        )
    return found


def varied(task: tuple[Variant, str], seed: int, r: int) -> Played:
    variant, family = task
    match = Match(f"{family}{r}", fresh(family, seed, r), cap=20_000)
    with constants(variant):
        return once(match, seed, r)


def fresh(family: str, seed: int, r: int) -> Array:
    """A random truth with a winner, whose number is no clue to what it is."""
    rng = stream(seed, f"bench/llm-po/fresh/{family}", r)
    while True:
        if family == "strengths":
            p = bradley_terry(0.7 * rng.normal(size=8)).p
        elif family == "features":
            p = bradley_terry(rng.normal(size=(24, 3)) @ rng.normal(size=3)).p
        else:
            p = np.triu(rng.uniform(0.15, 0.85, (8, 8)), 1)
            p[0, 1:] = rng.uniform(0.5, 0.75, 7)
            p += np.tril(1 - p.T, -1) + 0.5 * np.eye(8)
        if truth.gap(p) >= LEAST_GAP and truth.floor(p, DELTA, assume_winner=True) <= MOST:
            return p


@contextmanager
def constants(variant: Variant) -> Iterator[None]:
    """Play under a variant's constants; whatever happens, they are put back."""
    kept: list[tuple[ModuleType, str, Any]] = []
    try:
        for module, name, value in variant.constants:
            kept.append((MODULES[module], name, getattr(MODULES[module], name)))
            setattr(MODULES[module], name, value)
        yield
    finally:
        for home, name, value in reversed(kept):
            setattr(home, name, value)


def says(found: Sequence[Row]) -> str:
    worse = [row["variant"] for row in found if row["all"]["low"] > 1]
    better = [row["variant"] for row in found if row["all"]["high"] < 1]
    same = len(found) - 1 - len(worse) - len(better)
    return (
        "Dearer than llm-po as it is, each by its own 95 % interval over all truths: "
        f"{'; '.join(worse) or 'none'}. Cheaper: {'; '.join(better) or 'none'}. The other {same} "
        "cannot be told from it."
    )


def cells(row: Row) -> dict[str, str]:
    relative = {f"{f}, relative [95 %]": number(row["relative"][f], 2) for f in FAMILIES}
    return {
        "variant": row["variant"],
        **relative,
        "all [95 %]": number(row["all"], 2),
        "wrong % [95 %]": percent(row["wrong"]),
        "truths": f"{row['wrong']['n']:,}",
    }


def draw(axes: Axes, found: Sequence[Row]) -> None:
    for i, family in enumerate((*FAMILIES, "all")):
        values = [row["all"] if family == "all" else row["relative"][family] for row in found[1:]]
        axes.errorbar(
            [value["mean"] for value in values],
            [y + 0.15 * (i - 1.5) for y in range(len(values))],
            xerr=bars(values),
            fmt="s" if family == "all" else "o",
            color="black" if family == "all" else f"C{i}",
            markersize=4,
            label=family,
        )
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(found) - 1), [row["variant"] for row in found[1:]])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("comparisons, relative to llm-po as it is")
    axes.legend(fontsize=7)


def _exp(value: dict[str, float]) -> dict[str, float]:
    n = value["n"]
    return {name: float(np.exp(value[name])) for name in ("mean", "low", "high")} | {"n": n}


FIGURE = Figure("ablation", "What each part is worth", rows, says, cells, draw)
