"""How the comparisons grow with the number of policies K, while the hardest rival stays as hard.

    alike      every rival loses to the winner with share .3 and ties with the others: T* ~ K - 1
    features   p_ij = μ(θ·(x_i - x_j)) in three dimensions, θ·x at least .4 below the winner's

The features of K policies are the first K of one fixed list. Whoever proves without them is bound
by a T* that grows with K; whoever trusts them, by what three numbers cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bestpolicy.bench.llm_po.figure import Figure, Row, bars, counted, number, percent
from bestpolicy.bench.llm_po.plays import DELTA, TOLD, Match, Plays, once, spread
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.worlds import truth
from bestpolicy.worlds.bound import structured_t_star
from bestpolicy.worlds.preference import bradley_terry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POLICIES = (8, 16, 32, 64, 128)
RUNS = 24
SHARE = 0.3  # of every rival against the winner, where all are alike
GAP, NORM = 0.4, 1.5  # θ·(x_0 - x_j) is at least GAP, and θ is as long as NORM
MOST = 64  # policies beyond which the structured T* is not computed


def rows(plays: Plays) -> list[Row]:
    found = []
    runs = plays.runs(RUNS)
    for k in POLICIES:
        x, theta = described(k, plays.seed)
        p = bradley_terry(x @ theta).p
        with_features = structured_floor(x, theta) if k <= MOST else inf
        cells_of = [("alike", "free", Match(f"alike{k}", alike(k)))]
        for told in TOLD:
            match = Match(f"described{k}", p, told=told, x=None if told == "free" else x)
            cells_of.append(("features", told, match))
        for family, told, match in cells_of:
            (played,) = plays.each(once, [match], runs)
            # A proof that rests on no structure is bound by T* of all truths, whoever steers.
            floor = with_features if told == "trusted" else match.floor
            found.append(
                {
                    "family": family,
                    "told": told,
                    "policies": k,
                    "comparisons": spread([run.comparisons for run in played]),
                    "floor": floor if floor < inf else None,
                    "wrong": counted(sum(run.wrong for run in played), runs, DELTA),
                }
            )
    return found


def alike(k: int) -> Array:
    """Policy 0 beats everyone by the same, and all others tie."""
    p = np.full((k, k), 0.5)
    p[0, 1:], p[1:, 0] = 1 - SHARE, SHARE
    return p


def described(k: int, seed: int) -> tuple[Array, Array]:
    """The first k policies, the winner first, (k, 3), and θ."""
    x = stream(seed, "bench/llm-po/features").normal(size=(max(POLICIES), 3))
    x[:, 0] = -GAP / NORM - np.abs(x[:, 0])
    x[0] = 0
    return x[:k], np.array([NORM, 0.0, 0.0])


def structured_floor(x: Array, theta: Array) -> float:
    """The fewest comparisons of any design that is told the features, proven from below."""
    return structured_t_star(x, theta, gap=0.02).low * truth.divergence(DELTA)


def says(found: Sequence[Row]) -> str:
    parts = []
    few, many = min(row["policies"] for row in found), max(row["policies"] for row in found)
    for family, told in dict.fromkeys((row["family"], row["told"]) for row in found):
        own = {row["policies"]: row["comparisons"]["mean"] for row in _of(found, family, told)}
        parts.append(f"{own[many] / own[few]:.1f} times ({_named(family, told)})")
    return f"From {few} to {many} policies the comparisons grow {', '.join(parts)}."


def cells(row: Row) -> dict[str, str]:
    mean, floor = row["comparisons"]["mean"], row["floor"]
    return {
        "rivals": row["family"],
        "told": row["told"],
        "policies": str(row["policies"]),
        "comparisons [95 %]": number(row["comparisons"]),
        "floor": "not computed" if floor is None else f"{floor:,.0f}",
        "ratio": "" if floor is None else f"{mean / floor:.2f}",
        "wrong % [95 %]": percent(row["wrong"]),
        "runs": str(row["wrong"]["n"]),
    }


def draw(axes: Axes, found: Sequence[Row]) -> None:
    keys = list(dict.fromkeys((row["family"], row["told"]) for row in found))
    for i, (family, told) in enumerate(keys):
        own = _of(found, family, told)
        means = [row["comparisons"] for row in own]
        k = [row["policies"] for row in own]
        label = _named(family, told)
        axes.errorbar(
            k,
            [mean["mean"] for mean in means],
            yerr=bars(means),
            fmt="o-",
            markersize=4,
            label=label,
            color=f"C{i}",
        )
        if told == "structured":  # the same floor as that of `free`
            continue
        floors = [row["floor"] if row["floor"] is not None else np.nan for row in own]
        axes.plot(k, floors, "--", linewidth=0.8, color=f"C{i}")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("policies (dashed: the floor)")
    axes.set_ylabel("mean comparisons")
    axes.legend(fontsize=7)


def _named(family: str, told: str) -> str:
    return "rivals alike" if family == "alike" else f"three features, {told}"


def _of(found: Sequence[Row], family: str, told: str) -> list[Row]:
    return [row for row in found if (row["family"], row["told"]) == (family, told)]


FIGURE = Figure("growth", "More policies", rows, says, cells, draw)
