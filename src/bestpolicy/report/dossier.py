"""What a report holds beside the snapshot: how it came about, what it cost, and what was said.

Everything here is data that somebody else has gathered; what is missing is empty or None, and the
page says so. Texts are the user's own and are never trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.nouns import Array, Interval, Outcome
from bestpolicy.core.rng import stream
from bestpolicy.report.snapshot import Snapshot

EXAMPLES = 10
CHOSEN = (
    "Drawn at random by the study's seed from all duels since evidence counts, each kind of "
    "outcome in proportion and at least one of each kind that there is: so the leader's losses "
    "and the ties are here as often as they are in the record."
)


@dataclass(frozen=True, slots=True)
class Trail:
    """The standing at some moments of the study, policies by their numbers in the record."""

    at: NDArray[np.intp]  # (n,) answers read
    evidence: Array  # (n, K) log evidence against each; nan while it was not compared
    alive: NDArray[np.bool_]  # (n, K) not proven to lose to somebody
    bar: Array  # (n,) evidence at which a policy leaves
    leader: NDArray[np.intp]  # (n,) who led
    proof: Array  # (n, K) log proof that the leader of then beats it; inf once proven, nan as above
    proof_bar: Array  # (n,) proof at which that is proven
    resets: tuple[int, ...] = ()  # after how many answers the evidence began anew


@dataclass(frozen=True, slots=True)
class Basis:
    """What the verdict takes for granted."""

    design: str
    structure: str
    trust_structure: bool
    indifference: float
    assume_winner: bool
    judge: str  # who judged, in words
    inputs: str  # what the duels were about, in words
    reuse_inputs: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any], *, judge: str, inputs: str) -> Basis:
        """From a study's settings, as it keeps them."""
        return cls(
            settings["design"],
            settings["structure"],
            settings["trust_structure"],
            settings["indifference"],
            settings["assume_winner"],
            judge,
            inputs,
            settings["reuse_inputs"],
        )


@dataclass(frozen=True, slots=True)
class PolicyCost:
    """What one policy's answers took: means per call, at the study's confidence."""

    policy: str
    calls: int
    failed: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)  # of failed calls
    usd: Interval | None = None  # None: no price is known
    latency: Interval | None = None  # seconds
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True)
class Canary:
    """Questions whose right answer is known, and how often the judge gave it."""

    about: str
    asked: int
    right: int


@dataclass(frozen=True, slots=True)
class Example:
    """One duel as it was played. A text that nobody kept is None."""

    duel: int
    left: str
    right: str
    share: float | None  # left's; None: it will never be answered
    row: Mapping[str, Any] | str | None = None
    left_text: str | None = None
    right_text: str | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, and what it does."""

    line: str
    does: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """All that the page shows."""

    snapshot: Snapshot
    basis: Basis
    created: str  # when, in words
    version: str  # of what made it
    trail: Trail | None = None
    costs: tuple[PolicyCost, ...] = ()
    cost_note: str = ""  # how the intervals of cost and latency were made
    examples: tuple[Example, ...] = ()
    chosen: str = CHOSEN  # how the examples were
    canaries: tuple[Canary, ...] = ()
    assumptions: tuple[str, ...] = ()  # beyond those that follow from the basis
    commands: tuple[Command, ...] = ()


def choose(at: Snapshot, *, since: int, n: int = EXAMPLES) -> list[Outcome]:
    """Up to n duels to show, in ask order: a seeded draw, each kind of outcome in proportion.

    `since` is the duel from which evidence counts.
    """
    kinds: dict[str, list[Outcome]] = {}
    for outcome in at.outcomes:
        if outcome.comparison.id >= since:
            kinds.setdefault(_kind(outcome, at.standing.leader), []).append(outcome)
    rng = stream(at.seed, "report-examples")
    picked: list[Outcome] = []
    for kind, room in _rooms({kind: len(of) for kind, of in sorted(kinds.items())}, n).items():
        of = kinds[kind]
        picked += [of[i] for i in rng.choice(len(of), size=room, replace=False)]
    return sorted(picked, key=lambda outcome: outcome.comparison.id)


def example(outcome: Outcome, policies: Sequence[str], *, said: str | None = None) -> Example:
    """The record's part of an example; `row` and the texts are the caller's to add."""
    left, right = outcome.comparison.arms
    share = None if outcome.scores is None else outcome.scores[0]
    told = outcome.feedback if said is None else said
    return Example(outcome.comparison.id, policies[left], policies[right], share, said=told)


def _kind(outcome: Outcome, leader: int) -> str:
    if outcome.scores is None:
        return "never answered"
    left, right = outcome.scores
    if left == right:
        return "tie"
    winner, loser = outcome.comparison.arms if left > right else outcome.comparison.arms[::-1]
    return "leader won" if winner == leader else "leader lost" if loser == leader else "others"


def _rooms(sizes: Mapping[str, int], n: int) -> dict[str, int]:
    """n places shared out in proportion, one at least to each kind (largest remainders)."""
    total = sum(sizes.values())
    if total <= n:
        return dict(sizes)
    wanted = {kind: n * size / total for kind, size in sizes.items()}
    rooms = {kind: max(1, int(wanted[kind])) for kind in sizes}
    while sum(rooms.values()) != n:
        more = sum(rooms.values()) < n
        open_kinds = [k for k in sizes if (rooms[k] < sizes[k] if more else rooms[k] > 1)]
        if not open_kinds:
            break
        most = max(open_kinds, key=lambda k: (wanted[k] - rooms[k]) * (1 if more else -1))
        rooms[most] += 1 if more else -1
    return rooms
