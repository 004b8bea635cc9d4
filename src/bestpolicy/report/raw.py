"""The raw record, one row per duel, as CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from bestpolicy.core.nouns import Outcome

COLUMNS = ("id", "left", "right", "input", "left_share", "lost", "cost", "feedback")


def raw_rows(outcomes: Sequence[Outcome], policies: Sequence[str]) -> list[dict[str, Any]]:
    """Every answer in ask order; `input` is the row's number in the study's inputs."""
    return [
        {
            "id": outcome.comparison.id,
            "left": policies[outcome.comparison.arms[0]],
            "right": policies[outcome.comparison.arms[1]],
            "input": outcome.comparison.context,
            "left_share": None if outcome.scores is None else outcome.scores[0],
            "lost": outcome.scores is None,
            "cost": outcome.cost,
            "feedback": outcome.feedback,
        }
        for outcome in outcomes
    ]


def format_of(output: str | None) -> str:
    """csv for a name that says so, else jsonl."""
    return "csv" if output is not None and output.lower().endswith(".csv") else "jsonl"


def written(rows: Sequence[dict[str, Any]], kind: str) -> str:
    """The rows as text; both formats give every float back exactly."""
    if kind == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    text = io.StringIO()
    lines = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    lines.writeheader()
    lines.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is kept a text."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
