"""Processor time of one ask and one tell, with the study kept in memory.

Time on the thread's own clock, so that a crowded machine shows less; the garbage collector runs as
it would for a user, and its passes are in the figures.
"""

from __future__ import annotations

import gc
import json
from pathlib import Path
from time import thread_time_ns
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.study import Study
from bestpolicy.worlds.preference import bradley_terry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POLICIES = (10, 100, 1000)
TARGETS = {100: 0.1, 1000: 0.3}  # milliseconds, median


def main(
    quick: bool,
    out: Path,
    *,
    calls: int | None = None,
    design: str = "llm-po",
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Time the calls, print the table, and write `ask.json` and `ask.svg` into `out`."""
    console = console or Console()
    calls = calls or (300 if quick else 1000)
    times = {k: ask_and_tell(k, calls, design=design, seed=seed) for k in POLICIES}
    rows = [
        {
            "policies": k,
            "calls": calls,
            "median_ms": round(float(np.median(ms)), 4),
            "p95_ms": round(float(np.quantile(ms, 0.95)), 4),
            "target_ms": TARGETS.get(k),
        }
        for k, ms in times.items()
    ]
    report = {"quick": quick, "seed": seed, "design": design, "gc": gc.isenabled(), "rows": rows}
    out.mkdir(parents=True, exist_ok=True)
    (out / "ask.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table(title=f"Processor time of ask + tell, {design}, in memory (garbage collector on)")
    for column in ("policies", "median ms", "p95 ms", "target ms"):
        table.add_column(column, justify="right")
    for row in rows:
        target = "" if row["target_ms"] is None else str(row["target_ms"])
        table.add_row(
            f"{row['policies']:,}", f"{row['median_ms']:.3f}", f"{row['p95_ms']:.3f}", target
        )
    console.print(table)
    figures.save(lambda axes: _draw(axes, times), out / "ask.svg", console, wide=6)
    return report


def ask_and_tell(k: int, calls: int, *, design: str, seed: int) -> Array:
    """Milliseconds of each of `calls` asks with its tell; a study that ends is begun anew."""
    world = bradley_terry(np.linspace(0, -3, k))
    rng = stream(seed, f"bench/ask/{k}")
    names = [str(i) for i in range(k)]
    study, studies, ms = Study(names, design=design, seed=seed), 1, np.empty(calls)
    n = -min(calls, 50)  # the first calls warm caches and are not counted
    while n < calls:
        before = thread_time_ns()
        duel = study.ask()
        asking = thread_time_ns() - before
        if duel is None:
            study, studies = Study(names, design=design, seed=seed + studies), studies + 1
            continue
        left_wins = rng.random() < world.rows[int(duel.left)][int(duel.right)]
        before = thread_time_ns()
        study.tell(duel, winner="left" if left_wins else "right")
        if n >= 0:
            ms[n] = (asking + thread_time_ns() - before) / 1e6
        n += 1
    return ms


def _draw(axes: Axes, times: dict[int, Array]) -> None:
    k = list(times)
    axes.loglog(k, [np.median(ms) for ms in times.values()], "o-", label="median")
    axes.loglog(k, [np.quantile(ms, 0.95) for ms in times.values()], "s--", label="95 %")
    axes.plot(list(TARGETS), list(TARGETS.values()), "_", color="black", ms=16, label="target")
    axes.set_xlabel("policies")
    axes.set_ylabel("processor time of ask + tell (ms)")
    axes.legend()
