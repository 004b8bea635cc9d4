"""One worker of a study that many play: it holds its duels under claims, and renews them.

    ask ──► claim ──► a beat every third of a lease ──► tell ──► or lost, and dropped

A beat that finds a claim taken over forgets the duel: whoever has it now answers it. A beat that
finds no store tries again at the next one; the claim may run out meanwhile, and no harm is done.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

from bestpolicy.core.nouns import StoreError
from bestpolicy.core.shares import Winner
from bestpolicy.duel import Duel
from bestpolicy.store.claims import Superseded
from bestpolicy.study import Study
from bestpolicy.study.shared import Held, Shared

BEATS = 3  # in a lease


class Worker:
    """Takes duels of a shared study, as `Source` asks for, and keeps what it holds alive."""

    def __init__(self, study: Study, lease: float, *, who: str | None = None) -> None:
        self.who = who or _name()
        self.lost = 0
        self._shared = Shared(study, self.who, lease)
        self._held: dict[int, Held] = {}
        self._lock = Lock()
        self._ended = Event()
        self._heart = Thread(target=self._beat, name="heartbeat", daemon=True)

    def ask(self, n: int) -> list[Duel]:
        """Up to n duels for this worker alone."""
        helds = self._shared.ask(n)
        with self._lock:
            self._held |= {held.id: held for held in helds}
        return [held.duel for held in helds]

    def tell(self, duel: Duel, winner: Winner, *, cost: float = 0.0, feedback: str = "") -> None:
        """Record who won; Superseded if somebody else has it now."""
        held = self._of(duel.id)
        self._end(held, lambda: self._shared.tell(held, winner, cost=cost, feedback=feedback))

    def abandon(self, duel: int, *, cost: float = 0.0, feedback: str = "") -> None:
        """Say that the answer will never come."""
        held = self._of(duel)
        self._end(held, lambda: self._shared.abandon(held, cost=cost, feedback=feedback))

    def others(self) -> int:
        """How many duels others play now."""
        return self._shared.others()

    def unfinished(self) -> bool:
        """Whether duels are open that others play, who may yet die."""
        study = self._shared.study
        with self._lock:
            mine = set(self._held)
        return not study.verdict().final and any(d.id not in mine for d in study.in_flight())

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._heart.join()
        with self._lock:
            rest, self._held = list(self._held.values()), {}
        try:
            self._shared.release(rest)
        except StoreError:
            if error is None:  # else what went wrong first is said, and the leases run out
                raise

    def _of(self, duel: int) -> Held:
        with self._lock:
            held = self._held.get(duel)
        if held is None:
            raise Superseded(f"duel {duel} was taken over when its lease had run out")
        return held

    def _end(self, held: Held, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Superseded:
            self._lose({held.id})
            raise
        except StoreError as error:
            # Told meanwhile by somebody without a claim, who may do so once a lease has run out.
            if any(duel.id == held.id for duel in self._shared.study.in_flight()):
                raise
            self._lose({held.id})
            raise Superseded(str(error)) from error
        with self._lock:
            self._held.pop(held.id, None)

    def _lose(self, duels: set[int]) -> None:
        with self._lock:
            self.lost += sum(self._held.pop(duel, None) is not None for duel in duels)

    def _beat(self) -> None:
        while not self._ended.wait(self._shared.lease / BEATS):
            with self._lock:
                before = list(self._held.values())
            try:
                kept = {held.id for held in self._shared.renew(before)}
            except StoreError:
                continue
            self._lose({held.id for held in before} - kept)


def _name() -> str:
    """A name that no other worker has, and that says where to look for this one."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
