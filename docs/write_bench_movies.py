"""The part of docs/bench/README.md about prompts for movies: for write_bench.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "bench"
HEAD = """\

## Prompts for movies, learnt from what a language model said

`bestpolicy bench movies`. `{model}` writes one sentence for each of {movies} movies, {prompts}
{asking} and 4 draws (two for the bank, one for logs, one fresh), temperature {temperature:g}; a net
fitted to {ratings} says what a sentence is worth to a user:
ten times the score it gains over a sentence written without a prompt.
Held-out ratings are told apart with AUC {auc:.3f} by sentences that the net learnt titles from, and
{auc_anew:.3f} by others of the same titles: it knows titles rather than sentences, so this is a
test of learning in a rugged world, not of taste. {rows_a_log:,} rows a log, half the users for
testing, {seeds} logs. Gain per sentence ± standard error and Student's 95 % interval over logs; the
truth is exact under the bank that methods of sentences draw from, which favours them; *fresh* are
sentences of the same prompts that nobody learnt from, and the comparison to believe.
Intervals speak of other users, logs and starts, not of other movies, tastes or generators.
{cpu_s:.0f} CPU seconds{kept}.{form}

![gains](movies.svg)
"""
GATE = """\
Gate: the best prompt for each user and movie, picked by one draw and valued by another, must gain
five standard errors (over movies) on a random one, and the AUC exceed 0.6; else whole instructions
are prompts.

| asked by | best over random | AUC | gate |
|---|---|---|---|"""
APART = """
Differences on the same logs; their intervals hold for all twelve at once (95 %, Bonferroni):

| method | against | under the bank | fresh sentences |
|---|---|---|---|"""


def tables() -> list[str]:
    if not (path := FOLDER / "movies.json").is_file():
        return []
    from bestpolicy.bench import movies

    report: dict[str, Any] = json.loads(path.read_text())
    gate = [
        f"| {g['asking']} ({g['prompts']}) | {g['gain']:.3f} ± {g['stderr']:.3f} | {g['auc']:.3f} "
        f"| {'open' if g['opens'] else 'CLOSED'} |"
        for g in report["gates"]
    ]
    if "rows" not in report:
        closed = "\n## Prompts for movies\n\nNo gate opened: nothing can be said of methods.\n"
        return [closed, GATE, *gate]
    form = " Quick form." if report["quick"] else ""
    kept = ", sentences read from an earlier run" if report["sentences_written"] == 0 else ""
    head = HEAD.format(**report["gates"][-1] | report | {"form": form, "kept": kept})
    lines = [movies.cells(row) for row in report["rows"]]
    heads = list(lines[0])
    best = report["best_over_uniform"]
    return [
        *(head, GATE, *gate, ""),
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
        *(f"| {' | '.join(line.values())} |" for line in lines),
        f"\nThe best prompt for each user and movie under the bank: {best['mean']:+.3f}.\n",
        *(f"- {claim}" for claim in report["claims"]),
        APART,
        *(
            f"| {d['method']} | {d['against']} | {_apart(d['bank'])} | {_apart(d['fresh'])} |"
            for d in report["differences"]
        ),
    ]


def _apart(off: dict[str, Any]) -> str:
    return f"{off['mean']:+.3f} [{off['low']:+.3f}, {off['high']:+.3f}]"
