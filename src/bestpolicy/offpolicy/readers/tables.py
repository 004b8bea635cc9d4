"""Tables: the chances of all actions, however a log holds them.

listed   a list in one column, or a column for each action: by place
named    a mapping in one column (a struct, or JSON text): by name; whom it does not name had none
"""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from bestpolicy.core.log import BadRow
from bestpolicy.core.nouns import Array
from bestpolicy.offpolicy.readers.books import Book
from bestpolicy.offpolicy.readers.cells import Cells, cells, numbers
from bestpolicy.offpolicy.readers.source import Part

Kind = Literal["listed", "named"]
RULE = "the chances of all actions are meant: a list of numbers, or a mapping of action to number"


def kind_of(part: Part, said: str | tuple[str, ...], *, untyped: bool) -> Kind:
    """How a log holds the chances, seen from its first rows."""
    if not isinstance(said, str):
        return "listed"
    of = cells(part, said, untyped=untyped)
    column = of.filled(RULE)
    if types.is_struct(column.type) or types.is_map(column.type):
        return "named"
    if _is_list(column.type):
        return "listed"
    if types.is_string(column.type):
        start = column[0].as_py().lstrip()[:1]
        if start in ("{", "["):
            return "named" if start == "{" else "listed"
    raise of.bad(0, RULE)


def listed(
    part: Part, said: str | tuple[str, ...], width: int, *, ragged: bool, untyped: bool
) -> Array:
    """(m, A) chances by place. Rows are as long as each other, and as `width` if that is not 0;
    where the format lets rows differ, places beyond a row's end have no chance."""
    if not isinstance(said, str):
        rule = "a chance is meant"
        each = [numbers(cells(part, name, untyped=untyped), rule) for name in said]
        return np.stack(each, axis=1)
    of = cells(part, said, untyped=untyped)
    column = of.filled(RULE)
    if types.is_string(column.type):
        column = _lists(of)
    if not _is_list(column.type):
        raise of.bad(0, RULE)
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    longest = max(int(lengths.max()), width)
    flat = column.flatten()
    if not (types.is_floating(flat.type) or types.is_integer(flat.type)):
        raise of.bad(0, RULE)
    chances = np.asarray(flat.cast(pa.float64()).to_numpy(zero_copy_only=False))
    wrong = lengths != (width or lengths[0])
    if not wrong.any():
        return chances.reshape(len(lengths), -1)
    if not ragged:
        i = int(np.argmax(wrong))
        raise of.bad(i, f"there must be {width or int(lengths[0])} chances, as in the rows before")
    table = np.zeros((len(lengths), longest))
    table[np.arange(longest) < lengths[:, None]] = chances
    return table


def named(part: Part, said: str, book: Book, *, untyped: bool) -> Array:
    """(m, A) chances by name; an open book takes in the names."""
    of = cells(part, said, untyped=untyped)
    column = of.filled(RULE)
    if types.is_struct(column.type):
        keys = [column.type.field(i).name for i in range(column.type.num_fields)]
        made = np.zeros((len(column), len(keys)))
        for i, field in enumerate(column.flatten()):
            one = pc.fill_null(field, 0.0) if field.null_count else field
            if not types.is_null(field.type):
                made[:, i] = numbers(
                    Cells(one, f"{said}.{keys[i]}", part.rows), "a chance is meant"
                )
        return _placed(of, keys, made, book)
    if types.is_map(column.type):
        return _mappings(of, [dict(pairs) for pairs in column.to_pylist()], book)
    if not types.is_string(column.type):
        raise of.bad(0, RULE)
    # Few rows differ in what a logger did with everybody: each text is read once.
    coded = column.dictionary_encode()
    at = coded.indices.to_numpy(zero_copy_only=False)
    first = {int(code): i for i, code in reversed(list(enumerate(at)))}
    texts = [
        _parsed(text, of, first[code], dict)
        for code, text in enumerate(coded.dictionary.to_pylist())
    ]
    rows = np.array([of.rows[first[code]] for code in range(len(texts))])
    made = _mappings(Cells(coded.dictionary, of.name, rows), texts, book)
    return np.asarray(made[at])


def _mappings(of: Cells, found: list[dict[str, Any]], book: Book) -> Array:
    keys = list(dict.fromkeys(key for one in found for key in one))
    places = {key: i for i, key in enumerate(keys)}
    made = np.zeros((len(found), len(keys)))
    for i, one in enumerate(found):
        for key, value in one.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BadRow(int(of.rows[i]), f"{of.name}.{key}", value, "a chance is meant")
            made[i, places[key]] = value
    return _placed(of, keys, made, book)


def _placed(of: Cells, keys: list[str], chances: Array, book: Book) -> Array:
    numbered = [book.number(str(key)) for key in keys]
    for i, number in enumerate(numbered):
        if number < 0 and (chances[:, i] != 0).any():
            row = int(np.argmax(chances[:, i] != 0))
            known = ", ".join(book.names[:8])
            raise BadRow(int(of.rows[row]), of.name, keys[i], f"the actions are {known}")
    table = np.zeros((len(chances), len(book.numbers)))
    for i, number in enumerate(numbered):
        if number >= 0:
            table[:, number] = chances[:, i]
    return table


def _is_list(kind: pa.DataType) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _lists(of: Cells) -> pa.Array:
    found = [_parsed(text, of, i, list) for i, text in enumerate(of.array.to_pylist())]
    for i, one in enumerate(found):
        if any(isinstance(x, bool) or not isinstance(x, int | float) for x in one):
            raise of.bad(i, RULE)
    return pa.array(found, pa.list_(pa.float64()))


def _parsed(text: str, of: Cells, i: int, kind: type) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise of.bad(i, RULE, f"{error}") from error
    if not isinstance(found, kind):
        raise of.bad(i, RULE)
    return found
