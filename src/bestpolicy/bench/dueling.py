"""Comparisons to a verdict, and how often the verdict is wrong, on known truths.

    ratio = mean comparisons / (T kl(delta, 1 - delta)),   T the data requirement of worlds/truth.py

No design with this error can have a ratio under 1. A second table lets delta fall to 1e-64, where
an asymptotically optimal rule reaches 1. Reference figures come from bench/reference.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.bench.cells import Cell, Result, play_all
from bestpolicy.bench.reference import DELTAS, LADDER, REFERENCE, TARGETS
from bestpolicy.core.nouns import ConfigError
from bestpolicy.worlds import truth
from bestpolicy.worlds.preference import INSTANCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DELTA = 0.05
CAP = 100_000
CAPS = {"double-thompson": 20_000, "rucb": 20_000}  # K-sized work per ask: slow to the cap
PEERS = ("paper", "racing", "uniform", "rucb", "double-thompson", "savage", "knockout")
OR_NONE = ", winner or none"
METHODS = (
    "llm-po",
    *PEERS,
    *(design + OR_NONE for design in ("llm-po", "racing", "double-thompson")),
)
# Replications of the full table; a tenth of them in the quick one. The dearest get the fewest.
REPLICATIONS = {"llm-po": 2000, "racing": 400, "double-thompson": 400, "knockout": 200, "rucb": 100}
WITH_WINNER = ("easy4", "hard8", "mid16", "easy32", "cyc8", "nonborda8", "feat32")


def main(
    quick: bool,
    out: Path,
    *,
    instances: Sequence[str] = (),
    methods: Sequence[str] = (),
    replications: int | None = None,
    ladder: bool = True,
    seed: int = 0,
    processes: int | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play the table, print it, and write `dueling.json` and `dueling.svg` into `out`."""
    console = console or Console()
    played = cells(quick, instances=instances, methods=methods, replications=replications)
    steps = ladder_cells(quick, instances=instances, replications=replications) if ladder else []
    results = play_all([*played, *steps], seed=seed, processes=processes, console=console)
    table, falling = results[: len(played)], results[len(played) :]
    report = {
        "quick": quick,
        "seed": seed,
        "cells": [_row(result) for result in table],
        "ladder": [_row(result) for result in falling],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "dueling.json").write_text(json.dumps(report, indent=1) + "\n")
    for instance in dict.fromkeys(result.cell.instance for result in table):
        console.print(_table(instance, [r for r in table if r.cell.instance == instance]))
    console.print(
        f"Confidence {1 - DELTA:g}. Ratio: to the floor of the same question. Ref.: the reference "
        "figure. cN%: cut at the cap. BROKEN: more wrong verdicts than a calibrated design has in "
        "all but one of a thousand cells."
    )
    if falling:
        console.print(_ladder_table(falling))
    figures.save(lambda axes: _draw(axes, table), out / "dueling.svg", console)
    return report


def cells(
    quick: bool,
    *,
    instances: Sequence[str] = (),
    methods: Sequence[str] = (),
    replications: int | None = None,
) -> list[Cell]:
    """What the first table plays. `nowinner6` only where a design may answer that nobody wins."""
    _known("instance", instances, INSTANCES)
    _known("method", methods, METHODS)
    found = []
    for instance in instances or (*WITH_WINNER, "nowinner6"):
        for method in methods or METHODS:
            design, _, or_none = method.partition(", ")
            if instance == "nowinner6" and not or_none:
                continue
            count = replications or _replications(method, quick)
            cap = CAPS.get(design, CAP)
            told = truth.gap(INSTANCES[instance]().p) if design == "knockout" else 0.0
            found.append(Cell(instance, design, not or_none, DELTA, cap, count, told))
    return found


def ladder_cells(
    quick: bool, *, instances: Sequence[str] = (), replications: int | None = None
) -> list[Cell]:
    """What the second table plays: llm-po, a winner assumed, as delta falls."""
    count = replications or (20 if quick else 60)
    return [
        Cell(instance, "llm-po", True, delta, 10 * CAP, count)
        for instance in LADDER
        if not instances or instance in instances
        for delta in DELTAS
    ]


def _replications(method: str, quick: bool) -> int:
    design, _, or_none = method.partition(", ")
    if design == "llm-po":
        return 400 if quick else REPLICATIONS[design]
    count = 100 if or_none else REPLICATIONS.get(design, 40)
    return max(10, count // 10) if quick else count


def _known(what: str, names: Sequence[str], known: Sequence[str] | dict[str, Any]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no {what} {name!r}; there are {', '.join(known)}")


def _reference(cell: Cell) -> float | None:
    row = REFERENCE.get((cell.design, cell.assume_winner))
    return None if row is None else row.means.get(cell.instance)


def _target(cell: Cell) -> float | None:
    return TARGETS.get((cell.design, cell.assume_winner), {}).get(cell.instance)


def _row(result: Result) -> dict[str, Any]:
    cell = result.cell
    return {
        "instance": cell.instance,
        "method": cell.name,
        "delta": cell.delta,
        "replications": cell.replications,
        "cap": cell.cap,
        "told_gap": cell.indifference,
        "mean": round(result.mean, 2),
        "stderr": round(result.stderr, 2) if np.isfinite(result.stderr) else None,
        "floor": round(cell.floor, 2),
        "ratio": round(result.ratio, 4),
        "wrong": {**asdict(result.wrong), "share": result.wrong.value},
        "cut": result.cut,
        "verdicts": result.kinds,
        "reference": _reference(cell) if cell.delta == DELTA else None,
        "target": _target(cell) if cell.delta == DELTA else None,
    }


def _table(instance: str, results: Sequence[Result]) -> Table:
    floors = {True: "a winner assumed", False: "winner or none"}
    known = {result.cell.assume_winner: result.cell.floor for result in results}
    title = ", ".join(f"{floor:,.0f} ({floors[key]})" for key, floor in known.items())
    table = Table(
        title=f"{instance}: at least {title}",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("method", no_wrap=True)
    for column in ("comparisons", "ratio", "ref.", "target"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("wrong % [95 %]", no_wrap=True)
    for result in results:
        cell, wrong = result.cell, result.wrong
        reference, target = _reference(cell), _target(cell)
        missed = " missed" if target is not None and result.mean > target else ""
        cut = f" c{result.cut:.0%}" if result.cut else ""
        table.add_row(
            cell.name,
            f"{result.mean:,.0f} ± {result.stderr:,.0f}{cut}",
            f"{result.ratio:.2f}",
            "" if reference is None else f"{reference:,.0f}",
            "" if target is None else f"{target:,.0f}{missed}",
            f"{wrong}" if wrong.passes else f"{wrong} BROKEN",
        )
    return table


def _ladder_table(results: Sequence[Result]) -> Table:
    title = "llm-po, a winner assumed: ratio to the floor as delta falls (in brackets: reference)"
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    table.add_column("instance")
    for delta in DELTAS:
        table.add_column(f"{delta:g}", justify="right")
    for instance, reference in LADDER.items():
        ratios = {r.cell.delta: r.ratio for r in results if r.cell.instance == instance}
        if ratios:
            pairs = zip(DELTAS, reference, strict=True)
            table.add_row(instance, *(f"{ratios[delta]:.2f}\n({was:.2f})" for delta, was in pairs))
    return table


def _draw(axes: Axes, results: Sequence[Result]) -> None:
    """Ratio to the floor: a dot with its standard error, the reference as a hollow square."""
    instances = list(dict.fromkeys(result.cell.instance for result in results))
    methods = list(dict.fromkeys(result.cell.name for result in results))
    for m, method in enumerate(methods):
        own = [result for result in results if result.cell.name == method]
        shift = (m - (len(methods) - 1) / 2) * 0.8 / max(len(methods), 1)
        x = [instances.index(result.cell.instance) + shift for result in own]
        axes.errorbar(
            x,
            [result.ratio for result in own],
            yerr=[2 * np.nan_to_num(result.stderr) / result.cell.floor for result in own],
            fmt="o",
            markersize=4,
            label=method,
            color=f"C{m}",
        )
        known = [
            (at, was / r.cell.floor)
            for at, r in zip(x, own, strict=True)
            if (was := _reference(r.cell))
        ]
        axes.plot(
            [at for at, _ in known], [y for _, y in known], "s", mfc="none", color=f"C{m}", ms=6
        )
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xticks(range(len(instances)), instances)
    axes.set_ylabel("mean comparisons / lower bound")
    axes.set_title("Comparisons to a verdict (hollow squares: reference figures)")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
