"""The log that `bestpolicy export --format log` writes, read as the live study means it.

Units are read in the order of assignment up to the first one that still waits for feedback: those
behind it that have answered answered fast, and are not like the rest. A unit that was moved away
from a policy proven worse (`counts` is false) is no evidence. One whose time passed without
feedback is left out, or counts as the reward that `missing` says, as in the study file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.readers.cells import Cells, cells
from bestpolicy.offpolicy.readers.source import Part, Source, counted

COLUMNS = frozenset(
    {"number", "unit", "policy", "propensity", "reward", "ended", "counts", "chances"}
)
ROLES = {
    "action": "policy",
    "reward": "reward",
    "propensity": "propensity",
    "propensities": "chances",
    "id": "number",
    "time": "at",
}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # an apostrophe in the CSV keeps these texts


def live_log(whole: Source, missing: float | None) -> Source:
    """The rows of such a log that count."""
    seen: Counter[str] = Counter()

    def stream(names: Sequence[str], rows: int) -> Iterator[Part]:
        seen.clear()
        wanted = list(dict.fromkeys([*names, "reward", "ended", "counts"]))
        waits = False
        for part in whole.stream(wanted, rows):
            ended, counts = _truth(part, whole, "ended"), _truth(part, whole, "counts")
            upto = 0 if waits else len(ended) if ended.all() else int(np.argmin(ended))
            waits |= upto < len(ended)
            seen["units from the first on that waits for feedback"] += len(ended) - upto
            seen["units moved away from a policy proven worse"] += int((~counts[:upto]).sum())
            part = Part(part.batch.slice(0, upto), part.rows[:upto])
            yield _told(part, counts[:upto], names, whole)

    def _told(part: Part, keep: NDArray[np.bool_], names: Sequence[str], whole: Source) -> Part:
        batch = part.batch
        silent = batch.column("reward").is_null().to_numpy(zero_copy_only=False)
        if missing is None:
            seen["units whose time passed without feedback"] += int((silent & keep).sum())
            keep = keep & ~silent
        made = {name: batch.column(name) for name in names}
        if missing is not None and "reward" in made:
            worth = str(missing) if whole.untyped else missing
            kind = pa.string() if whole.untyped else pa.float64()
            made["reward"] = pc.fill_null(made["reward"].cast(kind), worth)
            seen[f"*units without feedback count as {missing:g}"] += int((silent & keep).sum())
        if whole.untyped and "policy" in made:
            made["policy"] = pa.array(
                [_plain(name) for name in made["policy"].to_pylist()], pa.string()
            )
        batch = pa.RecordBatch.from_arrays(list(made.values()), names=list(made))
        numbers = np.asarray(part.rows, dtype=np.int64)
        return Part(batch.filter(pa.array(keep)), numbers[keep])

    roles: dict[str, Any] = {k: v for k, v in ROLES.items() if v in whole.columns}
    return replace(whole, stream=stream, said=lambda: counted(seen), roles=roles)


def _truth(part: Part, whole: Source, name: str) -> NDArray[np.bool_]:
    found = cells(part, name, untyped=whole.untyped)
    column = found.filled("true or false is meant")
    if whole.untyped:
        low = pc.utf8_lower(column)
        right = pc.is_in(low, pa.array(["true", "false"])).to_numpy(zero_copy_only=False)
        if not right.all():
            raise found.bad(int(np.argmin(right)), "true or false is meant")
        column = pc.equal(low, "true")
    if not pa.types.is_boolean(column.type):
        raise Cells(column, name, part.rows).bad(0, "true or false is meant")
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _plain(name: str | None) -> str | None:
    return name[1:] if name is not None and name[:1] == "'" and name[1:2] in FORMULA else name


def needs(missing: float | None, source: Source) -> None:
    """`missing` is about this log alone."""
    if missing is not None and not set(source.columns) >= COLUMNS:
        raise ConfigError(
            "missing says what a unit without feedback counts as in a log of bestpolicy serve; "
            f"{source.label} is none such"
        )
