"""A log in a parquet file, written without holding it, and evaluated from there end to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bestpolicy.bench.ope import gauge
from bestpolicy.offpolicy.evaluate import evaluate
from bestpolicy.offpolicy.readers import read_log

BLOCK, GROUP = 1_000_000, 1 << 17  # rows drawn at once; rows of a row group


def write(path: Path, n: int, actions: int, seed: int) -> None:
    """n rows, of which the first million are the columns that everything else is timed on."""
    names = pa.array([f"prompt {a}" for a in range(actions)])
    writer = None
    for k, first in enumerate(range(0, n, BLOCK)):
        some = gauge.columns(min(BLOCK, n - first), actions, seed + k, ())
        number = np.arange(first, first + len(some["a"]))
        table = pa.table(
            {
                "request": pa.array(np.char.add("r", number.astype("U9"))),
                "prompt": pa.DictionaryArray.from_arrays(some["a"].astype(np.int32), names),
                "click": some["r"].astype(np.int8),
                "p": some["p"],
                "p_new": some["chances"],
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=GROUP)
    if writer is not None:
        writer.close()


def valued(path: str) -> list[float]:
    """Read, checked, diagnosed and evaluated."""
    return _valued(path, None)


def valued_once(path: str) -> list[float]:
    """The same, where no request may be there twice."""
    return _valued(path, "request")


def _valued(path: str, request: str | None) -> list[float]:
    log = read_log(
        path, action="prompt", reward="click", propensity="p", id=request, keep=("p_new",)
    )
    found = evaluate(log, "column:p_new")
    return [found["ips"].value, found["snips"].value]


CASES: dict[str, Callable[[str], list[float]]] = {
    "a parquet file, end to end": valued,
    "a parquet file, ids checked": valued_once,
}
