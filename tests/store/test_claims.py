"""Claims: one holder a duel, nobody stuck, nobody late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from bestpolicy.core.nouns import StoreError
from bestpolicy.store import LastingStore, open_store
from bestpolicy.store.claims import Claim, Superseded, Taken
from bestpolicy.store.database import Database
from laws import answer, events, question, refusal


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.boot, self.seconds = "first boot", 1000.0

    def __call__(self, _: Database) -> tuple[str, float]:
        return self.boot, self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(
    store_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], LastingStore]]:
    """Opens one record, each time as another process would."""
    monkeypatch.setattr("bestpolicy.store.sqlite.boot_clock", clock)
    monkeypatch.setattr("bestpolicy.store.postgres.server_clock", clock)
    stores: list[LastingStore] = []

    def opened() -> LastingStore:
        store = open_store(store_url, "study", {})
        assert isinstance(store, LastingStore)
        stores.append(store)
        return store

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], LastingStore]) -> LastingStore:
    store = opened()
    store.asked([question(i) for i in range(5)])
    return store


def duels(claims: list[Claim]) -> list[int]:
    return [claim.duel for claim in claims]


def test_a_duel_has_one_holder_until_the_lease_ends(store: LastingStore, clock: Clock) -> None:
    claims = store.claims()
    assert duels(claims.take(range(5), "ann", 60, most=2)) == [0, 1]
    assert duels(claims.take(range(5), "bob", 60)) == [2, 3, 4]
    assert [(hold.duel, hold.who, hold.seconds) for hold in claims.held("ann")] == [
        (0, "ann", 60.0),
        (1, "ann", 60.0),
    ]
    clock.seconds += 59.9
    assert claims.take(range(5), "cyn", 60) == []
    clock.seconds += 0.1
    assert duels(claims.take(range(5), "cyn", 60)) == [0, 1, 2, 3, 4]


def test_tokens_only_ever_grow(store: LastingStore, clock: Clock) -> None:
    claims, seen = store.claims(), []
    for _ in range(3):
        taken = claims.take(range(5), "ann", 60)
        seen += [claim.token for claim in taken]
        claims.release(taken[:2])
        seen += [claim.token for claim in claims.take(range(5), "bob", 60)]
        clock.seconds += 61
    assert seen == sorted(set(seen))


def test_what_was_never_asked_or_is_answered_cannot_be_claimed(store: LastingStore) -> None:
    store.told([answer(1)])
    assert duels(store.claims().take([0, 1, 7], "ann", 60)) == [0]


def test_a_lease_that_is_renewed_goes_on(store: LastingStore, clock: Clock) -> None:
    claims = store.claims()
    mine = claims.take([0, 1], "ann", 60)
    for _ in range(10):
        clock.seconds += 40
        mine = claims.renew(mine, 60)
        assert duels(mine) == [0, 1]
    assert claims.take([0, 1], "bob", 60) == []
    assert claims.mine("ann") == mine


def test_only_what_nobody_has_taken_over_can_be_renewed(store: LastingStore, clock: Clock) -> None:
    claims = store.claims()
    mine = claims.take([0, 1], "ann", 60)
    clock.seconds += 61
    claims.take([0], "bob", 60)
    assert duels(claims.renew(mine, 60)) == [1]  # late, but nobody had it
    claims.release(mine)
    assert claims.renew(mine, 60) == []
    assert [hold.who for hold in claims.held()] == ["bob"]


def test_who_was_overtaken_cannot_answer_whatever_he_says(
    store: LastingStore, clock: Clock
) -> None:
    claims = store.claims()
    (mine,) = claims.take([0], "ann", 60)
    clock.seconds += 61
    (theirs,) = claims.take([0], "bob", 60)
    assert "taken over by bob" in refusal(Superseded, lambda: store.told([answer(0)], [mine]))
    store.told([answer(0)], [theirs])
    refusal(Superseded, lambda: store.told([answer(0)], [mine]))
    store.told([answer(0)], [theirs])  # the same again, by who gave it
    assert events(store)[5:] == [answer(0)]


def test_who_let_a_duel_go_cannot_answer_once_it_is_taken(store: LastingStore) -> None:
    claims = store.claims()
    mine = claims.take([0], "ann", 60)
    claims.release(mine)
    claims.take([0], "ann", 60)
    refusal(Superseded, lambda: store.told([answer(0)], mine))


def test_an_expired_claim_that_nobody_took_over_may_answer(
    store: LastingStore, clock: Clock
) -> None:
    mine = store.claims().take([0], "ann", 60)
    clock.seconds += 1e6
    store.told([answer(0)], mine)
    assert events(store)[5:] == [answer(0)]


def test_who_holds_no_claim_cannot_answer_what_is_held(store: LastingStore, clock: Clock) -> None:
    store.claims().take([0], "ann", 60)
    said = refusal(Taken, lambda: store.told([answer(0)]))
    assert "ann" in said
    assert "60 s" in said
    clock.seconds += 60
    store.told([answer(0)])
    store.told([answer(1)])


def test_a_claim_of_another_duel_or_a_made_up_token_is_refused(store: LastingStore) -> None:
    (mine,) = store.claims().take([0], "ann", 60)
    refusal(Taken, lambda: store.told([answer(0)], [replace(mine, duel=1)]))
    refusal(Superseded, lambda: store.told([answer(0)], [replace(mine, token=99)]))
    refusal(Superseded, lambda: store.told([answer(1)], [Claim(1, 1, 0.0)]))
    assert len(events(store)) == 5


def test_a_machine_that_was_started_anew_holds_nothing(store: LastingStore, clock: Clock) -> None:
    claims = store.claims()
    claims.take([0], "ann", 60)
    clock.boot, clock.seconds = "second boot", 1010.0
    assert claims.held() == []
    assert duels(claims.take([0], "bob", 60)) == [0]


def test_a_clock_without_a_name_that_began_anew_is_noticed(
    store: LastingStore, clock: Clock
) -> None:
    clock.seconds = 1e6
    store.claims().take([0], "ann", 60)
    clock.seconds = 5.0
    assert duels(store.claims().take([0], "bob", 60)) == [0]


def test_two_processes_see_each_others_claims(
    store: LastingStore, opened: Callable[[], LastingStore]
) -> None:
    other = opened()
    assert duels(store.claims().take(range(3), "ann", 60)) == [0, 1, 2]
    assert duels(other.claims().take(range(5), "bob", 60)) == [3, 4]
    refusal(Taken, lambda: other.told([answer(0)]))


def test_new_duels_are_asked_and_claimed_at_once_or_neither(
    store: LastingStore, opened: Callable[[], LastingStore]
) -> None:
    assert duels(store.claims().asked([question(5), question(6)], "ann", 60)) == [5, 6]
    other = opened()
    refusal(StoreError, lambda: other.claims().asked([question(6), question(7)], "bob", 60))
    assert [hold.duel for hold in other.claims().held()] == [5, 6]
    assert len(events(store)) == 7


def test_a_claim_that_is_not_what_was_written_is_refused(store: LastingStore) -> None:
    store.claims().take([0], "ann", 60)
    store._commits.db.execute("UPDATE claim SET until = 99999999.0")
    assert "not what was written" in refusal(StoreError, lambda: store.claims().held())
