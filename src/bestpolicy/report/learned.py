"""What was learnt from a log: one sentence that claims what was proven, the candidates, and why.

at every n        bets on the held-out rows' rewards, as the target's chances weigh them
in the long run   the estimator that chose the policy; it looks at sentences where there are any
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bestpolicy.offpolicy.choosing import Tried
from bestpolicy.offpolicy.learn import Learned, by_which
from bestpolicy.report import log_tables as tables
from bestpolicy.report import log_words as words
from bestpolicy.report.log_words import About


@dataclass(frozen=True, slots=True)
class Lesson:
    """A log, and what was learnt from it."""

    about: About
    learned: Learned
    file: str  # where the policy is kept


def claim(learned: Learned) -> str:
    """What is known of the policy, and no more."""
    name, gain, one = learned.method, learned.gain, learned.evaluation
    between = words.between(gain.value, gain.low, gain.high, sign=True)
    if one.verdict == "better":
        return f"{name} is better than the policy that logged: {words.uplift(one)} per row"
    if one.verdict == "worse" or gain.high < 0:
        return f"Keep the policy that logged: what {name} learnt earns {between} per row beside it"
    if gain.low > 0 and learned.estimate.claims:
        return f"{name} seems better than the policy that logged, {between} per row; not proven"
    return f"Undecided: {name} may be better or worse than the policy that logged, {between} a row"


def advice(learned: Learned) -> str:
    """What to do, in a sentence."""
    if learned.evaluation.verdict == "worse" or learned.gain.high < 0:
        return "Log more, or with more chance for prompts that were seldom tried."
    return (
        "Put it into a study beside the prompts it chooses among, where its value is measured on "
        "live answers."
    )


def as_json(lesson: Lesson) -> dict[str, Any]:
    """The object of `bestpolicy learn --json`."""
    learned, choice = lesson.learned, lesson.learned.chosen
    return {
        "learned": {
            "log": tables.about_json(lesson.about),
            "policy": lesson.file,
            "method": learned.method,
            "sentence": claim(learned),
            "advice": advice(learned),
            "rows": learned.rows,
            "held_out": learned.estimate.n,
            "confidence": learned.evaluation.confidence,
            "gain": {
                "by": by_which(learned.evaluation),
                "value": tables.finite(learned.gain.value),
                "asymptotic_interval": tables.ends(learned.gain),
                "interval": tables.ends(learned.evaluation.uplift),
            },
            "candidates": [_candidate(name, learned) for name in learned.candidates],
            "tau": None if choice is None else choice.tau,
            "widths": [] if choice is None else [_tried(one, "tau") for one in choice.widths],
            "shrinks": [] if choice is None else [_tried(one, "trust") for one in choice.shrinks],
            "support": {f"{q:g}": c for q, c in learned.heard.items()},
            "diagnosis": tables.diagnosis_json(learned.evaluation.diagnosis),
            "notes": list(learned.notes),
        }
    }


def _tried(one: Tried, what: str) -> dict[str, float]:
    return {what: one.choice, "value": one.value, "stderr": one.stderr}


def _candidate(name: str, learned: Learned) -> dict[str, Any]:
    one, refused = learned.candidates[name], learned.refused.get(name)
    by = one[by_which(one)]
    return {
        "method": name,
        "verdict": one.verdict,
        "value": tables.finite(by.value),
        "stderr": tables.finite(by.stderr),
        "claims": by.claims,
        "uplift_interval": tables.ends(one.uplift),
        "refused": None if refused is None else refused.said,
    }


def as_text(lesson: Lesson) -> RenderableType:
    """The sentence, the candidates, how the kernel was chosen, and what it all rests on."""
    learned = lesson.learned
    held = f"{learned.rows:,} rows to learn from, {learned.estimate.n:,} held out"
    one = learned.evaluation
    better = one.verdict == "better" or learned.gain.low > 0
    return Group(
        Text(f"{tables.of_log(lesson.about)}: {held}", style="dim"),
        *tables.mapping(lesson.about),
        Text(f"{claim(learned)}.", style="bold green" if better else "bold yellow"),
        Text(f"  {advice(learned)}"),
        candidates_table(learned),
        *_chosen(learned),
        *([Text(f"{support_words(learned)}.")] if learned.heard else []),
        tables.looked_at(one.diagnosis.lines),
        *(Text(f"note: {note}") for note in learned.notes),
        *tables.notes(lesson.about),
    )


def candidates_table(learned: Learned) -> Table:
    """What each candidate is worth on the rows held out."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    by, one = by_which(learned.evaluation), learned.evaluation
    percent = f"{100 * (1 - (1 - one.confidence) / one.candidates):.4g}%"
    for column in ("candidate", f"value by {by} ± error", f"uplift, {percent} at every n", ""):
        table.add_column(column, justify="left" if column in ("candidate", "") else "right")
    for name, each in learned.candidates.items():
        table.add_row(
            Text(name, "bold" if name == learned.method else ""),
            words.value_of(each[by]) if each[by].claims else tables.NOTHING,
            words.ranged(each.uplift.low, each.uplift.high, sign=True),
            remark(name, learned),
        )
    logged = words.mean_of_log(one)
    table.add_row(Text("the policy that logged", "dim"), logged, "", "")
    return table


def remark(name: str, learned: Learned) -> str:
    """What a candidate's row is marked with."""
    if name in learned.refused:
        return f"refused: {words.label(learned.refused[name])}"
    return "handed over" if name == learned.method else ""


def _chosen(learned: Learned) -> list[RenderableType]:
    choice = learned.chosen
    if choice is None or not choice.widths:
        return []
    return [Text(f"{said}.") for said in chosen_words(learned)]


def support_words(learned: Learned) -> str:
    """How much of what the policy says was logged by the like of it, without a stop."""
    at = "; ".join(f"{q:.0%}: {c:.2g}" for q, c in learned.heard.items())
    return (
        "what it says was logged by the like of it c times as often as what the log says on "
        f"average, c at quantiles {at}"
    )


def chosen_words(learned: Learned) -> list[str]:
    """How the width and the trust were settled on, a sentence each without its stop."""
    choice = learned.chosen
    assert choice is not None
    said = [
        f"kernel of {choice.tau:g} median distances, by value on rows held out: "
        + listed(choice.widths)
    ]
    if choice.trust is not None:
        said.append(f"trust in the sentence model {choice.trust:.2f}: {listed(choice.shrinks)}")
    return said


def listed(tried: Sequence[Tried]) -> str:
    """Every choice with its value."""
    digits = words.decimals(4 * min(one.stderr for one in tried))
    return ", ".join(f"{one.choice:.2g}: {one.value:.{digits}f}" for one in tried)
