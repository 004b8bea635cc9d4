"""Files that a study names: its inputs and its prompts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from bestpolicy.llm.prompts import Row

READABLE = "csv, jsonl, parquet, or a list in the YAML itself"


class SourceFault(Exception):
    """A named file that cannot be used; the caller knows where it was named."""


def read_rows(name: str, folder: Path) -> tuple[Row, ...]:
    """The rows of a csv, jsonl or parquet file that lies beside the YAML."""
    suffix = Path(name).suffix.lower()
    if "://" in name:
        raise SourceFault(f"must be a file's path, saw {name!r}; allowed: {READABLE}")
    readers = {".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl}
    if suffix == ".parquet":
        rows = tuple(_parquet(read_bytes(name, folder), name))
    elif suffix in readers:
        rows = tuple(readers[suffix](read_text(name, folder), name))
    else:
        raise SourceFault(
            f"must end in .csv, .jsonl or .parquet, saw {name!r}; allowed: {READABLE}"
        )
    if not rows:
        raise SourceFault(f"{name} has no rows; give at least one input")
    return rows


def read_text(name: str, folder: Path) -> str:
    """A text file beside the YAML, in UTF-8."""
    try:
        return read_bytes(name, folder).decode("utf-8-sig")  # line ends stay as they are
    except UnicodeDecodeError as error:
        raise SourceFault(f"{name} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def read_bytes(name: str, folder: Path) -> bytes:
    """A file beside the YAML, as it is."""
    try:
        return (folder / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        beside = [p.name for p in folder.iterdir() if p.is_file()]
        found = get_close_matches(Path(name).name, beside, n=1)
        hint = f"; did you mean {found[0]!r}?" if found else f"; looked in {folder.name or '/'}/"
        raise SourceFault(f"no file {name!r} beside the YAML{hint}") from None
    except OSError as error:
        raise SourceFault(f"{name} cannot be read: {error.strerror}") from None


def columns(rows: Iterable[Row]) -> set[str]:
    """The columns that every row has: only these can fill a prompt whatever the row."""
    common: set[str] | None = None
    for row in rows:
        common = set(row) if common is None else common & set(row)
    return common or set()


def _csv(text: str, name: str) -> Iterable[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(lines, [])
        if len(set(header)) < len(header) or "" in header:
            raise SourceFault(f"{name} line 1: every column needs a name of its own, saw {header}")
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(header):
                raise SourceFault(
                    f"{name} line {lines.line_num}: {len(cells)} cells where the header has "
                    f"{len(header)}; put text with commas in quotes"
                )
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise SourceFault(f"{name} line {lines.line_num}: not CSV: {error}") from None


def _jsonl(text: str, name: str) -> Iterable[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise SourceFault(f"{name} line {number}: not JSON: {error}") from None
        if isinstance(value, str):
            value = {"input": value}
        if not isinstance(value, dict) or not value:
            raise SourceFault(f"{name} line {number}: must be an object, saw {line.strip()[:40]}")
        if not is_finite(value):
            raise SourceFault(f"{name} line {number}: a number is too large to be one")
        yield value


def _parquet(content: bytes, name: str) -> Iterable[Row]:
    # Loaded here: it is large, and most studies read text.
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(pyarrow.BufferReader(content))
        rows = table.to_pylist()
    except (pyarrow.ArrowException, ValueError) as error:
        raise SourceFault(f"{name}: not parquet: {str(error)[:120]}") from None
    for number, row in enumerate(rows, start=1):
        if not is_finite(row):
            raise SourceFault(
                f"{name} row {number}: only texts, finite numbers, true, false, null and lists or "
                f"mappings of them can be inputs, saw {row!r:.80}"
            )
        yield row


def is_finite(value: Any) -> bool:
    """Whether JSON can say this: infinities and NaN are no data."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")
