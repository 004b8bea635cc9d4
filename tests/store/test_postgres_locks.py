"""Writers to one PostgreSQL schema: one after the other, in the order that readers see."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Barrier, Thread

import pytest

from bestpolicy.core.nouns import StoreError
from bestpolicy.store import LastingStore
from bestpolicy.store.database import Database
from bestpolicy.store.postgres import PostgresStore, Server
from laws import answer, events, question


def opened(url: str) -> PostgresStore:
    return PostgresStore(url, "study", {"seed": 1})


def writes_without_a_ring(url: str) -> None:
    """Two writers whose jobs touch the same rows in opposite order; neither may fail."""
    one, two = opened(url), opened(url)
    one._commits.write(
        lambda db: [
            db.execute("INSERT INTO study VALUES (?, ?, '{}', '', 0)", (i, str(i)))
            for i in (50, 51)
        ]  # type: ignore[func-returns-value]
    )
    both, errors = Barrier(2), list[str]()

    def job(order: tuple[int, int]) -> Callable[[Database], None]:
        def touch(db: Database) -> None:
            for number in order:
                db.execute("UPDATE study SET created = 'x' WHERE id = ?", (number,))
                with suppress(Exception):
                    both.wait(0.2)  # with a lock the other one is not here

        return touch

    def write(store: LastingStore, order: tuple[int, int]) -> None:
        try:
            store._commits.write(job(order))
        except StoreError as error:
            errors.append(str(error))

    threads = [Thread(target=write, args=args) for args in ((one, (50, 51)), (two, (51, 50)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.close()
    two.close()
    assert errors == []


def test_writers_never_wait_for_each_other_in_a_ring(postgres: str) -> None:
    writes_without_a_ring(postgres)


def unlocked(server: Server) -> int:
    """The broken twin: every row is locked when it is come to."""
    server._connection.execute("BEGIN")
    server._inside = True
    return 0


def test_writers_that_lock_row_by_row_are_caught_in_a_ring(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(postgres).close()
    monkeypatch.setattr(Server, "_begin", unlocked)
    with pytest.raises(AssertionError, match="deadlock"):
        writes_without_a_ring(postgres)


def reads_on_in_the_order_of_commits(url: str) -> None:
    """A reader that goes on from the last number it knows sees every event."""
    slow, fast, reader = opened(url), opened(url), opened(url)
    slow.asked([question(i) for i in range(2)])
    inside, seen = Barrier(2), list[object]()

    def dawdle(db: Database) -> None:
        slow.appending([answer(0)])(db)
        inside.wait(5)
        with suppress(Exception):
            inside.wait(0.3)  # the other one comes back from its commit, if it may overtake

    def overtake() -> None:
        inside.wait(5)
        with suppress(StoreError):
            fast.told([answer(1)])
        seen.extend(event for _, event in reader.history())
        with suppress(Exception):
            inside.wait(0.01)

    thread = Thread(target=overtake)
    thread.start()
    try:
        with suppress(StoreError):
            slow._commits.write(dawdle)
        thread.join()
        news = [event for _, event in reader.history(len(seen))]
        assert [*seen, *news] == events(reader)
        assert len(events(reader)) == 4
    finally:
        for store in (slow, fast, reader):
            store.close()


def test_a_reader_skips_nothing_as_numbers_come_in_the_order_of_commits(postgres: str) -> None:
    reads_on_in_the_order_of_commits(postgres)


def test_writers_that_draw_numbers_without_a_lock_are_caught(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(postgres).close()
    monkeypatch.setattr(Server, "_begin", unlocked)
    with pytest.raises(AssertionError):
        reads_on_in_the_order_of_commits(postgres)
