"""The picture: where a served study stands, as the dashboard shows it; numbers with their words.

A live study's comes from the fold of its traffic, any other's from the snapshot of its duels. What
is drawn as a bar is a share of the way to the evidence that decides: 0 is none, 1 is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from bestpolicy.core.nouns import Interval, Standing, Verdict
from bestpolicy.live import look as live
from bestpolicy.live.stand import Share, Stand
from bestpolicy.report import prose
from bestpolicy.report.snapshot import Snapshot
from bestpolicy.report.tables import ranking, state
from bestpolicy.run import constraints, snapshot
from bestpolicy.serve.house import House
from bestpolicy.serve.pairs import Pairs

Picture = dict[str, Any]
MISSING = 0.2  # share of units without feedback that is worth a word
ENOUGH = 50  # units, before it is said


def picture(house: House) -> Picture:
    """Where the study stands now."""
    if live.is_live(house.file):
        return of_traffic(house, house.traffic.stand())
    at = snapshot(house.opened, kept=constraints(house.opened, None), passing=True)
    found = of_duels(at)
    if house.pairs is not None:
        found["facts"] += _people(house.pairs)
        found["warnings"] += [trouble] if (trouble := house.pairs.trouble) else []
    return found


def of_traffic(house: House, stand: Stand) -> Picture:
    """A live study: mean rewards of units."""
    names, standing = house.traffic.policies, stand.standing
    found = live.named(stand.verdict, names)
    answered = sum(share.answered for share in stand.shares)
    order = sorted(
        range(len(names)),
        key=lambda i: (i != standing.leader, not standing.alive[i], standing.evidence[i]),
    )
    facts = [
        ("units", f"{stand.units:,}"),
        ("counted", f"{stand.told:,}"),
        *([("waited for", f"{waiting:,}")] if (waiting := stand.units - stand.read) > 0 else []),
        *_forecast(found, standing, "units"),
    ]
    return {
        "kind": "live",
        "counted": answered,
        **_head(house.opened.study.name, found),
        "facts": facts,
        "value": "mean reward",
        "policies": [
            _row(names[i], _state(found, standing, names, i), standing, i)
            | _estimate(stand.shares[i].mean if stand.shares[i].answered else None)
            | {"traffic": stand.shares[i].chance, "many": _units(stand.shares[i])}
            for i in order
        ],
        "warnings": _alarms(house, stand),
    }


def of_duels(at: Snapshot) -> Picture:
    """Any other study: each policy's share against its strongest rival."""
    order = ranking(at)
    facts = [
        ("answers", f"{len(at.outcomes):,}"),
        ("open duels", f"{at.in_flight:,}"),
        *_forecast(at.verdict, at.standing, "answers"),
    ]
    if at.usd:
        facts.append(("spent", f"${at.usd:,.4g}"))
    return {
        "kind": "duels",
        "counted": len(at.outcomes),
        **_head(at.name, at.verdict),
        "facts": facts,
        "value": "share against its strongest rival",
        "policies": [
            _row(at.policies[i], state(at, i), at.standing, i)
            | _estimate(at.against(i, at.rival(i)))
            | {
                "traffic": None,
                "many": f"{at.tallies[i].comparisons:,} comparisons",
                "rival": None if (rival := at.rival(i)) is None else at.policies[rival],
            }
            for i in order
        ],
        "warnings": at.warnings(),
    }


def _people(pairs: Pairs) -> list[tuple[str, str]]:
    """Who has answered, and what lies before people now."""
    seen = pairs.ratings.seen()
    raters = {one.view.rater for one in seen if one.state in ("said", "settled")}
    return [
        ("people answered", f"{len(raters):,}"),
        ("before people", f"{sum(one.state == 'open' for one in seen):,}"),
    ]


def _head(name: str, verdict: Verdict[str]) -> Picture:
    claim, sure = prose.headline(verdict)
    return {
        "name": name,
        "claim": claim,
        "sure": sure,
        "reason": verdict.reason,
        "decided": verdict.final,
        "confidence": verdict.confidence,
    }


def _row(name: str, word: str, standing: Standing, i: int) -> Picture:
    leads = i == standing.leader
    return {
        "id": name,
        "state": "leads" if leads and word == "survives" else word,
        "leads": leads,
        "alive": bool(standing.alive[i]),
        "against": _way(float(standing.evidence[i]), standing.drop_bar),
        "proof": None if leads else _way(float(standing.proof[i]), standing.proof_bar),
    }


def _way(evidence: float, bar: float) -> float:
    """How much of the way to the bar; less evidence than none is drawn as none."""
    return 1.0 if evidence >= bar else max(0.0, round(evidence / bar, 4))


def _estimate(interval: Interval | None) -> Picture:
    if interval is None:
        return {"mean": None, "low": None, "high": None}
    return {
        "mean": round(interval.value, 5),
        "low": round(interval.low, 5),
        "high": round(interval.high, 5),
    }


def _forecast(verdict: Verdict[str], standing: Standing, what: str) -> Sequence[tuple[str, str]]:
    if verdict.final:
        return ()
    if not isfinite(standing.forecast):
        return (("to a decision", "not foreseeable yet"),)
    return ((f"{what} to a decision", f"about {standing.forecast:,.0f}"),)


def _state(verdict: Verdict[str], standing: Standing, names: Sequence[str], i: int) -> str:
    if verdict.kind == "winner":
        return "wins" if names[i] == verdict.policy else "beaten"
    return "survives" if standing.alive[i] else "out"


def _units(share: Share) -> str:
    waiting = f", {share.waiting:,} waiting" if share.waiting > 0 else ""
    missing = f", {share.missing:,} without feedback" if share.missing else ""
    return f"{share.assigned:,} units{waiting}{missing}"


def _alarms(house: House, stand: Stand) -> list[str]:
    study = house.opened.study
    at = live.Look(study.name, study.hash, study.seed, house.traffic.policies, stand, "")
    told = live.warnings(at)
    missing = sum(share.missing for share in stand.shares)
    ended = missing + sum(share.answered for share in stand.shares)
    if ended >= ENOUGH and missing > MISSING * ended:
        told.append(
            f"{missing / ended:.0%} of the units gave no feedback within the window; were it "
            "their rewards that keep them silent, the means would mislead"
        )
    return told
