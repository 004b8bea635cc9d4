"""Small logs in every format, for the tests of readers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

Columns = Mapping[str, Sequence[Any]]
MAP = {"action": "prompt", "reward": "click", "propensity": "p"}
GOOD: dict[str, list[Any]] = {
    "request": ["q1", "q2", "q3", "q4"],
    "prompt": ["warm", "cold", "warm", "plain"],
    "click": [1.0, 0.0, 0.5, 1.0],
    "p": [0.5, 0.25, 0.5, 0.25],
    "age": [30.0, 41.0, 22.5, 60.0],
    "when": [10.0, 20.0, 30.0, 40.0],
    "often": [1.0, 2.0, 1.0, 4.0],
    "all": [[0.25, 0.25, 0.5], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5], [0.5, 0.25, 0.25]],
}


def changed(column: str, row: int, value: Any) -> dict[str, list[Any]]:
    """The good log with one other cell."""
    made = {name: list(cells) for name, cells in GOOD.items()}
    made[column][row] = value
    return made


def parquet(path: Path, columns: Columns) -> Path:
    pq.write_table(pa.table(dict(columns)), made := path / "log.parquet", row_group_size=3)
    return made


def arrow(path: Path, columns: Columns) -> Path:
    feather.write_feather(pa.table(dict(columns)), str(made := path / "log.arrow"), chunksize=3)
    return made


def comma(path: Path, columns: Columns) -> Path:
    made = path / "log.csv"
    with made.open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            lines.writerow([json.dumps(x) if isinstance(x, list) else x for x in row])
    return made


def lines(path: Path, columns: Columns) -> Path:
    made = path / "log.jsonl"
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    made.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


FORMS: dict[str, Callable[[Path, Columns], Any]] = {
    "parquet": parquet,
    "arrow": arrow,
    "csv": comma,
    "jsonl": lines,
    "pandas": lambda path, columns: pd.DataFrame(dict(columns)),
    "polars": lambda path, columns: pl.DataFrame(dict(columns), strict=False),
    "table": lambda path, columns: pa.table(dict(columns)),
    "dict": lambda path, columns: dict(columns),
}
LINED = ("csv", "jsonl")  # formats whose rows have lines
HEADED = {"csv": 2, "jsonl": 1}  # the line of their first row
