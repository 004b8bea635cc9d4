"""Which pairs are asked, against where the optimal shares w* lie.

A pair has one loser, so every question counts for the policy that loses it: w*_j is the share that
any optimal rule spends on refuting j, all of it on the rivals that beat j hardest.

    overlap = Σ_j min(share_j, w*_j),   1 when the questions are spent as the optimum spends them
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bestpolicy.bench.llm_po.figure import Figure, Row, bars, number
from bestpolicy.bench.llm_po.plays import DELTA, Match, Plays, spread, to_the_end
from bestpolicy.core.nouns import Array
from bestpolicy.worlds import truth
from bestpolicy.worlds.preference import INSTANCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FULL = {DELTA: 200, 1e-16: 30}  # replications; the second to see where the shares are heading


def rows(plays: Plays) -> list[Row]:
    found = []
    for name in ("mid16", "cyc8"):
        p = INSTANCES[name]().p
        optimal = truth.proportions(p).sum(axis=1)
        for delta, full in FULL.items():
            match = Match(name, p, delta=delta)
            (spent,) = plays.each(asked, [match], plays.runs(full))
            shares = np.array([own.sum(axis=1) for own in spent])  # (runs, K)
            hardest = np.array([own[hits(p)].sum() for own in spent])
            found.append(
                {
                    "truth": name,
                    "delta": delta,
                    "overlap": spread(100 * np.minimum(shares, optimal).sum(axis=1)),
                    "hardest": spread(100 * hardest),
                    "policies": [
                        {"policy": j, "optimal": 100 * optimal[j], **spread(100 * shares[:, j])}
                        for j in range(1, len(p))
                    ],
                }
            )
    return found


def asked(match: Match, seed: int, r: int) -> Array:
    """(K, K) the share of a run's questions about each pair, at [its loser, its winner]."""
    _, state, order = to_the_end(match, seed, r)
    wins = state.wins()
    n = np.zeros_like(wins)
    n[np.ix_(order, order)] = wins + wins.T  # in the numbering of the matrix
    lost: Array = np.where(match.p < 0.5, n, 0.0) / (n.sum() / 2)
    return lost


def hits(p: Array) -> Array:
    """(K, K) whether k is one of those that beat j hardest; the winner is beaten by nobody."""
    d = truth.defeats(p)
    top = d.max(axis=1, keepdims=True)
    return np.asarray((d > 0) & (d >= top - 1e-9))


def says(found: Sequence[Row]) -> str:
    parts = [
        f"{row['overlap']['mean']:.0f} % on {row['truth']} at delta {row['delta']:g}"
        for row in found
    ]
    return (
        "A question counts for the policy that loses it; so counted, the shares of the questions "
        f"agree with the optimal ones in {', '.join(parts)}."
    )


def cells(row: Row) -> dict[str, str]:
    return {
        "truth": row["truth"],
        "delta": f"{row['delta']:g}",
        "agreement with w* % [95 %]": number(row["overlap"], 1),
        "asked against the hardest rival % [95 %]": number(row["hardest"], 1),
        "runs": f"{row['overlap']['n']:,}",
    }


def draw(axes: Axes, found: Sequence[Row]) -> None:
    for i, row in enumerate(found):
        own = row["policies"]
        axes.errorbar(
            [one["optimal"] * 1.02 ** (i % 2) for one in own],
            [one["mean"] for one in own],
            yerr=bars(own),
            fmt="o" if row["truth"] == "mid16" else "s",
            markersize=4,
            label=f"{row['truth']}, delta {row['delta']:g}",
        )
    most = max(one["optimal"] for row in found for one in row["policies"])
    axes.plot([0, most], [0, most], color="black", linewidth=0.8, label="optimal")
    axes.set_xlabel("optimal share w* of the questions, per losing policy (%)")
    axes.set_ylabel("share asked (%)")
    axes.legend(fontsize=7)


FIGURE = Figure("spending", "Where the questions go", rows, says, cells, draw)
