"""What a study will take, foreseen by playing it: studies like this one, simulated to their end.

The answers sampled say little about who is better, and that little is used: strengths are drawn
from their posterior, prior N(0, SPREAD²) and a logistic likelihood of the decided pairs, and each
draw is a world in which the study's own design plays to its verdict or its budget.

    answers of a policy   its comparisons, or where nothing is drawn the different inputs in them
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bestpolicy.config import StudyFile
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.study import Study

SPREAD = 0.7  # of strengths, as log odds
WORLDS = 12
MOST = 20_000  # comparisons of one simulated study
TIES = (1.0, 4.0)  # a tie and four decided pairs, before any is seen


@dataclass(frozen=True, slots=True)
class Met:
    """Pairs of sampled answers, judged: who won how often, and how many ties there were."""

    won: Array  # (K, K) decided pairs that the row won
    ties: float = 0.0
    pairs: float = 0.0


@dataclass(frozen=True, slots=True)
class Course:
    """How one simulated study went."""

    comparisons: int
    decided: bool
    answers: Array  # (K,) of each policy


def courses(
    file: StudyFile, met: Met, drawn: Sequence[bool], watch: Callable[[str], object]
) -> list[Course]:
    """Some studies like this one; `drawn` says whose answers are fresh each time."""
    rng = stream(file.section.seed, "foresee")
    mean, cov = _posterior(met.won)
    tie = (TIES[0] + met.ties) / (sum(TIES) + met.pairs)
    found = []
    for world in range(WORLDS):
        watch(f"playing a study like this one, {world + 1} of {WORLDS}")
        found.append(_course(file, rng.multivariate_normal(mean, cov), tie, drawn, world))
    return found


def _course(
    file: StudyFile, strengths: Array, tie: float, drawn: Sequence[bool], world: int
) -> Course:
    section = file.section
    settings: dict[str, Any] = file.settings() | {
        "store": None,
        "inputs": None,
        "cluster": None,
        "reuse_inputs": False,
        "seed": world,
        "budget": min(section.budget.comparisons or MOST, _met_all(file), MOST),
    }
    names = [policy.id for policy in file.policies]
    place = {name: i for i, name in enumerate(names)}
    rng = stream(section.seed, "foresee/answers", world)
    plays = np.zeros(len(names))
    with Study(**settings) as study:
        while duels := study.ask(section.workers):
            for duel in duels:
                a, b = place[duel.left], place[duel.right]
                plays[[a, b]] += 1
                chance = 1 / (1 + np.exp(strengths[b] - strengths[a]))
                left = rng.random() < chance
                study.tell(duel, "tie" if rng.random() < tie else "left" if left else "right")
        verdict = study.verdict()
    answers = np.array(
        [n if fresh else _different(file, n) for n, fresh in zip(plays, drawn, strict=True)]
    )
    return Course(verdict.comparisons, verdict.final, answers)


def _different(file: StudyFile, draws: float) -> float:
    """How many different inputs so many comparisons of one policy meet."""
    if file.rows is None:
        return min(draws, 1.0)
    many = len(file.rows)
    return float(many * (1 - (1 - 1 / many) ** draws))


def _met_all(file: StudyFile) -> int:
    """Comparisons after which every pair has met every input."""
    if file.rows is None or file.section.decide.reuse_inputs:
        return MOST
    return len(file.rows) * len(file.policies) * (len(file.policies) - 1) // 2


def _posterior(won: Array) -> tuple[Array, Array]:
    """Mean and covariance of the strengths, by Newton's method and Laplace's approximation."""
    K = len(won)
    s: Array = np.zeros(K)
    n = won + won.T
    for _ in range(30):
        p = 1 / (1 + np.exp(s[None, :] - s[:, None]))
        gradient = (won - n * p).sum(axis=1) - s / SPREAD**2
        w = n * p * (1 - p)
        hessian = np.diag(w.sum(axis=1) + 1 / SPREAD**2) - w
        step = np.linalg.solve(hessian, gradient)
        s = s + step
        if np.abs(step).max() < 1e-9:
            break
    return s, np.asarray(np.linalg.inv(hessian), np.float64)
