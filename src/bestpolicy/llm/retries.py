"""Retries: which tries that failed are worth another, and after how long.

    pause_n = what the server asked for, at most 60 s, or else  0.5 · 2^n · U(1/2, 1), at most 8 s

The jitter is a function of the prompt and the try: two runs of one study pause alike, and calls
that failed together do not come back together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite
from random import Random
from threading import Lock

from bestpolicy.core.talk import Prompt

LONGEST = 60.0  # seconds that a server may ask for
FIRST, LAST = 0.5, 8.0  # seconds of our own pauses
AGAIN = {408, 409, 429}  # and whatever the server blames on itself


class Fault(Exception):
    """A try that brought no answer."""

    def __init__(
        self,
        reason: str,
        *,
        again: bool = True,
        fatal: bool = False,
        charged: bool = False,
        tokens: tuple[int, int] | None = None,
        after: float | None = None,
        form: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again and not fatal  # whether another try may fare better
        self.fatal = fatal  # whether no other call will either
        self.charged = charged  # whether the server may want money for it,
        self.tokens = tokens  # and for how much; None when it did not say
        self.after = after  # seconds to wait, where the server asked or none are due
        self.form = form  # whether the form of the answer was refused, and not the question


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from."""

    now: Callable[[], float] = time.monotonic
    today: Callable[[], float] = time.time
    sleep: Callable[[float], object] | None = None  # None: a sleep that `close` ends


REAL = Clock()


class Pace:
    """At most so many tries a minute, evenly and first come first served."""

    def __init__(self, per_minute: float | None, now: Callable[[], float]) -> None:
        self._step = 0.0 if per_minute is None else 60.0 / per_minute
        self._now = now
        self._next = float("-inf")
        self._lock = Lock()

    def turn(self) -> float:
        """Seconds to wait from now. The turn is taken, whatever becomes of it."""
        with self._lock:
            now = self._now()
            turn = max(now, self._next)
            self._next = turn + self._step
            return turn - now


def pause(prompt: Prompt, n: int, fault: Fault) -> float:
    """Seconds to wait after try `n`, counted from 0."""
    if fault.after is not None:
        return fault.after
    jitter = Random(f"{prompt.seed} {n} {prompt.text}").uniform(0.5, 1.0)
    return min(LAST, FIRST * 2.0**n) * jitter


def asked(headers: Mapping[str, str], today: float) -> float | None:
    """The seconds that a server asks to wait; None when it does not, or not intelligibly."""
    ms, said = headers.get("retry-after-ms"), headers.get("retry-after")
    for text, per_second in ((ms, 1000), (said, 1)):
        if text is not None and (number := _number(text)) is not None:
            return min(number / per_second, LONGEST) if number > 0 else None
    try:
        date = parsedate_to_datetime(said or "")
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - today
    except (ValueError, TypeError, OverflowError):
        return None
    return min(seconds, LONGEST) if seconds > 0 else None


def refusal(status: int, said: str, *, code: str, after: float | None, key: str) -> Fault:
    """What an HTTP status other than success means for the try, the call and the study.

    `key` says in words which key was sent.
    """
    reason = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if status == 401:
        return Fault(f"{reason} ({key} was refused)", fatal=True)
    if status == 403:
        return Fault(f"{reason} ({key} may not use this model)", fatal=True)
    if status == 404 and (code == "model_not_found" or "model" in said.lower()):
        return Fault(f"{reason} (there is no such model)", fatal=True)
    if status == 429 and code == "insufficient_quota":
        return Fault(f"{reason} (waiting does not help)", fatal=True)
    if status in AGAIN or status >= 500:
        return Fault(reason, after=after)
    if 300 <= status < 400:
        return Fault(
            f"HTTP {status}: the server redirects elsewhere, where no key is taken; "
            "write the final address as base_url",
            again=False,
        )
    return Fault(reason, again=False)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
