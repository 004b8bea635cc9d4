"""Parquet, Arrow and frames: columns that know their types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.readers.source import Part, Source, array, cut, readable, stamp

BUFFER = 1 << 20  # bytes read at once of each column


def parquet(path: Path) -> Source:
    """A parquet file, read page by page."""
    with readable(path.name), pq.ParquetFile(path) as opened:
        columns = unique(opened.schema_arrow.names, path.name)

    def batches(names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(
            path, buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True
        ) as opened:
            yield from opened.iter_batches(rows, columns=list(names), use_threads=False)

    def stream(names: Sequence[str], rows: int) -> Iterator[Part]:
        return cut(batches(names, rows), rows)

    return Source(path.name, columns, stream, path=path, stamp=stamp(path))


def arrow(path: Path) -> Source:
    """An Arrow or feather file, or a stream of batches."""

    def opened(columns: Sequence[str] | None) -> Any:
        file = pa.memory_map(str(path))
        if file.read(6) == b"ARROW1":
            file.seek(0)
            whole = pa.ipc.open_file(file)
            if columns is None:
                return whole
            fields = [whole.schema.get_field_index(name) for name in columns]
            options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
            return pa.ipc.open_file(file, options=options)
        file.seek(0)
        return pa.ipc.open_stream(file)

    with readable(path.name):
        columns = unique(opened(None).schema.names, path.name)

    def batches(names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        found = opened(names)
        if isinstance(found, pa.ipc.RecordBatchStreamReader):
            parts = (batch.select(list(names)) for batch in found)
        else:
            parts = (found.get_batch(i) for i in range(found.num_record_batches))
        for batch in parts:
            batch.validate(full=True)  # a damaged file points outside of itself, and would crash us
            yield batch

    def stream(names: Sequence[str], rows: int) -> Iterator[Part]:
        return cut(batches(names), rows)

    return Source(path.name, columns, stream, path=path, stamp=stamp(path))


def frame(given: Any) -> Source:
    """A pandas or polars frame, an Arrow table, or whatever else hands out Arrow columns."""
    label = f"the {type(given).__name__}"
    try:
        table = pa.table(given)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        # A column of mixed kinds: no matter unless it is asked for.
        return columns_of({str(name): given[name] for name in given.columns}, label)
    columns = unique(table.column_names, label)

    def stream(names: Sequence[str], rows: int) -> Iterator[Part]:
        return cut(iter(table.select(list(names)).to_batches()), rows)

    return Source(label, columns, stream)


def columns_of(given: Mapping[str, Any], label: str = "the dict of columns") -> Source:
    """Arrays or lists by name."""
    sizes = {name: len(values) for name, values in given.items() if hasattr(values, "__len__")}
    made: dict[str, pa.Array] = {}

    def column(name: str) -> pa.Array:
        if name not in made:
            made[name] = _column(given[name], name)
        return made[name]

    def stream(names: Sequence[str], rows: int) -> Iterator[Part]:
        n = sizes[names[0]]
        for name in names:
            if sizes[name] != n:
                raise ConfigError(
                    f"column {name!r} has {sizes[name]} rows where {names[0]!r} has {n}; every "
                    "column of a log has one entry for each row"
                )
        batch = pa.RecordBatch.from_arrays([column(name) for name in names], names=list(names))
        return cut(iter([batch]), rows)

    return Source(label, tuple(sizes), stream)


def unique(names: Sequence[str], label: str) -> tuple[str, ...]:
    """Names of columns, each there once."""
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise ConfigError(f"{label} has {twice[0]!r} twice among its columns: rename one")
    return tuple(names)


def _column(values: Any, name: str) -> pa.Array:
    rows = range(len(values))
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind in "fiu":
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    if isinstance(values, np.ndarray) and values.ndim > 2:
        raise ConfigError(f"column {name!r} has {values.ndim} dimensions; a log has rows of values")
    if isinstance(values, np.ndarray) and values.ndim == 2:
        values = values.tolist()
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    found = array(values, name, rows)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
