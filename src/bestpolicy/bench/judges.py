"""Judges that misbehave: what a whole study makes of them, and what would come without its guards.

Each line plays studies on a known truth through the front door (`Study`: ask, tell, verdict). A
guard that a line names is switched off in the line below it, which has to come out worse: one
outcome per duel, one input per cluster, evidence that begins anew after a change, evidence read in
ask order, sides by a fair coin. `raised` counts studies that doubt their judge for the right
reason; the honest judge's are false alarms.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.bench.faults import (
    CHANGES,
    DELTA,
    SENTINELS,
    TIMES,
    TURNS,
    Play,
    Run,
    biased,
    changing,
    changing_unseen,
    echoing,
    honest,
    slow,
    slow_as_told,
    told_as_new,
    told_at_once,
    turns,
)
from bestpolicy.bench.pool import players
from bestpolicy.bench.shares import Share, share
from bestpolicy.core.rng import stream
from bestpolicy.core.watch import FALSE_ALARM
from bestpolicy.worlds.preference import INSTANCES, renumbered

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Line:
    """One kind of judge, with or without a guard."""

    judge: str
    guard: str
    instance: str
    play: Play
    guarded: bool = True
    at_least: float | None = None  # share of studies in which the doubt must be raised


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    seed: int = 0,
    processes: int | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play every line, print, and write `judges.json` and `judges.svg` into `out`."""
    console = console or Console()
    runs = replications or (20 if quick else 200)
    played = list(_all(lines(), runs, seed, processes, console))
    rows = [_row(line, found) for line, found in zip(lines(), played, strict=True)]
    report = {"quick": quick, "seed": seed, "false_alarm": FALSE_ALARM, "rows": rows}
    out.mkdir(parents=True, exist_ok=True)
    (out / "judges.json").write_text(json.dumps(report, indent=1) + "\n")
    console.print(_table(rows))
    figures.save(lambda axes: draw(axes, rows), out / "judges.svg", console, wide=8)
    return report


def lines() -> list[Line]:
    """What is played, in the order in which it is told."""
    told = "one duel, one outcome"
    once = "one input per conversation"
    anew = "begins anew"
    return [
        *(
            Line(f"honest, {about}", "", name, partial(honest, about=about))
            for name, about in (("hard8", "drift"), ("nonborda8", "repeats"), ("cyc8", "lateness"))
        ),
        Line(f"every verdict {TIMES} times", told, "hard8", told_at_once),
        Line(f"every verdict {TIMES} times", told, "hard8", told_as_new, False),
        Line(f"{TURNS} turns of one conversation", once, "hard8", partial(turns, known=True)),
        Line(
            f"{TURNS} turns of one conversation", once, "hard8", partial(turns, known=False), False
        ),
        Line(f"repeats himself {TIMES} times, unnoticed", "", "hard8", echoing),
        *(
            Line(
                f"changes after {CHANGES}" + (f", {sentinels:.0%} sentinels" if sentinels else ""),
                anew,
                name,
                partial(changing, sentinels=sentinels),
                at_least=0.95 if sentinels else None,
            )
            for name in ("hard8", "nonborda8")
            for sentinels in (SENTINELS, 0.0)
        ),
        Line(f"changes after {CHANGES}", anew, "hard8", changing_unseen, False),
        Line("slow to favour the better one", "ask order", "hard8", slow),
        Line("slow to favour the better one", "ask order", "hard8", slow_as_told, False),
        Line("favours the first shown", "a fair coin", "hard8", partial(biased, coin=True)),
        Line("favours the first shown", "a fair coin", "hard8", partial(biased, coin=False), False),
    ]


def _once(place: int, seed: int, r: int) -> Run:
    line = lines()[place]
    rng = stream(seed, f"bench/judges/{line.instance}/{place}", r)
    instance = INSTANCES[line.instance]()
    world = renumbered(instance, rng.permutation(instance.policies))
    return line.play(world, int(rng.integers(2**31)), rng)


def _all(
    played: Sequence[Line], runs: int, seed: int, processes: int | None, console: Console
) -> Iterator[list[Run]]:
    workers = processes or os.cpu_count() or 1
    with (
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        players(workers) as pool,
    ):
        bar = progress.add_task("playing", total=len(played) * runs)
        for place, line in enumerate(played):
            found = []
            for run in pool.map(partial(_once, place, seed), range(runs), chunksize=5):
                found.append(run)
                progress.advance(bar)
            console.print(f"{line.judge}, {line.instance}: played", highlight=False)
            yield found


def _row(line: Line, runs: Sequence[Run]) -> dict[str, Any]:
    able = [run for run in runs if run.could]
    wrong = share(sum(run.wrong for run in runs), len(runs), promised=DELTA)
    raised = share(sum(run.raised for run in able), len(able), promised=FALSE_ALARM)
    return {
        "judge": line.judge,
        "instance": line.instance,
        "guard": line.guard,
        "guarded": line.guarded,
        "mean": round(float(np.mean([run.comparisons for run in runs])), 1),
        "decided": sum(run.kind != "undecided" for run in runs),
        "runs": len(runs),
        "wrong": _share(wrong),
        "could": len(able),
        "raised": _share(raised),
        "at_least": line.at_least,
    }


def _share(found: Share) -> dict[str, Any]:
    return {**asdict(found), "share": found.value}


def cells(row: Mapping[str, Any]) -> dict[str, str]:
    """A line of the table, by column."""
    wrong, raised, least = row["wrong"], row["raised"], row["at_least"]
    broken = "" if wrong["passes"] or not row["guarded"] else " BROKEN"
    aimed = "" if least is None else f" (at least {least:.0%})"
    missed = " missed" if least is not None and raised["share"] < least else ""
    return {
        "judge": row["judge"],
        "instance": row["instance"],
        "guard": row["guard"] + ("" if row["guarded"] else " **off**"),
        "comparisons": f"{row['mean']:,.0f}",
        "decided": f"{row['decided']} of {row['runs']}",
        "wrong % [95 %]": _percent(wrong) + broken,
        "raised % [95 %]": _percent(raised) + aimed + missed if row["guarded"] else "",
    }


def draw(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """How often each study was wrong, with its guard and without."""
    for place, row in enumerate(rows):
        wrong = row["wrong"]
        spans = [[wrong["share"] - wrong["low"]], [wrong["high"] - wrong["share"]]]
        axes.errorbar(
            wrong["share"],
            place,
            xerr=spans,
            fmt="o" if row["guarded"] else "x",
            color="C0" if row["guarded"] else "C3",
        )
    labels = [
        f"{row['judge']}, {row['instance']}" + ("" if row["guarded"] else ": guard off")
        for row in rows
    ]
    axes.set_yticks(range(len(rows)), labels, fontsize=6)
    axes.invert_yaxis()
    axes.axvline(DELTA, color="black", linewidth=0.8)
    axes.set_xlabel("share of studies that named a wrong winner (line: promised at most)")


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=f"Judges that misbehave, confidence {1 - DELTA:g}", title_justify="left")
    for column in cells(rows[0]):
        table.add_column(column)
    for row in rows:
        table.add_row(*(cell.replace("**off**", "OFF") for cell in cells(row).values()))
    return table


def _percent(found: Mapping[str, Any]) -> str:
    return f"{100 * found['share']:.1f} [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"
