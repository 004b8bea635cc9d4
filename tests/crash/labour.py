"""What workers and servers do in the processes that are killed, stopped and woken."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import laws
from bestpolicy.core.nouns import StoreError
from bestpolicy.core.rng import stream
from bestpolicy.store import LastingStore, claims, lasting, open_store
from bestpolicy.store.claims import Superseded
from bestpolicy.study import Study
from bestpolicy.study.shared import Held, Shared
from crash.workers import hasty_store

FOREVER = 1e9


def study(url: str, duels: int) -> Study:
    """A study that no answers decide, of so many duels."""
    return Study(["a", "b"], confidence=0.9999, store=url, budget=duels, seed=1)


def winner(held: Held) -> str:
    return "left" if stream(1, "labour", held.id).random() < 0.5 else "right"


def labour(
    url: str, duels: int, lease: float, leaseless: bool, out: Connection, play: float = 0.0
) -> None:
    """Take duels, say so, and answer them, until there are none."""
    if leaseless:
        claims.Claims._take = without_a_lease(claims.Claims._take)  # type: ignore[method-assign]
    with study(url, duels) as running:
        worker = Shared(running, f"worker {os.getpid()}", lease)
        out.send("ready")
        while helds := worker.ask(2):
            out.send("claimed")
            time.sleep(play)
            for held in worker.renew(helds):
                try:
                    worker.tell(held, winner(held))
                except Superseded:
                    out.send("superseded")
                else:
                    out.send(held.id)


def share_the_labour(url: str, duels: int, lease: float, gate: Any, out: Connection) -> None:
    """The same, at a pace at which others may be killed or stopped meanwhile, until all is done."""
    running = study(url, duels)
    gate.wait()
    while running.in_flight() or not running.outcomes():
        labour(url, duels, lease, False, out, play=0.03)
        time.sleep(lease / 4)
    running.close()


def without_a_lease(take: Any) -> Any:
    """The broken twin: a claim has no end until the first heartbeat gives it a lease."""

    def taken(self: Any, db: Any, duels: Sequence[int], who: str, _: float, most: Any) -> Any:
        return take(self, db, duels, who, FOREVER, most)

    return taken


def be_late(url: str, duels: int, lease: float, tokenless: bool, talk: Connection) -> None:
    """Claim duels, then answer them when told to, however late that is; what came of each."""
    with study(url, duels) as running:
        worker = Shared(running, "the late one", lease)
        helds = worker.ask(duels)
        talk.send([held.id for held in helds])
        if tokenless:
            # The broken twin has looked at the clock, and found time enough.
            lasting.check = lambda *_: None  # type: ignore[assignment]
        talk.recv()
        ends = []
        for held in helds:
            try:
                worker.tell(held, winner(held))
            except Superseded:
                ends.append("superseded")
            except StoreError as error:
                ends.append(str(error))
            else:
                ends.append("written")
        talk.send(ends)


def serve(url: str, hasty: bool, ears: Sequence[Connection]) -> None:
    """A server of many clients: each asks for an answer to be kept, and hears when it is."""
    store = hasty_store(url, "study", {}) if hasty else open_store(url, "study", {})
    threads = [Thread(target=_serve, args=(store, ear), daemon=True) for ear in ears]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _serve(store: Any, ear: Connection) -> None:
    while True:
        try:
            number, share = ear.recv()
        except EOFError:
            return
        try:
            store.told([laws.answer(number, share)])
        except StoreError:
            ear.send("refused")
        else:
            ear.send("kept")


def opened(url: str) -> LastingStore:
    store = open_store(url, "study", {})
    assert isinstance(store, LastingStore)
    return store
