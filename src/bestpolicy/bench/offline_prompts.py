"""Policies learnt from logged sentences, method by method, in the world whose truth is known.

Optimality (V - V(uniform)) / (V(best) - V(uniform)) of what each method learns from 2,000 rows,
with the published quirks of the world. Reward models are cross-fitted nets; the kernel is Gaussian,
of published width; densities are means over 100 draws of the policy that logged.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import drawn
from bestpolicy.offpolicy.kernel import gaussian
from bestpolicy.offpolicy.learners.potec import TwoStages, clusters_of, first_stage
from bestpolicy.offpolicy.learners.sentences import doubly_robust_dso, dso, sentence_direct
from bestpolicy.offpolicy.learners.training import trained
from bestpolicy.offpolicy.learners.weighted import doubly_robust, importance, regression
from bestpolicy.offpolicy.reward_nets import Crossed, calibration, crossed
from bestpolicy.worlds.prompts import D, PromptWorld, prompt_world

Floats = NDArray[Any]
ROWS, DENSITY, CLUSTERS = 2000, 100, 10
# The method note's re-run of public code at this point, 1,000 prompts, and its own figures.
REFERENCE = {
    "regression": {1000: 0.037},
    "IS": {10: 0.703, 100: 0.344, 1000: 0.168},
    "DR": {10: 0.776, 100: 0.349, 1000: 0.202},
    "POTEC": {10: 0.758, 100: 0.120, 1000: 0.052},
    "DSO, as published": {10: 0.722, 100: 0.494, 1000: 0.409},
    "DSO, 8 draws": {100: 0.53, 1000: 0.40},
    "sentence model": {10: 0.843, 100: 0.647, 1000: 0.631},
    "CF-DR-DSO": {10: 0.822, 100: 0.68, 1000: 0.62},
}


@dataclass(frozen=True)
class Given:
    """A log of the world, and what methods make of it; each thing is made when it is asked."""

    world: PromptWorld
    log: Log
    seed: int

    @property
    def x(self) -> Array:
        assert self.log.contexts is not None
        return self.log.contexts

    @property
    def said(self) -> Array:
        return np.asarray(self.log.columns["sentence_emb"], dtype=np.float64)

    @property
    def centred(self) -> Array:
        r = self.log.rewards
        return np.asarray(r - r.mean())

    def rng(self, purpose: str) -> Rng:
        return stream(self.seed, f"bench/offline-prompts/{self.world.actions}/{purpose}")

    def speaker(self, rows: Ints, actions: Ints, rng: Rng) -> Floats:
        """What the generator says: (m, k) prompts to (m, k, D) sentences."""
        m, k = actions.shape
        said = self.world.sentences(np.repeat(self.x[rows], k, axis=0), actions.ravel(), rng)
        return np.asarray(said.reshape(m, k, D))

    def near(self, one: Floats, other: Floats) -> Floats:
        return gaussian(D)(((one - other) ** 2).sum(-1))

    @cached_property
    def density(self) -> Array:
        """(n,) the mean kernel of draws of the policy that logged."""
        assert self.log.propensities is not None
        rng, rows = self.rng("density"), np.arange(len(self.log))
        prompts = drawn(self.log.propensities, DENSITY, rng)
        near: Array = self.near(self.said[:, None], self.speaker(rows, prompts, rng)).mean(axis=1)
        return near

    @cached_property
    def of_prompts(self) -> Crossed:
        inputs = np.hstack([self.x, self.world.prompts[self.log.actions]])
        return crossed(inputs, self.centred, self.rng("prompt model"))

    @cached_property
    def predicted(self) -> Floats:
        """(n, A) rewards by context and prompt, of models that have not seen the row."""
        made = np.empty((len(self.log), self.world.actions), dtype=np.float32)
        for first in range(0, len(self.log), part := max(1, 2**17 // self.world.actions)):
            rows = np.arange(first, min(len(self.log), first + part))
            made[rows] = self.of_prompts.unseen(rows, self.beside(self.x[rows]))
        return made

    def beside(self, contexts: Array) -> Floats:
        """(m, A, d) each context with each prompt's embedding."""
        shape = (len(contexts), self.world.actions)
        return np.concatenate(
            [
                np.broadcast_to(contexts[:, None], (*shape, contexts.shape[1])),
                np.broadcast_to(self.world.prompts, (*shape, D)),
            ],
            axis=-1,
        )

    @cached_property
    def of_sentences(self) -> Crossed:
        return crossed(np.hstack([self.x, self.said]), self.centred, self.rng("sentence model"))

    def foreseen(self, rows: Ints, said: Floats) -> Floats:
        """(m, k) rewards of sentences in the contexts of these rows."""
        x = np.broadcast_to(self.x[rows][:, None], (*said.shape[:2], self.x.shape[1]))
        return self.of_sentences.unseen(rows, np.concatenate([x, said], axis=-1))

    @cached_property
    def shrink(self) -> float:
        own = self.foreseen(np.arange(len(self.log)), self.said[:, None])[:, 0]
        return calibration(self.log.rewards, own)


Table_ = Callable[[Array], Array]  # contexts -> (m, A)


def learnt(at: Given, method: str) -> Table_:
    """What a method learns from this log."""
    a, r, p = at.log.actions, at.centred, at.log.propensity
    said, say, near = at.said, at.speaker, at.near

    def rows_of(rows: Ints) -> Floats:
        return at.predicted[rows]

    if method == "POTEC":
        return _potec(at)
    slope = {
        "regression": lambda: regression(rows_of),
        "IS": lambda: importance(a, r, p),
        "DR": lambda: doubly_robust(a, r, p, rows_of),
        "DSO, as published": lambda: dso(
            *(said, at.log.rewards, at.density, say, near), draws=1, most=200.0, baseline=False
        ),
        "DSO, 8 draws": lambda: dso(said, r, at.density, say, near),
        "sentence model": lambda: sentence_direct(say, at.foreseen),
        "CF-DR-DSO": lambda: doubly_robust_dso(
            said, r, at.density, say, near, at.foreseen, shrink=at.shrink
        ),
    }[method]()
    return trained(at.x, at.world.actions, slope, at.rng("policy")).table


def _potec(at: Given) -> Table_:
    assert at.log.propensities is not None
    cluster = clusters_of(at.world.prompts, min(CLUSTERS, at.world.actions), at.rng("clusters"))
    own = cluster[at.log.actions]
    chance = np.where(cluster[None, :] == own[:, None], at.log.propensities, 0.0).sum(axis=1)
    slope = first_stage(at.log.actions, at.centred, chance, lambda r: at.predicted[r], cluster)
    first = trained(at.x, int(cluster.max()) + 1, slope, at.rng("policy"))

    def foresee(contexts: Array) -> Floats:
        inputs = at.beside(contexts)
        return at.of_prompts.mean(inputs.reshape(-1, inputs.shape[-1])).reshape(inputs.shape[:2])

    return TwoStages(first, foresee, cluster).table


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Learn, print the table as it grows, and write `offline-prompts.json`."""
    console = console or Console()
    seeds, sizes = replications or (2 if quick else 5), (10, 100, 1000)
    begun, rows = process_time(), []
    for actions in sizes:
        found: dict[str, list[float]] = {method: [] for method in REFERENCE}
        for number in range(seed, seed + seeds):
            world = prompt_world(number, actions=actions, compat=True)
            policy = world.logging(stream(number, "bench/offline-prompts/logging", actions))
            log = world.log(ROWS, stream(number, "bench/offline-prompts/log", actions), policy)
            at = Given(world, log, number)
            for method in REFERENCE:
                found[method].append(world.optimality(learnt(at, method)))
            console.print(f"{actions} prompts, world {number}: learnt", highlight=False)
        rows += [_row(actions, method, values) for method, values in found.items()]
    report = {
        "quick": quick, "seed": seed, "worlds": seeds, "rows_a_log": ROWS,
        "cpu_s": round(process_time() - begun, 1), "rows": rows,
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / "offline-prompts.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table(title=f"Optimality ± standard error over {seeds} worlds (the note's figure)")
    for column in ("method", *(f"{size:,} prompts" for size in sizes)):
        table.add_column(column, justify="left" if column == "method" else "right")
    for method in REFERENCE:
        table.add_row(method, *(_said(row) for row in rows if row["method"] == method))
    console.print(table)
    return report


def _row(actions: int, method: str, values: list[float]) -> dict[str, Any]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {
        "prompts": actions,
        "method": method,
        "optimality": float(np.mean(values)),
        "stderr": None if spread is None else spread / len(values) ** 0.5,
        "reference": REFERENCE[method].get(actions),
        "worlds": values,
    }


def _said(row: dict[str, Any]) -> str:
    error = "" if row["stderr"] is None else f" ± {row['stderr']:.3f}"
    beside = "" if row["reference"] is None else f" ({row['reference']:.3f})"
    return f"{row['optimality']:.3f}{error}{beside}"
