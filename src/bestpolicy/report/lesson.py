"""The page on a policy that was learnt: an evaluation on rows held out, and how it came about."""

from __future__ import annotations

from markupsafe import Markup

from bestpolicy.offpolicy.learn import Learned, by_which
from bestpolicy.report import log_plots
from bestpolicy.report import log_words as words
from bestpolicy.report.learned import (
    Lesson,
    advice,
    as_json,
    chosen_words,
    claim,
    remark,
    support_words,
)
from bestpolicy.report.log_tables import NOTHING
from bestpolicy.report.log_words import Answers
from bestpolicy.report.logs import LONG, ROOM, Made, view
from bestpolicy.report.text import safe_json


def render_lesson(lesson: Lesson, made: Made) -> str:
    """The page on a policy that was learnt: an evaluation on rows held out, and how it came."""
    learned, one = lesson.learned, lesson.learned.evaluation
    each = 1 - (1 - one.confidence) / one.candidates
    said, told = claim(learned), view(Answers(lesson.about, (one,), each), made)
    told["targets"][0] |= {"reasons": [], "advice": advice(learned)}
    told["facts"][:1] = [
        ("rows to learn from", f"{learned.rows:,}"),
        ("rows held out", f"{learned.estimate.n:,}"),
    ]
    told |= {
        "claim": said,
        "long": len(said) > LONG,
        "learned": {
            "method": learned.method,
            "file": lesson.file,
            "rows": f"{learned.rows:,}",
            "held_out": f"{learned.estimate.n:,}",
            "by": by_which(one),
            "candidates": [_candidate(name, learned) for name in learned.candidates],
            "notes": [*learned.notes, *([support_words(learned)] if learned.heard else [])],
            "figures": _choices(learned),
            "gain": words.between(
                learned.gain.value, learned.gain.low, learned.gain.high, sign=True
            ),
        },
        "data": Markup(safe_json(as_json(lesson))),
    }
    return ROOM.get_template("logs.html").render(told)


def _candidate(name: str, learned: Learned) -> dict[str, str]:
    one = learned.candidates[name]
    by = one[by_which(one)]
    return {
        "name": name,
        "value": words.value_of(by) if by.claims else NOTHING,
        "at_every_n": words.ranged(one.uplift.low, one.uplift.high, sign=True),
        "remark": remark(name, learned),
    }


def _choices(learned: Learned) -> list[tuple[str, str, Markup]]:
    """What was tried, a sentence and a figure each."""
    choice = learned.chosen
    if choice is None or not choice.widths:
        return []
    axes = (
        (choice.widths, choice.tau, "width of the kernel, in median distances"),
        (choice.shrinks, choice.trust, "trust in the sentence model"),
    )
    figures = [
        log_plots.choices([(t.choice, t.interval) for t in tried], settled, said)
        for tried, settled, said in axes
        if tried
    ]
    names = ("The kernel’s width", "The trust in the sentence model")
    return [
        (name, said, Markup(figure))
        for name, said, figure in zip(names, chosen_words(learned), figures, strict=True)
    ]
