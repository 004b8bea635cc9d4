"""Cells: one column of a part as numbers, texts or times, each bad cell named with its row.

Nothing is repaired: a cell that is empty, or text where a number is meant, is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from bestpolicy.core.log import BadRow
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.offpolicy.readers.source import Numbers, Part

TRUE = {"true": 1.0, "false": 0.0}
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True, slots=True)
class Cells:
    """One column of a part."""

    array: pa.Array
    name: str
    rows: Numbers
    untyped: bool = False

    def bad(self, i: int, rule: str, remedy: str = "") -> BadRow:
        """The fault of the cell at this place."""
        return BadRow(int(self.rows[i]), self.name, self.array[i].as_py(), rule, remedy)

    def filled(self, rule: str, remedy: str = "") -> pa.Array:
        """The column, in which no cell is empty."""
        if self.array.null_count or types.is_null(self.array.type):
            nulls = np.flatnonzero(self.array.is_null().to_numpy(zero_copy_only=False))
            raise self.bad(int(nulls[0]), rule, remedy)
        return self.array


def cells(part: Part, name: str, *, untyped: bool = False) -> Cells:
    """The column of this name, in plain Arrow types."""
    column = part.batch.column(name)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if str(column.type) in ("string_view", "large_string", "binary_view"):
        column = column.cast(pa.string() if "string" in str(column.type) else pa.binary())
    if types.is_binary(column.type) or types.is_large_binary(column.type):
        try:
            column = column.cast(pa.string())
        except pa.ArrowInvalid as error:
            raise ConfigError(f"column {name!r} holds bytes that are no UTF-8 text") from error
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return Cells(column, name, part.rows, untyped)


def numbers(of: Cells, rule: str, remedy: str = "", *, truths: bool = False) -> Array:
    """(m,) numbers, some of which may be infinite or NaN still; with `truths` true is 1."""
    column = of.filled(rule, remedy)
    kind = column.type
    if types.is_boolean(kind) and truths:
        return np.asarray(column.cast(pa.uint8()).to_numpy(), dtype=np.float64)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        made = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.asarray(made, dtype=np.float64)
    if types.is_string(kind) and of.untyped:
        return _parsed(of, pa.float64(), rule, remedy, truths=truths)
    raise of.bad(0, rule, remedy or "a column of numbers is meant here")


def seconds(of: Cells) -> Array:
    """(m,) times in seconds: numbers as they are, dates and times since 1970."""
    rule = "a time must be a number of seconds, or a date and time like 2026-01-31T12:00:00Z"
    column = of.filled(rule)
    kind = column.type
    if types.is_date(kind):
        column, kind = column.cast(pa.timestamp("s")), pa.timestamp("s")
    if types.is_timestamp(kind):
        return _since_1970(column)
    if not types.is_string(kind):
        return numbers(of, rule)
    for wanted in (pa.timestamp("ns", tz="UTC"), pa.timestamp("ns")):
        try:
            made = column.cast(wanted)
        except pa.ArrowInvalid:
            continue
        return _since_1970(made)
    return numbers(Cells(column, of.name, of.rows, untyped=True), rule)


def _since_1970(times: pa.Array) -> Array:
    ticks = times.cast(pa.int64()).to_numpy(zero_copy_only=False)
    whole, rest = np.divmod(ticks, UNITS[times.type.unit])  # so that 0.25 s stay 0.25 s
    return np.asarray(whole + rest / UNITS[times.type.unit])


def values(of: Cells) -> NDArray[Any]:
    """(m, …) whatever a column holds, for whoever asked for it; empty cells are NaN or None."""
    kind = of.array.type
    if types.is_fixed_size_list(kind) and not of.array.null_count:
        flat = Cells(of.array.flatten(), of.name, of.rows).array.to_numpy(zero_copy_only=False)
        return np.asarray(flat.reshape(len(of.array), kind.list_size))
    if types.is_list(kind) and len(of.array) and not of.array.null_count:
        lengths = pc.list_value_length(of.array).to_numpy(zero_copy_only=False)
        if (lengths == lengths[0]).all() and types.is_floating(kind.value_type):
            flat = of.array.flatten().to_numpy(zero_copy_only=False)
            return np.asarray(flat.reshape(len(lengths), -1))
    if types.is_nested(kind):
        made = np.empty(len(of.array), dtype=object)
        made[:] = of.array.to_pylist()
        return made
    return np.asarray(of.array.to_numpy(zero_copy_only=False))


def texts(of: Cells, rule: str) -> tuple[NDArray[np.intp], list[str]]:
    """What each cell says, by number in a list of the different ones; numbers as people write
    them."""
    column = of.filled(rule)
    if types.is_floating(column.type) or types.is_decimal(column.type):
        whole = numbers(of, rule)
        wrong = np.flatnonzero(whole != np.floor(whole))  # of NaN too
        if len(wrong) or np.isinf(whole).any():
            at = int(wrong[0]) if len(wrong) else int(np.argmax(np.isinf(whole)))
            raise of.bad(at, "a whole number or a name is meant")
        column = column.cast(pa.int64(), safe=False)
    elif types.is_boolean(column.type):
        column = column.cast(pa.string())
    elif types.is_nested(column.type):
        raise of.bad(0, rule)
    coded = column.dictionary_encode()
    numbered = coded.indices.to_numpy(zero_copy_only=False).astype(np.intp)
    return numbered, [str(value) for value in coded.dictionary.to_pylist()]


def _parsed(of: Cells, kind: pa.DataType, rule: str, remedy: str, *, truths: bool) -> Array:
    column = of.array
    try:
        return np.asarray(column.cast(kind).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        pass
    if truths:
        low = pc.utf8_lower(column)
        column = pc.if_else(
            pc.equal(low, "true"), "1", pc.if_else(pc.equal(low, "false"), "0", column)
        )
        try:
            return np.asarray(column.cast(kind).to_numpy(zero_copy_only=False))
        except pa.ArrowInvalid:
            pass
    raise of.bad(first_wrong(lambda a, b: column.slice(a, b - a).cast(kind), len(column)),
                 rule, remedy)  # fmt: skip


def first_wrong(work: Callable[[int, int], Any], n: int) -> int:
    """The first of n places at which work on [a, b) fails, found by halving."""
    low, high = 0, n
    while high - low > 1:
        middle = (low + high) // 2
        try:
            work(low, middle)
        except pa.ArrowInvalid:
            high = middle
        else:
            low = middle
    return low
