"""Shares: the ways in which people and programs say who won, as one number in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from math import fsum

from bestpolicy.core.nouns import ConfigError

WORDS = {"left": 1.0, "right": 0.0, "tie": 0.5}

One = str | float  # "left", "right", "tie", or left's share in [0, 1]
Winner = One | Iterable[One]  # or what several people said of the same duel


def share(winner: Winner) -> float:
    """Left's share. Several answers to one duel share an input, so they make one: their mean."""
    if isinstance(winner, str):
        if winner not in WORDS:
            raise ConfigError(
                f'winner must be "left", "right", "tie" or left\'s share in [0, 1], saw '
                f"{winner!r}{nearest(winner, WORDS)}"
            )
        return WORDS[winner]
    if isinstance(winner, Iterable):
        answers = [share(answer) for answer in winner]
        if not answers:
            raise ConfigError(
                "winner is an empty list: give at least one answer, or abandon the duel"
            )
        # The exact sum, so that the order in which people answered leaves no trace.
        return fsum(answers) / len(answers)
    try:
        value = float(winner)
    except (TypeError, ValueError):
        value = float("nan")
    if isinstance(winner, bool) or not 0.0 <= value <= 1.0:
        raise ConfigError(
            f'winner must be "left", "right", "tie" or left\'s share in [0, 1], saw {winner!r}'
        )
    return value


def nearest(word: object, allowed: Iterable[str]) -> str:
    """The nearest right word as a question, or nothing when none is near."""
    near = get_close_matches(str(word).lower(), list(allowed), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""
