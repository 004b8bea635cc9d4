"""Policies learnt from logged sentences, method by method, in the world whose truth is known.

Optimality (V - V(uniform)) / (V(best) - V(uniform)) of what each method learns from 2,000 rows,
with the published quirks of the world. Reward models are cross-fitted nets; the kernel is Gaussian,
of published width; densities are means over 100 draws of the policy that logged.
"""

from __future__ import annotations

import json
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bestpolicy.bench.known import Known
from bestpolicy.core.log import Log
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.kernel import gaussian
from bestpolicy.offpolicy.learners.material import Material, sampled
from bestpolicy.offpolicy.learners.methods import learnt
from bestpolicy.worlds.prompts import D, PromptWorld, prompt_world

ROWS, DENSITY, CLUSTERS = 2000, 100, 10
# The method note's re-run of public code at this point, 1,000 prompts, and its own figures.
REFERENCE = {
    "regression": {1000: 0.037},
    "is": {10: 0.703, 100: 0.344, 1000: 0.168},
    "dr": {10: 0.776, 100: 0.349, 1000: 0.202},
    "potec": {10: 0.758, 100: 0.120, 1000: 0.052},
    "dso-published": {10: 0.722, 100: 0.494, 1000: 0.409},
    "dso": {100: 0.53, 1000: 0.40},
    "sdm": {10: 0.843, 100: 0.647, 1000: 0.631},
    "cf-dr-dso": {10: 0.822, 100: 0.68, 1000: 0.62},
}


def material(world: PromptWorld, log: Log, seed: int) -> Material:
    """The log and what is known besides: the prompts, and what they say."""
    return Material(
        log,
        seed,
        world.prompts,
        Known(world, seed),
        gaussian(D),
        sampled(DENSITY),
    )


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Learn, print the table as it grows, and write `offline-prompts.json`."""
    console = console or Console()
    seeds, sizes = replications or (2 if quick else 5), (10, 100, 1000)
    begun, rows = process_time(), []
    for actions in sizes:
        found: dict[str, list[float]] = {method: [] for method in REFERENCE}
        for number in range(seed, seed + seeds):
            world = prompt_world(number, actions=actions, compat=True)
            policy = world.logging(stream(number, "bench/offline-prompts/logging", actions))
            log = world.log(ROWS, stream(number, "bench/offline-prompts/log", actions), policy)
            at = material(world, log, number)
            for method in REFERENCE:
                found[method].append(world.optimality(learnt(at, method).table))
            console.print(f"{actions} prompts, world {number}: learnt", highlight=False)
        rows += [_row(actions, method, values) for method, values in found.items()]
    report = {
        "quick": quick, "seed": seed, "worlds": seeds, "rows_a_log": ROWS,
        "cpu_s": round(process_time() - begun, 1), "rows": rows,
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / "offline-prompts.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table(title=f"Optimality ± standard error over {seeds} worlds (the note's figure)")
    for column in ("method", *(f"{size:,} prompts" for size in sizes)):
        table.add_column(column, justify="left" if column == "method" else "right")
    for method in REFERENCE:
        table.add_row(method, *(_said(row) for row in rows if row["method"] == method))
    console.print(table)
    return report


def _row(actions: int, method: str, values: list[float]) -> dict[str, Any]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {
        "prompts": actions,
        "method": method,
        "optimality": float(np.mean(values)),
        "stderr": None if spread is None else spread / len(values) ** 0.5,
        "reference": REFERENCE[method].get(actions),
        "worlds": values,
    }


def _said(row: dict[str, Any]) -> str:
    error = "" if row["stderr"] is None else f" ± {row['stderr']:.3f}"
    beside = "" if row["reference"] is None else f" ({row['reference']:.3f})"
    return f"{row['optimality']:.3f}{error}{beside}"
