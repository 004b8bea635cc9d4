"""The part of docs/bench/README.md that is about learned distances: for write_bench.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "bench"
HEAD = """\

## Distances that were learnt too

`bestpolicy bench metric`. (V - V(uniform)) / (V(best) - V(uniform)) ± standard error over
{worlds} worlds (fewer where a line says so), {steps:,} steps of training. *Numbers added* mean
nothing: 20 columns of noise beside the embedding, three times as wide as its own on average in the
world of pictures, of standard deviation 3 in that of prompts; *oracle* leaves them out. The kernel
is Gaussian, {width:g} median distances wide by each metric. *By pairs* scales dimensions so that
squared distances foretell squared differences of rewards, *by slopes* turns them along the
directions in which rewards move, both cross-fitted; *chosen* is *by slopes* where rows that it has
not seen speak for it, and raw elsewhere. {cpu_s:.0f} CPU seconds.
"""


def tables() -> list[str]:
    from bestpolicy.bench.metric import METHODS, cells

    if not (path := FOLDER / "metric.json").is_file():
        return []
    report: dict[str, Any] = json.loads(path.read_text())
    lines = [cells(row, method) for row in report["rows"] for method in METHODS]
    heads = list(lines[0])
    return [
        HEAD.format(**report),
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
        *(f"| {' | '.join(line.values())} |" for line in lines),
    ]
