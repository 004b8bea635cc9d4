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

# policies, structure -> milliseconds that the median should not pass
ROWS: dict[tuple[int, str], float | None] = {
    (10, "free"): None,
    (100, "free"): 0.1,
    (1000, "free"): 0.3,
    (1000, "features"): 0.5,
    (1000, "bradley-terry"): 5.0,
}
FEATURES = 8  # columns


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
    calls = calls or (300 if quick else 5000)
    yardstick = pace_of_this_machine()
    times = {
        (k, structure): ask_and_tell(k, calls, design=design, structure=structure, seed=seed)
        for k, structure in ROWS
    }
    rows = [
        {
            "policies": k,
            "structure": structure,
            "calls": calls,
            "median_ms": round(float(np.median(ms)), 4),
            "p95_ms": round(float(np.quantile(ms, 0.95)), 4),
            "max_ms": round(float(ms.max()), 4),
            "target_ms": ROWS[k, structure],
        }
        for (k, structure), ms in times.items()
    ]
    report = {
        "quick": quick,
        "seed": seed,
        "design": design,
        "gc": gc.isenabled(),
        "yardstick_us": yardstick,
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "ask.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table(title=f"Processor time of ask + tell, {design}, in memory (garbage collector on)")
    for column in ("policies", "structure", "median ms", "p95 ms", "most ms", "target ms"):
        table.add_column(column, justify="left" if column == "structure" else "right")
    for row in rows:
        target = "" if row["target_ms"] is None else str(row["target_ms"])
        figures_of = (f"{row[name]:.3f}" for name in ("median_ms", "p95_ms", "max_ms"))
        table.add_row(f"{row['policies']:,}", str(row["structure"]), *figures_of, target)
    console.print(table)
    console.print(f"This machine, now: {yardstick:.1f} µs for sum(range(1000)).")
    figures.save(lambda axes: _draw(axes, times), out / "ask.svg", console, wide=6)
    return report


def pace_of_this_machine() -> float:
    """Microseconds of thread time for sum(range(1000)), the best of many: times compare by it."""
    best = float("inf")
    for _ in range(200):
        before = thread_time_ns()
        for _ in range(20):
            sum(range(1000))
        best = min(best, (thread_time_ns() - before) / 20e3)
    return round(best, 2)


def ask_and_tell(k: int, calls: int, *, design: str, structure: str, seed: int) -> Array:
    """Milliseconds of each of `calls` asks with its tell; a study that ends is begun anew."""
    world = bradley_terry(np.linspace(0, -3, k))
    rng = stream(seed, f"bench/ask/{k}")
    names = [str(i) for i in range(k)]
    x = rng.normal(size=(k, FEATURES)) if structure == "features" else None
    told: dict[str, Any] = {"design": design, "structure": structure, "features": x}
    study, studies, ms = Study(names, seed=seed, **told), 1, np.empty(calls)
    n = -min(calls, 50)  # the first calls warm caches and are not counted
    while n < calls:
        before = thread_time_ns()
        duel = study.ask()
        asking = thread_time_ns() - before
        if duel is None:
            study, studies = Study(names, seed=seed + studies, **told), studies + 1
            continue
        left_wins = rng.random() < world.rows[int(duel.left)][int(duel.right)]
        before = thread_time_ns()
        study.tell(duel, winner="left" if left_wins else "right")
        if n >= 0:
            ms[n] = (asking + thread_time_ns() - before) / 1e6
        n += 1
    return ms


def _draw(axes: Axes, times: dict[tuple[int, str], Array]) -> None:
    labels = [f"{k:,}\n{structure}" for k, structure in times]
    for name, at, mark in (("median", 0.5, "o"), ("95 %", 0.95, "s")):
        axes.semilogy(labels, [np.quantile(ms, at) for ms in times.values()], mark, label=name)
    axes.plot(labels, [ROWS[key] or np.nan for key in times], "_", color="black", ms=16)
    axes.set_xlabel("policies (bars: targets)")
    axes.set_ylabel("processor time of ask + tell (ms)")
    axes.legend()
