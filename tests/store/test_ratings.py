"""Rows of what people said: each counts once, and an invitation lets one browser in."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from threading import Barrier, Thread
from typing import Any

import pytest

import servers
from bestpolicy.core.nouns import StoreError
from bestpolicy.store import LastingStore, open_store
from bestpolicy.store.ratings import Ratings, Refused, Said, View


@pytest.fixture
def store(store_url: str) -> Iterator[LastingStore]:
    store = open_store(store_url, "study", {})
    assert isinstance(store, LastingStore)
    yield store
    store.close()


@pytest.fixture
def ratings(store: LastingStore) -> Ratings:
    ratings = store.ratings()
    ratings.shown([View("a", 1, "duel", 0, False, {"token": 1}), View("b", 2, "duel", 1, True)])
    return ratings


def test_what_was_written_is_read_back_by_anybody(store: LastingStore, ratings: Ratings) -> None:
    ratings.said("a", 1, Said("first", ms=900))
    ratings.skipped("b", 2)
    for one in (ratings, store.ratings()):
        a, b = one.seen()
        assert (a.view, a.state, a.said) == (
            View("a", 1, "duel", 0, False, {"token": 1}),
            "said",
            Said("first", ms=900),
        )
        assert (b.view.turned, b.state) == (True, "skipped")


def test_an_answer_settles_once_and_is_then_final(store: LastingStore, ratings: Ratings) -> None:
    ratings.said("a", 1, Said("tie", both_bad=True))
    for _ in range(2):
        ratings.settle(["a"])
    assert not ratings.undone("a", 1)
    assert [one.state for one in store.ratings().seen()] == ["settled", "open"]


def test_an_answer_that_was_taken_back_never_settles(ratings: Ratings) -> None:
    ratings.said("a", 1, Said("first"))
    assert not ratings.undone("a", 2)
    assert ratings.undone("a", 1)
    ratings.settle(["a"])
    assert ratings.seen()[0].state == "undone"


@pytest.mark.parametrize(
    ("view", "rater", "why"), [("a", 2, "unknown"), ("nothing", 1, "unknown"), ("b", 2, "skipped")]
)
def test_what_cannot_be_said_is_refused(ratings: Ratings, view: str, rater: int, why: str) -> None:
    ratings.skipped("b", 2)
    with pytest.raises(Refused) as refused:
        ratings.said(view, rater, Said("first"))
    assert refused.value.why == why


def test_a_row_that_was_changed_is_not_believed(ratings: Ratings, store_url: str) -> None:
    changed = "UPDATE {}rating SET rater = 3 WHERE view = 'b'"
    if store_url.startswith("sqlite"):
        with sqlite3.connect(store_url.removeprefix("sqlite:///")) as db:
            db.execute(changed.format(""))
        db.close()
    else:
        servers.execute(changed.format(f"{servers.schema_of(store_url)}."))
    with pytest.raises(StoreError, match="not what was written"):
        ratings.seen()


def guests(store: LastingStore, join: Any, invitations: int, tries: int) -> int:
    """How many get in when each invitation is used by several at once."""
    ratings = store.ratings()
    codes = [f"code {i}" for i in range(invitations)]
    ratings.invite(codes, time.time() + 60)
    found: list[int | None] = []
    start = Barrier(tries)

    def guest() -> None:
        start.wait()
        for code in codes:
            found.append(join(ratings, code))

    threads = [Thread(target=guest) for _ in range(tries)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [number for number in found if number is not None]
    assert len(set(numbers)) == len(numbers)
    return len(numbers)


def test_an_invitation_is_used_once_however_many_use_it_at_once(store: LastingStore) -> None:
    assert guests(store, lambda r, code: r.join(code, time.time()), 20, 8) == 20


def test_looking_first_and_joining_afterwards_lets_more_people_in(store: LastingStore) -> None:
    look = Barrier(8)

    def careless(ratings: Ratings, code: str) -> int | None:
        with ratings._commits.reading() as db:
            used = ratings._numbered(db, f"invite {code}")
        look.wait()  # the worst moment, every time
        numbers: list[int] = []
        if used is None:
            name = f"{code} {id(numbers)} {time.monotonic_ns()}"
            ratings._write(lambda db: numbers.append(ratings._add_rater(db, name)))
        return numbers[0] if numbers else None

    assert guests(store, careless, 5, 8) > 5


def test_an_invitation_that_is_over_or_unknown_lets_nobody_in(store: LastingStore) -> None:
    ratings = store.ratings()
    assert not ratings.invited()
    ratings.invite(["late"], time.time() - 1)
    assert ratings.invited()
    assert ratings.join("late", time.time()) is None
    assert ratings.join("never", time.time()) is None
