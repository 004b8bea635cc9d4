"""Workers that die, and workers that wake too late: nothing is stuck, and nothing is overwritten.

The long forms take their counts from BESTPOLICY_TEST_KILLS and BESTPOLICY_TEST_LATE.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import servers
from bestpolicy.core.rng import stream
from bestpolicy.study.shared import Shared
from crash import labour, workers
from crash.test_crash import KILLS, _preloaded, each

LATE = int(os.environ.get("BESTPOLICY_TEST_LATE", "200"))
preloaded = _preloaded
LEASE = 0.4  # seconds


def spawn(target: object, *args: object) -> tuple[workers.processes.Process, object]:
    ear, mouth = workers.processes.Pipe()
    process = workers.processes.Process(target=target, args=(*args, mouth))
    process.start()
    mouth.close()
    return process, ear


def leaves_nothing_stuck(url: str, kills: int, *, leaseless: bool = False) -> None:
    """Workers are killed at random points, every third right after a claim; two leases after the
    last of them all that they had is taken over, and each duel is answered once."""
    rng = stream(4, "labour")
    duels = 6 * kills
    labour.study(url, duels).close()
    acknowledged: set[int] = set()
    for kill in range(kills):
        process, ear = spawn(labour.labour, url, duels, LEASE, leaseless)
        with suppress(EOFError, OSError):
            assert ear.recv() == "ready"
            for _ in range(int(rng.integers(0, 8))):
                acknowledged |= {said for said in (ear.recv(),) if isinstance(said, int)}
            if kill % 3 == 0:
                while (said := ear.recv()) != "claimed":
                    acknowledged |= {said} if isinstance(said, int) else set()
            else:
                time.sleep(rng.uniform(0, 0.003))
            process.kill()
            while True:
                acknowledged |= {said for said in (ear.recv(),) if isinstance(said, int)}
        process.kill()
        process.join()
        ear.close()
    time.sleep(2 * LEASE)
    with labour.study(url, duels) as study:
        last = Shared(study, "the last one", 60)
        left = {duel.id for duel in study.in_flight()}
        assert left, "nobody was killed with a duel in hand"
        first = last.ask(len(left))
        assert {held.id for held in first} == left, "a dead worker's duel is stuck"
        while first:
            for held in first:
                last.tell(held, labour.winner(held))
            first = last.ask(50)
        told = [outcome.comparison.id for outcome in study.outcomes()]
        assert told == list(range(duels)), "a duel is not answered once"
        assert acknowledged <= set(told)
        history = [e for _, e in study.store.history() if type(e).__name__ == "Outcome"]
        assert len(history) == duels
        assert study.in_flight() == []


def test_what_10_killed_workers_had_is_played_by_others(store_url: str) -> None:
    leaves_nothing_stuck(store_url, 10)


@pytest.mark.slow
def test_what_many_killed_workers_had_is_played_by_others(store_url: str) -> None:
    leaves_nothing_stuck(store_url, KILLS or 100)


def test_a_claim_that_gets_its_lease_at_the_first_heartbeat_is_caught(store_url: str) -> None:
    with pytest.raises(AssertionError, match="stuck"):
        leaves_nothing_stuck(store_url, 4, leaseless=True)


def refuses_whoever_comes_late(url: str, late: int, *, tokenless: bool = False) -> None:
    """A worker is stopped past his lease with duels in hand, and woken when others have them; half
    of these are answered by then. Nothing that he says is written."""
    process, talk = spawn(labour.be_late, url, late, LEASE, tokenless)
    try:
        theirs = talk.recv()
        assert len(theirs) == late
        os.kill(process.pid, signal.SIGSTOP)
        talk.send("go on")
        time.sleep(1.5 * LEASE)
        with labour.study(url, late) as study:
            other = Shared(study, "the other one", 60)
            helds = other.ask(late)
            assert [held.id for held in helds] == theirs
            for held in helds[: late // 2]:
                other.tell(held, "tie")
            os.kill(process.pid, signal.SIGCONT)
            assert talk.recv() == ["superseded"] * late, "a late answer was not refused"
            for held in helds[late // 2 :]:
                other.tell(held, "tie")
            assert [o.scores for o in study.outcomes()] == [(0.5, 0.5)] * late
    finally:
        process.kill()
        process.join()
        talk.close()


def test_20_late_answers_of_20_are_refused_by_their_tokens(store_url: str) -> None:
    refuses_whoever_comes_late(store_url, 20)


@pytest.mark.slow
def test_all_of_many_late_answers_are_refused_by_their_tokens(store_url: str) -> None:
    for i in range(max(1, LATE // 20)):
        refuses_whoever_comes_late(each(store_url, schemas=True).format(i), 20)


def test_a_lease_that_is_checked_by_time_alone_is_caught(store_url: str) -> None:
    with pytest.raises(AssertionError, match="late answer"):
        refuses_whoever_comes_late(store_url, 10, tokenless=True)


def stopped(process: Any, ear: Any, url: str) -> list[object]:
    """Stop a worker with a duel in hand; what he said until then. Nobody can take the lock of a
    SQLite file from a stopped process, so there he is stopped between two transactions."""
    said: list[object] = []
    while True:
        while ear.poll() or "claimed" not in said[-1:]:
            said.append(ear.recv())
        os.kill(process.pid, signal.SIGSTOP)
        if not url.startswith("sqlite"):
            return said
        db = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0.5, isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            return said
        except sqlite3.OperationalError:
            os.kill(process.pid, signal.SIGCONT)
        finally:
            db.close()


def answers_every_duel_once(url: str, duels: int) -> None:
    """Eight workers, of whom two are killed and two stopped past their lease, then woken."""
    rng = stream(5, "eight")
    labour.study(url, duels).close()
    gate = workers.processes.Barrier(9)
    eight = [spawn(labour.share_the_labour, url, duels, LEASE, gate) for _ in range(8)]
    gate.wait()
    said: list[object] = []
    for i, (process, ear) in enumerate(eight[:4]):
        for _ in range(int(rng.integers(1, 5))):
            said.append(ear.recv())
        if i < 2:
            process.kill()
        else:
            said += stopped(process, ear, url)
    for _, ear in eight[4:]:
        with suppress(EOFError):
            while True:
                said.append(ear.recv())
    for process, _ in eight[2:4]:
        os.kill(process.pid, signal.SIGCONT)
    for _, ear in eight[:4]:
        with suppress(EOFError):
            while True:
                said.append(ear.recv())
    for process, ear in eight:
        process.join()
        ear.close()
    told = [number for number in said if isinstance(number, int)]
    assert len(told) == len(set(told)), "two were told that they answered one duel"
    with labour.study(url, duels) as study:
        assert [outcome.comparison.id for outcome in study.outcomes()] == list(range(duels))
        assert study.in_flight() == []
        # What a killed worker wrote and never came to say is in the record too.
        assert set(told) <= set(range(duels))
        assert len(told) >= duels - 4
    assert said.count("superseded") <= 4


def test_of_eight_workers_half_die_or_stop_and_every_duel_is_answered_once(store_url: str) -> None:
    answers_every_duel_once(store_url, 300)


@pytest.mark.slow
def test_of_many_eights_of_workers_half_die_and_every_duel_is_answered_once(
    store_url: str,
) -> None:
    for i in range(max(1, (KILLS or 40) // 4)):
        answers_every_duel_once(each(store_url, schemas=True).format(i), 300)


@pytest.fixture(autouse=True)
def _no_schemas_left(store_url: str) -> Iterator[None]:
    yield
    if store_url.startswith("postgres"):
        name = servers.schema_of(store_url)
        for (extra,) in servers.execute(
            f"SELECT nspname FROM pg_namespace WHERE nspname LIKE '{name}\\_%'"
        ):
            servers.execute(f"DROP SCHEMA {extra} CASCADE")
