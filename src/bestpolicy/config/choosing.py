"""Choosing: a learned policy as a player, which draws the prompt for each row and asks a model.

    row ──► chances of the prompts ──where a number made of the seed falls──► prompt, filled

The number is made of the seed of the answer, and of nothing else: whoever plays the same duel again
chooses the same prompt. How the model draws is its own affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar

from bestpolicy.core.talk import Prompt
from bestpolicy.llm.players import Prompted, length
from bestpolicy.llm.prompts import Row, places

if TYPE_CHECKING:
    from bestpolicy.offpolicy.learned import LearnedPolicy


@dataclass(frozen=True, slots=True)
class Choosing(Prompted):
    """A model under the prompt that a learned policy draws for the row."""

    chooser: LearnedPolicy = field(kw_only=True)
    texts: Mapping[str, str] = field(kw_only=True)  # of the prompts, by their ids
    chooses: ClassVar[bool] = True

    @property
    def columns(self) -> tuple[str, ...]:
        named = [one.name for one in self.chooser.features]
        for text in (*self.texts.values(), self.system or ""):
            named += places(text)
        return tuple(dict.fromkeys(named))

    def length(self, row: Row) -> float:
        chances = zip(self.chooser.names, self.chooser.of_row(row).tolist(), strict=True)
        usual: float = sum(chance * length(self._under(name, row, 0)) for name, chance in chances)
        return usual

    def ask(self, row: Row, seed: int) -> Prompt:
        return self.ask_at(row, seed, uniform(seed))

    def ask_at(self, row: Row, seed: int, at: float) -> Prompt:
        """What the model is asked where the draw of the prompt falls `at`, in [0, 1)."""
        name, _ = self.chooser.choose(row, at)
        return self._under(name, row, seed)

    def _under(self, name: str, row: Row, seed: int) -> Prompt:
        one = Prompted(self.model, self.named, self.texts[name], self.system)
        asked = replace(one, temperature=self.temperature, max_tokens=self.max_tokens)
        return asked.ask(row, seed)


def uniform(seed: int) -> float:
    """A number in [0, 1) of this seed, which tells nothing of what a model draws with it."""
    told = blake2b(f"{seed}/prompt".encode(), digest_size=8).digest()
    return (int.from_bytes(told) >> 11) * 2.0**-53
