"""What a log answered, as one JSON object for programs, and as a few lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bestpolicy.core.nouns import Interval
from bestpolicy.offpolicy.diagnose import Diagnosis, Line
from bestpolicy.offpolicy.evaluate import Evaluation
from bestpolicy.report import log_words as words
from bestpolicy.report.log_words import About, Answers

COLOURS = {"ok": "green", "warn": "yellow", "stop": "bold red", "unchecked": "dim"}
NOTHING = "not shown"


def as_json(answers: Answers) -> dict[str, Any]:
    """The object of `bestpolicy evaluate --json`. Numbers that are not finite become null."""
    return {
        "evaluation": {
            "log": about_json(answers.about),
            "confidence": answers.confidence,
            "candidates": len(answers.evaluations),
            "confidence_of_each": answers.each,
            "targets": [_target(one) for one in answers.evaluations],
        }
    }


def about_json(about: About) -> dict[str, Any]:
    """The log that was asked."""
    return {
        "file": about.file,
        "rows": about.rows,
        "actions": about.actions,
        "bounds": list(about.bounds),
        "columns": dict(about.columns),
        "guessed": about.guessed,
        "notes": list(about.notes),
    }


def diagnosis_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Every line, its verdict and what to do."""
    return {
        "verdict": diagnosis.verdict,
        "advice": diagnosis.advice or None,
        "lines": [line_json(line) for line in diagnosis.lines],
    }


def line_json(line: Line) -> dict[str, Any]:
    """One thing that was looked at."""
    return {
        "name": line.name,
        "verdict": line.verdict,
        "value": finite(line.value),
        "said": line.said,
        "advice": line.advice or None,
    }


def _target(evaluation: Evaluation) -> dict[str, Any]:
    up, speaks = evaluation.uplift, words.speaks(evaluation)
    return {
        "target": evaluation.target,
        "verdict": evaluation.verdict,
        "sentence": words.headline(evaluation),
        "reasons": words.reasons(evaluation),
        "advice": words.advice(evaluation),
        "logged": {"value": finite(up.logged), "stderr": finite(up.logged_stderr)},
        "uplift": {
            "value": finite(up.value) if speaks else None,
            "interval": ends(up),
            "asymptotic_interval": ends(up.asymptotic) if speaks else None,
        },
        "looks": [{"rows": rows, "interval": ends(look)} for rows, look in evaluation.looks],
        "estimates": {
            name: {
                "value": finite(one.value) if (shown := speaks and one.claims) else None,
                "stderr": finite(one.stderr) if shown else None,
                "interval": ends(one),
                "asymptotic_interval": ends(one.asymptotic) if shown else None,
                "effective_rows": finite(one.effective),
                "rows": one.n,
                "claims": shown,
                "warnings": list(one.warnings),
            }
            for name, one in evaluation.items()
        },
        "diagnosis": diagnosis_json(evaluation.diagnosis),
    }


def finite(value: float | None) -> float | None:
    """The number, or null where there is none."""
    return None if value is None or not isfinite(value) else float(value)


def ends(interval: Any) -> list[float | None] | None:
    """The ends of whatever has a low and a high."""
    return None if interval is None else [finite(interval.low), finite(interval.high)]


def as_text(answers: Answers) -> RenderableType:
    """The verdict of each target, then its numbers, then what they rest on."""
    only = answers.evaluations[0] if len(answers.evaluations) == 1 else None
    parts: list[RenderableType] = [Text(asked(answers), style="dim"), *mapping(answers.about)]
    if only is not None:
        parts += [*verdict(only), uplift_table(answers), *looks(only)]
        parts += rests_on(only, answers.each)
    else:
        for one in answers.evaluations:
            parts += verdict(one)
        parts += [uplift_table(answers), Text(f"{words.together(answers)}.")]
        for one in answers.evaluations:
            parts += [Text(f"\n{one.target}", style="bold"), *looks(one)]
            parts += rests_on(one, answers.each)
    return Group(*parts, *notes(answers.about))


def asked(answers: Answers) -> str:
    """What was asked, in a line."""
    about, names = answers.about, ", ".join(one.target for one in answers.evaluations)
    mean = words.mean_of_log(answers.evaluations[0])
    return f"{of_log(about)}, mean {about.reward} {mean}. Asked: what would {names} have earned?"


def of_log(about: About) -> str:
    """The log, in a line."""
    return f"{about.file}: {about.rows:,} rows, {about.actions:,} actions"


def mapping(about: About) -> list[RenderableType]:
    """How the columns were read; a guess is always said to be one."""
    if not about.columns:
        return []
    said = ", ".join(f"{part} = {column}" for part, column in about.columns.items())
    return [Text(f"guessed: {said}" if about.guessed else f"read: {said}", style="dim")]


def verdict(evaluation: Evaluation) -> list[RenderableType]:
    """The sentence, why, and what to do."""
    style = {"better": "bold green", "worse": "bold red", "stop": "bold red"}
    lines = [Text(f"{words.headline(evaluation)}.", style.get(evaluation.verdict, "bold yellow"))]
    lines += [Text(f"  {reason}") for reason in words.reasons(evaluation)]
    return [*lines, Text(f"  {words.advice(evaluation)}")]


def uplift_table(answers: Answers) -> Table:
    """What each target earns beyond the policy that logged."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    percent = f"{100 * answers.each:.4g}%"
    for column in ("target", "says"):
        table.add_column(column, overflow="fold")
    for column in ("uplift per row", f"{percent} at every n", f"{percent} in the long run"):
        table.add_column(column, justify="right")
    for one in answers.evaluations:
        up, speaks = one.uplift, words.speaks(one)
        width = words.decimals(up.high - up.low)
        table.add_row(
            Text(one.target),
            one.verdict,
            f"{up.value:+.{width}f}" if speaks else NOTHING,
            words.ranged(up.low, up.high, sign=True),
            _range(up.asymptotic, sign=True) if speaks else NOTHING,
        )
    return table


def looks(evaluation: Evaluation) -> list[RenderableType]:
    """What is said to who looks again and again."""
    said = words.looked(evaluation)
    return [] if said is None else [Text(f"{said}.")]


def rests_on(evaluation: Evaluation, confidence: float) -> list[RenderableType]:
    """The estimates with their warnings, and what was looked at."""
    said: dict[str, list[str]] = {}
    for name, one in evaluation.items():
        for warning in one.warnings:
            said.setdefault(warning, []).append(name)
    warnings = [Text(f"{', '.join(names)}: {text}", "yellow") for text, names in said.items()]
    return [
        estimates_table(evaluation, confidence),
        *warnings,
        looked_at(evaluation.diagnosis.lines),
    ]


def estimates_table(evaluation: Evaluation, confidence: float) -> Table:
    """The value by each estimator, both its intervals, and what the log is worth to it."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    percent = f"{100 * confidence:.4g}%"
    for column in (
        *("value by", "value ± error", f"{percent} at every n", f"{percent} in the long run"),
        "effective rows",
    ):
        table.add_column(column, justify="left" if column == "value by" else "right")
    for name, one in evaluation.items():
        shown = words.speaks(evaluation) and one.claims
        table.add_row(
            name,
            words.value_of(one) if shown else NOTHING,
            words.ranged(one.low, one.high),
            _range(one.asymptotic) if shown else NOTHING,
            "" if one.effective is None else f"{one.effective:,.0f}",
        )
    return table


def looked_at(lines: Sequence[Line]) -> Table:
    """A row for each thing that was looked at, with its verdict as a word and a colour."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for column in ("verdict", "looked at", "seen"):
        table.add_column(column, overflow="fold", no_wrap=column != "seen")
    for line in lines:
        seen = Text(words.seen(line))
        if line.advice and line.verdict in ("warn", "stop"):
            seen.append(f"\n{line.advice}", style="dim")
        table.add_row(Text(line.verdict, COLOURS[line.verdict]), words.label(line), seen)
    return table


def notes(about: About) -> list[RenderableType]:
    """What the reader found out or changed."""
    return [Text(f"note: {note}") for note in about.notes]


def _range(interval: Interval | None, *, sign: bool = False) -> str:
    return "" if interval is None else words.ranged(interval.low, interval.high, sign=sign)
