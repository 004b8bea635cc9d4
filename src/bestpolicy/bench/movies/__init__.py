"""Prompts learnt from what a language model says of movies, for users simulated from ratings.

A model on this machine writes each sentence once; a net fitted to MovieLens-100k says what it is
worth to a user; seven methods learn which prompt to give for whom from a log, and the truth is
exact. The table counts only if its gate opens: the best prompt must gain more than five standard
errors over a random one, and the simulator must know tastes (AUC above 0.6). If keywords do not
pass, whole instructions are prompts instead.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.bench.movies import learning, ratings
from bestpolicy.bench.movies.asking import INSTRUCTED, KEYWORDED
from bestpolicy.bench.movies.kept import Kept
from bestpolicy.bench.movies.making import FULL, QUICK, Maker, Size
from bestpolicy.bench.movies.world import World, gate
from bestpolicy.bench.pool import players
from bestpolicy.llm.embed import embedder
from bestpolicy.llm.home import cache_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BUNDLED = "local/smollm2"
ASKINGS = (KEYWORDED, INSTRUCTED)


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    processes: int | None = None,
    model: str = BUNDLED,
    data: Path | None = None,
    cache: Path | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Generate what is not kept yet, learn, print the table, write `movies.json` and its figure."""
    console = console or Console()
    begun, size = _spent(), QUICK if quick else FULL
    folder = cache or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    rated = ratings.read(data or ratings.bundled())
    maker = Maker(
        rated.fewer(ratings.MOST_USERS, ratings.MOST_TITLES),
        model,
        embedder("minilm", folder / "movies-points.db"),
        Kept(folder / "movies.db"),
        size,
        processes=processes or os.cpu_count() or 1,
        say=lambda line: console.print(line, highlight=False),
    )
    report: dict[str, Any] = {
        "quick": quick, "seed": seed, "model": model,
        "ratings": "MovieLens-100k" if data is None else data.name,
        "movies": size.movies, "rows_a_log": size.rows, "gates": [],
    }  # fmt: skip
    world = opened(maker, report, console, seed)
    if world is not None:
        report |= _learnt(world, size, replications or size.seeds, maker.processes, seed, console)
    report["sentences_written"] = maker.kept.written
    report["cpu_s"] = round(_spent() - begun, 1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "movies.json").write_text(json.dumps(report, indent=1) + "\n")
    if world is None:
        console.print("no gate opened: nothing was learnt, and nothing can be said of methods")
        return report
    _show(report, console)
    figures.save(lambda axes: _draw(axes, report), out / "movies.svg", console, wide=7)
    return report


def opened(maker: Maker, report: dict[str, Any], console: Console, seed: int) -> World | None:
    """The world of the first way to ask whose gate opens; all gates are in the report."""
    for asking in ASKINGS:
        world = maker.world(asking, seed=seed)
        found = gate(world)
        report["gates"].append({
            "asking": asking.name, "prompts": len(world.prompts),
            "temperature": asking.temperature, "gain": found.gain, "stderr": found.stderr,
            "auc": found.auc, "auc_anew": world.auc_anew, "opens": found.opens,
        })  # fmt: skip
        console.print(
            f"gate of {asking.name}: best over random {found.gain:.3f} ± {found.stderr:.3f}, "
            f"AUC {found.auc:.3f}: {'open' if found.opens else 'CLOSED'}",
            highlight=False,
        )
        if found.opens:
            return world
    return None


def _learnt(
    world: World, size: Size, seeds: int, processes: int, seed: int, console: Console
) -> dict[str, Any]:
    numbers = range(seed, seed + seeds)
    found = []
    with players(min(processes, seeds)) as pool:
        asked = [pool.submit(learning.one_seed, world, size.rows, number) for number in numbers]
        for number, future in zip(numbers, asked, strict=True):
            found.append(future.result())
            console.print(f"log {number}: learnt", highlight=False)
    lines, apart = learning.table(found), learning.differences(found)
    return {
        "seeds": seeds, "confidence": learning.CONFIDENCE, "tau": learning.TAU,
        "best_over_uniform": learning.interval(
            [one["best"] - one["worth"]["uniform"]["bank"] for one in found]
        ),
        "shrink": [round(one["shrink"], 3) for one in found],
        "rows": lines, "differences": apart, "claims": learning.claims(lines, apart),
    }  # fmt: skip


def cells(row: dict[str, Any]) -> dict[str, str]:
    """One line of the table, for people."""

    def said(name: str) -> str:
        one = row[name]
        if one["stderr"] is None:
            return f"{one['mean']:+.3f}"
        return f"{one['mean']:+.3f} ± {one['stderr']:.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"

    return {
        "method": row["method"],
        "over no prompt": said("over_none"),
        "over a random prompt": said("over_uniform"),
        "the same, fresh sentences": said("over_uniform_fresh"),
        "optimality": said("optimality"),
    }


def _show(report: dict[str, Any], console: Console) -> None:
    table = Table(title=f"Gain ± standard error [95 %] over {report['seeds']} logs")
    for column in cells(report["rows"][0]):
        table.add_column(column, justify="left" if column == "method" else "right")
    for row in report["rows"]:
        table.add_row(*cells(row).values())
    console.print(table)
    for line in report["claims"]:
        console.print(line, highlight=False)


def _draw(axes: Axes, report: dict[str, Any]) -> None:
    rows = [row for row in report["rows"] if row["method"] != "uniform"][::-1]
    for shift, name, label in (
        (0.12, "over_uniform", "the bank, which is the truth"),
        (-0.12, "over_uniform_fresh", "fresh sentences"),
    ):
        means = [row[name]["mean"] for row in rows]
        reach = [
            0.0 if row[name]["high"] is None else row[name]["high"] - row[name]["mean"]
            for row in rows
        ]
        at = [i + shift for i in range(len(rows))]
        axes.errorbar(means, at, xerr=reach, fmt="o", markersize=4, capsize=2, label=label)
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row["method"] for row in rows])
    axes.set_xlabel(f"reward over a random prompt, 95 % over {report['seeds']} logs")
    axes.legend()


def _spent() -> float:
    """CPU seconds of this process and of those that have ended."""
    return sum(
        used.ru_utime + used.ru_stime for used in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN))
    )
