"""A log is evaluated in memory that does not grow with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bestpolicy.core.rng import stream

MILLION = 1_000_000
READ = r"""
import re, sys
from pathlib import Path
from bestpolicy import evaluate, read_log
log = read_log(sys.argv[1], action="action", reward="reward", propensity="p", keep=("q",))
if sys.argv[2] == "load":
    log = log.load()
found = evaluate(log, "column:q", estimators=["ips", "snips"])
assert 0.09 < found["snips"].value < 0.11
# The peak of this program alone: what getrusage says counts whoever started it.
print(len(log), int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def written(path: Path, millions: int) -> Path:
    rng = stream(5, "a large log")
    one = {
        "action": rng.integers(0, 100, MILLION),
        "reward": (rng.random(MILLION) < 0.1).astype(np.float64),
        "p": rng.uniform(0.005, 0.05, MILLION),
        "q": rng.uniform(0.0, 0.05, MILLION),
    }
    table = pa.table(one)
    with pq.ParquetWriter(path, table.schema) as file:
        for _ in range(millions):
            file.write_table(table)
    return path


def megabytes(path: Path, how: str, rows: int) -> float:
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", READ, path, how],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(source), "PATH": ""},
    )
    n, peak = done.stdout.split()
    assert int(n) == rows
    return float(peak)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
def test_ten_million_rows_take_hardly_more_memory_than_one_million(tmp_path: Path) -> None:
    few = written(tmp_path / "few.parquet", 1)
    many = written(tmp_path / "many.parquet", 10)
    start = megabytes(few, "stream", MILLION)
    peak = megabytes(many, "stream", 10 * MILLION)
    assert peak < 1000
    assert peak - start < 100
    # Who loads them all takes more: this check can fail.
    assert megabytes(few, "load", MILLION) - start > 20
