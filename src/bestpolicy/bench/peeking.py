"""An A/A test, looked at after every answer: how often is a winner named where none exists?

The promise holds at every moment, so it must survive the most impatient reader. The broken twin is
what dashboards do: a z-test on each policy's share of wins, looked at 40 times.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import norm

from bestpolicy.bench import figures
from bestpolicy.bench.cells import Cell, Result, play_all
from bestpolicy.bench.shares import Share, share
from bestpolicy.core.nouns import Rng
from bestpolicy.core.rng import stream

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DELTA = 0.05
LOOKS = 40
POLICIES = (2, 5)


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    answers: int | None = None,
    seed: int = 0,
    processes: int | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play the A/A tests, print the shares, write `peeking.json` and `peeking.svg` into `out`."""
    console = console or Console()
    runs = replications or (400 if quick else 2000)
    answers = answers or (500 if quick else 2000)
    cells = [Cell(f"tied{k}", "llm-po", False, DELTA, answers, runs) for k in POLICIES]
    results = play_all(cells, seed=seed, processes=processes, console=console)
    rows = [
        *((f"llm-po, {k} policies", named(r)) for k, r in zip(POLICIES, results, strict=True)),
        *((f"z-test, {k} policies", z_tests(k, runs, answers, seed)) for k in POLICIES),
    ]
    report = {
        "quick": quick,
        "seed": seed,
        "answers": answers,
        "delta": DELTA,
        "rows": [{"rule": name, **asdict(s), "share": s.value} for name, s in rows],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "peeking.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table(title=f"A/A tests of {answers:,} answers in which a winner was ever named")
    for column in ("rule", "share % [95 %]", "promise"):
        table.add_column(column)
    for name, s in rows:
        table.add_row(name, str(s), "kept" if s.passes else f"BROKEN (> {s.limit} of {s.n})")
    console.print(table)
    figures.save(lambda axes: _draw(axes, rows), out / "peeking.svg", console, wide=6)
    return report


def named(result: Result) -> Share:
    """How often any claim was made: with all policies tied, every claim is wrong."""
    return result.wrong


def z_tests(k: int, runs: int, answers: int, seed: int) -> Share:
    """How often a z-test with Bonferroni's correction over policies names one, in 40 looks."""
    rng = stream(seed, f"bench/peeking/z/{k}")
    bar = norm.ppf(1 - DELTA / k) if k > 2 else norm.ppf(1 - DELTA / 2)
    return share(sum(_names_one(k, answers, bar, rng) for _ in range(runs)), runs, promised=DELTA)


def _names_one(k: int, answers: int, bar: float, rng: Rng) -> bool:
    i = rng.integers(k, size=answers)
    j = (i + rng.integers(1, k, size=answers)) % k
    won = np.where(rng.random(answers) < 0.5, i, j)
    policies = np.arange(k)
    played = np.cumsum((i[:, None] == policies) | (j[:, None] == policies), axis=0)
    wins = np.cumsum(won[:, None] == policies, axis=0)
    looks = np.linspace(answers / LOOKS, answers, LOOKS).astype(int) - 1
    z = (2 * wins[looks] - played[looks]) / np.sqrt(np.maximum(played[looks], 1))
    return bool((z > bar).any())


def _draw(axes: Axes, rows: list[tuple[str, Share]]) -> None:
    for y, (_, s) in enumerate(rows):
        axes.plot([s.low, s.high], [y, y], color="C0" if s.passes else "C3")
        axes.plot(s.value, y, "o", color="C0" if s.passes else "C3")
    axes.axvline(DELTA, color="black", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("share of A/A tests that named a winner (dashed: promised at most)")
