"""The guard against floods: each address has so many requests a second, and a few seconds' worth
at once.

    tokens = min(burst, tokens + rate * dt),   a request takes one
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from math import ceil
from time import monotonic

from starlette.requests import Request

from bestpolicy.serve.problems import Problem

RATE = 5000.0  # requests a second of one address
BURST = 4.0  # seconds' worth that may come at once
KNOWN = 4096  # addresses


class Guard:
    """Refuses whoever asks too much; one for each process."""

    def __init__(self, rate: float = RATE, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._burst = max(1.0, BURST * rate)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when

    def check(self, request: Request) -> None:
        """A Problem with Retry-After for one request too many."""
        address, now = request.client.host if request.client else "", self._clock()
        tokens, then = self._left.pop(address, (self._burst, now))
        tokens = min(self._burst, tokens + self._rate * (now - then))
        enough = tokens >= 1
        self._left[address] = (tokens - enough, now)
        if len(self._left) > KNOWN:
            self._left.popitem(last=False)
        if not enough:
            wait = ceil((1 - tokens) / self._rate)
            raise Problem(
                429,
                f"more than {self._rate:g} requests a second from one address; wait, then repeat",
                headers={"Retry-After": str(wait)},
            )
