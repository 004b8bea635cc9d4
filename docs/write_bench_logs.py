"""The part of docs/bench/README.md that is about intervals from logs: for write_bench.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "bench"
COVERAGE = """\

## How often intervals from a log cover the truth

`bestpolicy bench coverage`. {runs:,} fresh logs a cell of a world whose truth is known: 50 prompts,
a context of five numbers, yes or no; the log's policy is softmax(x W / 2), the target
softmax(g x T). Coverage of 95 % intervals with its 95 % Clopper-Pearson interval, and the mean
width. Those in **bold** are promised to cover at any number of rows; betting decides. *BROKEN*
marks what a true 95 % would show in less than one of a thousand cells. The sequence is looked at 64
times, and covers when every look does; it is played at 500 rows, in every fourth log.{form}

![coverage](coverage.svg)
"""


def tables() -> list[str]:
    """Coverage and width of each interval in each cell."""
    report = json.loads((FOLDER / "coverage.json").read_text())
    rows = report["rows"]
    form = " Quick form." if report["quick"] else ""
    cells = list(dict.fromkeys((r["gain"], r["rows"], r["effective"]) for r in rows))
    heads = [f"g {g:g}, {n:,} rows, worth {worth:.0f}" for g, n, worth in cells]
    parts = [COVERAGE.format(runs=report["replications"], form=form)]
    parts += [f"| interval | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name in dict.fromkeys(r["interval"] for r in rows):
        own = {(r["gain"], r["rows"]): r for r in rows if r["interval"] == name}
        promised = next(iter(own.values()))["promised"]
        said = [_cell(own.get((gain, n))) for gain, n, _ in cells]
        parts.append(f"| {f'**{name}**' if promised else name} | {' | '.join(said)} |")
    return parts


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    low, high = (100 * x for x in row["covered_interval"])
    broken = "" if row["missed"]["passes"] else " BROKEN"
    return f"{100 * row['covered']:.1f} [{low:.1f}, {high:.1f}]{broken}, {row['width']:.3f}"
