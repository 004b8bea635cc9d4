"""Lines: what a diagnosis is made of, and the words its numbers are said in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "stop", "unchecked"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing looked at."""

    name: str  # stable, for JSON
    said: str  # what was seen, in words with its numbers
    verdict: Level
    value: float | None = None
    advice: str = ""  # what to do about it, where something is to be done
    binds: bool = True  # whether a stop stops everything, or only the estimators it speaks of


def graded(value: float, warn: float, stop: float) -> Level:
    """ok up to and with `warn`, then warn up to and with `stop`; `warn > stop`: more is better."""
    if warn > stop:
        return graded(-value, -warn, -stop)
    return "ok" if value <= warn else "warn" if value <= stop else "stop"


def several(names: list[str], most: int = 3) -> str:
    """A few of them, and how many more."""
    said = ", ".join(names[:most])
    return said if len(names) <= most else f"{said} and {len(names) - most:,} more"


def some(value: float) -> str:
    """Three digits of a number, without an exponent while it is no larger than a million."""
    return f"{value:,.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"
