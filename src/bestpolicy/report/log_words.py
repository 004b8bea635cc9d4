"""What a log was asked and what it answered, in words: one sentence first, and what to do next.

The sentence claims what both intervals and the diagnosis carry and nothing more. Where the log
cannot answer no number of it is shown but the interval that holds at every n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, isfinite, log10

from bestpolicy.core.log import Estimate
from bestpolicy.core.nouns import Interval
from bestpolicy.offpolicy.diagnose import Level, Line
from bestpolicy.offpolicy.evaluate import Evaluation

MOST_ROWS = 1000  # times as many as there are: beyond, no number of rows is worth naming
LEVELS: tuple[Level, ...] = ("stop", "warn", "ok", "unchecked")
LIMITS = {  # of the diagnosis's lines: what is well, and what forbids a number
    "mean-weight": "well within 2 standard errors of 1; stop beyond 4, or outside 0.5 to 2",
    "effective-rows": "well from 500; stop below 100",
    "effective-rows-of-uniform": "well from 500; stop below 100",
    "effective-rows-of-sentences": "well from 500; stop below 100",
    "top-rows": "well below 25%; stop above 80%",
    "tail": "well up to 0.7; stop above 1",
    "support": "well below 1%; stop above 10%",
    "propensities": "well if all checks agree; stop if two do not",
    "drift": "well without a trend that chance does not explain",
    "reward-model": "well from a slope of 0.6; below 0.2 its estimators are not to be read",
}


@dataclass(frozen=True, slots=True)
class About:
    """The log that was asked."""

    file: str
    rows: int
    actions: int
    bounds: tuple[float, float] = (0.0, 1.0)
    reward: str = "reward"  # what it is called at home
    columns: Mapping[str, str] = field(default_factory=dict)  # part -> column, as it was read
    guessed: bool = False
    notes: tuple[str, ...] = ()  # what the reader found out or changed


@dataclass(frozen=True, slots=True)
class Answers:
    """One log, and what it says of each target."""

    about: About
    evaluations: Sequence[Evaluation]
    confidence: float

    @property
    def each(self) -> float:
        """The confidence of each interval, so that all hold together."""
        return 1 - (1 - self.confidence) / max(1, len(self.evaluations))


def speaks(evaluation: Evaluation) -> bool:
    """Whether its numbers may be shown at all."""
    return evaluation.verdict != "stop"


def headline(evaluation: Evaluation) -> str:
    """One plain sentence that claims exactly what the log carries."""
    name, up = evaluation.target, evaluation.uplift
    match evaluation.verdict:
        case "better" | "worse" as which:
            return f"{name} is {which} than the policy that logged: {uplift(evaluation)} per row"
        case "stop":
            return f"The log cannot answer what {name} earns"
        case _ if agree(up.asymptotic, Interval(up.value, up.low, up.high)):
            return f"Undecided: {name} may be better or worse than the policy that logged"
        case _:
            return f"Undecided: the two intervals disagree whether {name} is better or worse"


def agree(one: Interval, other: Interval) -> bool:
    """Whether both leave nothing out, or neither does."""
    return (one.low > 0, one.high < 0) == (other.low > 0, other.high < 0)


def reasons(evaluation: Evaluation) -> list[str]:
    """Why, in sentences."""
    if evaluation.verdict == "stop":
        lines = worst(evaluation.diagnosis.lines, "stop")
        return [sentence(f"{label(line)}: {line.said}") for line in lines if line.binds]
    up = evaluation.uplift
    if evaluation.verdict != "undecided":
        return []
    if agree(up.asymptotic, Interval(up.value, up.low, up.high)):
        return ["Both intervals of the uplift hold 0."]
    return [
        "The interval that holds in the long run leaves 0 out, the one that holds at every n does "
        "not; the first may be trusted only where there are rows enough."
        if not up.asymptotic.low <= 0 <= up.asymptotic.high
        else "Only the interval that holds at every n leaves 0 out."
    ]


def advice(evaluation: Evaluation) -> str:
    """What to do, in one sentence."""
    match evaluation.verdict:
        case "stop":
            return sentence(evaluation.diagnosis.advice) or (
                "Log with more chance for what this policy does, or ask about a policy that is "
                "closer to the one that logged."
            )
        case "better":
            beware = evaluation.diagnosis.verdict == "warn"
            first = "first read the warnings, then " if beware else ""
            return sentence(f"{first}try it on live traffic, where its value is measured directly")
        case "worse":
            return "Keep the policy that logged."
        case _:
            return _more_rows(evaluation)


def _more_rows(evaluation: Evaluation) -> str:
    """At an uplift as it stands; intervals shrink with the square root of the rows."""
    up, n = evaluation.uplift, rows_of(evaluation)
    if not isfinite(up.value) or not up.value:
        return "Log more rows."
    reach = up.value - up.low if up.value > 0 else up.high - up.value
    factor = (reach / abs(up.value)) ** 2
    if not 1 < factor < MOST_ROWS:
        return "Log more rows: how many would decide cannot be foretold from these."
    about = float(f"{factor * n:.2g}")
    return f"If the uplift is as it seems now, about {about:,.0f} rows like these would decide."


def rows_of(evaluation: Evaluation) -> int:
    return max((one.n for one in evaluation.estimates.values()), default=0)


def uplift(evaluation: Evaluation) -> str:
    """The uplift between the ends that hold at every n."""
    up = evaluation.uplift
    return between(up.value, up.low, up.high, sign=True)


def looked(evaluation: Evaluation) -> str | None:
    """How often it was looked at, for who looks again and again."""
    if not evaluation.looks:
        return None
    return (
        f"{evaluation.target} was looked at {len(evaluation.looks)} times on the way: its uplift's "
        "wide interval holds at all of these looks together, if the days are alike (drift)"
    )


def together(answers: Answers) -> str | None:
    """What several targets at once do to the confidence."""
    many = len(answers.evaluations)
    if many < 2:
        return None
    return (
        f"{many} targets were asked about at once: each interval holds with confidence "
        f"{100 * answers.each:.4g}%, so that all of them hold together with "
        f"{100 * answers.confidence:.4g}%"
    )


def worst(lines: Sequence[Line], *levels: Level) -> list[Line]:
    """The lines of these verdicts, the worst first."""
    asked = levels or LEVELS
    return [line for level in LEVELS if level in asked for line in lines if line.verdict == level]


def label(line: Line) -> str:
    """What a line looked at, as people write it."""
    return line.name.replace("-", " ")


def seen(line: Line) -> str:
    """What was seen; that something went unchecked its verdict says already."""
    return line.said.removeprefix("unchecked: ")


def limits(line: Line) -> str:
    """What its number is held against."""
    return LIMITS.get(line.name, "")


def sentence(text: str) -> str:
    """With a capital and a full stop; names at its beginning keep their letters."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def mean_of_log(evaluation: Evaluation) -> str:
    """The mean reward as logged, with its 95 % interval by the normal law."""
    up = evaluation.uplift
    reach = 1.96 * up.logged_stderr
    return between(up.logged, up.logged - reach, up.logged + reach)


def value_of(estimate: Estimate) -> str:
    """A value with its standard error."""
    digits = decimals(4 * estimate.stderr)
    return f"{estimate.value:.{digits}f} ± {estimate.stderr:.{digits}f}"


def between(value: float, low: float, high: float, *, sign: bool = False) -> str:
    """A number with its interval, with as many digits as the interval bears."""
    ends = ranged(low, high, sign=sign)
    plus = "+" if sign else ""
    return f"{value:{plus}.{decimals(high - low)}f} {ends}" if isfinite(value) else ends


def ranged(low: float, high: float, *, sign: bool = False) -> str:
    """An interval alone."""
    digits, plus = decimals(high - low), "+" if sign else ""
    return f"[{low:{plus}.{digits}f}, {high:{plus}.{digits}f}]"


def decimals(width: float) -> int:
    """Of numbers known to within this width: two of its digits."""
    if not isfinite(width) or width <= 0:
        return 3
    return min(8, max(0, 1 - floor(log10(width)) + (width < 1)))
