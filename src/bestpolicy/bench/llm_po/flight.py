"""What it costs to have many questions in flight: each batch is asked at one frozen state.

All answers of a batch count, also those that arrive after the verdict could have been given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bestpolicy.bench.llm_po.figure import Figure, Row, bars, counted, number, percent
from bestpolicy.bench.llm_po.plays import DELTA, Match, Plays, once, quotient, spread
from bestpolicy.worlds.preference import INSTANCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IN_FLIGHT = (1, 8, 32, 128)
RUNS = 200


def rows(plays: Plays) -> list[Row]:
    found, runs = [], plays.runs(RUNS)
    for name in ("hard8", "mid16"):
        p = INSTANCES[name]().p
        matches = [Match(name, p, in_flight=n) for n in IN_FLIGHT]
        table = plays.each(once, matches, runs)
        spent = [[run.comparisons for run in played] for played in table]
        for match, played, comparisons in zip(matches, table, spent, strict=True):
            found.append(
                {
                    "truth": name,
                    "in_flight": match.in_flight,
                    "comparisons": spread(comparisons),
                    "relative": quotient(comparisons, spent[0], paired=match is matches[0]),
                    "wrong": counted(sum(run.wrong for run in played), runs, DELTA),
                }
            )
    return found


def says(found: Sequence[Row]) -> str:
    parts = [
        f"{max(row['relative']['mean'] for row in found if row['in_flight'] == n):.2f} at {n}"
        for n in IN_FLIGHT[1:]
    ]
    return (
        "Comparisons relative to one question at a time, on the dearer of the truths: "
        f"{', '.join(parts)} in flight."
    )


def cells(row: Row) -> dict[str, str]:
    return {
        "truth": row["truth"],
        "in flight": str(row["in_flight"]),
        "comparisons [95 %]": number(row["comparisons"]),
        "relative to 1 [95 %]": number(row["relative"], 2),
        "wrong % [95 %]": percent(row["wrong"]),
        "runs": f"{row['wrong']['n']:,}",
    }


def draw(axes: Axes, found: Sequence[Row]) -> None:
    for name in dict.fromkeys(row["truth"] for row in found):
        own = [row for row in found if row["truth"] == name]
        values = [row["relative"] for row in own]
        axes.errorbar(
            [row["in_flight"] for row in own],
            [value["mean"] for value in values],
            yerr=bars(values),
            fmt="o-",
            markersize=4,
            label=name,
        )
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("questions in flight")
    axes.set_ylabel("comparisons, relative to one in flight")
    axes.legend(fontsize=7)


FIGURE = Figure("flight", "Many questions in flight", rows, says, cells, draw)
