"""How tests open a model of a fake provider, and what they look through for a key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bestpolicy.core.talk import Failed, Prompt, Reply
from bestpolicy.llm.openai import OpenAIModel
from bestpolicy.llm.retries import Clock
from bestpolicy.llm.terms import Price, Terms
from llm.fake_provider import FakeProvider

KEY = "sk-canary-0123456789abcdef"
PRICE = Price(1.0, 10.0)


@dataclass
class Sleeps:
    """A clock on which pauses take no time and are remembered."""

    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(sleep=self.slept.append)


@contextmanager
def opened(
    server: FakeProvider | str,
    *,
    key: str | None = KEY,
    sleeps: Sleeps | None = None,
    **terms: Any,
) -> Iterator[OpenAIModel]:
    url = server if isinstance(server, str) else server.url
    model = OpenAIModel(
        "m",
        base_url=url,
        key=key,
        key_name="MY_KEY",
        terms=Terms(**{"timeout_s": 10.0, "price": PRICE, **terms}),
        clock=(sleeps or Sleeps()).clock(),
    )
    try:
        yield model
    finally:
        model.close()


def ask(server: FakeProvider | str, prompt: Prompt | str = "hello", **options: Any) -> Any:
    """What comes of one prompt."""
    asked = Prompt(prompt) if isinstance(prompt, str) else prompt
    with opened(server, **options) as model:
        (result,) = model.complete([asked])
    return result


def reasons(result: Reply | Failed) -> str:
    return "\n".join(result.failures)
