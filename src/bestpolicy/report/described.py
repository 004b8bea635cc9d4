"""A log before it is asked: what it holds and which policies it can answer for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bestpolicy.offpolicy.describe import Description
from bestpolicy.offpolicy.lines import Level, graded
from bestpolicy.report import log_tables as tables
from bestpolicy.report import log_words as words
from bestpolicy.report.log_words import About

NAMED = 6  # policies in a sentence
MOST_ROWS = 20  # of a table
WORTH = 500, 100  # effective rows: well from, stop below
EVEN = "all in equal shares"


@dataclass(frozen=True, slots=True)
class Described:
    """One log, before it is asked."""

    about: About
    found: Description


def can_answer(described: Described) -> str:
    """One plain sentence on what may be asked."""
    found = described.found
    if any(line.verdict == "stop" and line.binds for line in found.lines):
        return "Nothing can be answered: the logged chances look wrong"
    fine = [one for one in found.actions if graded(one.worth, *WORTH) != "stop"]
    even = graded(found.uniform, *WORTH) != "stop"
    if not fine and not even:
        return "This log can answer only for policies close to the one that logged"
    many = len(found.actions)
    which = f"all {many:,}" if len(fine) == many else f"{len(fine):,} of {many:,}"
    return f"This log can answer for {which} actions taken alone, {_evenly(even, bool(fine))}"


def _evenly(even: bool, fine: bool) -> str:
    return f"{'and' if even and fine else 'but' if even else 'not'} for all of them in equal shares"


def within_reach(described: Described) -> list[str]:
    """What is out of reach, and what is known with care alone."""
    found = described.found
    stops = [line for line in found.lines if line.verdict == "stop" and line.binds]
    if stops:
        return [words.sentence(f"{words.label(line)}: {line.said}") for line in stops]
    said = []
    worths = [(EVEN, found.uniform), *((c.name, c.worth) for c in found.actions)]
    for verdict, how in (("stop", "Out of reach"), ("warn", "With care only")):
        these = [(name, worth) for name, worth in worths if graded(worth, *WORTH) == verdict]
        if these:
            named = ", ".join(f"{name} ({worth:,.0f})" for name, worth in these[:NAMED])
            more = f" and {len(these) - NAMED:,} more" if len(these) > NAMED else ""
            said.append(f"{how}, with effective rows: {named}{more}.")
    return said


def as_json(described: Described) -> dict[str, Any]:
    """The object of `bestpolicy logs describe --json`."""
    found, about = described.found, described.about
    return {
        "description": {
            "log": tables.about_json(about),
            "sentence": can_answer(described),
            "advice": found.advice or None,
            "reward": {
                "name": about.reward,
                "value": tables.finite(found.reward.value),
                "interval": tables.ends(found.reward),
            },
            "confidence": found.confidence,
            "propensity": [tables.finite(one) for one in found.propensity],
            "times": None if found.times is None else [tables.finite(one) for one in found.times],
            "contexts": found.contexts,
            "all_chances": found.full,
            "uniform": {
                "effective_rows": tables.finite(found.uniform),
                "verdict": level(found.uniform),
            },
            "actions": [
                {
                    "name": one.name,
                    "rows": tables.finite(one.rows),
                    "share": tables.finite(one.share),
                    "reward": None if one.reward is None else tables.finite(one.reward.value),
                    "interval": tables.ends(one.reward),
                    "propensity": [tables.finite(one.least), tables.finite(one.most)],
                    "effective_rows": tables.finite(one.worth),
                    "verdict": level(one.worth),
                }
                for one in found.actions
            ],
            "diagnosis": [tables.line_json(line) for line in found.lines],
        }
    }


def level(worth: float) -> Level:
    """Whether so many effective rows carry a number."""
    return graded(worth, *WORTH)


def as_text(described: Described) -> RenderableType:
    """What may be asked, what was logged, and whether its chances are right."""
    found, about = described.found, described.about
    mean = words.between(found.reward.value, found.reward.low, found.reward.high)
    said = (
        f"{tables.of_log(about)}, mean {about.reward} {mean} with confidence {found.confidence:g}"
    )
    parts: list[RenderableType] = [Text(f"{said}.", style="dim"), *tables.mapping(about)]
    parts.append(Text(f"{can_answer(described)}.", style="bold"))
    parts += [Text(f"  {line}") for line in within_reach(described)]
    parts += [Text(f"  {found.advice}"), actions_table(described), tables.looked_at(found.lines)]
    return Group(*parts, *tables.notes(about))


def actions_table(described: Described) -> Table:
    """Each action as it was logged, and what the log is worth to whoever takes it alone."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption_justify="left")
    table.add_column("action", overflow="fold")
    percent = f"{100 * described.found.confidence:.4g}%"
    for column in ("rows", "chance", f"mean of its rows [{percent}]", "effective rows", "says"):
        table.add_column(column, justify="right" if column != "says" else "left")
    for one in described.found.actions[:MOST_ROWS]:
        reward = one.reward
        table.add_row(
            Text(one.name),
            f"{one.rows:,.0f}",
            "never" if one.least is None else chances(one.least, one.most),
            "" if reward is None else words.between(reward.value, reward.low, reward.high),
            f"{one.worth:,.0f}",
            Text(level(one.worth), tables.COLOURS[level(one.worth)]),
        )
    even = described.found.uniform
    said = Text(level(even), tables.COLOURS[level(even)])
    table.add_row(Text(EVEN, "italic"), "", "", "", f"{even:,.0f}", said)
    if len(described.found.actions) > MOST_ROWS:
        table.caption = f"and {len(described.found.actions) - MOST_ROWS:,} more; --json lists all"
    return table


def chances(least: float, most: float | None) -> str:
    """From the smallest to the largest, or the one that it always was."""
    low = f"{least:.3g}"
    return low if most is None or f"{most:.3g}" == low else f"{low} to {most:.3g}"
