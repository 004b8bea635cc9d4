"""The part of docs/bench/README.md on errors and costs of values from logs: for write_bench.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "bench"
ERRORS = """\

## How far estimates from a log are off

`bestpolicy bench ope`. {runs:,} fresh logs a cell of the world of the coverage table, whose 50
prompts also look like one of 8 things: what a prompt looks like *carries all* of the reward, or the
prompt *leaks* past it. The model of the reward is a cross-fitted ridge, learnt on the same log;
MIPS has the true p(e | a), *mips, estimated* learns its weights. Truth is an integral known to
{truth_error:.0e} or better. Each cell: bias ± its standard error (**bold** beyond {flagged} of
them: biased), standard deviation, root of the mean squared error. `betting` is an interval, not an
estimator: its value is that of `ips`. Needs more than this world has: {absent}.{form}

![errors](ope.svg)
"""
COVERS = """
Coverage in % of each estimator's own 95 % interval (normal, delta method), with its 95 %
Clopper-Pearson interval, and the mean width; *UNDER*: a true 95 % would show that in less than one
of a thousand cells. Nothing but betting is promised to cover, and below 100 effective rows nothing
else is claimed. *Reference* is the method note's figure, section 5, and the gap to it in coverage.
"""
CHECKS = """
Promises, and broken twins that the same checks must catch:

| check | cell | holds |
|---|---|---|"""
COSTS = """

## What evaluating from a log costs, beside other libraries

`bestpolicy bench ope`. {actions} actions; each case in a process of its own with one thread; the
columns are there before the clock starts. CPU seconds, the median of three calls where they take
less than one; memory that the call adds at most, and the process in all. Ours include the checks of
the target, effective rows and the betting interval (*evaluate, everything*: all estimators and all
diagnostics). {others} *Reference* is the method note's figure, section 10 (of ours: of the
prototype). On a machine that takes {yardstick_us:.1f} µs for `sum(range(1000))`.{form}

| rows | case | CPU s | MB added | MB in all | reference: CPU s / MB added | gap s | goal | |
|---|---|---|---|---|---|---|---|---|"""
AGREE = """
The same numbers, on the same rows:

| rows | case | theirs | ours | relative difference | within 1e-12 |
|---|---|---|---|---|---|"""


def tables() -> list[str]:
    """Errors, coverage, checks, costs and agreement."""
    from bestpolicy.bench import ope

    report: dict[str, Any] = json.loads((FOLDER / "ope.json").read_text())
    form = " Quick form." if report["quick"] else ""
    rows, spent = report["accuracy"]["rows"], report["cost"]
    head = ERRORS.format(
        runs=report["runs"],
        truth_error=max(row["truth_error"] for row in rows),
        flagged=ope.accuracy.FLAGGED,
        absent=", ".join(f"`{name}`" for name in report["accuracy"]["absent"]) or "none",
        form=form,
    )
    parts = [head, *_grid(rows, _error), COVERS, *_grid(rows, _covered), CHECKS]
    parts += [_line(ope.check_cells(row)) for row in report["accuracy"]["checks"]]
    parts.append(COSTS.format(**spent | {"others": _others(spent), "form": form}))
    parts += [_line(ope.cost_cells(row)) for row in spent["rows"]]
    if spent["agreement"]:
        parts += [AGREE, *(_line(ope.agreement_cells(row)) for row in spent["agreement"])]
    return parts


def _grid(rows: list[dict[str, Any]], said: Any) -> list[str]:
    """Estimators down, cells across."""
    cells = list(dict.fromkeys((row["cell"], row["looks"]) for row in rows))
    worth = {(r["cell"], r["looks"]): f"{r['n']:,} rows worth {r['effective']:.0f}" for r in rows}
    heads = [f"{cell[0]} overlap, {worth[cell]}, {cell[1]}" for cell in cells]
    parts = [f"| estimator | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name in dict.fromkeys(row["estimator"] for row in rows):
        own = {(r["cell"], r["looks"]): r for r in rows if r["estimator"] == name}
        parts.append(f"| {name} | {' | '.join(said(own[cell]) for cell in cells)} |")
    return parts


def _error(row: dict[str, Any]) -> str:
    bias = f"{row['bias']:+.4f} ± {row['bias_stderr']:.4f}"
    return f"{f'**{bias}**' if row['biased'] else bias}, {row['sd']:.4f}, {row['rmse']:.4f}"


def _covered(row: dict[str, Any]) -> str:
    low, high = (100 * x for x in row["coverage_interval"])
    under = "" if row["covers"] else " UNDER"
    then = row["reference"]
    was = f"; reference {100 * then['coverage']:.0f}, {then['width']:.2f}" if then else ""
    gap = f" (gap {100 * row['gap']:+.1f})" if then else ""
    share = f"{100 * row['coverage']:.1f} [{low:.1f}, {high:.1f}]{under}"
    return f"{share}, {row['width']:.3f}{was}{gap}"


def _others(spent: dict[str, Any]) -> str:
    if spent["missing"]:
        return "The other libraries could not be played here: their references stand alone."
    met = ", ".join(f"{name} {number}" for name, number in spent["versions"].items())
    return f"{spent['libraries']} in an environment of their own, with {met}."


def _line(cells: dict[str, str]) -> str:
    return f"| {' | '.join(cells.values())} |"
