"""Players: what answers an input on behalf of a policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar

from bestpolicy.core.talk import MAX_TOKENS, Model, Prompt
from bestpolicy.llm.named import Named
from bestpolicy.llm.prompts import Row, fill, places


@dataclass(frozen=True, slots=True)
class Prompted:
    """A model under a prompt."""

    model: Model
    named: Named
    prompt: str
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    chooses: ClassVar[bool] = False  # whether the prompt itself is drawn

    @property
    def columns(self) -> tuple[str, ...]:
        """What a row must have, so that it can be asked about."""
        return tuple(dict.fromkeys(places(self.prompt) + places(self.system or "")))

    def length(self, row: Row) -> float:
        """Characters that the model reads about this row, on average over draws of the prompt."""
        return float(length(self.ask(row, 0)))

    def ask(self, row: Row, seed: int) -> Prompt:
        """What the model is asked about this row."""
        return Prompt(
            fill(self.prompt, row),
            system=None if self.system is None else fill(self.system, row),
            temperature=self.temperature,
            max_tokens=self.max_tokens or MAX_TOKENS,
            seed=seed,
        )


@dataclass(frozen=True, slots=True)
class Called:
    """A Python function of the row."""

    function: Callable[[Row], Any]


Player = Prompted | Called


def length(prompt: Prompt) -> int:
    """Characters that a model reads."""
    return len(prompt.text) + len(prompt.system or "")


def key_of(named: Named, prompt: Prompt, draw: str, *, chosen: bool = False) -> str:
    """The name of one answer: where nothing is drawn, whoever asks the same shares the answer;
    where something is, be it that the prompt was `chosen` by chance, it belongs to one `draw` and
    to no other."""
    if chosen or prompt.drawn:
        return draw
    parts = (str(named), prompt.text, prompt.system, prompt.max_tokens, prompt.choices)
    return f"sha256:{sha256(repr(parts).encode('utf-8', 'surrogatepass')).hexdigest()}"
