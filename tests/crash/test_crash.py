"""Killed, crowded, out of disk: nothing acknowledged is lost, nothing counts twice."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import laws
import servers
from bestpolicy.core.nouns import Comparison, Outcome, Rng, Verdict
from bestpolicy.core.rng import stream
from bestpolicy.store import open_store
from crash import workers

KILLS = int(os.environ.get("BESTPOLICY_TEST_KILLS", "0"))  # for the long tests, 500 say
KEYS = {Comparison: "asked", Outcome: "told", Verdict: "announced"}


@pytest.fixture(autouse=True, scope="module")
def _preloaded() -> Iterator[None]:
    """The process that all others are copied from imports once what they need."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    workers.processes.set_forkserver_preload(["crash.workers"])
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def live_and_die(store: str, seed: int, rng: Rng, *, hasty: bool) -> tuple[set[object], bool]:
    """One life: what was acknowledged before the kill, and whether it came to its end."""
    ear, mouth = workers.processes.Pipe(duplex=False)
    process = workers.processes.Process(target=workers.play, args=(store, seed, hasty, mouth))
    process.start()
    mouth.close()
    heard: set[object] = set()
    try:
        for _ in range(int(rng.integers(0, 9))):
            heard.add(ear.recv())
        time.sleep(rng.uniform(0, 0.002))
        process.kill()
        while True:
            heard.add(ear.recv())
    except (EOFError, OSError):
        pass
    process.kill()
    process.join()
    ear.close()
    return heard, any(kind == "decided" for kind, _ in heard)


def survives(where: str, kills: int, *, hasty: bool = False) -> None:
    """Studies killed at random points come to the end of those that never were."""
    rng = stream(2, "kills", hasty)
    killed, seed = 0, 0
    while killed < kills:
        seed += 1
        store = where.format(seed)
        decided = False
        acknowledged: set[object] = set()
        while not decided:
            heard, decided = live_and_die(store, seed, rng, hasty=hasty)
            killed += not decided
            acknowledged |= {(kind, number) for kind, number in heard if kind != "decided"}
            with workers.study(None, seed) as fresh:
                record = open_store(store, fresh.name, fresh.settings)
            written = [(KEYS[type(event)], laws.key(event)[1]) for _, event in record.history()]
            record.close()
            assert acknowledged <= set(written), "something acknowledged is lost"
            assert len(written) == len(set(written)), "something is there twice"
        with workers.study(store, seed) as resumed, workers.study(None, seed) as whole:
            while duel := whole.ask():
                whole.tell(duel, workers.judge(duel, seed))
            assert resumed.outcomes() == whole.outcomes()
            assert resumed.verdict() == whole.verdict()
            assert resumed.verdict().final
            assert resumed.record_hash() == whole.record_hash()
            assert resumed.replay() == [(whole.verdict(), whole.verdict())]


@pytest.mark.slow
def test_a_study_killed_at_200_random_points_resumes_to_the_same_end(store_url: str) -> None:
    survives(each(store_url), KILLS or 200)


def test_a_study_killed_at_20_random_points_resumes_to_the_same_end(store_url: str) -> None:
    survives(each(store_url), 20)


def test_a_store_that_acknowledges_before_it_commits_is_caught(store_url: str) -> None:
    with pytest.raises(AssertionError, match="acknowledged is lost"):
        survives(each(store_url), 100, hasty=True)


def starts(where: str, rounds: int, *, unlocked: bool = False) -> None:
    """Eight processes open one new database at once, so many times, and all of them start."""
    try:
        failures = workers.together(workers.open_at_once, [(where, rounds, unlocked)] * 8)
    finally:
        if where.startswith("postgres"):
            for i in range(rounds):
                servers.execute(
                    f"DROP SCHEMA IF EXISTS {servers.schema_of(where).format(i)} CASCADE"
                )
    assert failures == [[]] * 8


def each(store_url: str, *, schemas: bool = False) -> str:
    """An address for each number: a file, or one server's schema for all or for each."""
    if store_url.startswith("sqlite"):
        return store_url.replace("x.db", "{}.db")
    return f"{store_url}_{{}}" if schemas else store_url


@pytest.mark.slow
def test_eight_processes_open_one_new_database_at_once_50_times_of_50(store_url: str) -> None:
    starts(each(store_url, schemas=True), 50)


def test_eight_processes_open_one_new_database_at_once(store_url: str) -> None:
    starts(each(store_url, schemas=True), 5)


def test_creating_what_is_missing_without_a_lock_is_caught(store_url: str) -> None:
    with pytest.raises(AssertionError):
        starts(each(store_url, schemas=True), 10, unlocked=True)


def no_writer_meets_a_lock(folder: Path, begin: str) -> None:
    path = f"{folder}/x.db"
    store = open_store(f"sqlite:///{path}", "study", {})
    store.asked([laws.question(i) for i in range(200)])
    errors = workers.together(
        workers.tell_on, [(path, range(first, 200, 4), begin) for first in range(4)]
    )
    told = [e.comparison.id for e in laws.events(store) if isinstance(e, Outcome)]
    store.close()
    assert errors == [[]] * 4
    assert sorted(told) == list(range(200))


def test_writers_of_several_processes_wait_for_each_other(tmp_path: Path) -> None:
    no_writer_meets_a_lock(tmp_path, "BEGIN IMMEDIATE")


def test_writers_that_take_their_lock_late_are_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="locked"):
        no_writer_meets_a_lock(tmp_path, "BEGIN")


def test_processes_that_share_a_study_come_to_one_verdict(store_url: str) -> None:
    store = store_url
    ends = workers.together(workers.share_a_study, [(store, 5)] * 3)
    verdicts = {verdict for verdict, _, _ in ends}
    assert len(verdicts) == 1
    (verdict,) = verdicts
    assert verdict.policy == "red"
    assert all(replay == [(verdict, verdict)] for _, _, replay in ends)
    with workers.study(store, 5) as study:
        asked = [outcome.comparison.id for outcome in study.outcomes()]
        assert asked == sorted(set(asked))
        assert study.verdict() == verdict


def test_a_disk_that_takes_no_more_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    ear, mouth = workers.processes.Pipe(duplex=False)
    process = workers.processes.Process(target=workers.fill_the_disk, args=(path, 300_000, mouth))
    process.start()
    mouth.close()
    acknowledged, refused = ear.recv()
    process.join()
    ear.close()
    assert process.exitcode == 0
    assert len(refused) == 3
    assert all("nothing of this call was recorded" in said for _, said in refused)
    store = open_store(f"sqlite:///{path}", "study", {})
    told = [e.comparison.id for e in laws.events(store) if isinstance(e, Outcome)]
    store.close()
    assert told == acknowledged
