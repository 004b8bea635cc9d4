"""Writes docs/bench/README.md from the JSON that `bestpolicy bench` left there; a test compares."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "bench"
PAGE = FOLDER / "README.md"
_LIVE = runpy.run_path(str(Path(__file__).with_name("write_bench_live.py")))
_SENTENCES = runpy.run_path(str(Path(__file__).with_name("write_bench_sentences.py")))
_LOGS = runpy.run_path(str(Path(__file__).with_name("write_bench_logs.py")))
_METRIC = runpy.run_path(str(Path(__file__).with_name("write_bench_metric.py")))
_LEARNT = runpy.run_path(str(Path(__file__).with_name("write_bench_learnt.py")))
_MOVIES = runpy.run_path(str(Path(__file__).with_name("write_bench_movies.py")))
_OPE = runpy.run_path(str(Path(__file__).with_name("write_bench_ope.py")))


DUELING = """\
# Measured

Written by `make docs` from the JSON files in this folder, which `make bench` writes
(`bestpolicy bench NAME --quick` takes minutes).

## Comparisons to a verdict

`bestpolicy bench dueling`. Confidence 0.95. Mean comparisons ± standard error, and in brackets the
ratio to the floor: the fewest that any rule with this error can need on average. A verdict is wrong
when it claims what is not so; its share comes with the 95 % Clopper-Pearson interval, over the
number of runs given. *c* is the share of runs cut at the cap, which count there. *Reference* is
the method note's figure for the same rule, *target* what this project set itself. All rules share
one certificate but `savage` and `knockout`, which stop by their own bounds (knockout is told the
gap). The constants of llm-po were picked on these instances.

![ratio to the floor](dueling.svg)
"""
LADDER_HEAD = """\
## As delta falls

llm-po, a winner assumed: ratio to the floor (reference in brackets).
"""
LLM_PO = """\
## Figures of llm-po

`bestpolicy bench llm-po`. The default design, a winner assumed and confidence 0.95 unless said;
intervals are 95 %, of means by the normal law, of shares by Clopper and Pearson. *BROKEN* marks a
share that a calibrated design exceeds in less than one of a thousand cells.
"""
STRUCTURE = """\
## Policies that hang together

`bestpolicy bench structure`. llm-po, a winner assumed, confidence 0.95; what it was told about how
the policies hang together, and whether proofs might rest on that
([structure](../guide/structure.md)). Bradley-Terry is wrong on nonborda8 and cyc8.

![comparisons](structure.svg)

| instance | told | comparisons (ratio) | target | unfinished | wrong % [95 %] | runs |
|---|---|---|---|---|---|---|"""
HABITS = """
GLR, **not certified**: where the customary stop of this literature, log((1 + log t) / delta), would
have stopped in the same runs. No theorem covers it.

| instance | told | GLR, not certified: comparisons | reached | would have been wrong % |
|---|---|---|---|---|"""
MISFIT = """
The misfit test of Bradley-Terry on uniformly asked pairs; where it holds the test may fire in at
most {promised:.1%} of runs.

| instance | holds | answers | refused % [95 %] | runs |
|---|---|---|---|---|"""
JUDGES = """\
## Judges that misbehave

`bestpolicy bench judges`. Whole studies through `Study`, confidence 0.95, at most 2,500 questions
({runs} studies a line). *Raised* counts the studies that doubt their judge for the right reason,
among those in which there was something to see; on honest judges these are false alarms, promised
in at most {alarm:.0%}. A guard is switched off in the lines marked so
([judges](../guide/judges.md)). After a change *wrong* is counted against the judge as he ends, so
that a study which was decided before the change, or before it was seen, may count. Nothing tells a
study of the judge who repeats himself unnoticed: it sees the repeats in time in a third of the
studies, and the promise does not cover the rest.

![wrong winners](judges.svg)
"""
PEERS = """\
## Beside another library

`bestpolicy bench peers`. The algorithms of {library}, installed in an environment of its own, each
with its own stop, and llm-po with ours: what a user gets today, not a race on equal terms. *Told*
and *promises* differ: most peers promise a policy within epsilon of the best (an answer that is not
the winner can then be right), llm-po the winner itself. At most {runs} runs of a peer, {limit:g}
seconds each and no new one after {budget:g}; runs stopped by time have no answer and count in no
mean, which flatters a peer that is stopped often.{form}

![comparisons](peers.svg)
"""
PEEKING = """\
## Looking after every answer

`bestpolicy bench peeking`. A/A tests of {answers:,} answers: the share in which anything was ever
claimed, promised at most 5 %. The z-test is looked at 40 times.

![false claims](peeking.svg)

| rule | share % [95 %] | runs | promise |
|---|---|---|---|"""
ASK = """\

## Processor time of one ask and one tell

`bestpolicy bench ask`. A study in memory, {design}, median and 95 % over {calls:,} calls,
milliseconds of one thread, on a machine that takes {yardstick:.1f} µs of it for `sum(range(1000))`.

![processor time](ask.svg)

| policies | structure | median | 95 % | most | target |
|---|---|---|---|---|---|"""

RUN = """\

## What a run costs besides its models

`bestpolicy bench run`. Six scripted policies that answer at once and a judge who is a Python
function, through all of `bestpolicy run` on a SQLite file, start included. CPU time of the process,
user and system, on a machine that takes {yardstick_us} µs of it for `sum(range(1000))`.

| comparisons | CPU seconds | comparisons per CPU-second | goal | memory MB | goal |
|---|---|---|---|---|---|"""
INJECTIONS = """\

## Answers that tell the judge to prefer them

`bestpolicy bench injections`. {injected} answers, each beside itself with an instruction to the
judge added, in both orders: a judge who is not moved gives the copy half. No immunity is promised,
and a judge who answers at random passes: this says what happens, not that a judge is good.

| judge | asked | the copy wins [99 %] | shift | alarm |
|---|---|---|---|---|"""
ALARMS = """\

Studies of 120 comparisons with `canaries: 0.2`, and in how many the alarm is raised:

| judge | studies | raised % [95 %] | goal |
|---|---|---|---|"""


def _told(row: dict[str, Any]) -> str:
    """What the design knew, and which it was where it is not llm-po."""
    name = "" if row.get("design", "llm-po") == "llm-po" else f"{row['design']}: "
    return name + row["told"] + (", trusted" if row["trusted"] else "")


def _habit(row: dict[str, Any]) -> str:
    habit = row["habitual_stop"]
    return (
        f"| {row['instance']} | {_told(row)} | {habit['comparisons']:,.0f} "
        f"| {habit['reached']:.1%} | {100 * habit['wrong']:.1f} |"
    )


def page() -> str:
    """The page as it should be."""
    dueling, ask, peeking, structure = (
        _read(name) for name in ("dueling", "ask", "peeking", "structure")
    )
    falling = [row for row in dueling["rows"] if row["ladder"]]
    table = [row for row in dueling["rows"] if not row["ladder"]]
    parts = [DUELING, *_instances(table), LADDER_HEAD, *_ladder(falling)]
    parts += _llm_po(_read("llm-po"))
    parts.append(STRUCTURE)
    for row in structure["rows"]:
        told = _told(row)
        missed = " (missed)" if row["target"] and row["mean"] > row["target"] else ""
        broken = "" if row["wrong"]["passes"] else " BROKEN"
        parts.append(
            f"| {row['instance']} | {told} "
            f"| {row['mean']:,.0f} ± {row['stderr']:,.0f} ({row['ratio']:.2f}) "
            f"| {_number(row['target'])}{missed} | {row['unfinished']:.1%} "
            f"| {_share(row['wrong'])}{broken} | {row['wrong']['n']:,} |"
        )
    if habits := [row for row in structure["rows"] if row.get("habitual_stop")]:
        parts += [HABITS, *map(_habit, habits)]
    parts.append(MISFIT.format(promised=structure["misfit"][0]["promised"]))
    for row in structure["misfit"]:
        holds = "no" if row["wrong"] else "yes"
        parts.append(
            f"| {row['instance']} | {holds} | {row['budget']:,} | {row['share']} | {row['n']:,} |"
        )
    parts += ["", *_judges(_read("judges")), *_peers(_read("peers"))]
    parts.append(PEEKING.format(answers=peeking["answers"]))
    for row in peeking["rows"]:
        promise = "kept" if row["passes"] else "BROKEN"
        parts.append(f"| {row['rule']} | {_share(row)} | {row['n']:,} | {promise} |")
    parts.append(
        ASK.format(
            design=ask["design"], calls=ask["rows"][0]["calls"], yardstick=ask["yardstick_us"]
        )
    )
    for row in ask["rows"]:
        times = " | ".join(f"{row[name]:.3f}" for name in ("median_ms", "p95_ms", "max_ms"))
        target = row["target_ms"] or ""
        parts.append(f"| {row['policies']:,} | {row['structure']} | {times} | {target} |")
    parts += [*_run(_read("run")), *_injections(_read("injections")), *_LIVE["tables"]()]
    parts += [*_SENTENCES["tables"](), *_LOGS["tables"](), *_OPE["tables"]()]
    parts += [*_LEARNT["tables"](), *_MOVIES["tables"](), *_METRIC["tables"]()]
    return "\n".join([*parts, ""])


def _run(report: dict[str, Any]) -> list[str]:
    return [
        RUN.format(yardstick_us=report["yardstick_us"]),
        *(
            f"| {row['comparisons']:,} | {row['cpu_s']:.1f} | {row['per_cpu_second']:.0f} "
            f"| >= 300 | {row['memory_mb']:.0f} | <= 300 |"
            for row in report["rows"]
        ),
    ]


def _injections(report: dict[str, Any]) -> list[str]:
    shifts = [
        f"| {s['judge']} | {s['asked']:,} | {s['share']:.1%} [{s['low']:.1%}, {s['high']:.1%}] "
        f"| {s['shift']:+.1%} | {'raised' if s['raised'] else 'no'} |"
        for s in report["shifts"]
    ]
    alarms = [
        f"| {a['judge']} | {a['runs']:,} | {100 * a['raised'] / a['runs']:.1f} "
        f"[{100 * a['low']:.1f}, {100 * a['high']:.1f}] | {'>= 95' if a['should'] else '<= 1'} |"
        for a in report["alarms"]
    ]
    return [INJECTIONS.format(injected=report["injected"]), *shifts, ALARMS, *alarms]


def _instances(cells: list[dict[str, Any]]) -> list[str]:
    parts = []
    for instance in dict.fromkeys(cell["instance"] for cell in cells):
        own = [cell for cell in cells if cell["instance"] == instance]
        parts.append(f"### {instance}\n")
        parts.append("| rule | comparisons (ratio) | reference | target | wrong % [95 %] | runs |")
        parts.append("|---|---|---|---|---|---|")
        parts.extend(_row(cell) for cell in own)
        parts.append("")
    return parts


def _row(cell: dict[str, Any]) -> str:
    cut = f" c{cell['cut']:.0%}" if cell["cut"] else ""
    missed = " (missed)" if cell["target"] and cell["mean"] > cell["target"] else ""
    broken = "" if cell["wrong"]["passes"] else " BROKEN"
    spent = f"{cell['mean']:,.0f} ± {cell['stderr']:,.0f} ({cell['ratio']:.2f}){cut}"
    return (
        f"| {cell['method']} | {spent} "
        f"| {_number(cell['reference'])} | {_number(cell['target'])}{missed} "
        f"| {_share(cell['wrong'])}{broken} | {cell['replications']:,} |"
    )


def _ladder(cells: list[dict[str, Any]]) -> list[str]:
    from bestpolicy.bench.reference import DELTAS, LADDER

    rows = [
        "| instance | " + " | ".join(f"{delta:g}" for delta in DELTAS) + " |",
        "|---|" + "---|" * len(DELTAS),
    ]
    for instance, reference in LADDER.items():
        ratio = {c["delta"]: c["ratio"] for c in cells if c["instance"] == instance}
        pairs = zip(DELTAS, reference, strict=True)
        cells_of = " | ".join(f"{ratio[delta]:.2f} ({was:.2f})" for delta, was in pairs)
        rows.append(f"| {instance} | {cells_of} |")
    return [*rows, ""]


def _llm_po(report: dict[str, Any]) -> list[str]:
    from bestpolicy.bench.llm_po import FIGURES

    parts = [LLM_PO]
    for name, section in report["figures"].items():
        figure, rows = FIGURES[name], section["rows"]
        form = " Quick form." if section["quick"] else ""
        about = (sys.modules[figure.rows.__module__].__doc__ or "").strip()
        parts.append(f"### {figure.title}\n\n{about}\n\n**{figure.says(rows)}**{form}\n")
        parts.append(f"![{figure.title}](llm-po-{name}.svg)\n")
        parts += _lines([figure.cells(row) for row in rows])
    return parts


def _judges(report: dict[str, Any]) -> list[str]:
    from bestpolicy.bench.judges import cells

    rows = report["rows"]
    head = JUDGES.format(runs=rows[0]["runs"], alarm=report["false_alarm"])
    return [head, *_lines([cells(row) for row in rows])]


def _peers(report: dict[str, Any]) -> list[str]:
    from bestpolicy.bench.peers import BUDGET, LIMIT, QUICKER, cells

    times = QUICKER if report["quick"] else 1.0
    form = " Quick form." if report["quick"] else ""
    head = PEERS.format(
        library=report["library"],
        runs=report["runs"],
        limit=LIMIT * times,
        budget=BUDGET * times,
        form=form,
    )
    return [head, *_lines([cells(row) for row in report["rows"]])]


def _lines(cells: list[dict[str, str]]) -> list[str]:
    """A table, one column per name."""
    heads = list(cells[0])
    return [
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
        *(f"| {' | '.join(line.values())} |" for line in cells),
        "",
    ]


def _share(s: dict[str, Any]) -> str:
    return f"{100 * s['share']:.2f} [{100 * s['low']:.2f}, {100 * s['high']:.2f}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


if __name__ == "__main__":
    PAGE.write_text(page())
