"""Cost: processor time and memory of one evaluation, ours and others', on the same columns.

Each case is a fresh process with one thread (ours.py; worker.py inside the environment of the other
libraries), whose columns are there before the clock starts. A library that fails says how.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from rich.console import Console

from bestpolicy.bench.ope import files, ours, worker
from bestpolicy.bench.peers.environment import NoPeersError, built

Row = dict[str, Any]
LIBRARIES = "obp 0.5.7 and vw-estimators 0.2.2"
# obp asks for a Python before 3.11 and libraries of 2022; it is told to do with today's.
INSTALLS = (
    ["vw-estimators==0.2.2", "scikit-learn", "pandas", "tqdm", "pyyaml", "seaborn"],
    ["--no-deps", "--ignore-requires-python", "obp==0.5.7"],
)
HOME = "obp-0.5.7-vw-estimators-0.2.2"
ACTIONS, PATIENCE = 100, 900.0
SMALL, LARGE, HUGE = 100_000, 1_000_000, 10_000_000
SAME = 1e-12  # relative difference of values that are the same number
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}


@dataclass(frozen=True, slots=True)
class Goal:
    """What a case may cost at most."""

    cpu_s: float = inf
    added_mb: float = inf
    process_mb: float = inf

    def reached_by(self, row: Row) -> bool:
        return all(row.get(name, inf) <= getattr(self, name) for name in self.__slots__)

    def __str__(self) -> str:
        words = {"cpu_s": "CPU s", "added_mb": "MB added", "process_mb": "MB in all"}
        kept = [(getattr(self, n), word) for n, word in words.items() if getattr(self, n) < inf]
        return ", ".join(f"<= {most:g} {word}" for most, word in kept)


GOALS = {
    ("IPS and SNIPS", LARGE): Goal(cpu_s=0.1),
    ("DR", LARGE): Goal(cpu_s=0.4, added_mb=100),
    ("MIPS", LARGE): Goal(cpu_s=1.0),
    ("a parquet file, end to end", LARGE): Goal(cpu_s=4.0),
    ("a parquet file, end to end", HUGE): Goal(process_mb=1024),
    ("a parquet file, ids checked", LARGE): Goal(cpu_s=4.0),
    ("a parquet file, ids checked", HUGE): Goal(process_mb=1024),
}
# CPU seconds and MB added in the method note, section 10; None: not run there.
REFERENCE: dict[tuple[str, int], tuple[float | None, float | None]] = {
    ("IPS and SNIPS", SMALL): (0.08, 10),
    ("IPS and SNIPS", LARGE): (0.85, None),
    ("obp IPS", SMALL): (0.01, 2),
    ("obp IPS", LARGE): (0.08, 16),
    ("obp SNIPS", SMALL): (0.01, None),
    ("obp SNIPS", LARGE): (0.09, None),
    ("obp DR", SMALL): (0.38, 156),
    ("obp DR", LARGE): (3.4, 1557),
    ("obp Switch-DR", SMALL): (0.39, None),
    ("obp MIPS", SMALL): (0.81, 385),
    ("obp MIPS", LARGE): (5.1, 3844),
    ("obp DR, model learnt", SMALL): (8.4, 397),
    ("vw-estimators IPS", SMALL): (0.04, None),
    ("vw-estimators IPS", LARGE): (0.37, None),
    ("vw-estimators Cressie-Read", SMALL): (0.78, None),
    ("vw-estimators sequence", SMALL): (2.5, None),
}
PEERS = (
    *("obp IPS", "obp SNIPS", "obp DR", "obp Switch-DR", "obp MIPS", "obp MIPS, estimated"),
    *("vw-estimators IPS", "vw-estimators SNIPS"),
    *("vw-estimators Cressie-Read", "vw-estimators sequence"),
)
SMALL_ONLY = {"obp MIPS, estimated", "vw-estimators sequence"}  # fails; takes half a minute
# Which of our values is which of theirs.
PAIRS = {
    "obp IPS": ("IPS and SNIPS", 0),
    "obp SNIPS": ("IPS and SNIPS", 1),
    "vw-estimators IPS": ("IPS and SNIPS", 0),
    "vw-estimators SNIPS": ("IPS and SNIPS", 1),
    "obp DR": ("DR", 0),
    "obp Switch-DR": ("Switch-DR", 0),
    "obp MIPS": ("MIPS", 0),
}


def environment(cache: Path, console: Console) -> tuple[Path | None, str]:
    """The Python of the other libraries' environment, or why there is none."""
    try:
        return built(cache / HOME, INSTALLS, LIBRARIES, console), ""
    except NoPeersError as error:
        console.print(f"{error}\nonly the reference figures of other libraries are shown")
        return None, str(error)


def measure(
    sizes: Sequence[int],
    on_disk: Sequence[int],
    python: Path | None,
    *,
    seed: int,
    console: Console,
) -> tuple[list[Row], dict[str, str]]:
    """Every case at every size, its row; and the versions that the other libraries met."""
    rows: list[Row] = []
    versions: dict[str, str] = {}

    def landed(case: str, n: int, library: str, found: Row) -> None:
        versions.update(found.pop("versions", {}))
        rows.append(_row(case, n, library, found))
        console.print(_line(rows[-1]), highlight=False)

    for n in sizes:
        for case in ours.CASES:
            landed(case, n, "bestpolicy", _ours(job(case, n, seed)))
        for case in PEERS:
            if python is not None and (n == SMALL or case not in SMALL_ONLY):
                landed(case, n, case.split()[0], _theirs(python, job(case, n, seed)))
            elif (case, n) in REFERENCE:
                rows.append(_row(case, n, case.split()[0], {}))
    for n in on_disk:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log.parquet"
            files.write(path, n, ACTIONS, seed)
            for case in files.CASES:
                landed(case, n, "bestpolicy", _ours({"case": case, "file": str(path)}))
    return rows, versions


def job(case: str, n: int, seed: int) -> Row:
    return {"case": case, "n": n, "actions": ACTIONS, "seed": seed}


def agreement(rows: Sequence[Row]) -> list[Row]:
    """How far the other libraries' values are from ours on the same rows."""
    mine = {(r["case"], r["n"]): r["values"] for r in rows if r["library"] == "bestpolicy"}
    found = []
    for row in rows:
        pair = PAIRS.get(row["case"])
        if pair is None or not row.get("values"):
            continue
        own, theirs = mine[pair[0], row["n"]][pair[1]], row["values"][0]
        apart = abs(own - theirs) / abs(own)
        found.append({"case": row["case"], "n": row["n"], "ours": own, "theirs": theirs})
        found[-1] |= {"apart": apart, "same": apart <= SAME}
    return found


def _row(case: str, n: int, library: str, found: Row) -> Row:
    goal, reference = GOALS.get((case, n)), REFERENCE.get((case, n))
    cpu = found.get("cpu_s") if "error" not in found else None
    return {
        "case": case,
        "library": library,
        "n": n,
        **found,
        "reference": reference and {"cpu_s": reference[0], "added_mb": reference[1]},
        "gap_s": round(cpu - reference[0], 4) if cpu and reference and reference[0] else None,
        "goal": goal and str(goal),
        "reached": goal and goal.reached_by(found),
    }


def _line(row: Row) -> str:
    if "error" in row:
        return f"{row['n']:>10,} rows  {row['case']}: {row['error']}"
    cost = f"{row['cpu_s']:.3f} CPU s, {row['added_mb']:.0f} of {row['process_mb']:.0f} MB added"
    return f"{row['n']:>10,} rows  {row['case']}: {cost}"


def _ours(asked: Row) -> Row:
    path = os.pathsep.join(filter(None, sys.path))
    return _answer([sys.executable, "-m", ours.__name__], asked, {"PYTHONPATH": path})


def _theirs(python: Path, asked: Row) -> Row:
    return _answer([str(python), "-W", "ignore", str(worker.__file__)], asked, {})


def _answer(command: list[str], asked: Row, also: dict[str, str]) -> Row:
    try:
        done = subprocess.run(
            [*command, json.dumps(asked)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=os.environ | ONE_THREAD | also,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer in {PATIENCE:g} seconds"}
    if done.returncode:  # killed for memory, or it could not begin
        why = (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]
        return {"error": why[:160]}
    found: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return found
