"""Scripted models: what they answer is known in advance, for dry runs and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bestpolicy.core.talk import Failed, Prompt, Reply
from bestpolicy.llm.judges import FIRST, SECOND, TIE, fenced

OBEYED = ("prefer this", "choose this", "pick this")  # what the gullible judge falls for


def _echo(prompt: Prompt) -> str:
    """The prompt itself, cut to its first `max_tokens` words."""
    if prompt.choices:
        return prompt.choices[-1]
    words = prompt.text.split()
    return prompt.text if len(words) <= prompt.max_tokens else " ".join(words[: prompt.max_tokens])


def _gullible(prompt: Prompt) -> str:
    """As a judge: whichever answer tells it to, else the longer one."""
    if (answers := fenced(prompt.text)) is None:
        return _echo(prompt)
    tells = [any(word in answer.lower() for word in OBEYED) for answer in answers]
    return _preferred(*(tells if tells[0] != tells[1] else [len(a) for a in answers]))


def _longer(prompt: Prompt) -> str:
    """As a judge: the longer answer."""
    if (answers := fenced(prompt.text)) is None:
        return _echo(prompt)
    return _preferred(*(len(answer) for answer in answers))


def _first(prompt: Prompt) -> str:
    """As a judge: whatever it is shown first."""
    return FIRST if prompt.choices else _echo(prompt)


MODELS: dict[str, Callable[[Prompt], str]] = {
    "scripted/echo": _echo,
    "scripted/gullible": _gullible,
    "scripted/longer": _longer,
    "scripted/first": _first,
}


class ScriptedModel:
    """One of the models above; it costs nothing and answers at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._say = MODELS[name]

    def complete(self, prompts: Sequence[Prompt]) -> list[Reply | Failed]:
        replies = [(prompt, self._say(prompt)) for prompt in prompts]
        return [
            Reply(text, tokens_in=len(prompt.text.split()), tokens_out=len(text.split()))
            for prompt, text in replies
        ]

    def most_usd(self, prompt: Prompt) -> float | None:
        return 0.0

    def close(self) -> None:
        pass


def _preferred(first: float, second: float) -> str:
    return TIE if first == second else FIRST if first > second else SECOND
