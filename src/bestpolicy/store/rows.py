"""Rows: what one event looks like on disk, and when a new one may join the record.

Bodies are canonical JSON: sorted keys, shortest exact floats, no NaN. Every event is keyed by
(kind, duel), so writing it twice is writing it once.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from bestpolicy.core.nouns import Comparison, Outcome, Settings, StoreError, Verdict
from bestpolicy.core.roster import Change

Event = Comparison | Outcome | Verdict[int] | Change
Key = tuple[str, int]


class AlreadyAsked(StoreError):
    """Somebody else gave this ask number to a question first: read on, then ask again."""


class ChangedMeanwhile(StoreError):
    """Somebody else let a policy join or leave first: look who is compared, and say it again."""


# Made once: json.dumps would make one for each call, which takes as long as a small value does.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> str:
    """The one text that stands for this JSON value."""
    return _ENCODER.encode(value)


def digest(value: Any) -> str:
    """One hash of this JSON value."""
    return f"sha256:{sha256(canonical(value).encode()).hexdigest()}"


def key(event: Event) -> Key:
    """What may be written once: a question, its answer, the verdict after so many answers."""
    match event:
        case Comparison(id=duel):
            return "asked", duel
        case Outcome(comparison=comparison):
            return "told", comparison.id
        case Verdict(comparisons=comparisons):
            return "announced", comparisons
        case Change(number=number):
            return "changed", number


def may_join(event: Event, held: Event | None, asked: Comparison | None, *, ours: bool) -> bool:
    """Whether `event` is news, given what the record holds under its key; a StoreError if it
    contradicts the record. `ours` says that this very store wrote the question held."""
    if isinstance(event, Outcome):
        _check_question(event.comparison, asked)
    if held is None:
        return True
    if isinstance(event, Comparison) and not (ours and held == event):
        raise AlreadyAsked(
            f"duel {event.id} is in the record as {held}, asked elsewhere; read the record on, "
            "then ask under the next number"
        )
    # An answer is its shares: what a repetition cost, or said besides, does not make it another.
    if isinstance(event, Outcome) and isinstance(held, Outcome) and held.scores != event.scores:
        raise StoreError(
            f"duel {event.comparison.id} was answered {_said(held)} and is now told "
            f"{_said(event)}: a duel has one answer, and the stored one stands"
        )
    if isinstance(event, Change) and held != event:
        raise ChangedMeanwhile(
            f"the policies were changed by {held} while {event} was under way: open the study "
            "again, look who is compared now, and say it again"
        )
    if isinstance(event, Verdict) and held != event:
        raise StoreError(
            f"the verdict after {event.comparisons} comparisons was announced as {held} and is "
            f"now {event}: the record or the design has changed since; `replay` shows where"
        )
    return False


def body(event: Event) -> str:
    """The event as canonical JSON; its key is not repeated."""
    try:
        return canonical(_fields(event))
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"only JSON values can be recorded, without NaN: {error} in {event}"
        ) from error


def event_of(kind: str, duel: int, body: str, question: str | None) -> Event:
    """The event that `body` stands for; an answer also needs the body of its question."""
    fields = json.loads(body)
    if kind == "asked":
        fields["arms"] = tuple(fields["arms"])
        return Comparison(id=duel, **fields)
    if kind == "announced":
        fields["survivors"] = tuple(fields["survivors"])
        return Verdict(comparisons=duel, **fields)
    if kind == "changed":
        return Change(number=duel, **fields)
    if question is None:
        raise ValueError(f"duel {duel} has an answer but no question")
    asked = event_of("asked", duel, question, None)
    assert isinstance(asked, Comparison)
    if fields["scores"] is not None:
        fields["scores"] = tuple(fields["scores"])
    return Outcome(comparison=asked, **fields)


def check_settings(stored: Settings, given: Settings, name: str) -> None:
    """A study keeps the settings that it was made with; a StoreError lists what differs."""
    differing = [
        f"{setting}: stored {canonical(stored.get(setting))}, given {canonical(given.get(setting))}"
        for setting in sorted({*stored, *given})
        if canonical(stored.get(setting)) != canonical(given.get(setting))
    ]
    if differing:
        changed = stored.get("policies") != given.get("policies")
        join = " (policies join and leave by Study.add and Study.retire)" if changed else ""
        raise StoreError(
            f"the stored study {name!r} has other settings: {'; '.join(differing)}. "
            f"Open it with the stored ones, or give the new study another name{join}"
        )


def _fields(event: Event) -> dict[str, Any]:
    match event:
        case Comparison():
            arms = [int(arm) for arm in event.arms]
            return {"arms": arms, "context": event.context, "propensity": event.propensity}
        case Outcome():
            return {"scores": event.scores, "cost": event.cost, "feedback": event.feedback}
        case Change():
            told = {"at": event.at, "policy": event.policy, "joins": event.joins}
            return told | ({"why": event.why} if event.why else {})
        case Verdict():
            fields = {
                "kind": event.kind,
                "policy": None if event.policy is None else int(event.policy),
                "confidence": event.confidence,
                "survivors": [int(policy) for policy in event.survivors],
                "reason": event.reason,
            }
            return fields | ({"given": event.given} if event.given else {})


def _check_question(comparison: Comparison, asked: Comparison | None) -> None:
    if asked is None:
        raise StoreError(
            f"duel {comparison.id} is not in the record: only an asked duel can be answered"
        )
    if asked.arms != comparison.arms:
        raise StoreError(
            f"duel {comparison.id} asks about policies {asked.arms}, and the answer is about "
            f"{comparison.arms}: answer the duel that was asked"
        )


def _said(outcome: Outcome) -> str:
    if outcome.scores is None:
        return "never (abandoned)"
    return " : ".join(repr(float(score)) for score in outcome.scores)
