"""How people fared as judges: on pairs whose better answer is known, beside each other, by place.

    α = 1 - D_o / D_e,   D_o: share of double answers that differ,  D_e: the same by chance

Agreement corrected for chance is Krippendorff's α for names (2004, ch. 11) over duels that two
people answered. None of this enters the verdict; each person is a number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from bestpolicy.core.evidence import share_interval
from bestpolicy.core.nouns import Interval
from bestpolicy.store.ratings import Seen

Found = Literal["left", "right", "tie"]


@dataclass(frozen=True, slots=True)
class Rater:
    """One person, under a number."""

    number: int
    answered: int  # duels, gold aside
    skipped: int
    gold: int  # pairs whose better answer is known,
    right: int  # and how often this person said so
    accuracy: Interval | None

    @property
    def name(self) -> str:
        return f"rater {self.number}"


@dataclass(frozen=True, slots=True)
class Raters:
    """The people of one study."""

    people: tuple[Rater, ...]
    answered: int
    position: Interval | None  # mean share of whatever stood first; 1/2 without a bias
    both_bad: Interval | None
    twice: int  # duels that two people answered,
    agreement: Interval | None  # and the share of them where both said the same
    alpha: Interval | None  # the same corrected for chance, which is taken as it is seen

    def warnings(self) -> list[str]:
        """Who is proven to be wrong more often than right where it is known."""
        return [
            f"{one.name} says what is known to be wrong: right in {one.accuracy.value:.0%} "
            f"[{one.accuracy.low:.0%}, {one.accuracy.high:.0%}] of {one.gold} gold pairs"
            for one in self.people
            if one.accuracy is not None and one.accuracy.high < 0.5
        ]


def raters(seen: Iterable[Seen], confidence: float) -> Raters | None:
    """How the people of a study fared; None if nobody has answered or skipped anything."""
    said = [one for one in seen if one.state in ("said", "settled", "skipped")]
    if not said:
        return None
    error = 1 - confidence
    heard = [one for one in said if one.said is not None and one.state != "skipped"]
    duels = [one for one in heard if one.view.kind != "gold"]
    first = sum({"first": 1.0, "second": 0.0, "tie": 0.5}[_side(one)] for one in duels)
    bad = sum(one.said is not None and one.said.both_bad for one in duels)
    twice = list(_twice(duels))
    same = sum(a == b for a, b in twice)
    agreement = share_interval(same, len(twice) - same, error) if twice else None
    numbers = sorted({one.view.rater for one in said})
    return Raters(
        people=tuple(_rater(n, [o for o in said if o.view.rater == n], error) for n in numbers),
        answered=len(duels),
        position=share_interval(first, len(duels) - first, error) if duels else None,
        both_bad=share_interval(bad, len(duels) - bad, error) if duels else None,
        twice=len(twice),
        agreement=agreement,
        alpha=None if agreement is None else corrected(agreement, twice),
    )


def corrected(agreement: Interval, twice: list[tuple[Found, Found]]) -> Interval | None:
    """Krippendorff's α; None where everybody always said the same one thing.

    The ends are those of the agreement, carried over at the chance agreement that is seen: it is
    known better than the agreement is, as each double answer tells twice of it.
    """
    counts = Counter(word for pair in twice for word in pair)
    n = sum(counts.values())
    by_chance = 1 - sum(c * (c - 1) for c in counts.values()) / (n * (n - 1))
    if by_chance <= 0:
        return None
    value, low, high = (
        max(-1.0, 1 - (1 - share) / by_chance)
        for share in (agreement.value, agreement.low, agreement.high)
    )
    return Interval(value, low, high)


def as_json(found: Raters | None) -> dict[str, Any] | None:
    """The object that `--json` has under `people`."""
    if found is None:
        return None
    return {
        "answered": found.answered,
        "position_bias": None if found.position is None else found.position.value - 0.5,
        "position_bias_interval": None
        if found.position is None
        else [found.position.low - 0.5, found.position.high - 0.5],
        "both_bad_share": _value(found.both_bad),
        "both_bad_share_interval": _bounds(found.both_bad),
        "answered_twice": found.twice,
        "agreement": _value(found.agreement),
        "agreement_interval": _bounds(found.agreement),
        "krippendorff_alpha": _value(found.alpha),
        "krippendorff_alpha_interval": _bounds(found.alpha),
        "raters": [
            {
                "rater": one.name,
                "answered": one.answered,
                "skipped": one.skipped,
                "gold": one.gold,
                "gold_right": one.right,
                "gold_accuracy": _value(one.accuracy),
                "gold_accuracy_interval": _bounds(one.accuracy),
            }
            for one in found.people
        ],
    }


def _rater(number: int, mine: list[Seen], error: float) -> Rater:
    heard = [one for one in mine if one.state != "skipped"]
    gold = [one for one in heard if one.view.kind == "gold"]
    right = sum(_found(one) == one.view.about["truth"] for one in gold)
    return Rater(
        number,
        answered=len(heard) - len(gold),
        skipped=len(mine) - len(heard),
        gold=len(gold),
        right=right,
        accuracy=share_interval(right, len(gold) - right, error) if gold else None,
    )


def _twice(duels: list[Seen]) -> Iterable[tuple[Found, Found]]:
    """What the first two people said of each duel that two have answered."""
    by_duel: dict[int, dict[int, Found]] = {}
    for one in duels:
        by_duel.setdefault(one.view.duel, {}).setdefault(one.view.rater, _found(one))
    for said in by_duel.values():
        if len(said) > 1:
            a, b, *_ = said.values()
            yield a, b


def _side(one: Seen) -> str:
    assert one.said is not None
    return one.said.side


def _found(one: Seen) -> Found:
    """Who won of left and right, whichever stood first on the screen."""
    side = _side(one)
    if side == "tie":
        return "tie"
    return "left" if (side == "first") != one.view.turned else "right"


def _value(interval: Interval | None) -> float | None:
    return None if interval is None else interval.value


def _bounds(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
