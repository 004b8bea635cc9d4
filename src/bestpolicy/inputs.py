"""Inputs: which row a duel is about.

Answers that share an input are not independent, so by default a pair meets every input at most
once, in random order, those first that the study has used least. Rows that are the same, or that
share a value in the column `cluster` (one conversation, one customer), are one input. The claim is
then about where the rows came from. Drawing independently with replacement (`reuse`) makes the
claim about this very list. Passing over a short list again and again would make neither.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from bestpolicy.core.nouns import Comparison, ConfigError, Rng
from bestpolicy.store.rows import canonical

NEVER = np.iinfo(np.int32).max


class Inputs:
    """The rows of a study, and which of them each pair has had."""

    def __init__(self, rows: object, *, reuse: bool, cluster: str | None = None) -> None:
        if isinstance(rows, str) or not isinstance(rows, Sequence) or not rows:
            raise ConfigError(f"inputs must be a list with at least one row, saw {rows!r:.60}")
        self.rows: tuple[Any, ...] = tuple(rows)
        self.reuse = reuse
        texts = [_text(i, row) for i, row in enumerate(self.rows)]
        self.digest = _digest(texts if cluster is None else [*texts, canonical(cluster)])
        if cluster is not None and reuse:
            raise ConfigError(
                "cluster: inputs drawn independently with replacement need no clusters, as the "
                "verdict is about this very list: leave cluster out, or reuse_inputs"
            )
        if cluster is not None:
            texts = [_value(i, row, cluster) for i, row in enumerate(self.rows)]
        numbers: dict[str, int] = {}
        self._input = np.array([numbers.setdefault(text, len(numbers)) for text in texts])
        self.different = len(self.rows) if reuse else len(numbers)
        self._uses = np.zeros(self.different, np.int32)
        # Whole numbers packed, so that numpy reads them in place.
        self._had: defaultdict[tuple[int, int], array[int]] = defaultdict(lambda: array("i"))
        self.a_pair_has_had_all = False

    def note(self, comparison: Comparison) -> None:
        """Remember what a pair has been asked about."""
        if self.reuse:
            return
        had = self._had[_pair(comparison)]
        which = int(self._input[comparison.context])
        had.append(which)
        self._uses[which] += 1
        self.a_pair_has_had_all |= len(had) >= self.different

    def draw(self, asking: Comparison, planned: Sequence[Comparison], rng: Rng) -> int | None:
        """The number of a row for this pair; None when it has had them all.

        `planned` are questions of the same batch, which are not noted yet.
        """
        if self.reuse:
            return int(rng.integers(len(self.rows)))
        pair = _pair(asking)
        uses = self._uses.copy()
        for other in planned:
            uses[self._input[other.context]] += 1
        for other in planned:
            if _pair(other) == pair:
                uses[self._input[other.context]] = NEVER
        if pair in self._had:
            uses[np.frombuffer(self._had[pair], np.intc)] = NEVER
        least = uses.min()
        if least == NEVER:
            return None
        candidates = np.flatnonzero(uses == least)
        which = candidates[rng.integers(len(candidates))]
        if self.different == len(self.rows):
            return int(which)
        rows = np.flatnonzero(self._input == which)
        return int(rows[rng.integers(len(rows))])


def _pair(comparison: Comparison) -> tuple[int, int]:
    a, b = comparison.arms
    return (a, b) if a < b else (b, a)


def _text(i: int, row: Any) -> str:
    if not isinstance(row, str | Mapping):
        raise ConfigError(
            f"inputs: row {i} must be a text or a mapping of column to value, saw {row!r:.60}"
        )
    try:
        return canonical(row if isinstance(row, str) else dict(row))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"inputs: row {i} holds more than JSON values: {error}") from error


def _value(i: int, row: Any, cluster: str) -> str:
    if isinstance(row, str) or cluster not in row:
        known = "no columns, it is a text" if isinstance(row, str) else ", ".join(row)
        raise ConfigError(f"cluster: no column {cluster!r} in input row {i}; it has {known}")
    return canonical(row[cluster])


def _digest(texts: Sequence[str]) -> str:
    """One hash of all rows: the record keeps it in the place of their text."""
    seen = sha256()
    for text in texts:
        seen.update(text.encode() + b"\n")
    return f"sha256:{seen.hexdigest()}"
