"""Accuracy: how far estimates fall from a known value, and how often their intervals hold it.

A cell is a world with its overlap and its leak; each replication is a fresh log of it, on which a
model of the reward is learnt (cross-fitted ridge) and every estimator is asked. Rewards are 0 or 1.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from bestpolicy.bench.pool import elsewhere, players
from bestpolicy.bench.shares import share
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.evaluate import ESTIMATORS
from bestpolicy.offpolicy.marginal import cluster_marginal, true_marginal
from bestpolicy.offpolicy.marginal_models import estimated_marginal
from bestpolicy.offpolicy.reward_models import fitted
from bestpolicy.offpolicy.rows import Estimator, Given, Proof, parts
from bestpolicy.offpolicy.targets import target_of
from bestpolicy.offpolicy.weighting import clipped_ips
from bestpolicy.worlds.logged_embedded import Embedded

Row = dict[str, Any]
ALPHA, CHUNK = 0.05, 25
POOR = 50  # effective rows below which the normal interval of ips is known to fail
FLAGGED = 4.5  # standard errors: an unbiased estimator is called biased once in 150,000 cells
BETTING, ESTIMATED, TWIN = "betting", "mips, estimated", "twin: w clipped at 1"
GIVEN = {"predictions", "pair", "marginal", "cluster"}  # what this world has to give
PROMISED = {"ips", "dr"}  # unbiased wherever the log says the right chances
# Coverage and width in the method note, section 5, in another world of the same kind.
REFERENCE = {
    ("ips", 0.3, 5000): (0.92, 0.15),
    ("snips", 0.3, 5000): (0.94, 0.08),
    (BETTING, 0.3, 5000): (1.00, 0.14),
    ("ips", 2.0, 5000): (0.90, 0.58),
    ("snips", 2.0, 5000): (0.90, 0.07),
    (BETTING, 2.0, 5000): (1.00, 0.38),
    ("ips", 2.0, 500): (0.84, 1.49),
    ("snips", 2.0, 500): (0.83, 0.19),
    (BETTING, 2.0, 500): (1.00, 0.71),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One world and size of its logs."""

    name: str
    g: float  # how far the target is from the log
    n: int
    leak: float

    @property
    def looks(self) -> str:
        return "carries all" if not self.leak else "leaks"

    def world(self, seed: int) -> Embedded:
        return Embedded(self.g, seed=seed, leak=self.leak)


CELLS = tuple(
    Cell(name, g, n, leak)
    for name, g, n in (("good", 0.3, 5000), ("poor", 2.0, 5000), ("poor, few rows", 2.0, 500))
    for leak in (0.0, 0.5)
)


def asked() -> dict[str, Estimator]:
    """The registered estimators that this world can give what they need."""
    return {name: one for name, one in ESTIMATORS.items() if set(one.needs) <= GIVEN}


def absent() -> list[str]:
    """Those that need what this world has not."""
    return [name for name in ESTIMATORS if name not in asked()]


def names() -> list[str]:
    return [*asked(), ESTIMATED, TWIN, BETTING]


def play(cell: Cell, first: int, count: int, seed: int) -> Array:
    """(count, estimators, 4) value, low, high and effective rows, of these replications."""
    world = cell.world(seed)
    return np.stack([_once(cell, world, seed, r) for r in range(first, first + count)])


def _once(cell: Cell, world: Embedded, seed: int, replication: int) -> Array:
    rng = stream(seed, f"bench/ope/{cell.g}/{cell.n}/{cell.leak}", replication)
    log, _ = world.log(cell.n, rng)
    target = target_of(world.target, log)
    model = fitted(log, rng=rng)
    given = Given(
        predictions=model,
        pair=model.pair,
        marginal=true_marginal(world.looks, "e"),
        cluster=cluster_marginal(world.clusters),
    )
    learnt = replace(given, marginal=estimated_marginal(log, target, "e", rng=rng))
    (rows,), (others,) = parts(log, target, given), parts(log, target, learnt)
    sums = [one.terms(rows) for one in asked().values()]
    sums += [ESTIMATORS["mips"].terms(others), clipped_ips.terms(rows, most=1.0)]
    proof = Proof.of(rows)
    found = [*(s.normal(ALPHA) for s in sums), proof.interval(ALPHA)]
    return np.array([[f.value, f.low, f.high, proof.effective] for f in found])


def summary(cell: Cell, truth: tuple[float, float], played: Array) -> list[Row]:
    """What the replications of a cell say of each estimator."""
    return [_row(cell, truth, name, played[:, i]) for i, name in enumerate(names())]


def _row(cell: Cell, truth: tuple[float, float], name: str, found: Array) -> Row:
    value, low, high, effective = found.T
    known, unsure = truth
    runs, bias = len(value), float(value.mean() - known)
    sd = float(value.std(ddof=1))
    error = float(np.hypot(sd / np.sqrt(runs), unsure))
    held = int(((low <= known) & (known <= high)).sum())
    missed = share(runs - held, runs, promised=ALPHA)
    width = float((high - low).mean())
    reference = REFERENCE.get((name, cell.g, cell.n))
    return {
        "cell": cell.name,
        "looks": cell.looks,
        "g": cell.g,
        "n": cell.n,
        "runs": runs,
        "effective": float(np.median(effective)),
        "truth": known,
        "truth_error": unsure,
        "estimator": name,
        "bias": bias,
        "bias_stderr": error,
        "biased": abs(bias) > FLAGGED * error,
        "sd": sd,
        "rmse": float(np.hypot(bias, sd)),
        "coverage": held / runs,
        "coverage_interval": [1 - missed.high, 1 - missed.low],
        "covers": missed.passes,
        "width": width,
        "reference": reference and {"coverage": reference[0], "width": reference[1]},
        "gap": reference and held / runs - reference[0],
    }


def checks(rows: Sequence[Row]) -> list[Row]:
    """What is promised of each row, and what the broken twins must break."""
    found = []
    for row in rows:
        name, poor = row["estimator"], row["effective"] < POOR
        where = f"{row['cell']}, embedding {row['looks']}"
        if name in PROMISED or (name == "mips" and row["looks"] == "carries all"):
            found.append(_check(f"{name} is unbiased", where, holds=not row["biased"]))
        if name == BETTING:
            found.append(_check("the betting interval covers", where, holds=row["covers"]))
        if name == TWIN:
            said = "twin: w clipped at 1 is called biased"
            found.append(_check(said, where, holds=row["biased"]))
        if name == "ips" and poor:
            said = "twin: the normal interval of ips is called under-covering"
            found.append(_check(said, where, holds=not row["covers"]))
    return found


def _check(said: str, where: str, *, holds: bool) -> Row:
    return {"check": said, "cell": where, "holds": bool(holds)}


def play_all(
    cells: Sequence[Cell],
    runs: int,
    *,
    seed: int,
    processes: int | None,
    console: Console,
) -> list[Row]:
    """Every cell, shared out over processes (all cores when None)."""
    tasks = [(c, f, min(CHUNK, runs - f)) for c in cells for f in range(0, runs, CHUNK)]
    played: dict[Cell, dict[int, Array]] = {cell: {} for cell in cells}
    rows: dict[Cell, list[Row]] = {}
    processes = processes or os.cpu_count() or 1
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("replications", total=runs * len(cells))

        def landed(cell: Cell, first: int, some: Array) -> None:
            played[cell][first] = some
            progress.advance(bar, len(some))
            if sum(map(len, played[cell].values())) == runs:
                truth = cell.world(seed).truth()
                whole = np.concatenate([played[cell][f] for f in sorted(played[cell])])
                rows[cell] = summary(cell, truth, whole)
                console.print(f"{cell.name} overlap, embedding {cell.looks}: {runs:,} logs")

        if processes == 1 and not elsewhere():
            for cell, first, count in tasks:
                landed(cell, first, play(cell, first, count, seed))
        else:
            with players(processes) as pool:
                waiting: dict[Future[Array], tuple[Cell, int]] = {
                    pool.submit(play, cell, first, count, seed): (cell, first)
                    for cell, first, count in tasks
                }
                for done in as_completed(waiting):
                    landed(*waiting[done], done.result())
    return [row for cell in cells for row in rows[cell]]
