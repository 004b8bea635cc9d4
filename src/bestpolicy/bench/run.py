"""What a run costs besides its models: comparisons per CPU-second, and memory.

Six scripted policies that answer at once and a judge who is a Python function, through everything
that `bestpolicy run` does: asking, calling, keeping answers, judging in both orders, telling, all
in a SQLite file that waits for the disk. Each run is a process of its own, so that its CPU time
(user and system) and its largest memory are its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bestpolicy.bench.ask import pace_of_this_machine

GOAL_RATE, GOAL_MEMORY = 300, 300  # comparisons per CPU-second; MB at 100,000 outcomes
SIZES = {True: (2_000,), False: (2_000, 20_000, 100_000)}
STUDY = """\
version: 1
inputs: [one, two, three]
policies:
  - matrix:
      prompt: ["{{{{input}}}}", "Say {{{{input}}}}", "{{{{input}}}}?"]
      model: [scripted/echo]
      temperature: [0.5, 1]
judge: {{call: "even:judge"}}
decide: {{reuse_inputs: true, confidence: 0.999}}
budget: {{comparisons: {comparisons}}}
workers: 8
"""
JUDGE = "def judge(row, left, right):\n    return 0.5\n"
PLAY = """
import json, resource, sys
from bestpolicy.cli import outcome
code = outcome(["run", "study.yaml", "--json"])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]), file=sys.stderr)
"""


def main(quick: bool, out: Path, *, console: Console | None = None) -> dict[str, Any]:
    """Play the runs, print the table, write `run.json` into `out`."""
    console = console or Console()
    rows = []
    for comparisons in SIZES[quick]:
        console.print(f"playing {comparisons:,} comparisons")
        rows.append(_play(comparisons))
    report = {"quick": quick, "yardstick_us": pace_of_this_machine(), "rows": rows}
    out.mkdir(parents=True, exist_ok=True)
    (out / "run.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table(title="bestpolicy run with models that answer at once, on SQLite")
    for column in ("comparisons", "CPU s", "a CPU-second", "goal", "memory MB", "goal"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row['comparisons']:,}",
            f"{row['cpu_s']:.1f}",
            f"{row['per_cpu_second']:.0f}",
            f">= {GOAL_RATE}",
            f"{row['memory_mb']:.0f}",
            f"<= {GOAL_MEMORY}",
        )
    console.print(table)
    console.print(f"This machine, now: {report['yardstick_us']} µs for sum(range(1000)).")
    return report


def _play(comparisons: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "study.yaml").write_text(STUDY.format(comparisons=comparisons))
        (Path(folder) / "even.py").write_text(JUDGE)
        done = subprocess.run(
            [sys.executable, "-c", PLAY],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        code, cpu, memory = json.loads(done.stderr.splitlines()[-1])
        told = json.loads(done.stdout)
    assert code == 3, done.stderr
    return {
        "comparisons": told["verdict"]["comparisons"],
        "cpu_s": round(cpu, 2),
        "per_cpu_second": round(told["verdict"]["comparisons"] / cpu, 1),
        "memory_mb": round(memory, 1),
    }
