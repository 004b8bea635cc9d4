"""What a gate found: one sentence, JUnit XML for a build server, Markdown for people.

A gate that could not prove its claim must not pass silently, so `undecided` is a failure of its own
type. What went wrong on the way is an error and never a failure: it says nothing of quality.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import Any
from xml.etree import ElementTree as Xml

from bestpolicy.core.nouns import Interval, Verdict
from bestpolicy.designs.gate import Finding, Goal
from bestpolicy.report.tables import in_words

NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")  # all that Markdown may take for a mark


@dataclass(frozen=True, slots=True)
class GateQuestion:
    """What a gate is asked."""

    name: str
    baseline: str
    candidate: str
    margin: float
    goal: Goal
    confidence: float

    @property
    def claim(self) -> str:
        """What has to be proven for the gate to pass."""
        if self.goal == "superiority":
            return f"{self.candidate} is better than {self.baseline}"
        if self.margin == 0:
            return f"{self.candidate} is at least as good as {self.baseline}"
        return f"{self.candidate} is not worse than {self.baseline} by more than {self.margin:g}"

    @property
    def opposite(self) -> str:
        """What has to be proven for the candidate to be worse."""
        by = f" by more than {self.margin:g}" if self.margin else ""
        return f"{self.candidate} is worse than {self.baseline}{by}"


@dataclass(frozen=True, slots=True)
class GateReport:
    """What a gate has proven, and what it looked at."""

    question: GateQuestion
    verdict: Verdict[str]
    finding: Finding
    share: Interval | None  # of the candidate against the baseline; None before any answer
    comparisons: int
    unanswered: int  # of them, which count at their worst
    forecast: float  # comparisons still to go at today's answers; inf when nothing separates them
    warnings: tuple[str, ...]
    record_hash: str
    calls: int
    seconds: float

    @property
    def passes(self) -> bool:
        return self.finding in ("better", "not-worse")

    @property
    def sentence(self) -> str:
        """One line that claims exactly what was proven."""
        asked = self.question
        wrong = f"wrong at most {1 - asked.confidence:.3g} of the time, whenever you look"
        match self.finding:
            case "better" | "not-worse":
                return f"proven: {asked.claim} ({wrong})"
            case "worse":
                return f"proven: {asked.opposite} ({wrong})"
            case _:
                return f"undecided: not proven that {asked.claim}, nor that {asked.opposite}"

    @property
    def measured(self) -> str:
        """The share with its interval, and how many comparisons it rests on."""
        return (
            f"share of {self.question.candidate}: {in_words(self.share)} at any time, "
            f"{self.comparisons:,} comparisons"
        )

    @property
    def needed(self) -> str:
        """What it would take to decide, for who is undecided."""
        if isfinite(self.forecast):
            return f"at today's answers about {max(self.forecast, 1):,.0f} more would decide"
        return "today's answers lean to neither side, so how many would decide cannot be foretold"

    @property
    def lines(self) -> list[str]:
        """All of it in words, the most important first."""
        open_end = [self.verdict.reason, self.needed] if self.finding == "undecided" else []
        return [self.sentence, self.measured, *open_end, *(f"warning: {w}" for w in self.warnings)]


def as_json(at: GateReport) -> dict[str, Any]:
    """The object of `--json`, beside the verdict."""
    asked = at.question
    return {
        "finding": at.finding,
        "passes": at.passes,
        "baseline": asked.baseline,
        "candidate": asked.candidate,
        "goal": asked.goal,
        "margin": asked.margin,
        "confidence": asked.confidence,
        "share": None if at.share is None else at.share.value,
        "share_interval": None if at.share is None else [at.share.low, at.share.high],
        "comparisons": at.comparisons,
        "unanswered": at.unanswered,
        "forecast": at.forecast if isfinite(at.forecast) else None,
        "sentence": at.sentence,
    }


def junit(at: GateReport) -> str:
    """A testsuite with the gate as its one testcase."""
    text = "\n".join([*at.lines, f"record: {at.record_hash}"])
    if at.passes:
        return _suite(at.question, at.seconds, None, "", "", text)
    kind = "proven-worse" if at.finding == "worse" else "undecided"
    return _suite(at.question, at.seconds, "failure", kind, at.sentence, text)


def junit_of_error(asked: GateQuestion, kind: str, message: str, seconds: float) -> str:
    """The same for a gate that could not be played."""
    return _suite(asked, seconds, "error", kind, message, message)


def markdown(at: GateReport) -> str:
    """A section for the summary of a build, its first line in bold."""
    asked = at.question
    rows = {
        f"share of {plain(asked.candidate)} against {plain(asked.baseline)}": in_words(at.share),
        "claim": plain(asked.claim),
        "confidence": f"{asked.confidence:g}, at every moment",
        "comparisons": f"{at.comparisons:,}"
        + (f", {at.unanswered:,} of them without an answer" if at.unanswered else ""),
        "record": f"`{at.record_hash}`",
    }
    sign = {"worse": "❌", "undecided": "⚠️"}.get(at.finding, "✅")
    notes = [*at.warnings]
    if at.finding == "undecided":
        notes = [at.verdict.reason, at.needed, *notes]
    return _section(asked, f"{sign} {plain(at.sentence)}", rows, notes)


def markdown_of_error(asked: GateQuestion, message: str) -> str:
    """The same for a gate that could not be played."""
    line = f"💥 no verdict: {plain(message)}"
    return _section(asked, line, {"claim": plain(asked.claim)}, ["this says nothing of quality"])


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return PUNCTUATION.sub(r"\\\1", " ".join(NOT_XML.sub("", text).split()))


def _section(asked: GateQuestion, line: str, rows: dict[str, str], notes: list[str]) -> str:
    table = "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    listed = "".join(f"\n- {plain(note)}" for note in notes)
    return f"### Gate: {plain(asked.name)}\n\n**{line}**\n\n| | |\n|---|---|\n{table}" + (
        f"{listed}\n" if notes else ""
    )


def _suite(
    asked: GateQuestion, seconds: float, outcome: str | None, kind: str, message: str, text: str
) -> str:
    took = f"{seconds:.3f}"
    about = {"name": f"bestpolicy gate: {asked.name}", "tests": "1", "skipped": "0", "time": took}
    about |= {f"{what}s": str(int(outcome == what)) for what in ("failure", "error")}
    suite = Xml.Element("testsuite", _clean(about))
    case = Xml.SubElement(
        suite, "testcase", _clean({"classname": asked.name, "name": asked.claim, "time": took})
    )
    if outcome is not None:
        about = {"type": kind, "message": message}
        Xml.SubElement(case, outcome, _clean(about)).text = NOT_XML.sub("", text)
    else:
        Xml.SubElement(case, "system-out").text = NOT_XML.sub("", text)
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=False) + "\n"


def _clean(attributes: dict[str, str]) -> dict[str, str]:
    return {name: NOT_XML.sub("", value) for name, value in attributes.items()}
