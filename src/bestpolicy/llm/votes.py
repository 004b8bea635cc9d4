"""Recorded votes as a judge: each is used once, so that no evidence is counted twice.

The votes of a pair come in an order drawn once from the seed. Which vote answers a duel depends
only on how many duels of that pair, and about that input where the votes name one, came before it:
a study that resumes meets the same votes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.core.shares import nearest, share
from bestpolicy.llm.prompts import Row

Pair = tuple[str, str]  # in the order of the names
ABOUT = "input"  # a column that says which input a vote is about: its number, from 0


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of each pair, and input where they name one, in the order they are used."""

    shares: Mapping[tuple[Pair, int | None], tuple[float, ...]]
    about_inputs: bool

    def share(self, left: str, right: str, context: int | None, earlier: int) -> float | None:
        """What the vote after `earlier` used ones says of left; None if there is none left."""
        pair = (left, right) if left < right else (right, left)
        votes = self.shares.get((pair, context if self.about_inputs else None), ())
        if earlier >= len(votes):
            return None
        return votes[earlier] if pair == (left, right) else 1.0 - votes[earlier]

    def __len__(self) -> int:
        return sum(len(votes) for votes in self.shares.values())


def read_votes(
    rows: Sequence[Row], policies: Sequence[str], inputs: Sequence[Row] | None, seed: int
) -> Votes:
    """The votes of a file with columns left, right, winner and perhaps input; winner is left,
    right, tie, a policy's name, or left's share."""
    about = all(ABOUT in row for row in rows)
    found: defaultdict[tuple[Pair, int | None], list[float]] = defaultdict(list)
    for number, row in enumerate(rows, start=1):
        try:
            pair, value = _vote(row, policies)
            found[pair, _input(row, inputs) if about else None].append(value)
        except ConfigError as error:
            raise ConfigError(f"row {number}: {error}") from None
    drawn = {}
    for place, (key, shares) in enumerate(sorted(found.items(), key=lambda item: str(item[0]))):
        order = stream(seed, "votes", place).permutation(len(shares))
        drawn[key] = tuple(shares[i] for i in order)
    return Votes(drawn, about)


def _vote(row: Row, policies: Sequence[str]) -> tuple[Pair, float]:
    missing = [column for column in ("left", "right", "winner") if column not in row]
    if missing:
        raise ConfigError(f"needs the columns left, right and winner, lacks {missing[0]}")
    left, right, winner = row["left"], row["right"], row["winner"]
    for name in (left, right):
        if name not in policies:
            raise ConfigError(f"no policy {name!r} in the study{nearest(name, policies)}")
    if left == right:
        raise ConfigError(f"{left!r} against itself tells nothing")
    named = winner in (left, right)
    value = float(winner == left) if named else share(_number(winner))
    return ((left, right), value) if left < right else ((right, left), 1.0 - value)


def _number(winner: Any) -> Any:
    """A share that a csv file holds as text."""
    try:
        return float(winner)
    except (TypeError, ValueError):
        return winner


def _input(row: Row, inputs: Sequence[Row] | None) -> int:
    many = 0 if inputs is None else len(inputs)
    said = row[ABOUT]
    try:
        number = int(said)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < many:
        raise ConfigError(f"input must be the number of an input, 0 to {many - 1}, saw {said!r}")
    return number
