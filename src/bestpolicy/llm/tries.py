"""Tries: what the tries of one call came to, and how the call ends."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from bestpolicy.core.talk import Failed, Reply
from bestpolicy.llm.retries import Fault

Tokens = tuple[int, int] | None


class Tries:
    """The tries of one call so far."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._began = now, now()
        self._usd = 0.0
        self.failures: list[str] = []
        self.fault = Fault("the model was closed", again=False)

    def failed(self, fault: Fault, usd: float, said: str) -> bool:
        """Take note of it; whether another try may fare better."""
        # Its traceback holds whole bodies.
        self.fault = fault.with_traceback(None)
        self._usd += usd
        self.failures.append(said)
        return fault.again

    def reply(self, text: str, tokens: Tokens, usd: float) -> Reply:
        """The last try brought an answer."""
        seconds = self._now() - self._began
        return Reply(text, *(tokens or (0, 0)), self._usd + usd, seconds, tuple(self.failures))

    def end(self) -> Failed:
        """None did."""
        failures, seconds = tuple(self.failures), self._now() - self._began
        return Failed(failures, self.fault.fatal, self._usd, seconds)


class Told:
    """The pieces of a stream, and when it has ended the tokens that were counted."""

    def __init__(self, pieces: Generator[str, None, Tokens]) -> None:
        self._pieces = pieces
        self.tokens: Tokens = None

    def __iter__(self) -> Iterator[str]:
        self.tokens = yield from self._pieces
