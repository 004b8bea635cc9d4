"""The terms of live traffic: what a study file says of how units are assigned and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bestpolicy.config import StudyFile
from bestpolicy.config.schema import LiveJudge


@dataclass(frozen=True, slots=True)
class Terms:
    """How units are assigned, how long feedback is waited for, and what counts as decided."""

    policies: int
    confidence: float = 0.95
    indifference: float = 0.0
    explore: float = 0.1
    window: float = 3600.0  # seconds
    missing: float | None = None  # the reward of a unit without feedback; None leaves it out
    by: Literal["reward", "winner"] = "reward"
    log_context: bool = False


def terms_of(file: StudyFile) -> Terms:
    """The file's own, or the usual ones for a study that another judge decides."""
    live = file.section.judge.live or LiveJudge()
    return Terms(
        policies=len(file.policies),
        confidence=file.section.decide.confidence,
        indifference=file.section.decide.indifference,
        explore=live.explore,
        window=60.0 * live.window_minutes,
        missing=None if live.missing == "skip" else float(live.missing),
        by=live.by,
        log_context=live.log_context,
    )
