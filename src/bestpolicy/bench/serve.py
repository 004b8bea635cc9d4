"""What live traffic costs the server: processor time and transactions of assign and feedback.

A real server in a process of its own, and a client with 32 connections in another. First so many
new units are assigned, then each of them gives feedback; both answer when their rows are on disk.
CPU is the server process's own, all its threads, and so holds reading the evidence too. Rates and
latencies of a crowded machine say nothing, and are left out: CPU and counts stand.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bestpolicy.bench import wire
from bestpolicy.bench.ask import pace_of_this_machine

GOALS = {
    "assign": {"cpu_ms": 0.5, "rate": 2000, "p99_ms": 25},
    "feedback": {"cpu_ms": 0.6, "rate": 1000, "p99_ms": 50},
}
ROWS_A_COMMIT = 8  # at least
LINES = 32
TWIN = 2000  # units of a run of a broken twin
WARM = 500  # requests that are not counted


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    store: str | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play the runs, print the table, write `serve.json` into `out`. `replications` is the number
    of units a run."""
    console = console or Console()
    units = replications or (2000 if quick else 20_000)
    runs = [play(units, store=store) for _ in range(1 if quick else 5)]
    rows = [_summary(name, [run[name] for run in runs]) for name in GOALS]
    # The checks must fail servers that are worse: a check that cannot fail is none.
    twins = {twin: broken(play(TWIN, twin=twin)) for twin in ("a commit a row", "1 ms busy")}
    over = broken({row["name"]: row for row in rows})
    report = {
        "quick": quick,
        "store": "sqlite" if store is None else store.partition(":")[0],
        "units": units,
        "runs": len(runs),
        "lines": LINES,
        "yardstick_us": pace_of_this_machine(),
        "rows": rows,
        "broken": over,
        "twins": twins,
    }
    out.mkdir(parents=True, exist_ok=True)
    kind = "" if store is None else f"-{report['store']}"
    (out / f"serve{kind}.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table(title=f"assign and feedback over HTTP, {LINES} connections, {report['store']}")
    for column in ("", "CPU ms", "goal", "rows a commit", "goal", "a second", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for row in rows:
        timings = ("void",) * 3 if row["void"] else (row["rate"], row["p50_ms"], row["p99_ms"])
        table.add_row(
            row["name"],
            f"{row['cpu_ms']:.3f}",
            f"<= {GOALS[row['name']]['cpu_ms']}",
            f"{row['rows_a_commit']:.1f}",
            f">= {ROWS_A_COMMIT}",
            *map(str, timings),
        )
    console.print(table)
    worst = max(row["pressure"] or 0.0 for row in rows)
    for who, found in {"as it is": over, **twins}.items():
        console.print(f"{who}: budgets broken: {', '.join(found) or 'none'}")
    console.print(f"CPU pressure at worst {worst:g} %; above {wire.CALM:g} % rates are void.")
    return report


def broken(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which budgets of processor time and commits are not kept."""
    wrong = []
    for name, goal in GOALS.items():
        if found[name]["cpu_ms"] > goal["cpu_ms"]:
            wrong.append(f"CPU of {name}")
        if found[name]["rows_a_commit"] < ROWS_A_COMMIT:
            wrong.append(f"rows a commit of {name}")
    return wrong


def play(units: int, *, store: str | None = None, twin: str = "") -> dict[str, dict[str, Any]]:
    """One run: what each kind of request cost."""
    with tempfile.TemporaryDirectory() as folder:
        name = f"bench-{secrets.token_hex(6)}"  # a database keeps the studies of earlier runs
        file = wire.study(Path(folder), name, store=store)
        with wire.Server([file], twin) as server:
            return asyncio.run(_phases(server, units))


async def _phases(server: wire.Server, units: int) -> dict[str, dict[str, Any]]:
    tokens: dict[int, str] = {}

    def take(n: int, answer: Any) -> None:
        tokens[n] = answer["token"]

    warm = [("/0/v1/assign", {"unit": f"warm {n}"}) for n in range(WARM)]
    await wire.crowd(server.port, LINES, warm, take)
    assigns = [("/0/v1/assign", {"unit": f"unit {n}"}) for n in range(units)]
    found = {"assign": await _phase(server, assigns, take)}
    told = [
        ("/0/v1/feedback", {"token": tokens[n], "key": f"key {n}", "reward": float(n % 3 > 0)})
        for n in range(units)
    ]
    found["feedback"] = await _phase(server, told, lambda *_: None)
    return found


async def _phase(server: wire.Server, requests: list[tuple[str, Any]], take: Any) -> dict[str, Any]:
    seen = [wire.pressure()]

    async def watch() -> None:
        while True:
            await asyncio.sleep(1.0)
            seen.append(wire.pressure())

    watching = asyncio.create_task(watch())
    loop = asyncio.get_running_loop()
    (cpu, commits), begun = server.used(), loop.time()
    took = await wire.crowd(server.port, LINES, requests, take)
    seconds = loop.time() - begun
    cpu_after, commits_after = server.used()
    watching.cancel()
    seen.append(wire.pressure())
    known = [value for value in seen if value is not None]
    return {
        "cpu_ms": 1000 * (cpu_after - cpu) / len(requests),
        "rows_a_commit": len(requests) / (commits_after - commits),
        "rate": len(requests) / seconds,
        "p50_ms": 1000 * float(np.quantile(took, 0.5)),
        "p99_ms": 1000 * float(np.quantile(took, 0.99)),
        "pressure_before": seen[0],
        "pressure": max(known) if known else None,
    }


def _summary(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of the runs, and the range of their CPU."""
    before = [run["pressure_before"] for run in runs]
    void = any(run["pressure"] is None or run["pressure"] > wire.CALM for run in runs)
    row: dict[str, Any] = {"name": name, "void": void}
    for figure in ("cpu_ms", "rows_a_commit", "rate", "p50_ms", "p99_ms"):
        row[figure] = round(median(run[figure] for run in runs), 4)
    row["cpu_ms_range"] = [round(f(run["cpu_ms"] for run in runs), 4) for f in (min, max)]
    row["pressure_before"] = max((value for value in before if value is not None), default=None)
    row["pressure"] = max((r["pressure"] for r in runs if r["pressure"] is not None), default=None)
    if void:
        row |= {"rate": None, "p50_ms": None, "p99_ms": None}
    row["goals"] = GOALS[name] | {"rows_a_commit": ROWS_A_COMMIT}
    return row
