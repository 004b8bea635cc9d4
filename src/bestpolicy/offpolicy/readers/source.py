"""Source: rows of a file or a frame as Arrow columns, few at a time, each with its number.

What differs between formats is in the functions that a source is made of; what makes rows a log is
the same for all (see scan.py).
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bestpolicy.core.log import BadRow
from bestpolicy.core.nouns import ConfigError

DAMAGE = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error)
Numbers = range | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows in order."""

    batch: pa.RecordBatch
    rows: Numbers  # of the source's own counting, from 0; what is passed over has a number too

    def __len__(self) -> int:
        return int(self.batch.num_rows)


def _nowhere(row: int) -> None:  # noqa: ARG001
    return None


def _nothing() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from, as often as they are asked for."""

    label: str  # what people call it
    columns: tuple[str, ...]
    stream: Callable[[Sequence[str], int], Iterator[Part]]  # these columns, so many rows at most
    line: Callable[[int], int | None] = _nowhere  # the line of a text file that a row is on
    untyped: bool = False  # whether every cell is text, numbers too
    roles: Mapping[str, Any] = field(default_factory=dict)  # what the format itself says
    said: Callable[[], tuple[str, ...]] = _nothing  # found out in the last pass
    path: Path | None = None
    stamp: tuple[int, int] | None = None  # size and time of the file when it was opened

    def parts(self, columns: Sequence[str], rows: int) -> Iterator[Part]:
        """Every row, faults of the file in our own words."""
        if self.path is not None and stamp(self.path) != self.stamp:
            raise ConfigError(f"{self.label} has changed since it was read: read it again")
        with readable(self.label):
            yield from self.stream(columns, rows)


def counted(seen: Mapping[str, int]) -> tuple[str, ...]:
    """Rows by what became of them, in words; what begins with a star was not left out."""
    return tuple(
        f"{count:,} {what[1:]}" if what.startswith("*") else f"left out: {count:,} {what}"
        for what, count in sorted(seen.items())
        if count
    )


@contextmanager
def readable(label: str) -> Iterator[None]:
    """What libraries say of a damaged file, said by us."""
    try:
        yield
    except DAMAGE as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"{label} cannot be read: {words:.200}; it is damaged, cut off or of another format: "
            "write it again, or say its format"
        ) from error


def stamp(path: Path) -> tuple[int, int]:
    """What tells one state of a file from another."""
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigError(f"there is no file {path.name!r} to read") from error
    return found.st_size, found.st_mtime_ns


def cut(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[Part]:
    """Batches of any size as parts of a few rows."""
    at = 0
    for batch in batches:
        for first in range(0, batch.num_rows, rows):
            some = batch.slice(first, rows)
            yield Part(some, range(at, at + some.num_rows))
            at += some.num_rows


def array(values: Any, name: str, rows: Numbers) -> pa.Array:
    """Values of any kind as an Arrow column, if they are of one kind."""
    objects = isinstance(values, np.ndarray) and values.dtype == object  # NaN means empty there
    try:
        return pa.array(values, from_pandas=objects)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        first = ""
        for i, value in enumerate(values):
            kind = _kind(value)
            first = first or kind
            if kind and kind != first:
                rule = f"the column began with {first}: it must stay so"
                raise BadRow(int(rows[i]), name, value, rule) from error
        raise ConfigError(f"column {name!r} holds what no log can: {error}") from error


def _kind(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true and false"
        case int() | float() | np.number():
            return "numbers"
        case str():
            return "texts"
        case list() | tuple() | np.ndarray():
            return "lists"
        case dict():
            return "mappings"
    return type(value).__name__
