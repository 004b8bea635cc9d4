"""How often the verdict is wrong, against how often it may be.

Three known truths, and one at the edge of the null: cyc8 with its winner tied with everyone. Where
a winner is assumed, dropping that policy is the mistake there; where not, every claim is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bestpolicy.bench.llm_po.figure import Figure, Row, bars, counted, number, percent
from bestpolicy.bench.llm_po.plays import Match, Plays, once, spread
from bestpolicy.worlds.preference import INSTANCES, cyclic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DELTAS = (0.2, 0.1, 0.05, 0.01)
EDGE = "cyc8, winner tied"
EDGE_CAP = 2000  # where nobody wins a run has no end


def rows(plays: Plays) -> list[Row]:
    found = []
    for delta in DELTAS:
        for match, full in matches(delta):
            runs = plays.runs(full)
            (played,) = plays.each(once, [match], runs)
            found.append(
                {
                    "truth": match.name,
                    "assume_winner": match.assume_winner,
                    "delta": delta,
                    "wrong": counted(sum(run.wrong for run in played), runs, delta),
                    "comparisons": spread([run.comparisons for run in played]),
                }
            )
    return found


def matches(delta: float) -> list[tuple[Match, int]]:
    """What is played at this delta, and how often; the cheap ones most."""
    edge = cyclic(share=0.5).p
    return [
        (Match("hard8", INSTANCES["hard8"]().p, delta=delta), 300),
        (Match("cyc8", INSTANCES["cyc8"]().p, delta=delta), 1000),
        (Match("nonborda8", INSTANCES["nonborda8"]().p, delta=delta), 300),
        (Match(EDGE, edge, delta=delta), 1000),
        (Match(EDGE, edge, delta=delta, assume_winner=False, cap=EDGE_CAP), 200),
    ]


def says(found: Sequence[Row]) -> str:
    worst = max(found, key=lambda row: row["wrong"]["share"] / row["delta"])
    broken = sum(not row["wrong"]["passes"] for row in found)
    return (
        f"The promise is kept in {len(found) - broken} of {len(found)} cells; where it is used up "
        f"most, {worst['truth']} at delta {worst['delta']:g}, the wrong share is "
        f"{worst['wrong']['share'] / worst['delta']:.2f} of delta."
    )


def cells(row: Row) -> dict[str, str]:
    return {
        "truth": row["truth"],
        "asked": "a winner" if row["assume_winner"] else "winner or none",
        "delta %": f"{100 * row['delta']:g}",
        "wrong % [95 %]": percent(row["wrong"]),
        "runs": f"{row['wrong']['n']:,}",
        "comparisons [95 %]": number(row["comparisons"]),
    }


def draw(axes: Axes, found: Sequence[Row]) -> None:
    lines = list(dict.fromkeys((row["truth"], row["assume_winner"]) for row in found))
    for i, (name, assumed) in enumerate(lines):
        own = [row for row in found if (row["truth"], row["assume_winner"]) == (name, assumed)]
        wrong = [row["wrong"] for row in own]
        axes.errorbar(
            [row["delta"] * 1.07 ** (i - 2) for row in own],
            [max(w["share"], 1e-4) for w in wrong],
            yerr=bars(wrong, "share"),
            fmt="o",
            markersize=4,
            label=name if assumed else f"{name}, winner or none",
        )
    axes.plot(DELTAS, DELTAS, color="black", linewidth=0.8, label="promised at most")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(bottom=1e-4)
    axes.set_xlabel("delta (a dot at the bottom: no wrong verdict)")
    axes.set_ylabel("share of wrong verdicts")
    axes.legend(fontsize=7)


FIGURE = Figure("calibration", "Wrong verdicts against delta", rows, says, cells, draw)
