"""Scripted models: what they answer is known in advance, for dry runs and tests."""

from __future__ import annotations

MODELS = ("scripted/echo",)


def echo(prompt: str, *, max_tokens: int | None = None) -> str:
    """The prompt itself, cut to its first `max_tokens` words; no temperature changes it."""
    if max_tokens is None or len(words := prompt.split()) <= max_tokens:
        return prompt
    return " ".join(words[:max_tokens])
