"""What a design does on a known truth: comparisons, the ratio to the bound, wrong verdicts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bestpolicy.bench.cells import Cell, Result, play_all
from bestpolicy.designs import names
from bestpolicy.worlds.preference import INSTANCES

__all__ = ["INSTANCES", "Cell", "as_json", "as_text", "names", "play_all"]


def as_text(result: Result) -> str:
    """Four lines for people, and one more where a design has a customary stop."""
    cell, wrong, habit = result.cell, result.wrong, result.habit
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in result.kinds.items())
    promise = "kept" if wrong.passes else f"BROKEN: more than {wrong.limit} of {wrong.n}"
    bound = f"{result.ratio:.2f} times the lower bound of {cell.floor:,.1f}"
    promised = f"promised at most {100 * cell.delta:.3g} %: {promise}"
    return (
        f"{cell.name} on {cell.instance}, confidence {1 - cell.delta:g}, {wrong.n:,} studies\n"
        f"comparisons  {result.mean:,.1f} ± {result.stderr:,.1f} (standard error), {bound}\n"
        f"verdicts     {kinds}\n"
        f"wrong        {wrong} % [95 %, Clopper-Pearson], {promised}"
    ) + ("" if habit is None else f"\n{habit}")


def as_json(result: Result, seed: int) -> dict[str, Any]:
    """The same under stable names."""
    return asdict(result.cell) | {
        "seed": seed,
        "comparisons": result.mean,
        "comparisons_stderr": result.stderr if result.wrong.n > 1 else None,
        "lower_bound": result.cell.floor,
        "ratio": result.ratio,
        "verdicts": result.kinds,
        "wrong": result.wrong.value,
        "wrong_interval": [result.wrong.low, result.wrong.high],
        "promise_kept": result.wrong.passes,
        "habitual_stop": None if result.habit is None else result.habit.as_json(),
    }
