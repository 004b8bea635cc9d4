"""Every store keeps every law, and each law catches a store that breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import laws
from bestpolicy.core.nouns import Comparison, Outcome, Store, StoreError, Verdict
from bestpolicy.store import MemoryStore, open_store
from bestpolicy.store.rows import Event


@pytest.mark.parametrize("law", laws.STORE_LAWS, ids=lambda law: law.__name__)
def test_a_store_in_memory_keeps_the_law(law: Any) -> None:
    law(lambda: open_store(None, "study", {}))


@pytest.mark.parametrize(
    "law", [*laws.STORE_LAWS, *laws.LASTING_STORE_LAWS], ids=lambda law: law.__name__
)
def test_a_store_that_lasts_keeps_the_law(law: Any, store_url: str) -> None:
    law(lambda: open_store(store_url, "study", {"seed": 1}))


class Loose:
    """A list that takes whatever it is given: the twins below each lack one more promise."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def asked(self, comparisons: Sequence[Comparison]) -> None:
        self.events += comparisons

    def told(self, outcomes: Sequence[Outcome]) -> None:
        self.events += outcomes

    def announce(self, verdict: Verdict[int]) -> None:
        self.events.append(verdict)

    def history(self, after: int = 0) -> list[tuple[int, Event]]:
        return list(enumerate(self.events, 1))[after:]

    def close(self) -> None:
        pass


class Newest(Loose):
    """The last answer overwrites."""

    def told(self, outcomes: Sequence[Outcome]) -> None:
        numbers = {outcome.comparison.id for outcome in outcomes}
        self.events = [
            event
            for event in self.events
            if not (isinstance(event, Outcome) and event.comparison.id in numbers)
        ]
        super().told(outcomes)


class Sorted(Loose):
    """Events come in the order of their duels."""

    def history(self, after: int = 0) -> list[tuple[int, Event]]:
        told = [event for event in self.events if isinstance(event, Outcome)]
        told.sort(key=lambda outcome: outcome.comparison.id)
        rest = [event for event in self.events if not isinstance(event, Outcome)]
        return list(enumerate([*rest, *told], 1))[after:]


class Forgetful(Loose):
    """Every reader starts from the beginning."""

    def history(self, after: int = 0) -> list[tuple[int, Event]]:
        return list(enumerate(self.events, 1))


class Piecemeal(MemoryStore):
    """A refused call leaves behind what it had written by then."""

    def told(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            super().told([outcome])


class Fragile(MemoryStore):
    """One refused call, and every later one is refused."""

    broken = False

    def told(self, outcomes: Sequence[Outcome]) -> None:
        try:
            if self.broken:
                raise StoreError("out of order")
            super().told(outcomes)
        except StoreError:
            self.broken = True
            raise


@pytest.mark.parametrize(
    ("law", "twin"),
    [
        (laws.what_is_written_is_read_back_as_it_was_in_the_order_it_came, Sorted),
        (laws.a_reader_may_go_on_from_where_it_was, Forgetful),
        (laws.writing_the_same_twice_counts_once, Loose),
        (laws.another_answer_is_refused_and_the_first_stands, Newest),
        (laws.another_question_under_a_taken_number_is_refused, Loose),
        (laws.only_what_was_asked_can_be_answered, Loose),
        (laws.a_refused_call_writes_nothing, Piecemeal),
        (laws.a_refused_call_leaves_its_neighbours_alone, Fragile),
        (laws.a_closed_store_acknowledges_nothing, Loose),
        (laws.what_was_acknowledged_is_there_at_the_next_opening, MemoryStore),
        (laws.two_openings_see_each_other_and_never_share_a_number, MemoryStore),
    ],
)
def test_the_law_catches_a_store_that_breaks_it(law: Any, twin: type[Store]) -> None:
    with pytest.raises((AssertionError, StoreError)):
        law(twin)


def test_two_openings_that_share_one_memory_are_caught_asking_the_same() -> None:
    shared = MemoryStore()
    with pytest.raises(AssertionError, match="AlreadyAsked"):
        laws.two_openings_see_each_other_and_never_share_a_number(lambda: shared)
