"""Where a study stands, gathered from its record for the reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bestpolicy.config import Players, StudyFile
from bestpolicy.config.connect import plain_check
from bestpolicy.llm.canaries import KINDS, Canaries, fared
from bestpolicy.llm.checks import Check
from bestpolicy.report.raters import raters
from bestpolicy.report.snapshot import Kept, Pair, Snapshot
from bestpolicy.run.lengths import length_of
from bestpolicy.run.limits import Limits
from bestpolicy.run.open import Opened
from bestpolicy.run.play import Played
from bestpolicy.store.calls import Calls


def snapshot(
    opened: Opened,
    *,
    kept: Sequence[Kept] = (),
    played: Played | None = None,
    seconds: float = 0.0,
    passing: bool = False,
) -> Snapshot:
    """Where the study stands, as reports need it; a `passing` look leaves out what takes long."""
    study, file, calls = opened.study, opened.file, opened.calls
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
    at = Snapshot(
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
        order=file.section.judge.order if file.judge_kind in ("llm", "call") else "both",
        judged_by=file.judge_kind,
        budget=file.section.budget.comparisons,
        in_flight=len(study.in_flight()),
        record_hash="" if passing else study.record_hash(),
        calls=None if played is None else played.calls,
        seconds=seconds,
        accounts={(role, who): account for (role, who), account in calls.accounts().items()},
        kept=tuple(kept),
        canaries=() if passing else canaries_of(calls),
        halted="" if played is None else played.halted,
        priced=_priced(file, calls),
        before=opened.before,
        reserved=calls.reserved(),
        people=None
        if file.judge_kind != "human"
        else raters(opened.ratings.seen(), file.section.decide.confidence),
    )
    return at if passing else replace(at, length=length_of(opened, at))


def constraints(opened: Opened, players: Players | None) -> list[Kept]:
    """How each policy stands with each constraint; checks need the players who run them."""
    study, file, calls = opened.study, opened.file, opened.calls
    limits = file.section.constraints
    checks: Sequence[Check | None] = (
        [None if limit.check is None else plain_check(limit.check) for limit in limits]
        if players is None
        else players.checks
    )
    plain = [
        (limit, check)
        for limit, check in zip(limits, checks, strict=True)
        if limit.check is None or check is not None
    ]
    known = Limits([p[0] for p in plain], [p[1] for p in plain], file.rows, study, calls)
    return known.standing()


def canaries_of(calls: Calls) -> tuple[Canaries, ...]:
    """How the canaries fared that were put into this study."""
    shares: dict[str, list[float]] = {}
    for _, ask, reply in calls.each("canary"):
        shares.setdefault(ask.who, []).append(float(reply.text))
    return tuple(fared(kind, shares[kind]) for kind in KINDS if kind in shares)


def _priced(file: StudyFile, calls: Calls) -> bool:
    """Whether what the calls cost is known: a model behind an address may have no known price."""
    llm = file.section.judge.llm
    models = {policy.id: policy.section.model or "" for policy in file.policies}
    models |= {} if llm is None else {llm.model: llm.model}  # under which the judge's calls are
    told = {name for name, terms in file.section.models.items() if terms.price is not None}
    return not any(
        models.get(who, "").startswith("openai/")
        and models[who] not in told
        and account.answered
        and account.tokens
        and not sum(account.usd)
        for (_, who), account in calls.accounts().items()
    )
