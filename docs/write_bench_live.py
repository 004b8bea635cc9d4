"""The part of docs/bench/README.md that is about the live service: for write_bench.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "bench"
SERVE = """\

## What live traffic costs the server

`bestpolicy bench serve`. A real server in a process of its own, a client with 32 connections in
another; every answer comes after its rows are on disk. CPU of all the server's threads, evidence
included, median of the runs and their range. A rate or a latency is *void* where somebody waited
for a core in more than 10 % of the time. Broken on purpose, the budgets fail: a commit a row
({rows}), a busy loop of 1 ms ({busy}).

| store | request | CPU ms | goal | rows a commit | goal | a second | p99 ms | pressure % | runs |
|---|---|---|---|---|---|---|---|---|---|"""
KILLS = """\

## Killed under load

`bestpolicy bench kills`. 24 clients that retry, a server killed with -9 at random moments and
started again; then the ledger is held against what the clients were told.

| store | server | kills | acknowledged | lost | doubled | wrong answers |
|---|---|---|---|---|---|---|"""
SERVICE = """\

## A/A through the real service

`bestpolicy bench service`. Two policies of the same reward, {units} units a study over HTTP, looked
at after every one; a winner may be named in {promised:.0%}.

| store | server | studies | named a winner | at most |
|---|---|---|---|---|"""


def tables() -> list[str]:
    """The tables of the live service, on each store that they were played on."""
    parts = []
    for name in ("serve", "kills", "service"):
        reports = [json.loads(path.read_text()) for path in sorted(FOLDER.glob(f"{name}*.json"))]
        reports = [r for r in reports if "store" in r and (name != "serve" or "lines" in r)]
        for report in reports:
            if report is reports[0]:
                parts.append(_head(name, report))
            parts += [_row(name, report, row) for row in report["rows"]]
    return parts


def _head(name: str, report: dict[str, Any]) -> str:
    if name == "serve":
        twins = [", ".join(report["twins"][t]) for t in ("a commit a row", "1 ms busy")]
        return SERVE.format(rows=twins[0], busy=twins[1])
    return KILLS if name == "kills" else SERVICE.format(**report)


def _row(name: str, report: dict[str, Any], row: dict[str, Any]) -> str:
    store = report["store"]
    if name == "kills":
        figures = ("kills", "acknowledged", "lost", "doubled", "wrong")
        return f"| {store} | {row['server']} | {' | '.join(f'{row[f]:,}' for f in figures)} |"
    if name == "service":
        broken = "" if row["kept"] else " BROKEN"
        counts = f"{row['studies']:,} | {row['wrong']} ({row['share']:.1%}){broken} | {row['most']}"
        return f"| {store} | {row['server']} | {counts} |"
    low, high = row["cpu_ms_range"]
    goals = row["goals"]
    rate, late = ("void",) * 2 if row["void"] else (f"{row['rate']:,.0f}", f"{row['p99_ms']:.0f}")
    return (
        f"| {store} | {row['name']} | {row['cpu_ms']:.2f} ({low:.2f}-{high:.2f}) "
        f"| <= {goals['cpu_ms']} | {row['rows_a_commit']:.1f} | >= {goals['rows_a_commit']} "
        f"| {rate} | {late} | {row['pressure']:.0f} | {report['runs']} of {report['units']:,} |"
    )
