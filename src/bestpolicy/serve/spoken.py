"""Spoken: one policy's answer to one chat, paid for before it is made, told while it comes.

    reserve ──► model or function ──► settle          in a thread of its own

What was asked and answered is never written down: the record has the policy, tokens, dollars and
the reasons of failures, in the role `gateway`. A thread ends with its model's time-out; the
server does not wait for it, and what it had reserved counts as spent.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import BoundedSemaphore, Thread

from bestpolicy.core.nouns import BestPolicyError, StoreError
from bestpolicy.core.talk import Failed, Model, Prompt, Reply, Streaming
from bestpolicy.llm.players import Called
from bestpolicy.serve.chat import Chat
from bestpolicy.serve.house import House
from bestpolicy.serve.problems import Problem
from bestpolicy.store.calls import Ask

log = logging.getLogger("bestpolicy.serve")
MOST = 64  # answers under way at once
NO_MONEY = "the study's budget of dollars does not cover another answer"
FULL = f"{MOST} answers are under way; wait, then repeat"
# An OpenAI client would do it again, after the tries that the gateway has made by itself.
ONCE = {"x-should-retry": "false"}


@dataclass(frozen=True, slots=True)
class Whole:
    """The answer is whole, or as long as it may be."""

    tokens_in: int
    tokens_out: int
    cut: bool


Told = str | Whole | Failed | Problem


class Speakers:
    """Those who answer chats on behalf of one study."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._room = BoundedSemaphore(MOST)

    async def say(self, policy: str, chat: Chat, at: float | None = None) -> AsyncIterator[Told]:
        """The pieces of the answer, and at last how it ended. A learned policy's prompt is drawn
        `at` a number in [0, 1)."""
        if not self._room.acquire(blocking=False):
            yield Problem(503, FULL, headers={"Retry-After": "1"}, code="overloaded")
            return
        loop, told = asyncio.get_running_loop(), asyncio.Queue[Told | None]()

        def tell(what: Told | None) -> None:
            with suppress(RuntimeError):  # the server has ended, and nobody listens
                loop.call_soon_threadsafe(told.put_nowait, what)

        def run() -> None:
            try:
                for what in self._answer(policy, chat, at):
                    tell(what)
            except StoreError as error:
                log.error("%s: %s", type(error).__name__, error)
                tell(Problem(503, "the record cannot be written now", code="store"))
            except Exception as error:
                log.error("a defect: %s", type(error).__name__)
                tell(Problem(500, "a defect in bestpolicy", headers=ONCE))
            finally:
                self._room.release()
                tell(None)

        # A daemon: the process does not wait for a server that is slow to answer.
        Thread(target=run, name="gateway", daemon=True).start()
        while (what := await told.get()) is not None:
            yield what

    def _answer(self, policy: str, chat: Chat, at: float | None) -> Iterator[Told]:
        player = self._house.players.answers.get(policy)
        if player is None:
            yield Problem(
                409, "the answers of this study were recorded elsewhere: nobody can be asked"
            )
            return
        name = secrets.token_hex(12)
        if isinstance(player, Called):
            ask = Ask(f"gateway {name}: {policy}", -1, "gateway", policy)
            yield from self._paid(ask, lambda: _called(player, chat), None)
            return
        prompt = chat.prompt(player, secrets.randbits(31), at)
        worst = player.model.most_usd(prompt) or 0.0
        ask = Ask(f"gateway {name}: {policy}", -1, "gateway", policy, worst)
        yield from self._paid(ask, lambda: _streamed(player.model, prompt), prompt.max_tokens)

    def _paid(
        self, ask: Ask, answer: Callable[[], Iterator[str | Reply | Failed]], most: int | None
    ) -> Iterator[Told]:
        calls, cap = self._house.opened.calls, self._house.file.section.budget.usd
        reserved = calls.reserve([ask], cap)
        if reserved is None:
            yield Problem(429, NO_MONEY, headers=ONCE, code="insufficient_quota")
            return
        end: Reply | Failed = Failed(("the answer was broken off",))
        try:
            for what in answer():
                if isinstance(what, str):
                    yield what
                else:
                    end = what
        finally:
            kept = replace(end, text="") if isinstance(end, Reply) else end
            calls.settle([ask], [kept], reserved)
        if isinstance(end, Reply):
            cut = most is not None and end.tokens_out >= most
            yield Whole(end.tokens_in, end.tokens_out, cut)
        else:
            yield end


def _streamed(model: Model, prompt: Prompt) -> Iterator[str | Reply | Failed]:
    """As the model says it, or all at once where it says it so."""
    try:
        if isinstance(model, Streaming):
            yield from model.stream(prompt)
            return
        (end,) = model.complete([prompt])
        if isinstance(end, Reply):
            yield end.text
        yield end
    except Exception as error:  # a model must not raise; whatever it is, it is no answer
        yield Failed((f"{model.name} raised {type(error).__name__}",), fatal=True)


def _called(player: Called, chat: Chat) -> Iterator[str | Reply | Failed]:
    began = time.monotonic()
    try:
        text = player.function(chat.row)
    except Exception as error:
        said = f"the policy's function raised {type(error).__name__}"
        yield Failed((said,), fatal=not isinstance(error, BestPolicyError))
        return
    seconds = time.monotonic() - began
    if not isinstance(text, str) or not text:
        yield Failed((f"the policy's function returned {type(text).__name__}, not a text",), True)
        return
    text = text.encode("utf-8", "replace").decode()
    yield text
    yield Reply(text, seconds=seconds)
