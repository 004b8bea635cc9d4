"""Choosing: the kernel's width and the trust in the sentence model, by value on rows held out.

    learning rows ──► two thirds: a policy for each choice ──► one third: its DR-kernel value

All choices are valued through one narrow kernel: what differs is then the policy, and a wide one
would pull values towards the log by more than its error says, unless the sentence model is right.
The held-out rows of the verdict play no part in the choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array, Interval, Rng
from bestpolicy.offpolicy.bandwidth import TAUS
from bestpolicy.offpolicy.density import Source, Summed
from bestpolicy.offpolicy.kernel import Kernel, dr_kernel, gaussian
from bestpolicy.offpolicy.kernel_lines import median_distance, support
from bestpolicy.offpolicy.learners.material import Material
from bestpolicy.offpolicy.learners.methods import Learnt, learnt
from bestpolicy.offpolicy.rows import Given
from bestpolicy.offpolicy.sentence_model import beside
from bestpolicy.offpolicy.targets import Tabled, logging

WIDTHS = (0.2, 0.4, 0.7, 1.0, 1.5)  # of the kernel, in median distances
SHARE = 1 / 3  # of the learning rows that values are read off


@dataclass(frozen=True, slots=True)
class Tried:
    """A choice, and the value of the policy that it led to."""

    choice: float
    value: float
    stderr: float

    @property
    def interval(self) -> Interval:
        """By the normal law, at 95 %."""
        return Interval(
            self.value, self.value - 1.96 * self.stderr, self.value + 1.96 * self.stderr
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was settled on, and why."""

    tau: float  # the width of the kernel, in median distances
    shrink: float | None  # how much of the sentence model is believed; None: by calibration
    widths: tuple[Tried, ...] = ()
    shrinks: tuple[Tried, ...] = ()

    @property
    def trust(self) -> float | None:
        """The trust in the sentence model that had the best value; None if none was tried."""
        return max(self.shrinks, key=_value).choice if self.shrinks else None


def kernel_of(log: Log, source: Source, tau: float) -> Kernel:
    return gaussian(tau * median_distance(log, source))


def chosen(
    at: Material, source: Source, rng: Rng, *, said: Callable[[str], object] = lambda _: None
) -> Chosen:
    """Width and trust for these rows. What is tried is CF-DR-DSO, for half as many steps."""
    order = rng.permutation(len(at.log))
    cut = round(len(order) * SHARE)
    fit, judge = at.log.picked(order[cut:]), at.log.picked(order[:cut])
    training = replace(at.training, steps=max(1, at.training.steps // 2))
    some = replace(at, log=fit, training=training, watch=None)

    def policy(tau: float, shrinks: float | None) -> Learnt:
        kernel = kernel_of(fit, source, tau)
        return learnt(replace(some, kernel=kernel, shrinks=shrinks), "cf-dr-dso")

    widths: list[Tried] = []
    through = Summed(source, kernel_of(judge, source, narrowest(judge, source)))
    given = beside(judge, source, through)
    for number, tau in enumerate(sorted(WIDTHS, reverse=True)):
        said(f"choosing the kernel's width, {number + 1} of {len(WIDTHS)}")
        one = policy(tau, None)
        widths.append(_valued(tau, one, judge, given, at))
    best = max(widths, key=_value)
    shrinks = []
    slope = replace(some, kernel=kernel_of(fit, source, best.choice)).shrink
    for number, shrink in enumerate(dict.fromkeys((0.0, slope, 1.0))):
        said(f"choosing the trust in the sentence model, {number + 1} of 3")
        if shrink == slope:
            shrinks.append(replace(best, choice=slope))
        else:
            one = policy(best.choice, shrink)
            shrinks.append(_valued(shrink, one, judge, given, at))
    top = max(shrinks, key=_value)
    # Calibration again on all rows, where its trust was the best.
    trust = None if top.choice == slope else top.choice
    return Chosen(best.choice, trust, tuple(sorted(widths, key=_choice)), tuple(shrinks))


def _value(one: Tried) -> float:
    return one.value


def _choice(one: Tried) -> float:
    return one.choice


def narrowest(log: Log, source: Source) -> float:
    """The narrowest width, in median distances, at which what the log says has something alike
    among a few draws of the policy that logged: below, nobody could tell what is supported. No
    reward has a say in it."""
    for tau in TAUS:
        if support(log, logging(), source, kernel_of(log, source, tau)).verdict == "ok":
            return tau
    return TAUS[-1]


def _valued(choice: float, policy: Learnt, judge: Log, given: Given, at: Material) -> Tried:
    found = dr_kernel(judge, _target(policy, at), given=given)
    return Tried(choice, found.value, found.stderr)


def _target(policy: Learnt, at: Material) -> Tabled:
    def table(log: Log) -> Array:
        return np.asarray(policy.table(replace(at, log=log).x), dtype=np.float64)

    return Tabled(table, "choice")
