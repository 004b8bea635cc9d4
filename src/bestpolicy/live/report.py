"""The report of a study that live traffic decides: one page, from what `look` found."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from bestpolicy.config import StudyFile
from bestpolicy.core.nouns import Interval
from bestpolicy.core.ratio import ALPHA
from bestpolicy.live.look import Look, as_json, warnings
from bestpolicy.live.stand import Share
from bestpolicy.live.terms import terms_of
from bestpolicy.report import prose
from bestpolicy.report.page import ROOM
from bestpolicy.report.text import safe_json

WIDTH = 200  # of the drawing of an interval


def report(at: Look, file: StudyFile, version: str) -> str:
    """The page as HTML."""
    claim, sure = prose.headline(at.verdict)
    stand, name = at.stand, Path(file.page.path).name
    return ROOM.get_template("traffic.html").render(
        {
            "name": at.name,
            "claim": claim,
            "sure": sure,
            "reason": at.verdict.reason,
            "facts": _facts(at),
            "warnings": warnings(at),
            "rows": [_row(at, i, share) for i, share in enumerate(stand.shares)],
            "percent": f"{100 * at.verdict.confidence:.6g}%",
            "grounds": _grounds(file),
            "record": at.record_hash,
            "commands": [
                (f"bestpolicy replay {name}", "recomputes the verdict from the record alone"),
                (f"bestpolicy status {name} --json", "every number of this page"),
                (
                    f"bestpolicy export {name} --format log -o log.parquet",
                    "every unit with the chances of its draw",
                ),
            ],
            "version": version,
            "created": datetime.now(UTC).strftime("%-d %B %Y, %H:%M UTC"),
            "data": Markup(safe_json(as_json(at))),
        },
    )


def _facts(at: Look) -> list[tuple[str, str]]:
    stand = at.stand
    facts = [
        ("confidence", f"{100 * at.verdict.confidence:.6g}%"),
        ("units read", f"{stand.told:,}"),
        ("units assigned", f"{stand.units:,}"),
        ("policies", f"{len(at.policies):,}"),
    ]
    ahead = stand.standing.forecast
    if not at.verdict.final and 0 < ahead < float("inf"):
        facts.append(("more to a verdict, about", f"{ahead:,.0f}"))
    return facts


def _row(at: Look, i: int, share: Share) -> dict[str, Any]:
    standing, mean = at.stand.standing, share.mean
    alive = bool(standing.alive[i])
    wins = at.verdict.kind == "winner" and at.verdict.policy == at.policies[i]
    return {
        "id": at.policies[i],
        "alive": alive,
        "state": "wins" if wins else "leads" if i == standing.leader else _state(alive),
        "mean": f"{mean.value:.3f}" if share.answered else "-",
        "interval": _range(mean),
        "low_at": f"{WIDTH * mean.low:.1f}",
        "high_at": f"{WIDTH * mean.high:.1f}",
        "mean_at": f"{WIDTH * mean.value:.1f}" if share.answered else None,
        "worst": f"{share.worst[0]:.3f} to {share.worst[1]:.3f}",
        "chance": f"{share.chance:.1%}",
        "assigned": f"{share.assigned:,}",
        "answered": f"{share.answered:,}",
        "missing": f"{share.missing:,}",
        "waiting": f"{share.waiting:,}",
        "evidence": f"{max(0.0, float(standing.evidence[i])):.1f} of {standing.drop_bar:.1f}",
    }


def _state(alive: bool) -> str:
    return "survives" if alive else "out"


def _range(mean: Interval) -> str:
    return f"{mean.low:.3f} to {mean.high:.3f}"


def _grounds(file: StudyFile) -> list[tuple[str, str]]:
    """What has to be true for the verdict to mean what it says."""
    terms = terms_of(file)
    waits = f"{terms.window / 60:g} minutes"
    missing = (
        f"A unit without feedback after {waits} is left out, which does no harm as long as that "
        "does not depend on its policy; an alarm watches for that"
        if terms.missing is None
        else f"A unit without feedback after {waits} counts as a reward of {terms.missing:g}"
    )
    zone = (
        f"means within {terms.indifference:g} of each other count as equally good"
        if terms.indifference
        else "none: any higher mean is better, however little"
    )
    return [
        ("Reward", "A number in [0, 1] that your own system reports; better means a higher mean"),
        (
            "Chance",
            (
                "Each unit got its policy by a draw whose chances are on record. Nobody who sends "
                "units may know how a unit will be drawn"
            ),
        ),
        ("Units", "One unit’s reward does not depend on what other units got"),
        (
            "Drift",
            "Means may move together. The verdict holds as long as the winner stays the better one",
        ),
        ("Missing", missing),
        ("Indifference", zone),
        ("Order", "Evidence reads units in the order of assignment, whenever their feedback came"),
        ("Alarms", f"Each of the two alarms is false in at most {ALPHA:.1%} of studies"),
    ]
