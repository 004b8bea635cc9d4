"""One cell of a table: one design on one known truth, played many times over.

Every replication has a stream of its own and its own numbering of the policies, so a table is the
same however many processes play it, and no design gains from the winner being number 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from hashlib import sha256
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

import bestpolicy
from bestpolicy import designs
from bestpolicy.bench.pool import elsewhere, players
from bestpolicy.bench.shares import Share, share
from bestpolicy.core.loop import rollout
from bestpolicy.core.nouns import Verdict
from bestpolicy.core.rng import stream
from bestpolicy.core.strengths import Structure
from bestpolicy.worlds import truth
from bestpolicy.worlds.preference import INSTANCES, STRUCTURES, Preference, renumbered

CHUNK = 20  # replications per task: small enough to share out evenly, large enough to be worth it


@dataclass(frozen=True, slots=True)
class Cell:
    """What is played: the instance, the design and what it is told."""

    instance: str
    design: str
    assume_winner: bool
    delta: float
    cap: int
    replications: int
    indifference: float = 0.0
    structure: str = "free"
    trust: bool = False

    @property
    def name(self) -> str:
        name = self.design if self.assume_winner else f"{self.design}, winner or none"
        if self.structure != "free":
            name += f", {self.structure}" + (" trusted" if self.trust else "")
        return name

    def assumed(self, order: NDArray[np.intp]) -> Structure | None:
        """The structure told to the design, policies renumbered by `order`."""
        if self.structure == "free":
            return None
        described = self.structure == "features"
        if self.structure == "auto" and self.instance in STRUCTURES:
            described = STRUCTURES[self.instance]()[0].shape[1] < len(order)
        x = STRUCTURES[self.instance]()[0][order] if described else None
        return Structure.of(x, len(order), trust=self.trust)

    @property
    def floor(self) -> float:
        """The fewest comparisons of any design with this error: T kl(delta, 1 - delta)."""
        p = INSTANCES[self.instance]().p
        return truth.floor(p, self.delta, assume_winner=self.assume_winner)


class Run(NamedTuple):
    comparisons: int
    kind: str
    wrong: bool
    habit_after: int | None = None  # when a customary stop was first seen reached
    habit_wrong: bool = False


@dataclass(frozen=True, slots=True)
class Habitual:
    """Where the customary stop of a design would have stopped: no certificate, for comparison."""

    mean: float  # comparisons; runs in which it was never reached count at their end
    stderr: float
    reached: float  # share of runs
    wrong: Share  # of all runs: it would have named another policy

    def __str__(self) -> str:
        return (
            f"GLR, not certified: {self.mean:,.0f} ± {self.stderr:,.0f} comparisons to the "
            f"customary stop, reached in {self.reached:.1%}, wrong {self.wrong} %"
        )

    def as_json(self) -> dict[str, Any]:
        """The same under stable names."""
        return {
            "certified": False,
            "comparisons": self.mean,
            "comparisons_stderr": self.stderr if self.wrong.n > 1 else None,
            "reached": self.reached,
            "wrong": self.wrong.value,
            "wrong_interval": [self.wrong.low, self.wrong.high],
        }


@dataclass(frozen=True, slots=True)
class Result:
    """What a cell's replications showed."""

    cell: Cell
    mean: float  # comparisons; runs cut at the cap count at the cap
    stderr: float
    ratio: float  # mean / floor
    wrong: Share
    cut: float  # share of runs undecided at the cap
    kinds: dict[str, int]
    habit: Habitual | None = None  # of a design that has one


def play(cell: Cell, first: int, count: int, seed: int) -> list[Run]:
    """Replications `first` to `first + count - 1` of a cell."""
    return [_once(cell, INSTANCES[cell.instance](), seed, r) for r in range(first, first + count)]


def is_wrong(verdict: Verdict[int], world: Preference) -> bool:
    """Whether a verdict claims what is not so. Undecided claims nothing."""
    if verdict.kind == "winner":
        return verdict.policy != world.winner
    return verdict.kind == "no-winner" and world.winner is not None


def summary(cell: Cell, runs: Sequence[Run]) -> Result:
    """Means, the ratio to the floor, and the wrong share against its promise."""
    kinds = [run.kind for run in runs]
    mean, stderr = _mean([run.comparisons for run in runs])
    return Result(
        cell,
        mean,
        stderr,
        mean / cell.floor,
        share(sum(run.wrong for run in runs), len(runs), promised=cell.delta),
        kinds.count("undecided") / len(runs),
        {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        _habitual(cell, runs),
    )


def play_all(
    cells: Sequence[Cell],
    *,
    seed: int,
    processes: int | None = None,
    console: Console,
    keep: Callable[[Result], object] | None = None,
) -> list[Result]:
    """Every cell, shared out over `processes` (all cores when None); progress on a terminal.

    `keep` gets each result as soon as it is there, so that a long table need not be lost."""
    tasks = [
        (i, first, min(CHUNK, cell.replications - first))
        for i, cell in enumerate(cells)
        for first in range(0, cell.replications, CHUNK)
    ]
    runs: dict[int, dict[int, list[Run]]] = {i: {} for i in range(len(cells))}
    results: dict[int, Result] = {}
    processes = processes or os.cpu_count() or 1
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("playing", total=sum(cell.replications for cell in cells))

        def landed(i: int, first: int, played: list[Run]) -> None:
            runs[i][first] = played
            progress.advance(bar, len(played))
            if sum(map(len, runs[i].values())) == cells[i].replications:
                results[i] = summary(cells[i], [r for f in sorted(runs[i]) for r in runs[i][f]])
                console.print(_line(results[i]), highlight=False)
                if keep is not None:
                    keep(results[i])

        if processes == 1 and not elsewhere():
            for i, first, count in tasks:
                landed(i, first, play(cells[i], first, count, seed))
        else:
            with players(processes) as pool:
                waiting: dict[Future[list[Run]], tuple[int, int]] = {
                    pool.submit(play, cells[i], first, count, seed): (i, first)
                    for i, first, count in tasks
                }
                for done in as_completed(waiting):
                    landed(*waiting[done], done.result())
    return [results[i] for i in range(len(cells))]


def code_digest() -> str:
    """One hash of everything that a cell's figures follow from, its seed and settings aside."""
    root = Path(bestpolicy.__file__).parent
    files = [root / "bench" / "cells.py"]
    for room in ("core", "designs", "worlds"):
        files += sorted((root / room).glob("*.py"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _habitual(cell: Cell, runs: Sequence[Run]) -> Habitual | None:
    reached = [run.habit_after is not None for run in runs]
    if not any(reached):
        return None
    after = [run.comparisons if (n := run.habit_after) is None else n for run in runs]
    wrong = share(sum(run.habit_wrong for run in runs), len(runs), promised=cell.delta)
    return Habitual(*_mean(after), sum(reached) / len(runs), wrong)


def _mean(counts: Sequence[int]) -> tuple[float, float]:
    """Of comparisons, with its standard error."""
    n = np.array(counts, float)
    spread = n.std(ddof=1) / sqrt(len(n)) if len(n) > 1 else float("nan")
    return float(n.mean()), float(spread)


def _line(result: Result) -> str:
    """What is said of a cell as soon as it is done, for those who watch a long table."""
    cell = result.cell
    floor = f"{result.ratio:.2f} of the floor, " if result.ratio else ""
    return (
        f"{cell.instance}, {cell.name}, delta {cell.delta:g}: {result.mean:,.0f} comparisons, "
        f"{floor}{result.wrong.count} of {cell.replications} wrong"
    )


def _once(cell: Cell, instance: Preference, seed: int, r: int) -> Run:
    # The same numbering for every design: they meet the same worlds.
    order = stream(seed, f"bench/policies/{cell.instance}", r).permutation(instance.policies)
    world = renumbered(instance, order)
    design = designs.make(
        cell.design,
        policies=world.policies,
        delta=cell.delta,
        indifference=cell.indifference,
        assume_winner=cell.assume_winner,
        structure=cell.assumed(order),
    )
    name = f"bench/{cell.instance}/{cell.name}/{cell.delta}"
    last = [design.init()]
    rng = stream(seed, name, r)
    verdict = rollout(
        design, world, rng, budget=cell.cap, watch=lambda state, _: last.__setitem__(0, state)
    )
    run = Run(verdict.comparisons, verdict.kind, is_wrong(verdict, world))
    habit = design.standing(last[0]).habit
    if habit is None or habit.after is None:
        return run
    return run._replace(habit_after=habit.after, habit_wrong=habit.policy != world.winner)
