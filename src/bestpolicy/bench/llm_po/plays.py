"""How a figure plays: any preference matrix, any telling, any number in flight, many times over.

Every replication has a stream and a numbering of the policies of its own, as in bench/cells.py;
what is watched of a run is given back in the numbering of the matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import sqrt
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.console import Console
from rich.progress import track

from bestpolicy import designs
from bestpolicy.bench.pool import elsewhere, players
from bestpolicy.core.duels import DuelState
from bestpolicy.core.loop import rollout
from bestpolicy.core.nouns import Array, Design, Verdict
from bestpolicy.core.rng import stream
from bestpolicy.core.strengths import Structure
from bestpolicy.worlds import truth
from bestpolicy.worlds.preference import Preference, renumbered

Task = TypeVar("Task")
T = TypeVar("T")
DELTA = 0.05
QUICKER = 8  # times fewer replications in the quick form
FEWEST = 6
TOLD = ("free", "structured", "trusted")


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """What is played: a truth, a design, and what the design is told of the truth."""

    name: str  # of the truth; runs that share it share their numberings
    p: Array  # (K, K)
    design: str = "llm-po"
    assume_winner: bool = True
    delta: float = DELTA
    cap: int = 100_000
    told: str = "free"  # or "structured": it steers; or "trusted": it may prove
    x: Array | None = None  # (K, d) features; without them a structure is Bradley-Terry
    in_flight: int = 1

    @property
    def floor(self) -> float:
        """The fewest comparisons, on average, of any design that is told no structure."""
        return truth.floor(self.p, self.delta, assume_winner=self.assume_winner)

    @property
    def streams(self) -> str:
        asked = "winner" if self.assume_winner else "winner or none"
        return f"{self.name}/{self.design}/{asked}/{self.delta:g}/{self.told}/{self.in_flight}"

    def begin(self, seed: int, r: int) -> tuple[Design[Any], Preference, NDArray[np.intp]]:
        """The design, the renumbered truth, and which policy of the matrix each number is."""
        order = stream(seed, f"bench/policies/{self.name}", r).permutation(len(self.p))
        structure = None
        if self.told != "free":
            x = None if self.x is None else self.x[order]
            structure = Structure.of(x, len(order), trust=self.told == "trusted")
        design = designs.make(
            self.design,
            policies=len(order),
            delta=self.delta,
            assume_winner=self.assume_winner,
            structure=structure,
        )
        return design, renumbered(Preference(self.p), order), order


class Played(NamedTuple):
    comparisons: int
    kind: str
    wrong: bool


@dataclass(frozen=True, slots=True)
class Plays:
    """With what force a figure is played."""

    quick: bool = True
    seed: int = 0
    replications: int | None = None  # instead of each figure's own
    processes: int = 1
    console: Console = field(default_factory=Console)

    def runs(self, full: int) -> int:
        """Of `full` replications, as many as this form plays."""
        return self.replications or (max(FEWEST, full // QUICKER) if self.quick else full)

    def each(
        self, play: Callable[[Task, int, int], T], tasks: Sequence[Task], runs: int
    ) -> list[list[T]]:
        """play(task, seed, r) for r = 0 .. runs - 1 of every task; the same for any processes."""
        jobs = [(task, r) for task in tasks for r in range(runs)]
        work = partial(_one, play, self.seed)
        if self.processes == 1 and not elsewhere():
            found = [work(job) for job in self._watched(jobs)]
        else:
            with players(self.processes) as pool:
                done = pool.map(work, jobs, chunksize=max(1, min(20, runs // self.processes)))
                found = list(self._watched(done, len(jobs)))
        return [found[i * runs : (i + 1) * runs] for i in range(len(tasks))]

    def _watched(self, jobs: Any, total: int | None = None) -> Any:
        hidden = not self.console.is_terminal
        return track(jobs, "playing", total, console=self.console, transient=True, disable=hidden)


def once(match: Match, seed: int, r: int) -> Played:
    """One run to its verdict or its cap."""
    verdict, _, order = to_the_end(match, seed, r)
    return Played(verdict.comparisons, verdict.kind, is_mistaken(verdict, match, order))


def to_the_end(match: Match, seed: int, r: int) -> tuple[Verdict[int], DuelState, NDArray[np.intp]]:
    """The verdict, the state it was read from, and which policy of the matrix each number is."""
    design, world, order = match.begin(seed, r)
    states = [design.init()]
    verdict = rollout(
        design,
        world,
        stream(seed, f"bench/llm-po/{match.streams}", r),
        budget=match.cap,
        in_flight=match.in_flight,
        watch=lambda state, _: states.__setitem__(0, state),
    )
    return verdict, states[0], order


def is_mistaken(verdict: Verdict[int], match: Match, order: NDArray[np.intp]) -> bool:
    """Whether a verdict claims what is not so, ties included.

    Where a winner is assumed, whoever loses to nobody may be named; else it has to beat everyone.
    """
    p = match.p
    if verdict.kind == "winner" and verdict.policy is not None:
        i = int(order[verdict.policy])
        others = np.delete(p[i], i)
        return bool((others < 0.5).any() if match.assume_winner else (others <= 0.5).any())
    return verdict.kind == "no-winner" and bool((p >= 0.5).all(axis=1).any())


def spread(values: ArrayLike) -> dict[str, float]:
    """A mean with its 95 % interval, by the normal law."""
    v = np.asarray(values, float)
    half = 1.96 * float(v.std(ddof=1)) / sqrt(len(v)) if len(v) > 1 else float("inf")
    mean = float(v.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": len(v)}


def quotient(above: ArrayLike, below: ArrayLike, *, paired: bool = False) -> dict[str, float]:
    """mean(above) / mean(below) with its 95 % interval (delta method, on the log)."""
    a, b = np.asarray(above, float), np.asarray(below, float)
    ratio = float(a.mean() / b.mean())
    if paired:
        variance = float(np.var(a / a.mean() - b / b.mean(), ddof=1)) / len(a)
    else:
        variance = sum(float(v.var(ddof=1)) / v.mean() ** 2 / len(v) for v in (a, b))
    times = float(np.exp(1.96 * sqrt(variance)))
    return {"mean": ratio, "low": ratio / times, "high": ratio * times, "n": len(a)}


def _one(play: Callable[[Task, int, int], T], seed: int, job: tuple[Task, int]) -> T:
    task, r = job
    return play(task, seed, r)
