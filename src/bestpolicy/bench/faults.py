"""Studies whose judge misbehaves, played through the front door, with a guard or without it.

Each function plays one study on a known truth, its policies renumbered, and says how it ended and
whether the doubt that belongs to the fault was raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from bestpolicy import designs
from bestpolicy.bench.cells import is_wrong
from bestpolicy.core.evidence import share_interval
from bestpolicy.core.loop import rollout
from bestpolicy.core.nouns import Comparison, Outcome, Rng, Verdict, World
from bestpolicy.study import Study
from bestpolicy.worlds.preference import Drifting, Preference, Repeating, first_shown_favoured

DELTA = 0.05
TIMES = 8  # how often a verdict is repeated
CONVERSATIONS = 12  # each of TURNS turns
TURNS = 40
CHANGES = 300  # answers until the judge changes
CAP = 2500
SENTINELS = 0.05
SLOW = 150  # how many asks later an answer comes that is for the better policy
FAVOUR = 0.6  # by how much the first shown is favoured, in log odds


class Run(NamedTuple):
    comparisons: int
    kind: str
    wrong: bool
    raised: bool  # the doubt that the line is about
    could: bool = True  # there was something to raise it for


Play = Callable[[Preference, int, Rng], Run]  # a renumbered truth, a seed, and chance


def honest(world: Preference, seed: int, rng: Rng, *, about: str) -> Run:
    """Answers that are independent given the pair."""
    study = _study(world, seed, sentinels=SENTINELS)
    return _played(study, world, _asked(study, world, rng), about)


def told_at_once(world: Preference, seed: int, rng: Rng) -> Run:
    """Each verdict is copied, and all copies are told of the one duel that they answer."""
    study = _study(world, seed, assume_winner=True)
    while duel := study.ask():
        left = _left_wins(world, duel.left, duel.right, rng)
        study.tell(duel, [left] * TIMES)
    return _end(study, world, "repeats")


def told_as_new(world: Preference, _seed: int, rng: Rng) -> Run:
    """Each verdict is copied, and every copy is told as the answer to a question of its own."""
    design = designs.make("llm-po", policies=world.policies, delta=DELTA, assume_winner=True)
    state = design.init()
    while not (verdict := design.verdict(state)).final and verdict.comparisons < CAP * TIMES:
        (asked,) = design.ask(state, [None], rng, ())
        state = design.tell(state, world.play([asked], rng) * TIMES)
    return Run(verdict.comparisons, verdict.kind, is_wrong(verdict, world), False)


def turns(world: Preference, seed: int, rng: Rng, *, known: bool) -> Run:
    """A judge says of all turns of a conversation what he says of one."""
    judge = Repeating.drawn(np.array(world.p), CONVERSATIONS, rng)
    rows = [{"conversation": c, "turn": t} for c in range(CONVERSATIONS) for t in range(TURNS)]
    cluster = "conversation" if known else None
    study = _study(world, seed, assume_winner=True, inputs=rows, cluster=cluster)
    while duel := study.ask():
        arms = int(duel.left), int(duel.right)
        (answer,) = judge.play([Comparison(arms, duel.input["conversation"])], rng)
        assert answer.scores is not None
        study.tell(duel, answer.scores[0])
    return _end(study, world, "repeats")


def echoing(world: Preference, seed: int, rng: Rng) -> Run:
    """A pair's next answers are its last one again, and nothing tells the study."""
    study = _study(world, seed, assume_winner=True)
    said: dict[tuple[int, int], list[bool]] = {}
    while duel := study.ask():
        i, k = int(duel.left), int(duel.right)
        first, second = min(i, k), max(i, k)
        left = said.setdefault((first, second), [])
        if not left:
            left += [bool(rng.random() < world.p[first, second])] * TIMES
        study.tell(duel, "left" if left.pop() == (i == first) else "right")
    return _end(study, world, "repeats")


def changing(world: Preference, seed: int, rng: Rng, *, sentinels: float) -> Run:
    """The worst policy wins 70:30 at first; then the judge is as he should be."""
    study = _study(world, seed, sentinels=sentinels)
    run = _played(study, world, _asked(study, Drifting(world, CHANGES), rng), "drift")
    return run._replace(could=run.comparisons > CHANGES)


def changing_unseen(world: Preference, _seed: int, rng: Rng) -> Run:
    """The same judge, and evidence that never begins anew."""
    design = designs.make("llm-po", policies=world.policies, delta=DELTA)
    verdict = rollout(design, Drifting(world, CHANGES), rng, budget=CAP)
    wrong = is_wrong(verdict, world)
    return Run(verdict.comparisons, verdict.kind, wrong, False, verdict.comparisons > CHANGES)


def slow(world: Preference, seed: int, rng: Rng) -> Run:
    """Answers for the better policy come many asks later than the others."""
    study = _study(world, seed, assume_winner=True)
    late: list[tuple[int, int, float]] = []
    for now in range(CAP + SLOW):
        if duel := study.ask():
            i, k = int(duel.left), int(duel.right)
            left = _left_wins(world, duel.left, duel.right, rng)
            heappush(late, (_due(now, world.p[i, k], left), duel.id, left))
        while late and late[0][0] <= now:
            _, number, left = heappop(late)
            study.tell(number, left)
    return _end(study, world, "lateness")


def slow_as_told(world: Preference, _seed: int, rng: Rng) -> Run:
    """The same judge, and evidence that reads answers as they come."""
    design = designs.make("llm-po", policies=world.policies, delta=DELTA, assume_winner=True)
    state = design.init()
    late: list[tuple[int, int, Outcome]] = []
    for now in range(CAP):
        if (verdict := design.verdict(state)).final:
            break
        (asked,) = design.ask(state, [None], rng, ())
        (outcome,) = world.play([replace(asked, id=now)], rng)
        assert outcome.scores is not None
        heappush(late, (_due(now, world.p[asked.arms], outcome.scores[0]), now, outcome))
        while late and late[0][0] <= now:
            state = design.tell(state, [heappop(late)[2]])
    return Run(verdict.comparisons, verdict.kind, is_wrong(verdict, world), False)


def biased(world: Preference, seed: int, rng: Rng, *, coin: bool) -> Run:
    """Whoever is shown first gains; `raised` when the interval of the first one's share says so."""
    judge = replace(world, answer=first_shown_favoured(FAVOUR))
    study = _study(world, seed, assume_winner=True)
    won = n = 0.0
    while duel := study.ask():
        arms = int(duel.left), int(duel.right)
        if not coin:  # the better one is always shown second
            arms = arms if world.p[arms] < 0.5 else arms[::-1]
        (answer,) = judge.play([Comparison(arms)], rng)
        assert answer.scores is not None
        won, n = won + answer.scores[0], n + 1
        shown_left = arms[0] == int(duel.left)
        study.tell(duel, answer.scores[0] if shown_left else answer.scores[1])
    found = share_interval(won, n - won, DELTA)
    return _end(study, world, "drift")._replace(raised=not found.low <= 0.5 <= found.high)


def _study(world: Preference, seed: int, **told: Any) -> Study:
    names = [str(i) for i in range(world.policies)]
    return Study(names, confidence=1 - DELTA, budget=CAP, seed=seed, **told)


def _asked(study: Study, judge: World, rng: Rng) -> Iterator[None]:
    while duel := study.ask():
        asked = Comparison((int(duel.left), int(duel.right)), id=duel.id)
        (answer,) = judge.play([asked], rng)
        assert answer.scores is not None
        study.tell(duel, answer.scores[0])
        yield


def _played(study: Study, world: Preference, turns: Iterator[None], about: str) -> Run:
    for _ in turns:
        pass
    return _end(study, world, about)


def _end(study: Study, world: Preference, about: str) -> Run:
    verdict = study.verdict()
    policy = None if verdict.policy is None else int(verdict.policy)
    numbered = Verdict(verdict.kind, policy, 1 - DELTA, (), verdict.comparisons, verdict.reason)
    raised = any(doubt.raised for doubt in study.doubts() if doubt.about == about)
    return Run(verdict.comparisons, verdict.kind, is_wrong(numbered, world), raised)


def _due(now: int, p: float, left: float) -> int:
    return now + SLOW * ((left > 0.5) == (p > 0.5))


def _left_wins(world: Preference, left: str, right: str, rng: Rng) -> float:
    return float(rng.random() < world.p[int(left), int(right)])
