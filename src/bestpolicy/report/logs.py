"""The report on a log: one HTML file with a verdict, its intervals, and what they rest on.

    Answers | Description ──view──► words and numbers ──logs.html──► text

As in `page` nothing is fetched and nothing is sent; names of columns, actions and files go through
the template's escaping, and figures get theirs in `log_plots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from bestpolicy.offpolicy.describe import Choice
from bestpolicy.offpolicy.diagnose import Line
from bestpolicy.offpolicy.evaluate import Evaluation
from bestpolicy.offpolicy.pictures import Action, Part, Pictures
from bestpolicy.report import drawing, log_plots
from bestpolicy.report import log_words as words
from bestpolicy.report.described import Described, can_answer, chances, level, within_reach
from bestpolicy.report.described import as_json as described_json
from bestpolicy.report.log_tables import NOTHING, as_json
from bestpolicy.report.log_words import About, Answers
from bestpolicy.report.room import room
from bestpolicy.report.text import safe_json

ROOM = room(Path(__file__).parent)
LONG = 70  # characters of a claim; longer ones are set smaller
ROWS = 40  # of a table of actions


@dataclass(frozen=True, slots=True)
class Made:
    """Who made the page, when, and by which command."""

    version: str
    created: str
    command: str


def render(answers: Answers, made: Made) -> str:
    """The page, whose text is a function of what is given alone."""
    return ROOM.get_template("logs.html").render(view(answers, made))


def view(answers: Answers, made: Made) -> dict[str, Any]:
    """Everything that the template needs to say of an evaluation."""
    first = answers.evaluations[0]
    several = len(answers.evaluations) > 1
    claim = _claims(answers) if several else words.headline(first)
    percent = f"{100 * answers.each:.4g}%"
    return page(answers.about, made) | {
        "kind": "evaluation",
        "claim": claim,
        "long": len(claim) > LONG,
        "together": words.together(answers),
        "percent": percent,
        "facts": _facts(answers, percent),
        "targets": [_target(one, answers) for one in answers.evaluations],
        "several": several,
        "doubts": [
            (one.target if several else "", f"{words.label(line)}: {line.said}")
            for one in answers.evaluations
            for line in words.worst(one.diagnosis.lines, "stop", "warn")
        ],
        "uplifts": _raw(_uplifts(answers)),
        "data": _raw(safe_json(as_json(answers))),
    }


def render_description(described: Described, made: Made) -> str:
    """The page on a log that nobody has asked anything yet."""
    about, found = described.about, described.found
    claim, parts = can_answer(described), [part for part in found.parts if part.rows]
    reward = words.between(found.reward.value, found.reward.low, found.reward.high)
    rewards = [
        log_plots.Row(one.name, one.reward.low, one.reward.high, None, one.reward.value)
        for one in found.actions
        if one.reward is not None
    ]
    doubts = words.worst(found.lines, "stop", "warn")
    told = page(about, made) | {
        "kind": "description",
        "claim": claim,
        "long": len(claim) > LONG,
        "reasons": [*within_reach(described), found.advice],
        "percent": f"{100 * found.confidence:.4g}%",
        "facts": [
            ("rows", f"{about.rows:,}"),
            ("actions", f"{about.actions:,}"),
            (f"mean {about.reward}", reward),
            ("smallest chance", f"{found.propensity[0]:.3g}"),
        ],
        "doubts": [("", f"{words.label(line)}: {line.said}") for line in doubts],
        "lines": looked(found.lines),
        "choices": [_choice(one) for one in found.actions[:ROWS]],
        "even": (f"{found.uniform:,.0f}", level(found.uniform)),
        "rewards": _raw(log_plots.intervals(rewards, zero=found.reward.value, said=about.reward))
        if rewards
        else None,
        "drift": [(f"Mean {about.reward}", _raw(_drift(parts)))] if len(parts) > 1 else None,
        "left_out": max(0, len(found.actions) - ROWS),
        "data": _raw(safe_json(described_json(described))),
    }
    return ROOM.get_template("logs.html").render(told)


def _choice(one: Choice) -> dict[str, str]:
    reward = one.reward
    return {
        "name": one.name,
        "rows": f"{one.rows:,.0f}",
        "share": f"{one.share:.2%}",
        "chances": "never logged" if one.least is None else chances(one.least, one.most),
        "reward": "" if reward is None else words.between(reward.value, reward.low, reward.high),
        "worth": f"{one.worth:,.0f}",
        "says": level(one.worth),
    }


def page(about: About, made: Made) -> dict[str, Any]:
    """What every page on a log says."""
    return {
        "about": about,
        "made": made,
        "learned": None,
        "nothing": NOTHING,
        "library": _raw(drawing.library()),
        "dark": _raw(safe_json(drawing.DARK)),
        "bounds": f"{about.bounds[0]:g} to {about.bounds[1]:g}",
    }


def _claims(answers: Answers) -> str:
    """Several verdicts in a sentence."""
    said = {
        "better": "better than the policy that logged",
        "worse": "worse",
        "undecided": "undecided",
        "stop": "beyond what the log can answer",
    }
    parts = []
    for verdict, phrase in said.items():
        names = [one.target for one in answers.evaluations if one.verdict == verdict]
        if names:
            parts.append(f"{phrase}: {', '.join(names)}")
    made = "; ".join(parts)
    return made[0].upper() + made[1:]


def _facts(answers: Answers, percent: str) -> list[tuple[str, str]]:
    about, first = answers.about, answers.evaluations[0]
    facts = [
        ("rows", f"{about.rows:,}"),
        ("actions", f"{about.actions:,}"),
        (f"mean {about.reward} as logged", words.mean_of_log(first)),
    ]
    if len(answers.evaluations) > 1:
        return [*facts, ("confidence of each", percent)]
    worth = next((one.effective for one in first.values() if one.effective is not None), None)
    if worth is not None:
        facts.append(("effective rows", f"{worth:,.0f}"))
    return [*facts, ("confidence", percent)]


def _uplifts(answers: Answers) -> str:
    rows = []
    for one in answers.evaluations:
        up = one.uplift
        usual = up.asymptotic if words.speaks(one) else None
        rows.append(log_plots.Row(one.target, up.low, up.high, usual))
    return log_plots.intervals(
        rows, zero=0.0, said=f"{answers.about.reward} per row beyond the policy that logged"
    )


def _target(one: Evaluation, answers: Answers) -> dict[str, Any]:
    speaks, pictures = words.speaks(one), one.diagnosis.pictures
    up = one.uplift
    return {
        "name": one.target,
        "verdict": one.verdict,
        "headline": words.headline(one),
        "reasons": words.reasons(one),
        "advice": words.advice(one),
        "speaks": speaks,
        "looked": words.looked(one),
        "looks": _raw(log_plots.looks(one.looks, "uplift")) if one.looks else None,
        "uplift": words.between(up.value, up.low, up.high, sign=True).split(" ")[0]
        if speaks
        else NOTHING,
        "at_every_n": words.ranged(up.low, up.high, sign=True),
        "in_the_long_run": words.ranged(up.asymptotic.low, up.asymptotic.high, sign=True)
        if speaks
        else NOTHING,
        "estimates": [_estimate(name, one) for name in one],
        "figure": _raw(_values(one, answers.about)),
        "lines": looked(one.diagnosis.lines),
        **drawn(pictures, answers.about),
    }


def _estimate(name: str, evaluation: Evaluation) -> dict[str, Any]:
    one = evaluation[name]
    shown = words.speaks(evaluation) and one.claims
    return {
        "name": name,
        "value": words.value_of(one) if shown else NOTHING,
        "at_every_n": words.ranged(one.low, one.high),
        "in_the_long_run": words.ranged(one.asymptotic.low, one.asymptotic.high)
        if shown and one.asymptotic
        else NOTHING,
        "effective": "" if one.effective is None else f"{one.effective:,.0f}",
        "warnings": one.warnings,
    }


def _values(evaluation: Evaluation, about: About) -> str:
    rows = []
    for name, one in evaluation.items():
        usual = one.asymptotic if words.speaks(evaluation) and one.claims else None
        rows.append(log_plots.Row(name, one.low, one.high, usual))
    return log_plots.intervals(
        rows, zero=evaluation.uplift.logged, said=f"{about.reward} per row; dotted: as logged"
    )


def looked(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """What was looked at, the worst first, with what would have been well."""
    return [
        {
            "name": words.label(line),
            "verdict": line.verdict,
            "said": words.seen(line),
            "limits": words.limits(line),
            "advice": line.advice,
        }
        for line in words.worst(lines)
    ]


def drawn(pictures: Pictures, about: About) -> dict[str, Any]:
    """The figures of a diagnosis, each None where there is nothing to draw."""
    actions = log_plots.wanted_most(pictures.actions)
    parts = [part for part in pictures.parts if part.rows]
    rows = sum(part.rows for part in parts) or float(about.rows)
    return {
        "weights": _raw(log_plots.weights(pictures.weights, rows)) if pictures.weights else None,
        "never": f"{pictures.never / rows:.1%}" if pictures.never else None,
        "drift": None
        if len(parts) < 2
        else [
            ("Mean weight", _raw(log_plots.drift(parts, [p.weight for p in parts], 1.0))),
            (f"Mean {about.reward}", _raw(_drift(parts))),
        ],
        "support": _raw(log_plots.support(actions)) if actions else None,
        "wanted": any(one.target is not None for one in actions),
        "actions": [_action(one) for one in actions[:ROWS]],
        "actions_left_out": max(0, len(actions) - log_plots.MOST),
        "rows_left_out": max(0, len(actions) - ROWS),
        "top": [(f"{t.row:,}", f"{t.share:.1%}", f"{t.weight:,.4g}") for t in pictures.top],
    }


def _drift(parts: Sequence[Part]) -> str:
    return log_plots.drift(parts, [part.reward for part in parts], None)


def _action(one: Action) -> dict[str, str]:
    return {
        "name": one.name,
        "rows": f"{one.rows:,.0f}",
        "share": f"{one.share:.2%}",
        "target": "not known" if one.target is None else f"{one.target:.2%}",
        "reward": "never logged" if one.reward is None else f"{one.reward:.4g}",
        "chances": "" if one.least is None else chances(one.least, one.most),
        "reciprocal": f"{one.reciprocal:.3g} ± {one.error:.2g}",
    }


def _raw(text: str) -> Markup:
    """Of our own making: JSON without angle brackets, or the library."""
    return Markup(text)
