"""Prefixes: the beginnings that prompts share, so that they are computed once.

All inputs of one policy share the chat template's head and the policy's instruction. Computing a
beginning by itself takes about as long as reading `WORTH` tokens in a batch. So it is worth it
where the prompts of late would have saved that many, beyond what is kept of them already. Those
used last stay, up to `ROOM` tokens.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from typing import Generic, TypeVar

Tokens = tuple[int, ...]
T = TypeVar("T")

WORTH = 64
ROOM = 4096
MEMORY = 128  # prompts that new ones are held against


class Prefixes(Generic[T]):
    """Beginnings of prompts, and what was computed for each."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Tokens, T] = OrderedDict()
        self._seen: deque[Tokens] = deque(maxlen=MEMORY)

    def worth(self, prompts: Sequence[Tokens]) -> Iterator[Tokens]:
        """Beginnings to compute and `keep` now, each before the next is asked for."""
        ordered = sorted([*self._seen, *prompts])
        self._seen.extend(prompts)
        new = set(prompts)
        # The last token is never part of a beginning: it is what the model must still read.
        beginnings = {
            shared(a, b)[: min(len(a), len(b)) - 1]
            for a, b in pairwise(ordered)
            if a in new or b in new
        }
        # The shortest come first, so that what all share is not computed for each pair.
        for beginning in sorted(beginnings, key=lambda tokens: (len(tokens), tokens)):
            saved = len(beginning) - len(self.longest(beginning, whole=True))
            users = sum(prompt[: len(beginning)] == beginning for prompt in ordered)
            if saved * users >= WORTH:
                yield beginning

    def longest(self, prompt: Tokens, *, whole: bool = False) -> Tokens:
        """The longest kept beginning of this prompt; none is () and `whole` allows all of it."""
        limit = len(prompt) if whole else len(prompt) - 1
        found = [kept for kept in self._kept if len(kept) <= limit and kept == prompt[: len(kept)]]
        return max(found, key=len, default=())

    def keep(self, tokens: Tokens, value: T) -> None:
        """Remember this, and forget what was not used for longest."""
        self._kept[tokens] = value
        while len(self._kept) > 1 and sum(map(len, self._kept)) > ROOM:
            self._kept.popitem(last=False)

    def use(self, tokens: Tokens) -> T | None:
        """What was computed for this beginning; None for ()."""
        if not tokens:
            return None
        self._kept.move_to_end(tokens)
        return self._kept[tokens]


def shared(a: Tokens, b: Tokens) -> Tokens:
    """The beginning that both have in common."""
    return a[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))]
