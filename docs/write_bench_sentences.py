"""The part of docs/bench/README.md that is about logs of sentences: for write_bench.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "bench"
HEAD = """\

## Values from logged sentences

`bestpolicy bench sentences`. The world of prompts with its published quirks; {logs} logs of
{rows_a_log:,} rows in {worlds} worlds; targets softmax(beta E[R | x, a]). Root mean square error of
the target's value, and in brackets the bias. Kernel: Gaussian, of published width, density exact
unless draws are named. *DR* has a ridge on context and prompt, *DR-kernel* one on context and
sentence, each with products: in this world that is the right form for sentences. *Additive* is the
same without products, which is wrong here: it predicts next to nothing, and DR-kernel then is
kernel IS, no better than weighing prompts where these are many. The goal is {goal} of the error of
IPS. {cpu_s:.0f} CPU seconds.

![errors](sentences.svg)
"""


def tables() -> list[str]:
    report: dict[str, Any] = json.loads((FOLDER / "sentences.json").read_text())
    rows = report["rows"]
    heads = [f"{row['prompts']:,} prompts, beta {row['beta']:g}" for row in rows]
    lines = [HEAD.format(**report), f"| estimator | {' | '.join(heads)} |", "|---" * 4 + "|"]
    for name in rows[0]["errors"]:
        said = (row["errors"][name] for row in rows)
        cells = " | ".join(f"{one['rmse']:.3f} ({one['bias']:+.3f})" for one in said)
        lines.append(f"| {name} | {cells} |")
    for name, key in (("effective rows", "effective"), ("value", "value")):
        lines.append(f"| {name} | {' | '.join(str(row[key]) for row in rows)} |")
    goals = (f"{row['ratio']:.2f}{'' if row['passes'] else ' (missed)'}" for row in rows)
    lines.append(f"| DR-kernel / IPS, goal {report['goal']} | {' | '.join(goals)} |")
    less = (f"{row['worlds_with_less_error']} of {report['worlds']}" for row in rows)
    lines.append(f"| worlds in which DR-kernel errs less than IPS | {' | '.join(less)} |")
    return lines
