"""The gate's front door: a candidate against a baseline, from a study file or in a test.

A gate is a study of two policies with a design of its own (designs/gate.py). Its record is kept
under a name that holds a hash of all that it is about: another prompt, margin or input is another
gate, and never goes on from answers that were about something else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from threading import Event
from typing import Any

from bestpolicy.config import StudyFile, connect
from bestpolicy.core.evidence import share_interval
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.shares import nearest
from bestpolicy.designs.gate import CANDIDATE, Gate, Goal, finding
from bestpolicy.report.gate import GateQuestion, GateReport
from bestpolicy.run import Opened, PlayError, opened, play, snapshot
from bestpolicy.store.rows import digest
from bestpolicy.study import Study
from bestpolicy.study.reading import SPARE
from bestpolicy.study.settings import budget_of, share_between

MARGIN = 0.05
MOST = 2000  # comparisons, where nobody says how many
GOALS: tuple[Goal, ...] = ("non-inferiority", "superiority")


def question_of(
    file: StudyFile,
    baseline: str,
    candidate: str,
    *,
    goal: Goal = "non-inferiority",
    margin: float | None = None,
    confidence: float | None = None,
) -> GateQuestion:
    """What is asked about two policies of a file; a ConfigError when it cannot be.

    The margin is 0.05 unless given, and 0 for superiority; the confidence is the file's.
    """
    ids = [policy.id for policy in file.policies]
    for option, seen in (("baseline", baseline), ("candidate", candidate)):
        if seen not in ids:
            raise ConfigError(
                f"{option}: there is no policy {seen!r} in {file.page.path}{nearest(seen, ids)}; "
                f"policies: {', '.join(ids)}"
            )
    if baseline == candidate:
        raise ConfigError(
            f"baseline and candidate are both {baseline!r}: give two policies to compare; "
            f"policies: {', '.join(ids)}"
        )
    if margin is None:
        margin = MARGIN if goal == "non-inferiority" else 0.0
    if confidence is None:
        confidence = file.section.decide.confidence
    return _question(file.name, baseline, candidate, margin, goal, confidence)


def run_gate(
    file: StudyFile,
    question: GateQuestion,
    *,
    comparisons: int | None = None,
    minutes: float | None = None,
    stop: Event | None = None,
    watch: Callable[[Study], object] | None = None,
) -> GateReport:
    """Play a gate, or resume it, until it is decided, out of budget or stopped."""
    began = time.monotonic()
    both = (question.baseline, question.candidate)
    policies = {policy.id: policy for policy in file.policies}
    file = replace(file, policies=tuple(policies[name] for name in both))
    with (
        closing(connect(file)) as players,
        _opened(file, question, comparisons, minutes) as opened,
    ):
        study = opened.study
        played = play(
            opened,
            players,
            stop=stop or Event(),
            watch=(lambda: None) if watch is None else (lambda: watch(study)),
        )
        calls = played.calls
        seconds = time.monotonic() - began
        at = replace(
            snapshot(opened, played=played, seconds=seconds), confidence=question.confidence
        )
        warnings = at.warnings()
        if calls == 0:
            warnings.append(
                f"nothing was played: the record in {file.record} says this already, and "
                "cannot see whether a function has changed since; remove it to play anew"
            )
        return _report(study, question, tuple(warnings), calls, seconds)


def assert_not_worse(
    candidate: Callable[[Any], str],
    baseline: Callable[[Any], str],
    inputs: Sequence[str | Mapping[str, Any]],
    judge: Callable[[Any, str, str], Any],
    *,
    margin: float = MARGIN,
    confidence: float = 0.95,
    budget: int | Mapping[str, float] = MOST,
    seed: int = 0,
    reuse_inputs: bool = False,
) -> GateReport:
    """Prove that `candidate` is not worse than `baseline` by more than `margin`, or fail the test.

    Both are functions from an input to a text; `judge(input, left, right)` says "left", "right",
    "tie" or left's share, and never learns which side is whose. An AssertionError means that the
    candidate is proven worse, or that budget or inputs ended before anything was proven. What is
    proven, either way, is wrong with chance 1 - confidence at most. Whatever the functions raise is
    passed on and is never taken for a verdict.
    """
    __tracebackhide__ = True
    began = time.monotonic()
    question = _question(
        "assert_not_worse", "baseline", "candidate", margin, "non-inferiority", confidence
    )
    design = _design(question)
    _possible(design, budget, None if reuse_inputs else inputs)
    play_as = {"candidate": candidate, "baseline": baseline}
    with Study(
        ["baseline", "candidate"],
        confidence=confidence,
        design=design,
        budget=budget,
        inputs=inputs,
        reuse_inputs=reuse_inputs,
        reserve=0,
        seed=seed,
    ) as study:
        while duel := study.ask():
            row = duel.input
            left, right = (_text(name, play_as[name], row) for name in (duel.left, duel.right))
            study.tell(duel, _called("judge", judge, row, left, right))
        calls = 3 * len(study.outcomes())
        report = _report(study, question, (), calls, time.monotonic() - began)
    if not report.passes:
        raise AssertionError("\n".join(report.lines))
    return report


def _question(
    name: str, baseline: str, candidate: str, margin: float, goal: Goal, confidence: float
) -> GateQuestion:
    if goal not in GOALS:
        raise ConfigError(f"goal must be one of {', '.join(GOALS)}, saw {goal!r}")
    margin = share_between("margin", margin, 0.0, 0.5, low_counts=True)
    confidence = share_between("confidence", confidence, 0.5, 1.0, low_counts=False)
    return GateQuestion(name, baseline, candidate, margin, goal, confidence)


def _design(question: GateQuestion) -> Gate:
    return Gate(question.margin, question.goal, question.confidence, SPARE)


def _opened(
    file: StudyFile, question: GateQuestion, comparisons: int | None, minutes: float | None
) -> Opened:
    """The study of a gate, where `file` has its two policies only."""
    section, design = file.section, _design(question)
    budget: dict[str, Any] = section.budget.model_dump(exclude_none=True)
    budget |= {} if comparisons is None else {"comparisons": comparisons}
    budget |= {} if minutes is None else {"minutes": minutes}
    budget = budget or {"comparisons": MOST}
    _possible(design, budget, None if section.decide.reuse_inputs else file.rows)
    about = {
        "policies": [question.baseline, question.candidate],
        "definition": file.definition,
        "gate": [question.goal, question.margin, question.confidence],
        "inputs": file.rows,
        "decide": [section.decide.reuse_inputs, section.decide.cluster],
        "seed": section.seed,
    }
    name = f"{file.name}: gate {digest(about)[7:23]}"
    study = Study(
        [question.baseline, question.candidate],
        confidence=question.confidence,
        design=design,
        budget=budget,
        inputs=file.rows,
        reuse_inputs=section.decide.reuse_inputs,
        cluster=section.decide.cluster,
        reserve=0,
        store=file.store,
        seed=section.seed,
        name=name,
    )
    return opened(study, file, to_play=True)


def _possible(design: Gate, budget: int | Mapping[str, float], inputs: object) -> None:
    """Refuse what no answers whatever could turn into a pass."""
    fewest = design.fewest()
    most = budget_of(budget).comparisons
    wanted = f"even if the candidate wins every one, {fewest} are needed to prove the claim"
    if most is not None and most < fewest:
        raise ConfigError(f"budget: {most} comparisons are too few: {wanted}")
    if isinstance(inputs, Sequence) and 0 < len(inputs) < fewest:
        raise ConfigError(
            f"inputs: {len(inputs)} make as many comparisons, as each is met once: {wanted}; "
            "give more inputs, or set reuse_inputs, which makes the verdict about this very list"
        )


def _report(
    study: Study,
    question: GateQuestion,
    warnings: tuple[str, ...],
    calls: int,
    seconds: float,
) -> GateReport:
    won = lost = 0.0
    unanswered = 0
    for outcome in study.outcomes():
        if outcome.scores is None:
            unanswered += 1
        elif outcome.comparison.id >= study.since:
            share = outcome.scores[outcome.comparison.arms.index(CANDIDATE)]
            won, lost = won + share, lost + 1 - share
    verdict = study.verdict()
    return GateReport(
        question=question,
        verdict=verdict,
        finding=finding(verdict, question.candidate),
        share=share_interval(won, lost, 1 - question.confidence) if won + lost else None,
        comparisons=verdict.comparisons,
        unanswered=unanswered,
        forecast=study.standing().forecast,
        warnings=warnings,
        record_hash=study.record_hash(),
        calls=calls,
        seconds=seconds,
    )


def _text(name: str, function: Callable[[Any], str], row: Any) -> str:
    text = _called(name, function, row)
    if not isinstance(text, str):
        raise PlayError(f"{name} must return text, saw {text!r:.80}")
    return text


def _called(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except AssertionError as error:
        # Of its own: whoever reads the test must not take it for the gate's.
        raise PlayError(f"{name} raised AssertionError: {error}") from error
