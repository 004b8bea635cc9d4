"""Comparisons to a verdict, and how often the verdict is wrong, on known truths.

    ratio = mean comparisons / (T kl(delta, 1 - delta)),   T the data requirement of worlds/truth.py

No design with this error can have a ratio under 1. A second table lets delta fall to 1e-64, where
an asymptotically optimal rule reaches 1. Reference figures come from bench/reference.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.bench.cells import Cell, Result, code_digest, play_all
from bestpolicy.bench.reference import DELTAS, LADDER, REFERENCE, TARGETS
from bestpolicy.bench.shares import Share
from bestpolicy.core.nouns import ConfigError
from bestpolicy.worlds import truth
from bestpolicy.worlds.preference import INSTANCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]  # a cell as the file holds it
Key = tuple[str, str, float, bool]
DELTA = 0.05
CAP = 100_000
LADDER_CAP = 10 * CAP
CAPS = {"double-thompson": 20_000, "rucb": 20_000}  # K-sized work per ask: slow to the cap
PEERS = ("paper", "racing", "uniform", "rucb", "double-thompson", "savage", "knockout")
OR_NONE = ", winner or none"
METHODS = (
    "llm-po",
    *PEERS,
    *(design + OR_NONE for design in ("llm-po", "racing", "double-thompson")),
)
# Replications of the full table; a tenth of them in the quick one. The dearest get the fewest.
REPLICATIONS = {"llm-po": 2000, "racing": 200, "double-thompson": 200, "knockout": 200, "rucb": 100}
WITH_WINNER = ("easy4", "hard8", "mid16", "easy32", "cyc8", "nonborda8", "feat32")


def main(
    quick: bool,
    out: Path,
    *,
    instances: Sequence[str] = (),
    methods: Sequence[str] = (),
    replications: int | None = None,
    ladder: bool = True,
    seed: int = 0,
    processes: int | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play the table, print it, and write `dueling.json` and `dueling.svg` into `out`.

    Each cell is on disk as soon as it is played. A cell that the file already holds, of this very
    code, seed and cap and with no fewer replications, is not played again: a long table resumes.
    """
    console = console or Console()
    wanted = cells(quick, instances=instances, methods=methods, replications=replications)
    if ladder:
        wanted += ladder_cells(quick, instances=instances, replications=replications)
    file = Kept.read(out / "dueling.json", seed)
    todo = [cell for cell in wanted if not file.holds(cell)]
    if len(todo) < len(wanted):
        console.print(f"{len(wanted) - len(todo)} of {len(wanted)} cells are there already")
    play_all(todo, seed=seed, processes=processes, console=console, keep=file.keep)
    rows = [file.rows[_key(cell)] for cell in wanted]
    table = [row for row in rows if not row["ladder"]]
    for instance in dict.fromkeys(row["instance"] for row in table):
        console.print(_table(instance, [row for row in table if row["instance"] == instance]))
    console.print(
        f"Confidence {1 - DELTA:g}. Ratio: to the floor of the same question. Ref.: the reference "
        "figure. cN%: cut at the cap. BROKEN: more wrong verdicts than a calibrated design has in "
        "all but one of a thousand cells."
    )
    if len(table) < len(rows):
        console.print(_ladder_table(rows))
    figures.save(lambda axes: _draw(axes, table), out / "dueling.svg", console)
    return file.report()


class Kept:
    """The cells on disk: `dueling.json`, written anew after each cell, all of it or nothing."""

    def __init__(self, path: Path, seed: int, rows: Iterable[Row] = ()) -> None:
        self.path, self.seed = path, seed
        self.code = code_digest()
        self.rows = {_row_key(row): row for row in rows}

    @classmethod
    def read(cls, path: Path, seed: int) -> Kept:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            return cls(path, seed)
        report = json.loads(path.read_text())
        return cls(path, seed, report["rows"] if report["seed"] == seed else ())

    def holds(self, cell: Cell) -> bool:
        row = self.rows.get(_key(cell))
        return (
            row is not None
            and row["code"] == self.code
            and row["cap"] == cell.cap
            and row["replications"] >= cell.replications
        )

    def keep(self, result: Result) -> None:
        self.rows[_key(result.cell)] = _row(result) | {"code": self.code}
        beside = self.path.with_suffix(".json.new")
        beside.write_text(json.dumps(self.report(), indent=1) + "\n")
        beside.replace(self.path)

    def report(self) -> dict[str, Any]:
        order = {_key(cell): i for i, cell in enumerate([*cells(False), *ladder_cells(False)])}
        rows = sorted(self.rows.items(), key=lambda kept: order.get(kept[0], len(order)))
        return {"seed": self.seed, "rows": [row for _, row in rows]}


def cells(
    quick: bool,
    *,
    instances: Sequence[str] = (),
    methods: Sequence[str] = (),
    replications: int | None = None,
) -> list[Cell]:
    """What the first table plays. `nowinner6` only where a design may answer that nobody wins."""
    _known("instance", instances, INSTANCES)
    _known("method", methods, METHODS)
    found = []
    for instance in instances or (*WITH_WINNER, "nowinner6"):
        for method in methods or METHODS:
            design, _, or_none = method.partition(", ")
            if instance == "nowinner6" and not or_none:
                continue
            count = replications or _replications(method, quick)
            cap = CAPS.get(design, CAP)
            told = truth.gap(INSTANCES[instance]().p) if design == "knockout" else 0.0
            found.append(Cell(instance, design, not or_none, DELTA, cap, count, told))
    return found


def ladder_cells(
    quick: bool, *, instances: Sequence[str] = (), replications: int | None = None
) -> list[Cell]:
    """What the second table plays: llm-po, a winner assumed, as delta falls."""
    count = replications or (20 if quick else 40)
    return [
        Cell(instance, "llm-po", True, delta, LADDER_CAP, count)
        for instance in LADDER
        if not instances or instance in instances
        for delta in DELTAS
    ]


def _replications(method: str, quick: bool) -> int:
    design, _, or_none = method.partition(", ")
    if design == "llm-po":
        return 400 if quick else REPLICATIONS[design]
    count = 40 if or_none else REPLICATIONS.get(design, 20)
    return max(10, count // 10) if quick else count


def _known(what: str, names: Sequence[str], known: Sequence[str] | dict[str, Any]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no {what} {name!r}; there are {', '.join(known)}")


def _reference(cell: Cell) -> float | None:
    row = REFERENCE.get((cell.design, cell.assume_winner))
    return None if row is None else row.means.get(cell.instance)


def _target(cell: Cell) -> float | None:
    return TARGETS.get((cell.design, cell.assume_winner), {}).get(cell.instance)


def _key(cell: Cell) -> Key:
    return cell.instance, cell.name, cell.delta, cell.cap == LADDER_CAP


def _row_key(row: Row) -> Key:
    return row["instance"], row["method"], row["delta"], row["ladder"]


def _row(result: Result) -> Row:
    cell = result.cell
    return {
        "ladder": cell.cap == LADDER_CAP,
        "instance": cell.instance,
        "method": cell.name,
        "delta": cell.delta,
        "replications": cell.replications,
        "cap": cell.cap,
        "told_gap": cell.indifference,
        "mean": round(result.mean, 2),
        "stderr": round(result.stderr, 2) if np.isfinite(result.stderr) else None,
        "floor": round(cell.floor, 4),
        "ratio": round(result.ratio, 4),
        "wrong": {**asdict(result.wrong), "share": result.wrong.value},
        "cut": result.cut,
        "verdicts": result.kinds,
        "reference": _reference(cell) if cell.delta == DELTA else None,
        "target": _target(cell) if cell.delta == DELTA else None,
    }


def _table(instance: str, rows: Sequence[Row]) -> Table:
    floors = {row["method"].endswith(OR_NONE): row["floor"] for row in rows}
    asked = {False: "a winner assumed", True: "winner or none"}
    title = ", ".join(f"{floor:,.0f} ({asked[or_none]})" for or_none, floor in floors.items())
    table = Table(
        title=f"{instance}: at least {title}",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("method", no_wrap=True)
    for column in ("comparisons", "ratio", "ref.", "target"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("wrong % [95 %]", no_wrap=True)
    for row in rows:
        target, wrong = row["target"], row["wrong"]
        missed = " missed" if target is not None and row["mean"] > target else ""
        cut = f" c{row['cut']:.0%}" if row["cut"] else ""
        spread = "" if row["stderr"] is None else f" ± {row['stderr']:,.0f}"
        share = Share(**{name: wrong[name] for name in Share.__slots__})
        table.add_row(
            row["method"],
            f"{row['mean']:,.0f}{spread}{cut}",
            f"{row['ratio']:.2f}",
            "" if row["reference"] is None else f"{row['reference']:,.0f}",
            "" if target is None else f"{target:,.0f}{missed}",
            f"{share}" if share.passes else f"{share} BROKEN",
        )
    return table


def _ladder_table(rows: Sequence[Row]) -> Table:
    title = "llm-po, a winner assumed: ratio to the floor as delta falls (in brackets: reference)"
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    table.add_column("instance")
    for delta in DELTAS:
        table.add_column(f"{delta:g}", justify="right")
    for instance, reference in LADDER.items():
        own = [row for row in rows if row["ladder"] and row["instance"] == instance]
        ratios = {row["delta"]: row["ratio"] for row in own}
        if ratios:
            pairs = zip(DELTAS, reference, strict=True)
            table.add_row(instance, *(f"{ratios[delta]:.2f}\n({was:.2f})" for delta, was in pairs))
    return table


def _draw(axes: Axes, rows: Sequence[Row]) -> None:
    """Ratio to the floor: a dot with its standard error, the reference as a hollow square."""
    instances = list(dict.fromkeys(row["instance"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    designs = list(dict.fromkeys(method.removesuffix(OR_NONE) for method in methods))
    for m, method in enumerate(methods):
        color = f"C{designs.index(method.removesuffix(OR_NONE))}"
        own = [row for row in rows if row["method"] == method]
        shift = (m - (len(methods) - 1) / 2) * 0.8 / max(len(methods), 1)
        x = [instances.index(row["instance"]) + shift for row in own]
        axes.errorbar(
            x,
            [row["ratio"] for row in own],
            yerr=[2 * (row["stderr"] or 0) / row["floor"] for row in own],
            fmt="^" if method.endswith(OR_NONE) else "o",
            markersize=4,
            label=method,
            color=color,
        )
        known = [
            (at, row["reference"] / row["floor"])
            for at, row in zip(x, own, strict=True)
            if row["reference"]
        ]
        axes.plot(
            [at for at, _ in known], [y for _, y in known], "s", mfc="none", color=color, ms=6
        )
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xticks(range(len(instances)), instances)
    axes.set_ylabel("mean comparisons / lower bound")
    axes.set_title("Comparisons to a verdict (hollow squares: reference figures)")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
