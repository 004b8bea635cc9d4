"""Plays a configured study: policies answer, the judge compares, the study is told.

Up to `workers` duels are in flight, each in a thread of its own that also tells its answer, so
that answers which arrive together share a commit. What fails is never an answer: the duel stays
open, everything else in flight is told, and the same command asks it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Any

from bestpolicy.config import Players, StudyFile
from bestpolicy.core.nouns import BestPolicyError, ConfigError
from bestpolicy.duel import Duel
from bestpolicy.duel import share as share_of
from bestpolicy.report.snapshot import Pair, Snapshot
from bestpolicy.store import open_store
from bestpolicy.study import Study


class PlayError(BestPolicyError):
    """A policy or the judge failed. Nothing of it is counted; the same command resumes."""


def open_study(file: StudyFile) -> Study:
    """The study of this file, resumed where its record ends.

    What the answers depend on is kept beside the record under a name of its own: a study whose
    prompts or judge were changed half-way would mix the answers of two studies.
    """
    study = Study(**file.settings())
    try:
        open_store(file.store, f"{file.name}: policies and judge", file.definition).close()
    except BaseException:
        study.close()
        raise
    return study


def play(
    study: Study,
    players: Players,
    *,
    order: str,
    workers: int,
    stop: Event,
    watch: Callable[[], object],
) -> int:
    """Ask until the study is decided, out of budget or stopped, finishing what is in flight;
    how many calls of policies and judge that took."""
    calls = 0
    failure: BaseException | None = None
    flying: set[Future[None]] = set()
    with ThreadPoolExecutor(workers, thread_name_prefix="duel") as pool:
        while True:
            if failure is None and not stop.is_set() and len(flying) < workers:
                duels = study.ask(workers - len(flying))
                flying |= {pool.submit(_one, study, players, duel, order) for duel in duels}
                calls += len(duels) * (4 if order == "both" else 3)
            if not flying:
                break
            done, flying = wait(flying, timeout=0.25, return_when=FIRST_COMPLETED)
            for future in done:
                failure = failure or future.exception()
            watch()
    if failure is not None:
        raise failure
    return calls


def snapshot(
    study: Study, file: StudyFile, *, calls: int | None, seconds: float, passing: bool = False
) -> Snapshot:
    """Where the study stands, as reports need it; a `passing` look leaves the record's hash out."""
    outcomes = study.outcomes()
    pairs: dict[tuple[int, int], Pair] = {}
    since = study.since
    for outcome in outcomes:
        if outcome.comparison.id < since:
            continue
        left, right = outcome.comparison.arms
        for key, side in (((left, right), 0), ((right, left), 1)):
            share = None if outcome.scores is None else outcome.scores[side]
            pairs[key] = pairs.get(key, Pair()).plus(share)
    return Snapshot(
        name=study.name,
        hash=study.hash,
        seed=study.seed,
        policies=tuple(study.policies),
        confidence=file.section.decide.confidence,
        verdict=study.verdict(),
        standing=study.standing(),
        tallies=tuple(study.tallies().values()),
        pairs=pairs,
        outcomes=tuple(outcomes),
        doubts=tuple(study.doubts()),
        changes=tuple(study.changes()),
        order=file.section.judge.order,
        budget=file.section.budget.comparisons,
        in_flight=len(study.in_flight()),
        record_hash="" if passing else study.record_hash(),
        calls=calls,
        seconds=seconds,
    )


def _one(study: Study, players: Players, duel: Duel, order: str) -> None:
    row: Any = {} if duel.input is None else duel.input
    left, right = (_answer(players, policy, row) for policy in (duel.left, duel.right))
    first = _judged(players, duel, row, left, right)
    if order == "random":  # the study shows either policy on the left by a fair coin
        study.tell(duel, first)
        return
    # Both orders are one answer, their mean: two that disagree are a tie.
    second = 1.0 - _judged(players, duel, row, right, left)
    said = json.dumps({"left_share_shown_first": first, "left_share_shown_second": second})
    study.tell(duel, (first + second) / 2, feedback=said)


def _answer(players: Players, policy: str, row: Any) -> str:
    if policy not in players.answers:
        raise PlayError(
            f"policy {policy!r} joined by Study.add, and the file does not say how to play it: "
            "ask and tell its duels in Python"
        )
    try:
        text = players.answers[policy](row)
    except (Exception, SystemExit) as error:  # a user's function may raise anything
        raise PlayError(f"policy {policy!r} raised {_said(error)}") from error
    if not isinstance(text, str):
        raise PlayError(f"policy {policy!r} must return text, saw {text!r:.80}")
    return text


def _judged(players: Players, duel: Duel, row: Any, left: str, right: str) -> float:
    where = f"the judge, on duel {duel.id} ({duel.left!r} against {duel.right!r}),"
    try:
        said: Any = players.judge(row, left, right)
    except (Exception, SystemExit) as error:
        raise PlayError(f"{where} raised {_said(error)}") from error
    try:
        return share_of(said)
    except (ConfigError, TypeError) as error:
        raise PlayError(f"{where} gave no answer: {error}") from None


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
