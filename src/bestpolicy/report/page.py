"""The report: one HTML file that holds all it shows, to be mailed, printed and kept.

    Dossier ──view──► words and numbers ──page.html──► text

Nothing is fetched and nothing is sent: plotly.js stands in the file as it is (packed, it would
look like something that hides), and the page's own policy forbids every connection. Texts of
users go through the template's escaping only; figures get theirs in `plots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, log
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from bestpolicy.core.nouns import Interval
from bestpolicy.core.watch import FALSE_ALARM
from bestpolicy.report import drawing, plots, prose
from bestpolicy.report.allocation import Allocation, Spent, allocation
from bestpolicy.report.data import data, is_proven
from bestpolicy.report.dossier import Basis, Dossier, Example, PolicyCost, Trail
from bestpolicy.report.room import room
from bestpolicy.report.snapshot import Snapshot
from bestpolicy.report.tables import in_words, ranking, state
from bestpolicy.report.text import cut, safe_json, seen, shortened

ROOM = room(Path(__file__).parent)
LONG = 70  # characters of a claim; longer ones are set smaller
MATRIX = 12  # policies of the matrix
ROWS = 60  # of a table
SHORT = 32  # characters of a name where it stands in full elsewhere
MOMENTS = 9  # of the evidence, as a table
PAIRS = 12  # of the allocation
ANSWER, FIELD = 1500, 400  # characters of an answer, and of a field of the input


def render(dossier: Dossier) -> str:
    """The page, whose text is a function of the dossier alone."""
    return ROOM.get_template("page.html").render(view(dossier))


def view(dossier: Dossier) -> dict[str, Any]:
    """Everything that the template needs to say."""
    at, basis = dossier.snapshot, dossier.basis
    where = allocation(at, basis)
    claim, sure = prose.headline(at.verdict)
    return {
        "at": at,
        "version": dossier.version,
        "created": dossier.created,
        "claim": claim,
        "sure": sure,
        "long": len(claim) > LONG,
        "meaning": prose.meaning(at, basis),
        "facts": prose.facts(at),
        "warnings": at.warnings(),
        "news": at.news(),
        "grounds": prose.grounds(basis, dossier.assumptions),
        "trail": _trail(dossier),
        "standings": [_standing(at, basis, i) for i in ranking(at)[:ROWS]],
        "standings_left_out": max(0, len(at.policies) - ROWS),
        "assumed": basis.assume_winner,
        "bars": (at.standing.drop_bar, at.standing.proof_bar),
        "matrix": _matrix(at, basis),
        "allocation": _allocation(at, where),
        "costs": _costs(dossier),
        "examples": [_example(example) for example in dossier.examples],
        "chosen": dossier.chosen,
        "judge": _judge(at),
        "doubts": _doubts(at),
        "length": _length(at),
        "people": prose.people(at),
        "canaries": [
            (c.about, c.right, c.asked, in_words(at.interval(c.right, c.asked)))
            for c in dossier.canaries
            if c.asked
        ],
        "commands": dossier.commands,
        "percent": f"{100 * at.confidence:.6g}%",
        "data": _raw(safe_json(data(dossier, where))),
        "library": _raw(drawing.library()),
        "dark": _raw(safe_json(drawing.DARK)),
    }


def _trail(dossier: Dossier) -> dict[str, Any] | None:
    trail, at = dossier.trail, dossier.snapshot
    if trail is None or len(trail.at) < 2:
        return None
    order = ranking(at)
    shown = plots.lines(order)
    return {
        "evidence": _raw(plots.evidence(trail, shown, at.policies)),
        # Where a winner is assumed or a structure proves, the last survivor wins.
        "proof": None
        if dossier.basis.assume_winner or dossier.basis.trust_structure
        else _raw(plots.proof(trail, shown, at.policies, at.standing.leader)),
        "leader": at.policies[at.standing.leader],
        "legend": [(at.policies[one.policy], state(at, one.policy), one) for one in shown],
        "rest": len(order) - len(shown),
        "moments": _moments(trail, shown),
        "below": plots.leaves_below(trail, shown),
        "resets": trail.resets,
        "read": int(trail.at[-1]),
    }


def _moments(trail: Trail, shown: Sequence[plots.Line]) -> list[tuple[str, list[str]]]:
    """The evidence at a few moments, one column per line that is drawn."""
    at = np.unique(np.linspace(0, len(trail.at) - 1, MOMENTS).round().astype(int))
    return [
        (
            f"{trail.at[n]:,}",
            [
                "not there" if isnan(value) else f"{value:,.2f}"
                for value in trail.evidence[n, [line.policy for line in shown]].tolist()
            ],
        )
        for n in at.tolist()
    ]


def _standing(at: Snapshot, basis: Basis, i: int) -> dict[str, Any]:
    rival, leads, gone = at.rival(i), i == at.standing.leader, at.policies[i] in at.left
    proof = float(at.standing.proof[i])
    return {
        "policy": at.policies[i],
        "state": state(at, i),
        "leads": leads,
        # Of whoever has left nothing is claimed any more.
        "evidence": "–" if gone else f"{float(at.standing.evidence[i]):,.2f}",
        "proof": "–" if gone or leads else "proven" if is_proven(at, basis, i) else f"{proof:,.2f}",
        "tally": at.tallies[i],
        "rival": "–" if rival is None or gone else shortened(at.policies[rival], SHORT),
        "share": "–" if gone else in_words(at.against(i, rival)),
    }


def _matrix(at: Snapshot, basis: Basis) -> dict[str, Any]:
    order = ranking(at)
    if len(order) > MATRIX:
        alive = [i for i in order if at.standing.alive[i]]
        rivals = [rival for i in alive if (rival := at.rival(i)) is not None]
        order = list(dict.fromkeys([*alive, *rivals, *order]))[:MATRIX]
    cells = [[None if a == b else _cell(at, basis, a, b) for b in order] for a in order]
    return {
        "policies": [(at.policies[i], shortened(at.policies[i], SHORT)) for i in order],
        "cells": cells,
        "left_out": len(at.policies) - len(order),
    }


def _cell(at: Snapshot, basis: Basis, a: int, b: int) -> dict[str, Any]:
    pair, share = at.pairs.get((a, b)), at.against(a, b)
    if pair is None or share is None or not pair.n:
        return {"n": 0}
    return {
        "n": pair.n,
        "value": f"{100 * share.value:.1f}",
        "range": f"{100 * share.low:.1f}–{100 * share.high:.1f}",
        "tint": round(200 * abs(share.value - 0.5)),
        "side": "wins" if share.low > 0.5 else "loses" if share.high < 0.5 else "open",
        "proven": a == at.standing.leader and is_proven(at, basis, b),
        "title": f"{seen(at.policies[a])} against {seen(at.policies[b])}: {in_words(share)} of "
        f"{pair.n:,} comparisons",
    }


def _allocation(at: Snapshot, where: Allocation) -> dict[str, Any] | None:
    if not where.total:
        return None
    shown, rest = where.pairs[:PAIRS], where.pairs[PAIRS:]

    def row(one: Spent) -> dict[str, Any]:
        return {
            "pair": (at.policies[one.loser], at.policies[one.rival]),
            "n": f"{one.n:,}",
            "used": f"{one.used:.1%}",
            "best": "" if one.best is None else in_words(one.best),
        }

    return {
        "figure": _raw(plots.spending(shown, at.policies)),
        "rows": [row(one) for one in shown],
        "rest": len(rest),
        "rest_n": sum(one.n for one in rest),
        "total": where.total,
        "why_not": where.why_not,
    }


def _costs(dossier: Dossier) -> dict[str, Any]:
    """Whoever leads comes first, as everywhere."""
    at = dossier.snapshot
    place = {at.policies[i]: n for n, i in enumerate(ranking(at))}
    costs = sorted(dossier.costs, key=lambda cost: place.get(cost.policy, len(place)))
    figures = []
    for title, prefix, suffix, values in (
        ("Cost per call", drawing.DOLLAR, "", [(c.policy, c.usd) for c in costs]),
        ("Seconds per call", "", " s", [(c.policy, c.latency) for c in costs]),
    ):
        known = [(policy, value) for policy, value in values if value is not None]
        if known:
            drawn = plots.means(known[: plots.MOST], prefix=prefix, suffix=suffix)
            figures.append((title, _raw(drawn), max(0, len(known) - plots.MOST)))
    rows = [
        {
            "policy": c.policy,
            "calls": f"{c.calls:,}",
            "usd": _money(c.usd),
            "latency": _seconds(c.latency),
            "tokens": f"{c.tokens_in:,} / {c.tokens_out:,}" if c.tokens_in or c.tokens_out else "",
        }
        for c in costs
    ]
    return {
        "figures": figures,
        "rows": rows,
        "note": dossier.cost_note,
        "failures": [_failure(at, c) for c in costs],
        "no_usd": not any(c.usd for c in costs),
        "no_latency": not any(c.latency for c in costs),
    }


def _failure(at: Snapshot, cost: PolicyCost) -> dict[str, Any]:
    share = at.interval(cost.failed, cost.calls) if cost.calls else None
    return {
        "policy": cost.policy,
        "failed": f"{cost.failed:,} of {cost.calls:,}",
        "share": in_words(share) if share else "",
        "reasons": sorted(cost.reasons.items(), key=lambda item: (-item[1], item[0])),
    }


def _example(example: Example) -> dict[str, Any]:
    row = example.row
    fields = [("input", row)] if isinstance(row, str) else list((row or {}).items())
    left = "won" if example.share is not None and example.share > 0.5 else ""
    right = "won" if example.share is not None and example.share < 0.5 else ""
    return {
        "duel": example.duel,
        "fields": [(str(name), *cut(str(value), FIELD)) for name, value in fields],
        "sides": [
            (side, policy, won, None if text is None else cut(text, ANSWER))
            for side, policy, won, text in (
                ("left", example.left, left, example.left_text),
                ("right", example.right, right, example.right_text),
            )
        ],
        "outcome": prose.outcome(example),
        "said": cut(prose.said(example.said), ANSWER),
    }


def _judge(at: Snapshot) -> list[tuple[str, str, str]]:
    report = at.judge()
    return [
        (what, in_words(found) if found is not None else missing, means)
        for (what, means, missing), found in zip(
            prose.JUDGE, (report.position, report.ties, report.agreement), strict=True
        )
    ]


def _doubts(at: Snapshot) -> list[tuple[str, str, str, str]]:
    bar = f"{-log(FALSE_ALARM):.2f}"
    return [
        (
            prose.DOUBTS.get(doubt.about, doubt.about),
            f"{doubt.evidence:.2f}",
            bar,
            f"raised after {prose.numbers(doubt.raised)} answers" if doubt.raised else "not raised",
        )
        for doubt in at.doubts
    ]


def _length(at: Snapshot) -> dict[str, Any] | None:
    found = at.length
    if found is None:
        return None
    return {
        "longer": None if found.longer is None else in_words(found.longer),
        "n": found.n,
        "left_out": found.left_out,
        "rows": [
            (
                one.policy,
                shortened(one.rival, SHORT),
                one.n,
                in_words(one.raw),
                in_words(one.adjusted),
            )
            for one in found.against
        ],
    }


def _money(value: Interval | None) -> str:
    if value is None:
        return "no price known"
    return f"${value.value:.4g} [${value.low:.4g}, ${value.high:.4g}]"


def _seconds(value: Interval | None) -> str:
    if value is None:
        return "not measured"
    return f"{value.value:.3g} s [{value.low:.3g}, {value.high:.3g}]"


def _raw(text: str) -> Markup:
    """Of our own making: JSON without angle brackets, or the library."""
    return Markup(text)
