"""What runs in the processes that the crash tests start, and kill."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Barrier, Thread
from typing import Any

import bestpolicy.study.study as front
import laws
from bestpolicy.core.nouns import Comparison, Outcome, Settings, Store, StoreError, Verdict
from bestpolicy.core.rng import stream
from bestpolicy.duel import Duel
from bestpolicy.store import (
    MemoryStore,
    SqliteStore,
    file,
    open_store,
    postgres,
    server_schema,
)
from bestpolicy.store.migrations import MIGRATIONS, version
from bestpolicy.study import Study

# Children are copies of a process that has imported this module and does nothing else.
processes = multiprocessing.get_context("forkserver")

POLICIES = ("red", "green", "blue")
STRENGTH = {"red": 0.5, "green": 0.0, "blue": -0.2}
INPUTS = [f"row {i}" for i in range(1000)]


def judge(duel: Duel, seed: int) -> str | float:
    """A whole opinion about (pair, input): the same whenever and by whomever it is asked."""
    first, second = sorted((duel.left, duel.right))
    mood = stream(seed, f"judge {first} {second} {duel.input}").normal()
    gap = STRENGTH[duel.left] - STRENGTH[duel.right]
    edge = gap + (mood if duel.left == first else -mood)
    return (
        "tie" if abs(edge) < 0.1 else 0.75 if 0.1 <= edge < 0.2 else "left" if edge > 0 else "right"
    )


def study(store: str | None, seed: int) -> Study:
    name = f"study {seed}"
    return Study(POLICIES, confidence=0.8, inputs=INPUTS, store=store, seed=seed, name=name)


def play(store: str, seed: int, hasty: bool, out: Connection) -> None:
    """Run the study to its end, and say of every step that it is done once it is."""
    if hasty:
        front.open_store = hasty_store
    with study(store, seed) as running:
        while duel := running.ask():
            out.send(("asked", duel.id))
            running.tell(duel, judge(duel, seed))
            out.send(("told", duel.id))
        out.send(("decided", running.verdict().comparisons))


class Hasty(MemoryStore):
    """The broken twin: it acknowledges first, and commits as soon as it gets round to it."""

    def __init__(self, lasting: Store) -> None:
        super().__init__()
        for _, event in lasting.history():
            self._append((event,))
        self._todo: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lasting = lasting
        Thread(target=self._write_on, daemon=True).start()

    def asked(self, comparisons: Sequence[Comparison]) -> None:
        super().asked(comparisons)
        self._todo.put(lambda: self._lasting.asked(comparisons))

    def told(self, outcomes: Sequence[Outcome]) -> None:
        super().told(outcomes)
        self._todo.put(lambda: self._lasting.told(outcomes))

    def announce(self, verdict: Verdict[int]) -> None:
        super().announce(verdict)
        self._todo.put(lambda: self._lasting.announce(verdict))

    def _write_on(self) -> None:
        while True:
            time.sleep(0.002)
            self._todo.get()()


def hasty_store(url: str | None, name: str, settings: Settings) -> Store:
    return Hasty(open_store(url, name, settings))


def open_at_once(where: str, rounds: int, unlocked: bool, gate: Any, out: Connection) -> None:
    """Open one new database a round, at the same moment as the others do."""
    if unlocked:
        file.migrate = create_if_missing
        postgres.migrate = create_schema_if_missing
    failures = []
    for i in range(rounds):
        gate.wait()
        try:
            opened = open_store(where.format(i), "study", {"seed": 0})
        except Exception as error:
            failures.append(f"round {i}: {error}")
            opened = None
        gate.wait()
        if opened is not None:
            opened.close()
    out.send(failures)


def create_if_missing(db: sqlite3.Connection, path: str) -> None:
    """The broken twin: it looks, then creates, and holds no lock between the two."""
    if version(db, path) == 0:
        time.sleep(0.001)
        for step in MIGRATIONS:
            step(db)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def create_schema_if_missing(server: Any, schema: str) -> None:
    """The broken twin on a server, which would look safe in SQL."""
    server.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    server.execute("CREATE TABLE IF NOT EXISTS bestpolicy_schema (version BIGINT NOT NULL)")
    for step in MIGRATIONS:
        step(server_schema._Builder(server))
    server.execute("INSERT INTO bestpolicy_schema VALUES (?)", (len(MIGRATIONS),))


def tell_on(path: str, numbers: Sequence[int], begin: str, gate: Any, out: Connection) -> None:
    """Tell these duels one after the other, while others tell theirs."""
    file.BEGIN = begin
    store = SqliteStore(path, "study", {})
    gate.wait()
    errors = []
    for number in numbers:
        try:
            store.told([laws.answer(number)])
        except StoreError as error:
            errors.append(str(error))
    store.close()
    out.send(errors)


def share_a_study(store: str, seed: int, gate: Any, out: Connection) -> None:
    """Run the study to its end together with others."""
    with study(store, seed) as running:
        gate.wait()
        while duel := running.ask():
            running.tell(duel, judge(duel, seed))
        out.send((running.verdict(), running.record_hash(), running.replay()))


def fill_the_disk(path: str, limit: int, out: Connection) -> None:
    """Tell until the disk takes no more, then make room and tell again."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = SqliteStore(path, "study", {})
    store.asked([laws.question(i) for i in range(400)])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    acknowledged, refused = [], []
    for i in range(400):
        try:
            store.told([laws.answer(i)])
        except StoreError as error:
            refused.append((i, str(error)))
        else:
            acknowledged.append(i)
        if len(refused) == 3:
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for i, _ in refused:
        store.told([laws.answer(i)])
        acknowledged.append(i)
    store.close()
    out.send((acknowledged, refused))


def together(target: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What each of the processes has to say, which start at the same moment."""
    gate: Barrier = processes.Barrier(len(arguments))
    running = []
    for own in arguments:
        ear, mouth = processes.Pipe(duplex=False)
        process = processes.Process(target=target, args=(*own, gate, mouth))
        process.start()
        mouth.close()
        running.append((process, ear))
    said = [ear.recv() for _, ear in running]
    for process, ear in running:
        process.join()
        ear.close()
    return said
