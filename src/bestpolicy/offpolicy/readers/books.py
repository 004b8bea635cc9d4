"""Books: what the different values of a column are called, and their numbers.

Actions come by name or by number, and numbers begin at 0 or at 1: which is found out and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import SUM_TOLERANCE, Ints
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.offpolicy.readers.cells import Cells, numbers, texts
from bestpolicy.offpolicy.readers.guess import nearest

WHOLE = re.compile(r"0|-?[1-9][0-9]*")
MOST = 1_000_000  # different actions; more are no actions, but ids of something
DENSE = 10  # numbers from 0 or 1 to the largest, for each that was seen, are all actions


class Book:
    """Names and their numbers; an open book takes in names that it has not seen."""

    def __init__(self, names: Iterable[str] = (), *, open: bool = True) -> None:  # noqa: A002
        self.numbers = {name: i for i, name in enumerate(names)}
        self.open = open

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.numbers)

    def code(self, of: Cells, rule: str) -> Ints:
        """(m,) the number of what each cell says."""
        coded, words = texts(of, rule)
        known = np.array([self.number(word) for word in words], dtype=np.intp)
        if (known < 0).any():
            i = int(np.argmax(known[coded] < 0))
            word = words[coded[i]]
            raise of.bad(i, f"it must be one of those known; {nearest(word, self.names)}")
        return np.asarray(known[coded], dtype=np.intp)

    def number(self, name: str) -> int:
        """The number of a name, -1 for one that a closed book does not have."""
        found = self.numbers.get(name, -1)
        if found < 0 and self.open:
            found = self.numbers[name] = len(self.numbers)
            if found >= MOST:
                raise ConfigError(
                    f"more than {MOST:,} different values: this is no column of names"
                )
        return found

    def closed(self) -> Book:
        """The same names, and no others."""
        return Book(self.names, open=False)

    def settled(self) -> Book:
        """The same names, in rising order, and no others."""
        return Book(rising(self.names), open=False)


def rising(names: Sequence[str]) -> list[str]:
    """Names in order, numbers among themselves by size."""
    if all(WHOLE.fullmatch(name) for name in names):
        return sorted(names, key=int)
    return sorted(names)


def named_actions(book: Book) -> tuple[Book, str]:
    """The book of actions once all were seen, and what it was found to be."""
    names = rising(book.names)
    if not all(WHOLE.fullmatch(name) for name in names):
        return Book(names, open=False), f"actions are {len(names)} names: {_some(names)}"
    low, high = int(names[0]), int(names[-1])
    every = high - low + 1
    if low not in (0, 1) or every > max(1000, DENSE * len(names)):
        told = f"actions are {len(names)} numbers from {low} to {high}, taken as names"
        return Book(names, open=False), told
    never = f"; {every - len(names)} were never logged" if every > len(names) else ""
    told = f"actions are numbered from {low}: {every} of them, {low} … {high}{never}"
    return Book(map(str, range(low, high + 1)), open=False), told


class Positions:
    """Actions by their place in a list of chances; whether places count from 0 or 1 is found out
    from the rows: the chance at the right place is the one that was logged."""

    def __init__(self, base: int | None = None, width: int = 0) -> None:
        self.bases = [0, 1] if base is None else [base]
        self.width = width

    def code(self, of: Cells, table: Array | None, p: Array | None) -> Ints:
        """(m,) the places that the cells mean, as far as is known by now."""
        whole = _whole(of)
        if len(self.bases) > 1:
            wrong = [self._first_wrong(whole - base, table, p) for base in self.bases]
            late = max(wrong)
            self.bases = [b for b, at in zip(self.bases, wrong, strict=True) if at == late]
        base = self.bases[0]
        places = whole - base
        inside = (places >= 0) & (places < self.width)
        if not inside.all():
            i, last = int(np.argmin(inside)), base + self.width - 1
            raise of.bad(i, f"actions are numbered from {base} to {last}")
        return np.asarray(places, dtype=np.intp)

    def _first_wrong(self, places: NDArray[np.int64], table: Array | None, p: Array | None) -> int:
        right = (places >= 0) & (places < self.width)
        if table is not None and p is not None:
            own = table[np.arange(len(places)), np.clip(places, 0, self.width - 1)]
            right &= np.abs(own - p) <= SUM_TOLERANCE
        return len(places) if right.all() else int(np.argmin(right))

    def settled(self) -> tuple[Positions, str]:
        """The one numbering that fits."""
        if len(self.bases) > 1:
            raise ConfigError(
                f"actions may be numbered from 0 or from 1: both fit {self.width} chances a row "
                "and every row; say which with names=(…), the actions in the order of their chances"
            )
        base = self.bases[0]
        told = f"actions are numbered from {base}: {self.width} of them, {base} … "
        return Positions(base, self.width), told + str(base + self.width - 1)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(self.bases[0] + i) for i in range(self.width))


def _whole(of: Cells) -> NDArray[np.int64]:
    rule = "a whole number is meant, the place of the action among its chances"
    remedy = "or name the actions in the order of their chances: names=(…)"
    found = numbers(of, rule, remedy)
    whole = np.isfinite(found) & (found == np.floor(found)) & (np.abs(found) < 2**31)
    if not whole.all():
        raise of.bad(int(np.argmin(whole)), rule, remedy)
    return found.astype(np.int64)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
