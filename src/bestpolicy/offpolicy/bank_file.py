"""A bank from a file: parquet or JSON lines, each row refused with its number and the rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bestpolicy.core.embedder import Embedder, Points, text_hash
from bestpolicy.core.log import BadRow
from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.bank import Bank, bank_of

NEEDED = ("query_id", "prompt_id", "draw", "text")
Row = dict[str, Any]


def read_bank(
    path: Path | str, names: tuple[str, ...], embedder: Embedder | None = None, *, seed: int = 0
) -> Bank:
    """The bank in this file for a log whose prompts have these names. Sentences without an `emb`
    are embedded, each text once."""
    path = Path(path)
    rows = _rows(path)
    if not rows:
        raise ConfigError(f"{path}: a bank needs at least one sentence, and this file has none")
    for i, row in enumerate(rows):
        _check(i, row)
    models = {str(row["model_hash"]) for row in rows if row.get("model_hash") is not None}
    if len(models) > 1:
        some = sorted(models)[:2]
        raise ConfigError(
            f"{path}: a bank comes from one frozen generator; saw model_hash {some[0]!r} and "
            f"{some[1]!r}; keep a file for each"
        )
    columns: dict[str, NDArray[Any]] = {
        name: np.array([row[name] for row in rows]) for name in ("draw", "text")
    }
    columns |= {
        name: np.array([str(row[name]) for row in rows]) for name in ("query_id", "prompt_id")
    }
    columns["emb"] = _points(path, rows, embedder)
    return replace(bank_of(columns, names, made_by=next(iter(models), "")), seed=seed)


def write_bank(bank: Bank, path: Path) -> None:
    """The bank as parquet, points included, to be read again without an embedder."""
    each = np.diff(bank.first, axis=1).ravel()
    cells = np.repeat(np.arange(each.size), each)
    query, prompt = cells // len(bank.names), cells % len(bank.names)
    texts = bank.texts.tolist()
    flat = pa.array(bank.emb.ravel(), type=pa.float32())
    table = {
        "query_id": [bank.queries[q] for q in query],
        "prompt_id": [bank.names[a] for a in prompt],
        "draw": bank.draw,
        "model_hash": [bank.made_by or None] * len(bank),
        "text": texts,
        "text_hash": [text_hash(text) for text in texts],
        "emb": pa.FixedSizeListArray.from_arrays(flat, bank.emb.shape[1]),
    }
    pq.write_table(pa.table(table), path)


def _rows(path: Path) -> list[Row]:
    if not path.is_file():
        raise ConfigError(f"there is no file {path}; a bank is parquet or JSON lines")
    if path.suffix == ".parquet":
        try:
            rows: list[Row] = pq.read_table(path).to_pylist()
        except pa.ArrowInvalid as error:
            raise ConfigError(f"{path} is not parquet: {error}") from error
        return rows
    if path.suffix not in (".jsonl", ".ndjson"):
        raise ConfigError(f"{path}: a bank is a .parquet or a .jsonl file, saw {path.suffix!r}")
    rows = []
    for i, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise BadRow(i, "line", line[:60], "each line must be one JSON object")
        rows.append(row)
    return rows


def _check(i: int, row: Row) -> None:
    for name in NEEDED:
        if row.get(name) is None:
            raise BadRow(i, name, None, f"each sentence of a bank needs {', '.join(NEEDED)}")
    if type(row["draw"]) is not int:
        raise BadRow(i, "draw", row["draw"], "a draw is numbered: 0, 1, 2 …")
    if not isinstance(row["text"], str):
        raise BadRow(i, "text", row["text"], "a sentence is text")
    said = row.get("text_hash")
    if said is not None and said != text_hash(row["text"]):
        raise BadRow(i, "text_hash", said, "it must be the sha256 of the text, in hex")


def _points(path: Path, rows: Sequence[Row], embedder: Embedder | None) -> Points:
    given = [row.get("emb") for row in rows]
    if all(point is None for point in given):
        if embedder is None:
            raise ConfigError(
                f"{path} has no column 'emb': name an embedder, or add the points of the sentences"
            )
        texts, where = np.unique([row["text"] for row in rows], return_inverse=True)
        return embedder.embed(texts.tolist())[where]
    width = next(len(point) for point in given if point is not None)
    made = np.empty((len(rows), width), dtype=np.float32)
    for i, point in enumerate(given):
        if point is None or len(point) != width:
            seen = None if point is None else f"{len(point)} numbers"
            raise BadRow(i, "emb", seen, f"the first point has {width} numbers; all must")
        try:
            made[i] = point
        except (TypeError, ValueError):
            made[i] = np.nan
        if not np.isfinite(made[i]).all():
            raise BadRow(i, "emb", str(point)[:60], "a point must be finite numbers")
    return made
