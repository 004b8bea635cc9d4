"""The desk: every question to a model goes over it, so that each is kept, priced and paid once.

somebody else asks the same now? ──► known already? ──► reserve ──► ask ──► keep ──► use

In this order: whoever looked first and stood in line second would ask what was answered between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Condition, Lock
from typing import Any

from bestpolicy.core.nouns import BestPolicyError
from bestpolicy.core.talk import Failed, Model, Prompt, Reply
from bestpolicy.store.calls import Ask, Calls

End = Reply | Failed


class PlayError(BestPolicyError):
    """A policy or the judge failed. Nothing of it is counted; the same command resumes."""


class OutOfMoney(Exception):
    """The next call could cost more than is left; it was not made."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One question: under which name its answer is kept, and who is to be asked what."""

    ask: Ask
    model: Model
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Work:
    """One question to a function of the user's."""

    ask: Ask
    function: Callable[[], str]


class Desk:
    """Asks on behalf of one study, from many threads."""

    def __init__(self, calls: Calls, cap: float | None) -> None:
        self._calls = calls
        self._cap = cap
        self._asking: dict[str, Future[End]] = {}
        self._lock = Lock()
        self._money = Condition()
        self._under_way, self._settled = 0, 0  # batches of calls
        self._pool = ThreadPoolExecutor(64, thread_name_prefix="model")
        self.made = 0  # calls of this process

    def answers(self, wanted: Sequence[Wanted | Work]) -> tuple[list[End], float]:
        """How each ended, and what this cost now; OutOfMoney if it could not be paid."""
        mine, theirs = self._claim(wanted)
        ends: dict[str, End] = {}
        try:
            known: dict[str, End] = dict(self._calls.find(list(mine)))
            if new := {key: want for key, want in mine.items() if key not in known}:
                self.counts(len(new))
                ends = self._made(new)
            known |= ends
        except BaseException as error:
            self._release(mine, {}, error)
            raise
        self._release(mine, known, None)
        for key, future in theirs.items():
            known[key] = future.result()
        return [known[want.ask.key] for want in wanted], sum(end.usd for end in ends.values())

    def counts(self, calls: int) -> None:
        """So many calls more."""
        with self._lock:
            self.made += calls

    def keep(self, ask: Ask, text: str) -> None:
        """Put something on record that cost nothing."""
        self._calls.settle([ask], [Reply(text)], [0])

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _claim(
        self, wanted: Sequence[Wanted | Work]
    ) -> tuple[dict[str, Wanted | Work], dict[str, Future[End]]]:
        """Which of these nobody asks now, and where the others will be answered."""
        mine: dict[str, Wanted | Work] = {}
        theirs: dict[str, Future[End]] = {}
        with self._lock:
            for want in wanted:
                key = want.ask.key
                if key in mine:
                    continue
                if key in self._asking:
                    theirs[key] = self._asking[key]
                else:
                    mine[key], self._asking[key] = want, Future()
        return mine, theirs

    def _release(
        self, mine: Iterable[str], ends: dict[str, End], error: BaseException | None
    ) -> None:
        with self._lock:
            futures = {key: self._asking.pop(key) for key in mine}
        for key, future in futures.items():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(ends[key])

    def _made(self, wanted: dict[str, Wanted | Work]) -> dict[str, End]:
        asks = [want.ask for want in wanted.values()]
        reserved = self._reserved(asks)
        ends: dict[str, End] = {}
        try:
            for key, end in self._asked(wanted):
                ends[key] = end
        finally:
            # What one of them raised takes nothing from the others, which may have been paid.
            done = [
                (want.ask, ends[key], number)
                for (key, want), number in zip(wanted.items(), reserved, strict=True)
                if key in ends
            ]
            try:
                if done:
                    ends.update(self._calls.settle(*zip(*done, strict=True)))
            finally:
                self._let_go(settled=1)
        return ends

    def _reserved(self, asks: Sequence[Ask]) -> list[int]:
        """Money for these; who finds too little waits for calls under way, which take less than
        was set aside for them."""
        while True:
            with self._money:
                settled, self._under_way = self._settled, self._under_way + 1
            try:
                numbers = self._calls.reserve(asks, self._cap)
            except BaseException:
                self._let_go(settled=0)
                raise
            if numbers is not None:
                return numbers
            self._let_go(settled=0)
            with self._money:
                while self._under_way and self._settled == settled:
                    self._money.wait()
                if self._settled == settled:
                    raise OutOfMoney

    def _let_go(self, *, settled: int) -> None:
        with self._money:
            self._under_way, self._settled = self._under_way - 1, self._settled + settled
            self._money.notify_all()

    def _asked(self, wanted: dict[str, Wanted | Work]) -> Iterable[tuple[str, End]]:
        by_model: dict[int, list[tuple[str, Wanted]]] = {}
        for key, want in wanted.items():
            if isinstance(want, Wanted):
                by_model.setdefault(id(want.model), []).append((key, want))
        batches = list(by_model.values())
        elsewhere = [self._pool.submit(_complete, batch) for batch in batches[1:]]
        if batches:
            yield from _complete(batches[0])
        for future in elsewhere:
            yield from future.result()
        for key, want in wanted.items():
            if isinstance(want, Work):
                began = time.monotonic()
                text = want.function()
                yield key, _storable(Reply(text, seconds=time.monotonic() - began))


def _complete(batch: Sequence[tuple[str, Wanted]]) -> list[tuple[str, End]]:
    model = batch[0][1].model
    try:
        ends = model.complete([want.prompt for _, want in batch])
    except Exception as error:  # a model must not raise; whatever it is, it is no answer
        said = f"{type(error).__name__}: {error}"[:300]
        ends = [Failed((f"{model.name} raised {said}",), fatal=True) for _ in batch]
    return [(key, _storable(end)) for (key, _), end in zip(batch, ends, strict=True)]


def _storable(end: End) -> End:
    """Half a character is no text: what no file can hold is replaced by a question mark."""
    if isinstance(end, Reply) and not end.text.isascii():
        text: Any = end.text.encode("utf-8", "replace").decode()
        if text != end.text:
            return Reply(text, end.tokens_in, end.tokens_out, end.usd, end.seconds, end.failures)
    return end
