"""A figure: plays become rows, and rows become a sentence, a table and a drawing.

Everything that is said of a figure is reckoned from its rows, so that the page, the terminal and
the drawing cannot say different things.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bestpolicy.bench.llm_po.plays import Plays
from bestpolicy.bench.shares import share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]  # JSON values only


@dataclass(frozen=True, slots=True)
class Figure:
    """One section of llm-po.json, one llm-po-<name>.svg, one heading of the page."""

    name: str
    title: str
    rows: Callable[[Plays], list[Row]]
    says: Callable[[Sequence[Row]], str]  # what it shows, in a sentence
    cells: Callable[[Row], dict[str, str]]  # a line of its table, by column
    draw: Callable[[Axes, Sequence[Row]], None]


def counted(count: int, n: int, promised: float) -> Row:
    """A counted share of wrong verdicts with its interval and whether it keeps the promise."""
    found = share(count, n, promised=promised)
    return {**asdict(found), "share": found.value}


def number(value: Mapping[str, float], digits: int = 0) -> str:
    """A mean with its interval, in words."""
    mean, low, high = (f"{value[name]:,.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def percent(value: Mapping[str, Any]) -> str:
    """A share of wrong verdicts with its interval, in per cent, and an alarm."""
    low, high = 100 * value["low"], 100 * value["high"]
    broken = "" if value.get("passes", True) else " BROKEN"
    return f"{100 * value['share']:.1f} [{low:.1f}, {high:.1f}]{broken}"


def bars(values: Sequence[Mapping[str, float]], name: str = "mean") -> list[list[float]]:
    """How far each interval reaches below and above its value, as errorbar wants it."""
    return [
        [max(v[name] - v["low"], 0) for v in values],
        [max(v["high"] - v[name], 0) for v in values],
    ]
