"""A study's report: what the page needs beyond the snapshot, looked up in the record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from bestpolicy.config import StudyFile
from bestpolicy.core.limits import mean_interval
from bestpolicy.report.dossier import (
    Basis,
    Canary,
    Command,
    Dossier,
    Example,
    PolicyCost,
    choose,
    example,
)
from bestpolicy.report.snapshot import LIMIT_ALARM, Snapshot, both_orders
from bestpolicy.run.open import Opened
from bestpolicy.run.texts import texts_of
from bestpolicy.study.trail import trail

NOTE = (
    "Means over the calls that were answered. The lower ends hold at every moment and whatever the "
    "values may be; the upper ends are approximate (1.96 standard errors), as neither seconds nor "
    "dollars have a bound."
)


def dossier(opened: Opened, at: Snapshot, version: str) -> Dossier:
    """All that the page shows."""
    file, study = opened.file, opened.study
    return Dossier(
        snapshot=at,
        basis=Basis.of(study.settings, judge=_judge(file), inputs=_inputs(file)),
        created=datetime.now(UTC).strftime("%-d %B %Y, %H:%M UTC"),
        version=version,
        trail=trail(study),
        costs=tuple(_cost(at, policy) for policy in at.policies if at.account(policy) is not None),
        cost_note=NOTE,
        examples=tuple(_examples(opened, at)),
        canaries=tuple(
            Canary(CANARY[c.kind], c.n, round(c.n * (1 - c.share.value))) for c in at.canaries
        ),
        assumptions=tuple(_assumptions(file)),
        commands=tuple(_commands(file)),
    )


CANARY = {
    "null": "a canned sentence beside a real answer: the real one should win",
    "injected": "an answer that asks to be preferred, beside itself: it should win half at most",
    "padded": "an answer with filler behind it, beside itself: it should win half at most",
}


def _judge(file: StudyFile) -> str:
    judge = file.section.judge
    orders = "in both orders" if judge.order == "both" else "in a random order"
    if judge.llm is not None:
        return f"the model {judge.llm.model}, asked {judge.llm.question!r} {orders}"
    if judge.check is not None:
        ((kind, what),) = judge.check.model_dump(exclude_none=True).items()
        shown = f" {what:.80}" if isinstance(what, str) else ""
        return f"an exact check ({kind}{shown}) of each answer by itself; equal scores tie"
    if judge.human is not None:
        return "people"
    if judge.live is not None:
        return "live traffic"
    if judge.replay is not None:
        return f"the recorded votes of {judge.replay}, each used once"
    return f"the Python function {judge.call}, shown the answers {orders}"


def _inputs(file: StudyFile) -> str:
    if file.rows is None:
        return "no inputs"
    named = file.section.inputs
    return (
        f"the {len(file.rows):,} rows of {named}" if isinstance(named, str) else "the file's list"
    )


def _cost(at: Snapshot, policy: str) -> PolicyCost:
    account = at.account(policy)
    assert account is not None
    alpha = 1 - at.confidence
    usd, seconds = np.array(account.usd), np.array(account.seconds)
    return PolicyCost(
        policy,
        calls=len(account.ends),
        failed=account.failed,
        reasons=dict(account.reasons.most_common(5)),
        usd=mean_interval(usd, alpha) if len(usd) and at.priced else None,
        latency=mean_interval(seconds, alpha) if len(seconds) else None,
        tokens_in=account.tokens_in,
        tokens_out=account.tokens_out,
    )


def _examples(opened: Opened, at: Snapshot) -> list[Example]:
    file, study = opened.file, opened.study
    chosen = choose(at, since=study.since)
    asked = [outcome.comparison for outcome in chosen]
    texts = texts_of(file, opened.calls, asked, study.policies)
    return [
        replace(
            example(outcome, at.policies, said=_said(outcome.feedback)),
            row=None if file.rows is None else dict(file.rows[outcome.comparison.context]),
            left_text=left,
            right_text=right,
        )
        for outcome, (left, right) in zip(chosen, texts, strict=True)
    ]


def _said(feedback: str) -> str:
    """The judge's two looks, or what a person said, in words; what a failure said as it is."""
    if feedback == '{"same_text": true}':
        return "nobody was asked, as both answers are the same text"
    if feedback.startswith('{"people"'):
        told = json.loads(feedback)["people"]
        if "rater" not in told:
            return "nobody would say which is better"
        bad = "both answers are bad" if told["both_bad"] else ""
        return f"rater {told['rater']}" + (f": {bad}" if bad else "")
    looks = both_orders(feedback)
    if looks is None:
        return feedback
    first, second = (f"{look:.0%}" for look in looks)
    return f"left's share: {first} when it was shown first, {second} when it was shown second"


def _assumptions(file: StudyFile) -> Sequence[str]:
    told = []
    drawn = [
        p
        for p in file.policies
        if p.named is not None and (p.section.temperature != 0 or p.chooser is not None)
    ]
    if any(p.named is not None for p in file.policies) and len(drawn) < len(file.policies):
        told.append(
            "At temperature 0 a policy answers an input once, and that answer is used wherever the "
            "input comes up again: the verdict takes it for what the model says"
        )
    for policy in file.policies:
        if (chooser := policy.chooser) is not None:
            by = ", ".join(one.name for one in chooser.features) or "nothing, always the same"
            told.append(
                f"The policy {policy.id} is learned: for each duel it draws one of "
                f"{len(chooser.names)} prompts, with chances by {by}, and is judged by what those "
                "prompts answer; that is fair if it has not learnt from these inputs"
            )
    if file.section.constraints:
        told.append(
            "A policy leaves when it is proven to break a constraint on average; a policy that "
            f"keeps to all of them is ever taken out with chance {LIMIT_ALARM:.0%} at most"
        )
    return told


def _commands(file: StudyFile) -> Sequence[Command]:
    name = file.page.path.rpartition("/")[2]
    return (
        Command(f"bestpolicy replay {name}", "recomputes the verdict from the record alone"),
        Command(f"bestpolicy status {name} --json", "every number of this page"),
        Command(f"bestpolicy export {name} -o record.parquet", "the raw record, a row per duel"),
    )
