"""The part of docs/bench/README.md about policies that are learnt: for write_bench.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "bench"
HEAD = """\

## Policies learnt from logged sentences

`bestpolicy bench offline-prompts`. Optimality (V - V(uniform)) / (V(best) - V(uniform)) ± standard
error over worlds, in the world of prompts; the default is 1,000 prompts, 8,000 rows, rewards with
noise of 1, and its published quirks (but the noise within the kernel). In brackets: a re-run of the
public code, 20 worlds; of kernels what the authors' plot shows. Each policy takes 2,000 steps of
128 rows. *dso* has eight draws, a baseline and centred rewards, *dso-published* one draw and
neither; both weights divide by a density: means over draws (`mc-100`), learnt (`fa`), or `exact`.
Models of rewards are nets in five folds, stopped by held-out rows; *net-long* takes 3,000 steps
in two folds, which is as near as ours come to the published ones, and only it is compared with
them. `folds 1` has seen the row. *shift* is added to all rewards. Published density nets and long
reward nets cost others what ours do not pay: methods appear with both. {cpu_s:,} CPU
seconds.{form}
"""
KERNELS = """
`tau`: in published units, |s - s'| / 5, three times as much for the uniform kernel; without quirks
in median distances between two sentences of one context.
"""
GOALS = """
Goals, and twins that the same check must catch:
"""
STEPS = """
Processor time of one DSO step. What grows with the number of prompts is the output layer: its
product, softmax, drawing prompts, the optimiser. The part about sentences may grow by a fifth.
"""


def tables() -> list[str]:
    """Each grid with its figure, goals, and the cost of a step."""
    if not (path := FOLDER / "offline-prompts.json").is_file():
        return []
    from bestpolicy.bench.offline_prompts import show

    report: dict[str, Any] = json.loads(path.read_text())
    parts = [HEAD.format(cpu_s=report["cpu_s"], form=" Quick form." if report["quick"] else "")]
    for grid in show.grids(report):
        if (FOLDER / f"offline-prompts-{grid.title}.svg").is_file():
            parts.append(f"![{grid.title}](offline-prompts-{grid.title}.svg)\n")
        parts += [KERNELS] if grid.title == "kernels" else []
        parts += [*_table(grid, report), ""]
    parts += [
        GOALS,
        *_table(show.goals(report), report),
        STEPS,
        *_table(show.steps(report), report),
    ]
    return parts


def _table(grid: Any, report: dict[str, Any]) -> list[str]:
    seeds = sorted(
        {len(r["worlds"]) for r in report["rows"] if r["grid"] == grid.title.split(",")[0]}
    )
    heads = list(grid.heads)
    if heads[0] == "method":
        worlds = "–".join(str(n) for n in (seeds[0], seeds[-1])[: len(seeds)])
        heads[0] = f"{grid.title}: method, {worlds} worlds"
    return [
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
        *(f"| {' | '.join(line)} |" for line in grid.lines),
    ]
