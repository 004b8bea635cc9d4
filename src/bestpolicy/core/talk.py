"""What is said to models, and what comes back.

    Prompt ──complete──► Reply | Failed

A failed call is a `Failed` with its reason and never a text: nothing that went wrong can be
mistaken for an answer. `complete` is called from many threads at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

TRIES = 5  # of one call, at most
MAX_TOKENS = 512  # of an answer, where nobody says otherwise: what has no bound has no price


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked. With `choices` the answer is one of those words and nothing else."""

    text: str
    system: str | None = None
    temperature: float | None = None  # None: what the server takes by itself
    max_tokens: int = MAX_TOKENS
    seed: int = 0  # of the draw; at temperature 0 there is nothing to draw
    choices: tuple[str, ...] = ()
    before: tuple[tuple[str, str], ...] = ()  # earlier turns of a conversation: (role, text)

    @property
    def drawn(self) -> bool:
        """Whether asking again may give another answer, as a matter of chance."""
        return self.temperature != 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and what it took."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0  # for all tries; 0 also when nobody knows the price, see `most_usd`
    seconds: float = 0.0  # that whoever asked has waited, pauses between tries included
    failures: tuple[str, ...] = ()  # the reasons of the tries before


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, and why: one reason per try, in words and without secrets."""

    failures: tuple[str, ...]
    fatal: bool = False  # no other call would fare better: a wrong key, no such model
    usd: float = 0.0
    seconds: float = 0.0

    @property
    def reason(self) -> str:
        return self.failures[-1]


class Model(Protocol):
    """Whatever answers prompts."""

    @property
    def name(self) -> str: ...

    def complete(self, prompts: Sequence[Prompt]) -> list[Reply | Failed]:
        """One reply per prompt, in their order."""

    def most_usd(self, prompt: Prompt) -> float | None:
        """The most that one try can cost; None when no price is known."""

    def close(self) -> None: ...


@runtime_checkable
class Streaming(Protocol):
    """A model that can say an answer while it is written."""

    def stream(self, prompt: Prompt) -> Iterator[str | Reply | Failed]:
        """The pieces of the answer, and at last its Reply, whose text they make up; a Failed where
        it has none, or is broken off."""
