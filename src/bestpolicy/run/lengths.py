"""How long the answers were that a study compared, looked up in its record of calls."""

from __future__ import annotations

from math import log

from bestpolicy.report.length import MOST, Length, Sized, length
from bestpolicy.report.snapshot import Snapshot
from bestpolicy.report.tables import ranking
from bestpolicy.run.open import Opened
from bestpolicy.run.texts import texts_of

READERS = ("llm", "call", "human")  # judges with a taste; to a check a length is nothing
POLICIES = 60  # of the ranking, as many as the page shows


def length_of(opened: Opened, at: Snapshot) -> Length | None:
    """What length has to do with winning, since evidence counts; None where no texts are kept."""
    study, file = opened.study, opened.file
    if file.judge_kind not in READERS:
        return None
    answered = [
        outcome
        for outcome in at.outcomes
        if outcome.scores is not None and outcome.comparison.id >= study.since
    ]
    latest = answered[-MOST:]
    asked = [outcome.comparison for outcome in latest]
    sized = []
    texts = texts_of(file, opened.calls, asked, study.policies)
    for outcome, (left, right) in zip(latest, texts, strict=True):
        if left is not None and right is not None and outcome.scores is not None:
            ratio = log(_characters(left) / _characters(right))
            sized.append(
                Sized(
                    (outcome.comparison.arms[0], outcome.comparison.arms[1]),
                    outcome.scores[0],
                    ratio,
                )
            )
    rivals = [
        (policy, rival)
        for policy in ranking(at)[:POLICIES]
        if at.policies[policy] not in at.left and (rival := at.rival(policy)) is not None
    ]
    left_out = len(answered) - len(latest)
    return length(sized, study.policies, rivals, at.confidence, left_out)


def _characters(text: str) -> int:
    return max(1, len(text.strip()))
