"""The nouns: every word that the rooms of bestpolicy use to speak with each other.

    Design ──ask──► Comparison ──► World ──► Outcome ──tell──► Design ──► Verdict

Data is frozen, roles are protocols. A reader who knows this page may open any room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rng = np.random.Generator
Context = Any  # what a comparison is about: an input row, or None
Settings = Mapping[str, Any]  # JSON values only
Kind = Literal["winner", "equivalent", "no-winner", "undecided", "infeasible"]
S = TypeVar("S")
P = TypeVar("P")


class BestPolicyError(Exception):
    """Something that the caller can mend: what was wrong, what was seen, what to do."""


class ConfigError(BestPolicyError):
    """A setting that no study can have."""


class StoreError(BestPolicyError):
    """The record could not be read or written, or it holds something else."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One question to the world: which of these policies does better here?"""

    arms: tuple[int, ...]  # policies, in the order they are shown
    context: Context = None
    propensity: float | None = None  # chance that the design gave to this question
    id: int = -1  # the ask number; evidence reads answers in this order


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer: win shares that sum to one, or None when it will never come."""

    comparison: Comparison
    scores: tuple[float, ...] | None
    cost: float = 0.0
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """A number and how far to trust it: it covers the truth at every moment with its confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict(Generic[P]):
    """What has been proven so far. Only `undecided` and `infeasible` claim nothing.

    Designs speak of policies by number, the front door by name.
    """

    kind: Kind
    policy: P | None  # the winner; for `equivalent` any of the survivors
    confidence: float
    survivors: tuple[P, ...]
    comparisons: int
    reason: str
    given: str = ""  # what the confidence rests on besides the judge, in words; mostly nothing

    @property
    def final(self) -> bool:
        """Whether asking on is pointless."""
        return self.kind != "undecided"


@dataclass(frozen=True, slots=True)
class Habit:
    """A customary stop that no theorem covers, for readers only: `value` against `bar`."""

    value: float
    bar: float
    after: int | None = None  # the answers after which it was first seen reached,
    policy: int | None = None  # and whom it would have named


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a study stands, for readers only: no design ever reads it back."""

    leader: int
    alive: NDArray[np.bool_]  # (K,) not yet proven to lose to somebody
    evidence: Array  # (K,) log e-value against "this policy loses to nobody"
    proof: Array  # (K,) log e-value for "this policy loses to the leader"; inf at the leader
    drop_bar: float  # evidence at which a policy leaves
    proof_bar: float  # proof at which the leader has beaten it
    rival: NDArray[np.intp]  # (K,) who has most evidence against it; -1 for nobody
    forecast: float  # comparisons still to go at today's shares; inf when nothing separates them
    habit: Habit | None = None
    misfit: float | None = None  # log evidence against the structure told, at its highest
    refuted: bool = False  # whether that has contradicted it


class Design(Protocol[S]):
    """What to compare next, and when to stop. `ask` leaves the state alone, so a state is
    `tell` folded over the outcomes in the order they were asked."""

    @property
    def policies(self) -> int: ...

    def init(self) -> S: ...

    def ask(
        self, state: S, contexts: Sequence[Context], rng: Rng, pending: Sequence[Comparison]
    ) -> list[Comparison]:
        """One comparison per context; `pending` are asked and not yet told."""

    def tell(self, state: S, outcomes: Sequence[Outcome]) -> S:
        """The state after these outcomes, which come in ask order. The old state is untouched."""

    def verdict(self, state: S) -> Verdict[int]: ...

    def standing(self, state: S) -> Standing: ...


class World(Protocol):
    """Where comparisons are played. In `worlds/` the truth is known."""

    def contexts(self, n: int, rng: Rng) -> Sequence[Context]: ...

    def play(self, comparisons: Sequence[Comparison], rng: Rng) -> list[Outcome]: ...


class Store(Protocol):
    """The append-only record of one study. What `asked`, `told` and `announce` return from is
    on disk; writing the same thing twice counts once, writing another thing is a StoreError."""

    def asked(self, comparisons: Sequence[Comparison]) -> None: ...

    def told(self, outcomes: Sequence[Outcome]) -> None: ...

    def announce(self, verdict: Verdict[int]) -> None: ...

    def changed(self, changes: Sequence[Any]) -> None: ...  # of core/roster.py

    def history(self, after: int = 0) -> list[tuple[int, Any]]:
        """Everything written since `after`, numbered, in the order it was committed."""

    def close(self) -> None: ...
