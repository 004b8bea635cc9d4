"""Policies learnt by distances that were learnt too, where the right distance is known.

Optimality (V - V(uniform)) / (V(best) - V(uniform)) of DSO and CF-DR-DSO. Sentences, or pictures,
get 20 more numbers that mean nothing: N(0, (3 s)²), s the mean spread of the others (and in worlds
of prompts, where s is given, of standard deviation 3). *Oracle* leaves these out. The kernel is
Gaussian, its width a quarter of the median distance by the metric in question, densities are means
over 100 draws. `by slopes` and `by pairs` are metrics as they were fitted; which one of raw and `by
slopes` a user gets is decided on rows that the fit has not seen (`chosen`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bestpolicy.bench.known import Known
from bestpolicy.bench.pool import players
from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.density import EMBEDDING, Source, Speaker, embeddings
from bestpolicy.offpolicy.generator import banked
from bestpolicy.offpolicy.kernel import Kernel
from bestpolicy.offpolicy.learned_metric import Metric, by_pairs, by_slopes, chosen, raw
from bestpolicy.offpolicy.learners.material import Material
from bestpolicy.offpolicy.learners.measured import measured
from bestpolicy.offpolicy.learners.methods import learnt
from bestpolicy.offpolicy.learners.training import Training
from bestpolicy.worlds.pictures import picture_world
from bestpolicy.worlds.prompts import prompt_world

EXTRA, SCALE, WIDTH = 20, 3.0, 0.25
TRAINING = Training(steps=1000)
METHODS = {
    "dso": ("raw", "by pairs", "by slopes", "oracle"),
    "cf-dr-dso": ("raw", "by slopes", "oracle"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A kind of world, how many prompts it has, how many rows are logged, what is added."""

    world: str  # prompts or pictures
    actions: int
    rows: int
    extra: int


SETTINGS = tuple(
    Setting(*at, extra)
    for at in (("prompts", 100, 2000), ("prompts", 1000, 2000), ("pictures", 60, 8000))
    for extra in (0, EXTRA)
)


@dataclass(frozen=True, slots=True)
class Diluted:
    """A source whose things get numbers that mean nothing, N(0, scale²) each."""

    source: Source
    extra: int
    scale: float
    seed: int = 0

    def closeness(self, log: Log, kernel: Kernel) -> Array:
        """Of a Gaussian kernel: a factor for each number added."""
        own, wide = embeddings(log), kernel.width**2 + self.scale**2
        added = own[:, own.shape[1] - self.extra :]
        factor = (kernel.width**2 / wide) ** (self.extra / 2)
        near = factor * np.exp(-(added**2).sum(axis=1) / (2 * wide))
        made: Array = near[:, None] * self.source.closeness(self._plain(log), kernel)
        return made

    def mean(self, log: Log, chances: Array) -> Array:
        made = self.source.mean(self._plain(log), chances)
        return np.hstack([made, np.zeros((len(made), self.extra))])

    def draws(self, log: Log, chances: Array, count: int, purpose: str) -> tuple[Ints, Array]:
        prompts, said = self.source.draws(self._plain(log), chances, count, purpose)
        rng = stream(self.seed, f"bench/metric/{purpose}", log.start)
        return prompts, self._with(said, rng)

    def speaker(self, log: Log) -> Speaker:
        plain = self.source.speaker(self._plain(log))

        def say(rows: Ints, actions: Ints, rng: Rng) -> Array:
            return self._with(plain(rows, actions, rng), rng)

        return say

    def _with(self, said: Array, rng: Rng) -> Array:
        added = self.scale * rng.normal(size=(*said.shape[:-1], self.extra))
        return np.concatenate([said, added], axis=-1)

    def _plain(self, log: Log) -> Log:
        own = embeddings(log)
        plain = own[:, : own.shape[1] - self.extra]
        return replace(log, columns={**log.columns, EMBEDDING: plain})


def played(at: Setting, number: int) -> tuple[Material, Callable[[Any], float]]:
    """A log of this world with what is known besides, and what measures a policy."""
    purpose = f"bench/metric/{at.world}/{at.actions}"
    rng = stream(number, purpose)
    source: Source
    if at.world == "prompts":
        world = prompt_world(number, actions=at.actions, compat=True)
        log = world.log(at.rows, rng, world.logging(stream(number, f"{purpose}/logging")))
        scale, source, prompts = SCALE, Known(world, number), world.prompts
        ends = world.value(world.uniform().table), world.value(world.best().table)

        def truth(policy: Any) -> float:
            return (world.value(policy) - ends[0]) / (ends[1] - ends[0])

    else:
        pictures = picture_world(number, styles=at.actions)
        log = pictures.log(at.rows, rng)
        scale = SCALE * float(embeddings(log).std(axis=0).mean())
        source, prompts = banked(pictures, log, seed=number), pictures.styles
        return _given(at, number, log, scale, source, prompts), pictures.optimality
    return _given(at, number, log, scale, source, prompts), truth


def _given(
    at: Setting, number: int, log: Log, scale: float, source: Source, prompts: Array
) -> Material:
    """What methods learn from, with the numbers that mean nothing."""
    if not at.extra:
        return Material(log, number, prompts, source)
    rng = stream(number, f"bench/metric/{at.world}/{at.actions}/extra")
    added = scale * rng.normal(size=(len(log), at.extra))
    log = replace(log, columns={**log.columns, EMBEDDING: np.hstack([embeddings(log), added])})
    return Material(log, number, prompts, Diluted(source, at.extra, scale, number))


def oracle(log: Log, extra: int) -> Metric:
    """Leaves out what was added."""
    d = embeddings(log).shape[1]
    return Metric(np.eye(d)[None, :, : d - extra])


def one(at: Setting, number: int, training: Training = TRAINING) -> dict[str, Any]:
    """Every method by every metric, in one world."""
    begun = process_time()
    material, truth = played(at, number)
    material = replace(material, training=training)
    log = material.log
    metrics = {"raw": raw(log), "by pairs": by_pairs(log), "by slopes": by_slopes(log)}
    if at.extra:
        metrics["oracle"] = oracle(log, at.extra)
    choice = chosen(log, metrics["by slopes"])
    found = {
        method: {
            name: truth(learnt(measured(material, metrics[name], width=WIDTH), method).table)
            for name in names
            if name in metrics
        }
        for method, names in METHODS.items()
    }
    for values in found.values():
        values["chosen"] = values["by slopes" if choice.learned else "raw"]
    return {
        "optimality": found,
        "learned": choice.learned,
        "gain": choice.gain,
        "error": choice.error,
        "cpu_s": round(process_time() - begun, 1),
    }


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    seed: int = 0,
    processes: int | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Learn, print the table, and write `metric.json`."""
    console = console or Console()
    worlds = replications or (1 if quick else 3)
    training = replace(TRAINING, steps=300) if quick else TRAINING
    jobs = [(at, seed + number) for number in range(worlds) for at in SETTINGS]
    with players(processes or 2) as pool:
        waiting = [pool.submit(one, *job, training) for job in jobs]
        done = []
        for job, result in zip(jobs, waiting, strict=True):
            done.append((job[0], result.result()))
            console.print(f"{title(job[0])}, world {job[1]}: learnt", highlight=False)
    report = _told(done, quick, seed, worlds, training.steps)
    out.mkdir(parents=True, exist_ok=True)
    (out / "metric.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table(title=f"Optimality ± standard error over {worlds} worlds")
    lines = [cells(row, method) for row in report["rows"] for method in METHODS]
    for head in lines[0]:
        table.add_column(head)
    for line in lines:
        table.add_row(*line.values())
    console.print(table)
    return report


def _told(
    done: list[tuple[Setting, dict[str, Any]]], quick: bool, seed: int, worlds: int, steps: int
) -> dict[str, Any]:
    rows = [_row(at, [found for own, found in done if own == at]) for at in SETTINGS]
    return {
        "quick": quick, "seed": seed, "worlds": worlds, "steps": steps, "width": WIDTH,
        "cpu_s": round(sum(found["cpu_s"] for _, found in done), 1), "rows": rows,
    }  # fmt: skip


def title(at: Setting) -> str:
    added = f", {at.extra} numbers added" if at.extra else ""
    return f"{at.world}, {at.actions:,} of them, {at.rows:,} rows{added}"


def cells(row: dict[str, Any], method: str) -> dict[str, str]:
    """A line of the table."""
    made = {"world": row["title"], "method": method}
    for name in ("raw", "by pairs", "by slopes", "chosen", "oracle"):
        values = row["optimality"][method].get(name)
        error = "" if not values or values["stderr"] is None else f" ± {values['stderr']:.3f}"
        made[name] = f"{values['mean']:.3f}{error}" if values else ""
    made["learned metric used"] = f"{row['learned']} of {row['worlds']}"
    return made


def _row(at: Setting, found: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "title": title(at),
        "world": at.world,
        "actions": at.actions,
        "rows": at.rows,
        "extra": at.extra,
        "worlds": len(found),
        "learned": sum(one["learned"] for one in found),
        "gains": [round(one["gain"] / (one["error"] or 1.0), 2) for one in found],
        "optimality": {
            method: {
                name: _summed([one["optimality"][method][name] for one in found])
                for name in found[0]["optimality"][method]
            }
            for method in METHODS
        },
    }


def _summed(values: list[float]) -> dict[str, Any]:
    many = len(values) > 1
    return {
        "mean": round(float(np.mean(values)), 4),
        "stderr": round(float(np.std(values, ddof=1)) / len(values) ** 0.5, 4) if many else None,
        "worlds": [round(value, 4) for value in values],
    }
