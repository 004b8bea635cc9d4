"""The raw record, one row per duel, as CSV, JSON lines or parquet; and as preference pairs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from bestpolicy.core.nouns import ConfigError, Outcome

ENDINGS = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet"}

COLUMNS = (
    "id",
    "left",
    "right",
    "input",
    "left_share",
    "lost",
    "cost",
    "feedback",
    "left_text",
    "right_text",
)


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
    """What the file's name says; a ConfigError for a name that says something else."""
    if output is None:
        return "jsonl"
    ending = output.lower().rpartition(".")[2]
    if ending not in ENDINGS:
        raise ConfigError(
            f"export: {output!r} must end in {', '.join(f'.{e}' for e in ENDINGS)}, or --format "
            "must say what to write"
        )
    return ENDINGS[ending]


def preferences(
    rows: Sequence[dict[str, Any]],
    prompts: Sequence[str],
    texts: Sequence[tuple[str | None, str | None]],
) -> list[dict[str, Any]]:
    """Duels that somebody won, as TRL's DPO reads them: prompt, chosen, rejected.

    `prompts` and `texts` (left, right) go with the rows; ties, and answers that are not on record,
    tell nothing to prefer.
    """
    found = []
    for row, prompt, (left, right) in zip(rows, prompts, texts, strict=True):
        if row["left_share"] in (None, 0.5) or left == right or None in (left, right):
            continue
        chosen, rejected = (left, right) if row["left_share"] > 0.5 else (right, left)
        found.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return found


def parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    """The rows as a parquet file."""
    # Loaded here: it is large, and the other formats need none of it.
    import pyarrow
    from pyarrow import parquet as files

    sink = pyarrow.BufferOutputStream()
    files.write_table(pyarrow.Table.from_pylist(list(rows)), sink)
    return bytes(sink.getvalue())


def written(rows: Sequence[dict[str, Any]], kind: str, columns: Sequence[str] = COLUMNS) -> str:
    """The rows as text; both formats give every float back exactly."""
    if kind != "csv":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    text = io.StringIO()
    lines = csv.DictWriter(text, columns, lineterminator="\n")
    lines.writeheader()
    lines.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is kept a text."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
