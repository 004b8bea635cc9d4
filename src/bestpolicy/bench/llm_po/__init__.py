"""What llm-po does, in figures: one file per figure, each from its plays to its drawing.

A figure is on disk as soon as it is played. One that the file already holds, of this very code,
seed and number of replications, is not played again: a long bench resumes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bestpolicy.bench import figures as drawings
from bestpolicy.bench.cells import code_digest
from bestpolicy.bench.llm_po import (
    ablation,
    bent,
    calibration,
    flight,
    growth,
    price,
    spending,
)
from bestpolicy.bench.llm_po.figure import Figure, Row
from bestpolicy.bench.llm_po.plays import Plays
from bestpolicy.core.nouns import ConfigError

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        calibration.FIGURE,
        spending.FIGURE,
        growth.FIGURE,
        flight.FIGURE,
        price.FIGURE,
        bent.FIGURE,
        ablation.FIGURE,
    )
}


def main(
    quick: bool,
    out: Path,
    *,
    figures: Sequence[str] = (),
    replications: int | None = None,
    seed: int = 0,
    processes: int | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play the figures, print them, and write llm-po.json and llm-po-<figure>.svg into `out`."""
    console = console or Console()
    for name in figures:
        if name not in FIGURES:
            raise ConfigError(f"there is no figure {name!r}; there are {', '.join(FIGURES)}")
    plays = Plays(quick, seed, replications, processes or os.cpu_count() or 1, console)
    path = out / "llm-po.json"
    out.mkdir(parents=True, exist_ok=True)
    report = _read(path, seed)
    for name in figures or FIGURES:
        figure, code = FIGURES[name], digest(name)
        section = report["figures"].get(name)
        if section is None or not _holds(section, plays, code):
            section = {
                "quick": quick and replications is None,
                "replications": replications,
                "code": code,
                "rows": figure.rows(plays),
            }
            report["figures"][name] = section
            _write(path, report)
        else:
            console.print(f"{name} is there already")
        _print(figure, section["rows"], console)
        _draw(figure, section["rows"], out / f"llm-po-{name}.svg", console)
    return report


def digest(name: str) -> str:
    """One hash of everything that a figure's rows follow from, its seed and number aside."""
    here = Path(__file__).parent
    own = b"".join((here / file).read_bytes() for file in ("plays.py", f"{name}.py"))
    return sha256(code_digest().encode() + own).hexdigest()[:16]


def _holds(section: dict[str, Any], plays: Plays, code: str) -> bool:
    """Whether a section has what would be played, or, where a quick one was asked for, more."""
    if section["code"] != code:
        return False
    if section["replications"] != plays.replications:
        return False
    return plays.quick or not section["quick"]


def _read(path: Path, seed: int) -> dict[str, Any]:
    fresh: dict[str, Any] = {"seed": seed, "figures": {}}
    if not path.exists():
        return fresh
    report: dict[str, Any] = json.loads(path.read_text())
    return report if report["seed"] == seed else fresh


def _write(path: Path, report: dict[str, Any]) -> None:
    """All of it or nothing, in the order of the page."""
    known = [name for name in FIGURES if name in report["figures"]]
    report["figures"] = {name: report["figures"][name] for name in known}
    beside = path.with_suffix(".json.new")
    beside.write_text(json.dumps(report, indent=1) + "\n")
    beside.replace(path)


def _print(figure: Figure, rows: Sequence[Row], console: Console) -> None:
    lines = [figure.cells(row) for row in rows]
    table = Table(title=figure.title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in lines[0]:
        table.add_column(column)
    for line in lines:
        table.add_row(*line.values())
    console.print(table)
    console.print(figure.says(rows), highlight=False)


def _draw(figure: Figure, rows: Sequence[Row], path: Path, console: Console) -> None:
    drawings.save(lambda axes: figure.draw(axes, rows), path, console)
