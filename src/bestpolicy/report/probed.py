"""What a look at a study before it runs has found, as text and as one JSON object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bestpolicy.core.nouns import Interval
from bestpolicy.llm.canaries import Canaries
from bestpolicy.report.snapshot import CANARY
from bestpolicy.report.tables import in_words


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of a policy to one input."""

    row: Any
    text: str
    tokens_in: int
    tokens_out: int
    usd: float
    seconds: float


@dataclass(slots=True)
class Probed:
    """One policy: its answers, what failed, and what one answer takes on average."""

    policy: str
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cached: bool = False  # answers once per input, as nothing is drawn
    tokens: float = 0.0
    usd: float | None = 0.0


@dataclass(slots=True)
class Bench:
    """The judge on pairs whose right answer is known."""

    kind: str
    pairs: int = 0
    agreement: Interval | None = None  # both orders name the same answer
    first: Interval | None = None  # share of whatever is shown first
    canaries: list[Canaries] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    tokens: float = 0.0  # of one comparison
    usd: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Range:
    """The middle of what was foreseen, and where 8 of 10 lie."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What studies like this one took when they were played."""

    studies: int
    decided: int
    comparisons: Range
    calls: Range
    tokens: Range
    usd: Range | None


@dataclass(slots=True)
class Probe:
    """All of it."""

    policies: list[Probed]
    judge: Bench
    inputs: int | None
    forecast: Forecast | None = None

    @property
    def failures(self) -> list[str]:
        found = [f"{p.policy}: {reason}" for p in self.policies for reason in p.failures]
        return found + [f"the judge: {reason}" for reason in self.judge.failures]


def as_text(name: str, at: Probe) -> RenderableType:
    """The answers, the judge, the cost, and what to beware of."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("policy", "answers like", "tokens", "$ an answer"):
        table.add_column(column, overflow="fold")
    for policy in at.policies:
        said = " | ".join(" ".join(s.text.split())[:60] for s in policy.samples)
        known = (f"{policy.tokens:.0f}", _dollars(policy.usd)) if policy.samples else ("–", "–")
        table.add_row(Text(policy.policy), Text(said or "no answer"), *known)
    warnings = [Text(f"warning: {warning}", style="yellow") for warning in _warnings(at)]
    return Group(
        Text(f"{name}: {len(at.policies)} policies, {_inputs(at)}", style="bold"),
        table,
        *[Text(line) for line in _about_judge(at.judge)],
        *[Text(line) for line in _forecasts(at)],
        *warnings,
    )


def as_json(name: str, at: Probe) -> dict[str, Any]:
    """Everything under stable names."""
    judge = at.judge
    return {
        "study": name,
        "inputs": at.inputs,
        "policies": [
            {
                "id": policy.policy,
                "answers": [s.text for s in policy.samples],
                "failures": policy.failures,
                "tokens": policy.tokens,
                "usd": policy.usd,
                "answered_once_per_input": policy.cached,
            }
            for policy in at.policies
        ],
        "judge": {
            "kind": judge.kind,
            "pairs": judge.pairs,
            "self_agreement": None if judge.agreement is None else judge.agreement.value,
            "self_agreement_interval": _bounds(judge.agreement),
            "shown_first_wins": None if judge.first is None else judge.first.value,
            "shown_first_wins_interval": _bounds(judge.first),
            "canaries": {
                c.kind: {
                    "share": c.share.value,
                    "share_interval": _bounds(c.share),
                    "asked": c.n,
                    "raised": c.raised,
                }
                for c in judge.canaries
            },
            "failures": judge.failures,
            "tokens": judge.tokens,
            "usd": judge.usd,
        },
        "forecast": None if at.forecast is None else _forecast(at.forecast),
        "warnings": _warnings(at),
    }


def _about_judge(judge: Bench) -> list[str]:
    lines = [f"judge: {judge.kind}"]
    if judge.pairs:
        lines.append(
            f"  both orders name the same answer {in_words(judge.agreement)} of {judge.pairs} "
            f"pairs; what is shown first wins {in_words(judge.first)}"
        )
    lines += [
        f"  {c.kind} canaries win {in_words(c.share)} of {c.n}"
        + ("; at most half is what a judge who sees quality gives them" if not c.raised else "")
        for c in judge.canaries
    ]
    return lines


def _warnings(at: Probe) -> list[str]:
    told = list(dict.fromkeys(at.failures))
    told += [CANARY[c.kind].format(c=c) for c in at.judge.canaries if c.raised]
    for policy in at.policies:
        if policy.samples and not any(sample.text.strip() for sample in policy.samples):
            told.append(f"{policy.policy}: every answer was empty")
    texts = [tuple(s.text for s in p.samples) for p in at.policies]
    for i, policy in enumerate(at.policies):
        if len(policy.samples) > 1 and texts[i] in texts[:i]:
            twin = at.policies[texts.index(texts[i])].policy
            told.append(f"{policy.policy} answered word for word as {twin} did")
    return told


def _forecasts(at: Probe) -> list[str]:
    if at.forecast is None:
        silent = [policy.policy for policy in at.policies if not policy.samples]
        return [f"no forecast, as there was no answer of {silent[0] if silent else 'the judge'}"]
    f = at.forecast
    many = (
        "all came to a verdict"
        if f.decided == f.studies
        else f"{f.decided} of them came to a verdict within budget and inputs"
    )
    usd = "an unknown price" if f.usd is None else _spread(f.usd, "${:,.4g}")
    numbers = (
        f"forecast: {_spread(f.comparisons, '{:,.0f}')} comparisons, "
        f"{_spread(f.calls, '{:,.0f}')} answers, {_spread(f.tokens, '{:,.0f}')} tokens, {usd}"
    )
    basis = (
        f"  (the middle, and where 8 of 10 lie, of {f.studies} studies like this one, played with "
        f"differences drawn at random from what the answers above allow; {many})"
    )
    return [numbers, basis]


def _spread(at: Range, shape: str) -> str:
    return f"{shape.format(at.middle)} ({shape.format(at.low)} to {shape.format(at.high)})"


def _forecast(f: Forecast) -> dict[str, Any]:
    ranges = {"comparisons": f.comparisons, "calls": f.calls, "tokens": f.tokens, "usd": f.usd}
    return {"studies": f.studies, "decided": f.decided} | {
        name: None if at is None else {"middle": at.middle, "low": at.low, "high": at.high}
        for name, at in ranges.items()
    }


def _inputs(at: Probe) -> str:
    return "no inputs" if at.inputs is None else f"{at.inputs:,} inputs"


def _dollars(usd: float | None) -> str:
    return "an unknown price" if usd is None else f"${usd:.4g}"


def _bounds(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
