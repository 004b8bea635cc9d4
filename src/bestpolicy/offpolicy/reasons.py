"""Reasons: why an evaluation says better, worse, undecided or stop, in a sentence to act on."""

from __future__ import annotations

from typing import Literal, Protocol

from bestpolicy.core.nouns import Interval
from bestpolicy.offpolicy.diagnose import Diagnosis
from bestpolicy.offpolicy.lines import some

Claim = Literal["better", "worse", "undecided", "stop"]


class Gain(Protocol):
    """What a target earns beyond the policy that logged."""

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...

    @property
    def asymptotic(self) -> Interval: ...


def because(claim: Claim, target: str, gain: Gain, diagnosis: Diagnosis, confidence: float) -> str:
    """The sentence."""
    if claim == "stop" and diagnosis.worst is not None:
        worst = diagnosis.worst
        return f"This log cannot say what {target!r} is worth ({worst.name}: {worst.said}). " + (
            worst.advice
        )
    if claim in ("better", "worse"):
        ends = sorted((abs(gain.low), abs(gain.high)))
        much = f"{some(ends[0])} to {some(ends[1])} {'more' if claim == 'better' else 'less'}"
        return (
            f"{target!r} earns {much} a row than what was logged, with confidence {confidence:g} "
            "at any number of rows; the usual interval agrees."
        )
    usual = gain.asymptotic
    side = "better" if usual.low > 0 else "worse" if usual.high < 0 else ""
    if side:
        return (
            f"The usual interval calls {target!r} {side}, but it holds in the long run only, and "
            f"the one that holds at any number of rows still reaches from {some(gain.low)} to "
            f"{some(gain.high)}: log more before you decide."
        )
    if gain.low > 0 or gain.high < 0:
        return (
            f"The interval that holds at any number of rows excludes no difference between "
            f"{target!r} and what was logged, the usual one does not: look at the weights first."
        )
    return (
        f"No difference between {target!r} and what was logged is proven: it lies between "
        f"{some(gain.low)} and {some(gain.high)} a row; log more, or ask about a bolder target."
    )
