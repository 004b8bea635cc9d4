"""Killed under load: 24 clients who ask again whatever was not acknowledged.

The long form takes its count from BESTPOLICY_TEST_KILLS.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection
from threading import Condition, Thread

import pytest

import laws
from bestpolicy.core.nouns import Outcome
from bestpolicy.core.rng import stream
from crash import labour, workers
from crash.test_crash import KILLS, _preloaded, each
from crash.test_leases import _no_schemas_left

preloaded, schemas = _preloaded, _no_schemas_left
CLIENTS = 24
DUELS = 4800  # of one record


class Clients:
    """Clients that outlive their server, and go on with the next one where they were."""

    def __init__(self) -> None:
        self.kept: list[list[int]] = [[] for _ in range(CLIENTS)]
        self.retries = self.replays = 0
        self.wrong: list[str] = []
        self._wires: Sequence[Connection] = ()
        self._life = 0
        self._over = False
        self._changed = Condition()
        self._threads = [Thread(target=self._ask, args=(i,)) for i in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def served_by(self, wires: Sequence[Connection]) -> None:
        with self._changed:
            self._wires, self._life = wires, self._life + 1
            self._changed.notify_all()

    def alive(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _ask(self, me: int) -> None:
        rng = stream(5, "client", me)
        for number in range(me, DUELS, CLIENTS):
            if (
                self.kept[me] and rng.random() < 0.1
            ):  # an old key: the same is the same, and another answer is refused
                old = int(rng.choice(self.kept[me]))
                self.replays += 1
                if (said := self._say(me, (old, share(old)))) not in ("kept", "over"):
                    self.wrong.append(f"the same again: {said}")
                if (said := self._say(me, (old, 0.123))) not in ("refused", "over"):
                    self.wrong.append(f"another answer: {said}")
            if self._say(me, (number, share(number))) != "kept":
                return
            self.kept[me].append(number)

    def _say(self, me: int, what: tuple[int, float]) -> str:
        tried = 0
        while True:
            with self._changed:
                while self._life <= tried and not self._over:
                    self._changed.wait()
                if self._over:
                    return "over"
                tried, wire = self._life, self._wires[me]
            try:
                wire.send(what)
                return str(wire.recv())
            except (EOFError, OSError):
                self.retries += 1


def share(number: int) -> float:
    return (number % 7) / 7


def loses_nothing(url: str, kills: int, *, hasty: bool = False) -> Counter[str]:
    """One record, its server killed so many times: what was acknowledged is there, and once."""
    rng = stream(6, "load", kills)
    store = labour.opened(url)
    store.asked([laws.question(i) for i in range(DUELS)])
    store.close()
    clients = Clients()
    try:
        for _ in range(kills):
            pipes = [workers.processes.Pipe() for _ in range(CLIENTS)]
            process = workers.processes.Process(
                target=labour.serve, args=(url, hasty, [theirs for _, theirs in pipes])
            )
            process.start()
            for _, theirs in pipes:
                theirs.close()
            before = sum(map(len, clients.kept))
            clients.served_by([ours for ours, _ in pipes])
            while sum(map(len, clients.kept)) == before and clients.alive():
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.03))
            process.kill()
            process.join()
    finally:
        clients.end()
    acknowledged = {number for kept in clients.kept for number in kept}
    store = labour.opened(url)  # which also looks whether the file is whole
    told = Counter(
        event.comparison.id for _, event in store.history() if isinstance(event, Outcome)
    )
    answers = {
        event.comparison.id: event.scores
        for _, event in store.history()
        if isinstance(event, Outcome)
    }
    store.close()
    assert acknowledged
    assert acknowledged <= set(told), f"{len(acknowledged - set(told))} acknowledged are lost"
    assert max(told.values()) == 1, "an answer is there twice"
    assert clients.wrong == []
    assert all(scores == laws.answer(n, share(n)).scores for n, scores in answers.items())
    counts = {"kills": kills, "acknowledged": len(acknowledged), "retries": clients.retries}
    return Counter(counts | {"replays": clients.replays})


def test_a_server_killed_5_times_under_load_loses_nothing(store_url: str) -> None:
    loses_nothing(store_url, 5)


@pytest.mark.slow
def test_servers_killed_many_times_under_load_lose_nothing(store_url: str) -> None:
    counts = Counter[str]()
    for i in range(max(1, (KILLS or 50) // 10)):
        counts += loses_nothing(each(store_url, schemas=True).format(i), 10)
    print(dict(counts))


def test_a_server_that_acknowledges_before_it_commits_is_caught_under_load(store_url: str) -> None:
    with pytest.raises(AssertionError, match="are lost"):
        loses_nothing(store_url, 10, hasty=True)
