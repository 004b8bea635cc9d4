"""Policies learnt from logged sentences, method by method, in the world whose truth is known.

Optimality (V - V(uniform)) / (V(best) - V(uniform)) along grids: the number of prompts, of rows,
the noise of rewards, kernels and densities, and models of the reward that are wrong, right, or have
seen the row. Every method has the same log, the same 2,000 steps, and cross-fitted nets for models.
Finished fits are kept in a file, so that an interrupted bench goes on and worlds can be added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.bench.offline_prompts import cost, goals, show
from bestpolicy.bench.offline_prompts.grids import FIRST, GRIDS, Cell, Fit, Play, key, plays, tasks
from bestpolicy.bench.offline_prompts.kept import Found, Kept
from bestpolicy.bench.offline_prompts.play import played
from bestpolicy.bench.offline_prompts.reference import reference
from bestpolicy.bench.pool import players
from bestpolicy.core.nouns import ConfigError
from bestpolicy.llm.home import cache_folder

TITLE = "Optimality ± standard error over worlds (the re-run of public code)"


def main(
    quick: bool,
    out: Path,
    *,
    instances: list[str] | None = None,
    replications: int | None = None,
    processes: int = 2,
    cache: Path | None = None,
    seed: int = FIRST,
    console: Console | None = None,
) -> dict[str, Any]:
    """Learn, print the tables, and write `offline-prompts.json` and figures.

    `instances` are grids; what was kept of the others is reported too.
    """
    console = console or Console()
    for name in instances or ():
        if name not in GRIDS:
            raise ConfigError(f"no grid is called {name!r}; there are {', '.join(GRIDS)}")
    kept = Kept.within(cache or cache_folder())
    lines = plays(instances or list(GRIDS), quick, replications)
    todo = tasks(lines, seed, kept.read())
    for number, (cell, world, found) in enumerate(_learn(todo, processes), 1):
        kept.add({key(cell, world, fit): result for fit, result in found.items()})
        said = ", ".join(f"{f.said} {r['optimality']:.2f}" for f, r in found.items())
        console.print(f"{number} of {len(todo)}: world {world}, {cell}: {said}", highlight=False)
    report = reported(plays(list(GRIDS), quick, replications), kept.read(), quick, seed)
    write(report, out, console)
    return report


def write(report: dict[str, Any], out: Path, console: Console) -> None:
    """The report, its tables and its figures."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "offline-prompts.json").write_text(json.dumps(report, indent=1) + "\n")
    for grid in (*show.grids(report), show.goals(report), show.steps(report)):
        console.print(_table(grid))
    for name in show.DRAWN:
        if any(row["grid"] == name for row in report["rows"]):
            path = out / f"offline-prompts-{name}.svg"
            figures.save(show.figure(report, name), path, console, wide=7)


def reported(
    lines: list[Play], kept: dict[str, Found], quick: bool, seed: int = FIRST
) -> dict[str, Any]:
    """All lines of which anything is finished, in the worlds that are."""
    rows: list[dict[str, Any]] = []
    worlds: dict[tuple[Cell, Fit], dict[int, float]] = {}
    spent: dict[tuple[Cell, Fit], float] = {}
    for line in lines:
        found = {
            number: kept[at]
            for number in range(seed, seed + line.seeds)
            if (at := key(line.cell, number, line.fit)) in kept
        }
        if not found:
            continue
        values = {number: one["optimality"] for number, one in found.items()}
        seconds = float(np.mean([one["cpu_s"] for one in found.values()]))
        rows.append(_row(line, list(values.values()), seconds))
        if len(values) >= len(worlds.get((line.cell, line.fit), {})):
            worlds[line.cell, line.fit] = values
            spent[line.cell, line.fit] = seconds
    return {
        "quick": quick,
        "seed": seed,
        "cpu_s": round(sum(row["cpu_s"] * len(row["worlds"]) for row in rows)),
        "goals": [asdict(goal) for goal in goals.goals(worlds, spent)],
        "steps": cost.costs(),
        "rows": rows,
    }


def _row(line: Play, values: list[float], seconds: float) -> dict[str, Any]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    then, mean = reference(line.cell, line.fit), float(np.mean(values))
    return {
        "grid": line.grid,
        **asdict(line.cell),
        **asdict(line.fit),
        "fit": line.fit.said,
        "optimality": round(mean, 4),
        "stderr": None if spread is None else round(spread / len(values) ** 0.5, 4),
        "reference": then,
        "gap": None if then is None else round(mean - then, 4),
        "cpu_s": round(seconds, 1),
        "worlds": [round(value, 4) for value in values],
    }


def _learn(
    todo: list[tuple[Cell, int, list[Fit]]], processes: int
) -> Iterator[tuple[Cell, int, dict[Fit, Found]]]:
    """Every task as it ends."""
    if not todo:
        return
    if processes == 1:
        for cell, world, fits in todo:
            yield cell, world, dict(zip(fits, played(cell, world, fits), strict=True))
        return
    with players(processes) as pool:
        waiting = {pool.submit(played, *task): task for task in todo}
        for done in as_completed(waiting):
            cell, world, fits = waiting[done]
            yield cell, world, dict(zip(fits, done.result(), strict=True))


def _table(grid: show.Grid) -> Table:
    table = Table(title=f"{grid.title}: {TITLE}" if grid.heads[0] == "method" else grid.title)
    for head in grid.heads:
        table.add_column(head, justify="left" if head in ("method", "what", "") else "right")
    for line in grid.lines:
        table.add_row(*line)
    return table
