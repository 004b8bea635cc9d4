"""CSV and JSON lines: rows that have a line in a file."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from bestpolicy.core.log import BadRow
from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.readers.columnar import unique
from bestpolicy.offpolicy.readers.source import Part, Source, array, cut, readable, stamp

BLOCK = 1 << 22  # bytes of a CSV file that are parsed at once
FEW = 1000  # JSON rows whose keys are taken for the columns
Parsed = Callable[[bytes, int, int], Any]  # text, row, line


def unzipped(path: Path) -> IO[bytes]:
    """The bytes of a text file, which may be zipped."""
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def written_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Every line with something on it, and its number from 1."""
    with unzipped(path) as file:
        for number, line in enumerate(file, 1):
            if not line.isspace():
                yield number, line


def line_of(path: Path) -> Callable[[int], int | None]:
    """Finds the line of a row, where each line with something on it is one."""

    def find(row: int) -> int | None:
        for i, (number, _) in enumerate(written_lines(path)):
            if i == row:
                return number
        return None

    return find


def comma_separated(path: Path) -> Source:
    """A CSV file; all its cells are text until a part of the log is made of them."""
    with readable(path.name), unzipped(path) as file:
        head = file.read(BLOCK).decode("utf-8-sig", errors="replace")
    first = head.lstrip("\r\n").partition("\n")[0]
    if not first.strip():
        raise ConfigError(f"{path.name} is empty: a log has a line of names and a line a row")
    comma = max(",\t;", key=first.count)
    columns = unique(next(csv.reader(head.lstrip("\r\n").splitlines(True), delimiter=comma)),
                     path.name)  # fmt: skip

    def records() -> Iterator[tuple[int, int, list[str]]]:
        with unzipped(path) as file:
            lines = (raw.decode("utf-8", errors="surrogateescape") for raw in file)
            reader = csv.reader(lines, delimiter=comma)
            filled = (record for record in reader if record)
            next(filled)
            for row, record in enumerate(filled):
                yield row, reader.line_num - sum(cell.count("\n") for cell in record), record

    def line(row: int) -> int | None:
        try:
            return next((line for i, line, _ in records() if i == row), None)
        except csv.Error:
            return None

    def explain() -> BadRow | None:
        """Which line is at fault, found by reading them again one by one."""
        try:
            for row, line, record in records():
                if len(record) != len(columns):
                    rule = f"a line has {len(columns)} fields, as the line of names has"
                    return BadRow(row, "", comma.join(record), rule, "is it cut off?", line)
                for name, cell in zip(columns, record, strict=True):
                    if any("\udc80" <= letter <= "\udcff" for letter in cell):
                        return BadRow(row, name, cell, "text must be UTF-8", line=line)
        except csv.Error:
            pass
        return None

    def batches(names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        reading = arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK)
        parsing = arrow_csv.ParseOptions(delimiter=comma, newlines_in_values=True)
        converting = arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=list(names),
            strings_can_be_null=True,
            null_values=[""],
        )
        try:
            with unzipped(path) as file:
                yield from arrow_csv.open_csv(file, reading, parsing, converting)
        except pa.ArrowInvalid as error:
            raise explain() or error from error

    def stream(names: Sequence[str], rows: int) -> Iterator[Part]:
        return cut(batches(names), rows)

    return Source(path.name, columns, stream, line, True, path=path, stamp=stamp(path))


def json_lines(path: Path) -> Source:
    """A file with a JSON object on each line."""
    columns: dict[str, None] = {}
    for i, (_, row) in enumerate(objects(path)):
        if i == FEW:
            break
        columns |= dict.fromkeys(row)
    if not columns:
        raise ConfigError(f"{path.name} is empty: a log has a JSON object on each line")

    def stream(names: Sequence[str], rows: int) -> Iterator[Part]:
        some: list[dict[str, Any]] = []
        at = 0
        for _, row in objects(path):
            some.append(row)
            if len(some) == rows:
                yield part_of(some, names, range(at, at + rows))
                at, some = at + rows, []
        if some:
            yield part_of(some, names, range(at, at + len(some)))

    return Source(path.name, tuple(columns), stream, line_of(path), path=path, stamp=stamp(path))


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON object of every line, and the line's number."""
    for row, (line, text) in enumerate(written_lines(path)):
        try:
            found = json.loads(text)
        except UnicodeDecodeError as error:
            raise BadRow(row, "", text, "text must be UTF-8", line=line) from error
        except (ValueError, RecursionError) as error:
            said = text.decode(errors="replace").rstrip()
            rule = "each line must be a JSON object"
            raise BadRow(row, "", said, rule, f"{error}; is it cut off?", line) from error
        if not isinstance(found, dict):
            raise BadRow(row, "", found, "each line must be a JSON object", line=line)
        yield line, found


def part_of(rows: Sequence[dict[str, Any]], names: Sequence[str], numbers: Any) -> Part:
    """Mappings as columns; what a row does not say is empty."""
    made = [array([row.get(name) for row in rows], name, numbers) for name in names]
    return Part(pa.RecordBatch.from_arrays(made, names=list(names)), numbers)
