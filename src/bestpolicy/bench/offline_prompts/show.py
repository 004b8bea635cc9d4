"""Tables and figures of what was learnt: the same cells for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]
ACROSS: dict[str, tuple[str, Callable[[Row], str]]] = {  # what stands above a grid's columns
    "prompts": ("prompts", lambda row: f"{row['prompts']:,}"),
    "rows": ("rows", lambda row: f"{row['rows']:,}"),
    "noise": ("sigma_r", lambda row: f"{row['sigma']:g}"),
    "models": ("", lambda _: "optimality"),
    "kernels": ("tau", lambda row: f"{row['tau']:g}"),
}
DRAWN = {"prompts": "prompts", "rows": "rows", "noise": "sigma", "kernels": "tau"}
SHOWN = (
    "is",
    "dr, model net-long, folds 2",
    "dso-published, density fa",
    "dso",
    "sdm",
    "cf-dr-dso",
    "online",
)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: heads, and lines of as many cells."""

    title: str
    heads: list[str]
    lines: list[list[str]]


def grids(report: dict[str, Any]) -> list[Grid]:
    """One for each grid that has figures, worlds without quirks by themselves."""
    made = []
    for name in dict.fromkeys(row["grid"] for row in report["rows"]):
        for compat in (True, False):
            rows = [r for r in report["rows"] if (r["grid"], r["compat"]) == (name, compat)]
            if rows:
                made.append(_grid(name, compat, rows))
    return made


def goals(report: dict[str, Any]) -> Grid:
    """What was asked for, and whether it was reached."""
    lines = []
    for goal in report["goals"]:
        error = "" if goal["stderr"] is None else f" ± {goal['stderr']:.3f}"
        lines.append([goal["says"], f"{goal['found']:.3f}{error}", goal["wanted"], _verdict(goal)])
    return Grid("goals", ["what", "found", "goal", ""], lines)


def steps(report: dict[str, Any]) -> Grid:
    """Cost of a step by number of prompts."""
    lines = [
        [
            f"{row['prompts']:,}", f"{row['sentences_ms']:.3f}", f"{row['output_ms']:.2f}",
            f"{row['grows']:+.1%}{'' if row['passes'] else ' (missed)'}",
        ]
        for row in report["steps"]
    ]  # fmt: skip
    return Grid(
        "one step", ["prompts", "sentences, ms", "output layer, ms", "sentences grow"], lines
    )


def figure(report: dict[str, Any], name: str) -> Callable[[Axes], None]:
    """Optimality along a grid, methods as lines, the re-run of public code dashed."""
    rows = [r for r in report["rows"] if r["grid"] == name and r["compat"]]

    def draw(axes: Axes) -> None:
        for k, (said, own) in enumerate(_lines_of(name, rows).items()):
            own = sorted(own, key=lambda r: r[DRAWN[name]])
            x = [r[DRAWN[name]] for r in own]
            y, error = [r["optimality"] for r in own], [r["stderr"] or 0.0 for r in own]
            axes.errorbar(x, y, error, marker="o", markersize=3, color=f"C{k}", label=said)
            if any(r["reference"] is not None for r in own):
                there = [r for r in own if r["reference"] is not None]
                x, y = [r[DRAWN[name]] for r in there], [r["reference"] for r in there]
                axes.plot(x, y, "--", color=f"C{k}", linewidth=0.8)
        if name != "noise":
            axes.set_xscale("log")
        axes.set_xlabel(ACROSS[name][0])
        axes.set_ylabel("optimality (dashed: public code)")
        axes.legend(fontsize=7, frameon=False)

    return draw


def _lines_of(name: str, rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        said = _label(row, name)
        if name == "kernels" or said in SHOWN:
            found.setdefault(said, []).append(row)
    return found


def _grid(name: str, compat: bool, rows: list[Row]) -> Grid:
    what, across = ACROSS[name]
    columns = list(dict.fromkeys(across(row) for row in rows))
    labels = list(dict.fromkeys(_label(row, name) for row in rows))
    cells = {(_label(row, name), across(row)): _said(row) for row in rows}
    return Grid(
        name if compat else f"{name}, clean",
        ["method", *(f"{what} {column}".strip() for column in columns)],
        [[label, *(cells.get((label, column), "") for column in columns)] for label in labels],
    )


def _label(row: Row, grid: str) -> str:
    """The fit, less what the columns say."""
    if grid != "kernels":
        return str(row["fit"])
    parts = [row["method"]]
    if row["method"].startswith(("dso", "cf")):
        parts += [row["kernel"], row["density"]]
    return ", ".join(parts)


def _said(row: Row) -> str:
    error = "" if row["stderr"] is None else f" ± {row['stderr']:.3f}"
    beside = "" if row["reference"] is None else f" ({row['reference']:.3f})"
    return f"{row['optimality']:.3f}{error}{beside}"


def _verdict(goal: dict[str, Any]) -> str:
    if goal["twin"]:
        return "twin: NOT caught" if goal["passes"] else "twin: caught"
    return "" if goal["passes"] else "MISSED"
