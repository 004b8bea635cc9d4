"""A structure that is bent until it breaks: Bradley-Terry on its way to a cycle.

    p(s) = (1 - s) hard8 + s cyc8,   policy 0 the winner at every s

Told nothing, told Bradley-Terry to steer by, and told to trust it in proofs: comparisons, wrong
verdicts, and how often the misfit test said before the verdict that Bradley-Terry does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING, NamedTuple

from bestpolicy.bench.llm_po.figure import Figure, Row, bars, counted, number, percent
from bestpolicy.bench.llm_po.plays import (
    DELTA,
    TOLD,
    Match,
    Plays,
    is_mistaken,
    spread,
    to_the_end,
)
from bestpolicy.core.likelihood import MISFIT_SHARE
from bestpolicy.worlds.preference import INSTANCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
RUNS = 60
CAP = 20_000


class Bent(NamedTuple):
    comparisons: int
    wrong: bool
    fired: bool
    cut: bool


def rows(plays: Plays) -> list[Row]:
    found, runs = [], plays.runs(RUNS)
    straight, cycle = INSTANCES["hard8"]().p, INSTANCES["cyc8"]().p
    for s in BENDS:
        p = (1 - s) * straight + s * cycle
        matches = [Match(f"bent{s:g}", p, told=told, cap=CAP) for told in TOLD]
        for match, played in zip(matches, plays.each(once, matches, runs), strict=True):
            fired = counted(sum(run.fired for run in played), runs, MISFIT_SHARE * DELTA)
            found.append(
                {
                    "bend": s,
                    "told": match.told,
                    "comparisons": spread([run.comparisons for run in played]),
                    "floor": match.floor,
                    "wrong": counted(sum(run.wrong for run in played), runs, DELTA),
                    # A promise about the test exists only where the structure holds.
                    "fired": fired if s == 0 else fired | {"passes": True},
                    "cut": sum(run.cut for run in played) / runs,
                }
            )
    return found


def once(match: Match, seed: int, r: int) -> Bent:
    verdict, state, order = to_the_end(match, seed, r)
    known = state.likelihood
    fired = known is not None and known.misfit >= -log(MISFIT_SHARE * match.delta)
    wrong = is_mistaken(verdict, match, order)
    return Bent(verdict.comparisons, wrong, fired, not verdict.final)


def says(found: Sequence[Row]) -> str:
    dearest = {
        told: max(row["comparisons"]["mean"] / free["comparisons"]["mean"] for row, free in pairs)
        for told, pairs in _beside_free(found).items()
    }
    fired = max(row["fired"]["share"] for row in found)
    wrong = max(found, key=lambda row: row["wrong"]["share"])
    return (
        "Against nothing told, on the bend where it does worst, steering by Bradley-Terry takes "
        f"{dearest['structured']:.2f} and trusting it {dearest['trusted']:.2f} times the "
        f"comparisons; the wrong share is {100 * wrong['wrong']['share']:.1f} % at most, and the "
        f"misfit test fires in up to {100 * fired:.0f} % of runs."
    )


def _beside_free(found: Sequence[Row]) -> dict[str, list[tuple[Row, Row]]]:
    free = {row["bend"]: row for row in found if row["told"] == "free"}
    return {
        told: [(row, free[row["bend"]]) for row in found if row["told"] == told]
        for told in TOLD[1:]
    }


def cells(row: Row) -> dict[str, str]:
    return {
        "s": f"{row['bend']:g}",
        "told": row["told"],
        "comparisons [95 %]": number(row["comparisons"]),
        "unfinished": f"{row['cut']:.1%}",
        "wrong % [95 %]": percent(row["wrong"]),
        "misfit test fired % [95 %]": "" if row["told"] == "free" else percent(row["fired"]),
        "runs": f"{row['wrong']['n']:,}",
    }


def draw(axes: Axes, found: Sequence[Row]) -> None:
    for told in TOLD:
        own = [row for row in found if row["told"] == told]
        means = [row["comparisons"] for row in own]
        s = [row["bend"] for row in own]
        axes.errorbar(
            s,
            [mean["mean"] for mean in means],
            yerr=bars(means),
            fmt="o-",
            markersize=4,
            label=told,
        )
        if told == "trusted":
            for at, mean, row in zip(s, means, own, strict=True):
                words = f"test fired\n{100 * row['fired']['share']:.0f} %"
                axes.annotate(words, (at, mean["mean"]), (4, 6), textcoords="offset points", size=6)
    axes.set_yscale("log")
    axes.set_xlabel("s, from Bradley-Terry (0) to a cycle (1)")
    axes.set_ylabel("mean comparisons")
    axes.legend(fontsize=7)


FIGURE = Figure("bent", "A structure bent towards a cycle", rows, says, cells, draw)
