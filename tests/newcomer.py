"""The promise of every design, as one check: P(a wrong verdict is ever named) <= delta."""

from __future__ import annotations

from typing import Any

from scipy.stats import binom

from bestpolicy import designs
from bestpolicy.bench.cells import is_wrong
from bestpolicy.core.loop import rollout
from bestpolicy.core.nouns import Design
from bestpolicy.core.rng import stream
from bestpolicy.worlds.preference import INSTANCES, shuffled

DELTA = 0.2  # large, so that a design which overspends it is caught by few runs
RUNS = 60
CAP = 1000


def keeps_its_promise(name: str, *, instances: tuple[str, ...] = ("easy4", "cyc8")) -> bool:
    """Whether wrong verdicts are as rare as promised; a design that is exactly calibrated fails
    less than once in a million."""
    return all(
        is_as_rare_as_promised(
            [designs.make(name, policies=len(INSTANCES[i]().p), delta=DELTA, assume_winner=True)]
            * RUNS,
            i,
        )
        for i in instances
    )


def is_as_rare_as_promised(played: list[Design[Any]], instance: str) -> bool:
    """The same for designs at hand, one for each run; the policies are numbered anew every time."""
    wrong = 0
    for run, design in enumerate(played):
        world = shuffled(INSTANCES[instance](), stream(0, f"promise/policies/{instance}", run))
        verdict = rollout(design, world, stream(0, f"promise/{instance}", run), budget=CAP)
        wrong += is_wrong(verdict, world)
    return wrong <= binom.ppf(1 - 1e-6, len(played), DELTA)
