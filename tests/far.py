"""What the tests of the fan-out run in processes of their own: tasks, and where they ran."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from bestpolicy.bench.cells import Cell, play
from bestpolicy.bench.pool import players
from bestpolicy.core.rng import stream
from bestpolicy.fanout import engine

CELL = Cell("easy4", "llm-po", False, 0.05, 10_000, 4)


def draw(i: int) -> float:
    return float(stream(7, "draw", i).random())


def careless(i: int) -> float:
    return random.random()


def raises(i: int) -> float:
    raise ValueError(f"task {i}")


def drawn(task: Callable[[int], float]) -> list[float]:
    with players(2) as pool:
        return list(pool.map(task, range(12)))


def both(task: Callable[[int], float]) -> list[list[float]]:
    """The same tasks in processes, and on a cluster."""
    here = drawn(task)
    with engine("ray"):
        return [here, drawn(task)]


def studies() -> list[object]:
    with engine("ray"), players(1) as pool:
        there = pool.submit(play, CELL, 0, 4, 3).result()
    return [play(CELL, 0, 4, 3), there]


def error() -> str:
    with engine("ray"), players(1) as pool:
        found = pool.submit(raises, 3).exception()
    return f"{isinstance(found, ValueError)} {found}"


WHAT: dict[str, Callable[[], object]] = {
    "draw": lambda: both(draw),
    "careless": lambda: both(careless),
    "studies": studies,
    "error": error,
}


def main(what: str) -> None:
    print(json.dumps(WHAT[what]()))
