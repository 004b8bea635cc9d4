"""Off-policy evaluation: how right it is where the answer is known, and what it costs.

Accuracy is played in a world whose truth is an integral; costs are taken beside Open Bandit
Pipeline and vw-estimators, in an environment of their own. Without it the method note's figures of
them stand alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.bench.ask import pace_of_this_machine
from bestpolicy.bench.ope import accuracy, cost
from bestpolicy.bench.peers.environment import default_cache

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]
RUNS = {True: 200, False: 2000}


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    processes: int | None = None,
    cache: Path | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play both halves, print the tables, and write `ope.json` and `ope.svg` into `out`."""
    console = console or Console()
    out.mkdir(parents=True, exist_ok=True)
    runs = replications or RUNS[quick]
    cells = accuracy.CELLS
    rows = accuracy.play_all(cells, runs, seed=seed, processes=processes, console=console)
    report: dict[str, Any] = {"quick": quick, "seed": seed, "runs": runs}
    report["accuracy"] = {
        "rows": rows,
        "checks": accuracy.checks(rows),
        "absent": accuracy.absent(),
    }
    python, missing = cost.environment(cache or default_cache(), console)
    sizes = (cost.SMALL,) if quick else (cost.SMALL, cost.LARGE)
    on_disk = (cost.SMALL,) if quick else (cost.LARGE, cost.HUGE)
    timed, versions = cost.measure(sizes, on_disk, python, seed=seed, console=console)
    report["cost"] = {
        "actions": cost.ACTIONS,
        "libraries": cost.LIBRARIES,
        "versions": versions,
        "missing": missing,
        "yardstick_us": pace_of_this_machine(),
        "rows": timed,
        "agreement": cost.agreement(timed),
    }
    (out / "ope.json").write_text(json.dumps(report, indent=1) + "\n")
    for title, cells_of, lines in tables(report):
        console.print(_table(title, [cells_of(line) for line in lines]))
    figures.save(lambda axes: draw(axes, rows), out / "ope.svg", console)
    return report


def tables(report: dict[str, Any]) -> list[tuple[str, Any, list[Row]]]:
    """Title, the columns of a row, and rows of every table."""
    right, spent = report["accuracy"], report["cost"]
    found = [
        (
            f"Where the truth is known, {report['runs']:,} logs a cell",
            estimate_cells,
            right["rows"],
        ),
        ("Promises, and broken twins that must be caught", check_cells, right["checks"]),
        (f"One evaluation, {spent['actions']} actions", cost_cells, spent["rows"]),
    ]
    if spent["agreement"]:
        found.append(("The same numbers", agreement_cells, spent["agreement"]))
    return found


def estimate_cells(row: Row) -> dict[str, str]:
    """A row of the table of accuracy, by column."""
    low, high = row["coverage_interval"]
    then = row["reference"]
    known = f"{then['coverage']:.2f} / {then['width']:.2f}" if then else ""
    return {
        "overlap": f"{row['cell']}: {row['n']:,} rows worth {row['effective']:.0f}",
        "embedding": row["looks"],
        "estimator": row["estimator"],
        "bias ± se": f"{row['bias']:+.4f} ± {row['bias_stderr']:.4f}",
        "sd": f"{row['sd']:.4f}",
        "rmse": f"{row['rmse']:.4f}",
        "covers % [95 %]": f"{100 * row['coverage']:.1f} [{100 * low:.1f}, {100 * high:.1f}]",
        "width": f"{row['width']:.3f}",
        "reference: covers / width (gap)": known + (f" ({row['gap']:+.2f})" if then else ""),
        "says": ", ".join(
            word
            for word, so in (("biased", row["biased"]), ("under-covers", not row["covers"]))
            if so
        ),
    }


def check_cells(row: Row) -> dict[str, str]:
    holds = "yes" if row["holds"] else "NO"
    return {"check": row["check"], "overlap": row["cell"], "holds": holds}


def cost_cells(row: Row) -> dict[str, str]:
    """A row of the table of costs, by column."""
    then = row["reference"] or {"cpu_s": None, "added_mb": None}
    verdict = {None: "", True: "reached", False: "NOT REACHED"}[row["reached"]]
    shown = {
        "rows": f"{row['n']:,}",
        "case": row["case"] if row["library"] != "bestpolicy" else f"**{row['case']}**",
        "CPU s": _number(row.get("cpu_s"), ".3f"),
        "MB added": _number(row.get("added_mb"), ",.0f"),
        "MB in all": _number(row.get("process_mb"), ",.0f"),
        "reference: CPU s / MB added": " / ".join(
            _number(then[name], "g") or "?" for name in ("cpu_s", "added_mb")
        )
        if row["reference"]
        else "",
        "gap s": _number(row["gap_s"], "+.3f"),
        "goal": row["goal"] or "",
        "verdict": verdict,
    }
    if "error" in row:
        shown |= {"CPU s": "fails", "MB added": "", "MB in all": "", "verdict": row["error"]}
    return shown


def agreement_cells(row: Row) -> dict[str, str]:
    return {
        "rows": f"{row['n']:,}",
        "case": row["case"],
        "theirs": f"{row['theirs']:.15f}",
        "ours": f"{row['ours']:.15f}",
        "relative difference": f"{row['apart']:.1e}",
        "within 1e-12": "yes" if row["same"] else "NO",
    }


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _table(title: str, lines: Sequence[dict[str, str]]) -> Table:
    table = Table(title=title)
    for column in lines[0]:
        table.add_column(column)
    for line in lines:
        table.add_row(*(word.replace("**", "") for word in line.values()))
    return table


def draw(axes: Axes, rows: list[Row]) -> None:
    """Errors by estimator and cell; a full mark where the 95 % interval covers."""
    every = dict.fromkeys(row["estimator"] for row in rows)
    names = [name for name in every if name not in (accuracy.BETTING, accuracy.TWIN)]
    cells = list(dict.fromkeys((row["cell"], row["looks"]) for row in rows))
    overlaps = list(dict.fromkeys(cell for cell, _ in cells))
    for k, (cell, looks) in enumerate(cells):
        color = f"C{overlaps.index(cell)}"
        own = {r["estimator"]: r for r in rows if (r["cell"], r["looks"]) == (cell, looks)}
        shift = 0.12 * (k - (len(cells) - 1) / 2)
        for y, name in enumerate(names):
            axes.plot(
                own[name]["rmse"],
                y + shift,
                marker="o" if looks == "carries all" else "D",
                color=color,
                markerfacecolor=color if own[name]["covers"] else "white",
                markersize=4.5,
                linestyle="none",
                label=f"{cell} ({own[name]['n']:,} rows), embedding {looks}" if y == 0 else None,
            )
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", linewidth=0.3)
    axes.set_xlabel("root of the mean squared error (hollow: its 95 % interval under-covers)")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
