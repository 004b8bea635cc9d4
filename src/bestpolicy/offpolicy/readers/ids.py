"""Ids of requests: whether each was logged once, however many there are.

A hash of 64 bits is kept of each, eight bytes a row. Where two agree, which by chance alone happens
once in a hundred thousand logs of 10 million rows, the ids themselves are read again and compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyarrow import types

from bestpolicy.core.log import CHUNK, BadRow
from bestpolicy.offpolicy.readers.cells import Cells, cells
from bestpolicy.offpolicy.readers.source import Source

RULE = "a request must have an id"


def hashes(of: Cells) -> NDArray[np.int64]:
    """(m,) whole numbers as they are, all else by Python's own hash, which no log can foresee."""
    column = of.filled(RULE)
    if types.is_integer(column.type) and not types.is_uint64(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)
    ids = column.to_pylist()
    if types.is_nested(column.type):
        ids = map(repr, ids)
    return np.fromiter(map(hash, ids), dtype=np.int64, count=len(column))


def once(source: Source, name: str, found: Sequence[NDArray[np.int64]]) -> None:
    """Every request is there once."""
    every = np.concatenate(found)
    every.sort()
    twice = np.unique(every[1:][every[1:] == every[:-1]])
    del every
    if not len(twice):
        return
    before: dict[object, int] = {}
    for part in source.parts([name], CHUNK):
        of = cells(part, name, untyped=source.untyped)
        if not len(part):
            continue
        for i in np.flatnonzero(np.isin(hashes(of), twice)).tolist():
            value, row = of.array[i].as_py(), int(part.rows[i])
            key = repr(value)
            if key in before:
                rule = f"each request is logged once, and row {before[key]} has it too"
                raise BadRow(row, name, value, rule, "leave out what was logged again")
            before[key] = row
