"""What a structure saves, what trusting it saves, and what happens when it is wrong.

Each line plays llm-po on a known truth: told nothing, told a structure that only steers, and told
one that it may trust. `auto` is features where there are some and else Bradley-Terry, and is to
take at most a tenth more than nothing told; on nonborda8 and cyc8 Bradley-Terry is wrong. Two lines
play paper, the tracking of optimal proportions; below the table is where its customary stop, which
is no certificate, would have stopped. The last lines ask pairs uniformly and count how often the
misfit test says that Bradley-Terry does not hold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bestpolicy import designs
from bestpolicy.bench import figures
from bestpolicy.bench.cells import Cell, Result, play_all
from bestpolicy.bench.shares import share
from bestpolicy.core.likelihood import MISFIT_SHARE
from bestpolicy.core.loop import rollout
from bestpolicy.core.nouns import Design, Rng, World
from bestpolicy.core.rng import stream
from bestpolicy.core.strengths import Structure
from bestpolicy.worlds.preference import INSTANCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DELTA = 0.05
# instance, structure, runs, cap; then what is aimed at when it only steers, and when trusted
TOLD: tuple[tuple[str, str, int, int, float | None, float | None], ...] = (
    ("feat32", "features", 400, 6000, 620, 450),
    ("mid16", "bradley-terry", 200, 6000, 964, 1100),
    ("hard8", "auto", 200, 8000, None, None),
    ("nonborda8", "auto", 400, 3000, None, None),
    ("cyc8", "auto", 400, 3000, None, None),
)
SLOWER = 1.1  # "auto" may take that many times as many as "free"
# instance, structure, runs, cap; then where the customary stop was at its first measurement
TRACKED: tuple[tuple[str, str, int, int, float], ...] = (
    ("feat32", "features", 40, 6000, 294),
    ("mid16", "bradley-terry", 40, 6000, 1091),
)
WIDE = ("feat1000", "features", 20, 8000, None, 1600)  # too dear to play untrusted
MISFITS = (("nonborda8", 3000, True), ("cyc8", 3000, True), ("mid16", 3000, False))


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    seed: int = 0,
    processes: int | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play, print, and write `structure.json` and `structure.svg` into `out`."""
    console = console or Console()
    played = cells(quick, replications)
    results = play_all(list(played), seed=seed, processes=processes, console=console)
    free = {r.cell.instance: r.mean for r in results if r.cell.structure == "free"}
    for r in results:
        steers = r.cell.design == "llm-po" and r.cell.structure == "auto" and not r.cell.trust
        if steers and r.cell.instance in free:
            played[r.cell] = SLOWER * free[r.cell.instance]
    rows = [
        {
            "instance": r.cell.instance,
            "design": r.cell.design,
            "told": r.cell.structure,
            "trusted": r.cell.trust,
            "mean": round(r.mean, 1),
            "stderr": round(r.stderr, 1),
            "ratio": round(r.ratio, 3),
            "target": played[r.cell],
            "cap": r.cell.cap,
            "unfinished": r.cut,
            "wrong": {**asdict(r.wrong), "share": r.wrong.value},
            "habitual_stop": None if r.habit is None else r.habit.as_json(),
        }
        for r in results
    ]
    runs = replications or (10 if quick else 100)
    misfits = [misfit(name, runs, budget, seed) | {"wrong": bad} for name, budget, bad in MISFITS]
    report = {"quick": quick, "seed": seed, "rows": rows, "misfit": misfits}
    out.mkdir(parents=True, exist_ok=True)
    (out / "structure.json").write_text(json.dumps(report, indent=1) + "\n")
    console.print(_table(results, played))
    for r in results:
        if r.habit is not None:
            console.print(f"{r.cell.instance}, {told(r.cell)}: {r.habit}{_noted(r.cell)}")
    for row in misfits:
        console.print(
            f"{row['instance']}, uniform pairs: Bradley-Terry refused in {row['share']} % of "
            f"{row['n']} runs of {row['budget']:,} answers"
        )
    figures.save(lambda axes: _draw(axes, results), out / "structure.svg", console, wide=7)
    return report


def cells(quick: bool, replications: int | None = None) -> dict[Cell, float | None]:
    """What is played, and what is aimed at."""
    found: dict[Cell, float | None] = {}
    for instance, structure, runs, cap, steered, trusted in TOLD:
        count = replications or (runs // 5 if quick else runs)
        found[Cell(instance, "llm-po", True, DELTA, cap, count)] = None
        for trust, target in ((False, steered), (True, trusted)):
            told = Cell(instance, "llm-po", True, DELTA, cap, count, 0.0, structure, trust)
            found[told] = target
    instance, structure, runs, cap, _, target = WIDE
    count = replications or (runs // 5 if quick else runs)
    found[Cell(instance, "llm-po", True, DELTA, cap, count, 0.0, structure, True)] = target
    for instance, structure, runs, cap, _ in TRACKED:
        count = replications or (runs // 5 if quick else runs)
        found[Cell(instance, "paper", True, DELTA, cap, count, 0.0, structure)] = None
    return found


def misfit(instance: str, runs: int, budget: int, seed: int) -> dict[str, Any]:
    """In how many runs of uniformly asked pairs Bradley-Terry was ever refused."""
    world = INSTANCES[instance]()
    structure = Structure.of(None, world.policies)
    fired = 0
    for r in range(runs):
        # At this delta nothing is decided before the end.
        design = designs.make("uniform", policies=world.policies, delta=1e-9, structure=structure)
        evidence = _against(design, world, stream(seed, f"bench/misfit/{instance}", r), budget)
        fired += evidence >= -log(MISFIT_SHARE * DELTA)
    found = share(fired, runs, promised=MISFIT_SHARE * DELTA)
    return {
        "instance": instance,
        "budget": budget,
        "n": runs,
        "fired": fired,
        "low": found.low,
        "high": found.high,
        "share": str(found),
        "promised": MISFIT_SHARE * DELTA,
    }


def _against(design: Design[Any], world: World, rng: Rng, budget: int) -> float:
    """Log evidence against the structure after `budget` answers, at its highest."""
    states = [design.init()]
    rollout(design, world, rng, budget=budget, watch=lambda s, _: states.__setitem__(0, s))
    return float(states[0].likelihood.misfit)


def told(cell: Cell) -> str:
    """What the design knew, in words; and which, where it is not llm-po."""
    name = "" if cell.design == "llm-po" else f"{cell.design}, "
    return name + cell.structure + (", trusted" if cell.trust else "")


def _noted(cell: Cell) -> str:
    """The reference figure of a customary stop."""
    known = [figure for name, *_, figure in TRACKED if name == cell.instance]
    return f" (ref. {known[0]:,})" if known else ""


def _table(results: Sequence[Result], targets: dict[Cell, float | None]) -> Table:
    table = Table(
        title="llm-po unless said, a winner assumed, confidence 0.95", title_justify="left"
    )
    table.add_column("instance")
    table.add_column("told")
    for column in ("comparisons", "target", "unfinished"):
        table.add_column(column, justify="right")
    table.add_column("wrong % [95 %]")
    for r in results:
        target = targets[r.cell]
        missed = " missed" if target is not None and r.mean > target else ""
        table.add_row(
            r.cell.instance,
            told(r.cell),
            f"{r.mean:,.0f} ± {r.stderr:,.0f}",
            "" if target is None else f"{target:,.0f}{missed}",
            f"{r.cut:.1%}",
            f"{r.wrong}" if r.wrong.passes else f"{r.wrong} BROKEN",
        )
    return table


def _draw(axes: Axes, results: Sequence[Result]) -> None:
    labels = [f"{r.cell.instance}\n{told(r.cell)}" for r in results]
    spans = [2 * r.stderr for r in results]
    axes.barh(range(len(results)), [r.mean for r in results], xerr=spans, color="C0")
    axes.set_yticks(range(len(results)), labels, fontsize=6)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("mean comparisons (bars: two standard errors)")
