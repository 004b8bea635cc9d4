"""A duel: two policies on one input, and how a policy's duels went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Duel:
    """One question to whoever judges: which of the two does better on this input?"""

    id: int
    left: str
    right: str
    input: Any = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Tally:
    """How a policy's answered duels went; those abandoned are in none of the counts."""

    comparisons: int
    wins: int
    ties: int
    losses: int
