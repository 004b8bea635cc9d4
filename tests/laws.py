"""Laws: what every store and every design promises, written once and run over each of them.

A law takes a way of opening stores, or of making designs, and raises an AssertionError when its
promise is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from threading import Barrier, Thread
from typing import Any

import numpy as np
from scipy.stats import binom

from bestpolicy.core.loop import number
from bestpolicy.core.nouns import Comparison, Design, Outcome, Store, StoreError, Verdict
from bestpolicy.core.rng import stream
from bestpolicy.store import AlreadyAsked
from bestpolicy.store.rows import key as key
from bestpolicy.worlds.preference import INSTANCES, drawing, tied

Opener = Callable[[], Store]
Maker = Callable[[int], Design[Any]]  # number of policies -> design

# -- stores ------------------------------------------------------------------------------------


def question(number: int, left: int = 0, right: int = 1) -> Comparison:
    return Comparison((left, right), context=number % 7, propensity=0.1 + 0.2, id=number)


def answer(number: int, left: float = 1.0) -> Outcome:
    return Outcome(question(number), (left, 1.0 - left), cost=1e-3, feedback="é\x00\ud800")


def finding(comparisons: int = 2, reason: str = "enough") -> Verdict[int]:
    return Verdict("winner", 0, 1 - 0.05, (0,), comparisons, reason)


def events(store: Store, after: int = 0) -> list[Comparison | Outcome | Verdict[int]]:
    return [event for _, event in store.history(after)]


def refusal(kind: type[StoreError], write: Callable[[], None]) -> str:
    """What the store says when it refuses, which it has to."""
    try:
        write()
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__} was raised")


def what_is_written_is_read_back_as_it_was_in_the_order_it_came(open_store: Opener) -> None:
    store = open_store()
    store.asked([question(0), question(1, 1, 0)])
    lost = Outcome(question(1, 1, 0), None)
    third = answer(0, 1 / 3)
    store.told([lost])
    store.told([third])
    store.announce(finding())
    assert events(store) == [question(0), question(1, 1, 0), lost, third, finding()]
    store.close()


def a_reader_may_go_on_from_where_it_was(open_store: Opener) -> None:
    store = open_store()
    store.asked([question(0), question(1)])
    *_, (last, _) = store.history()
    store.told([answer(1)])
    assert events(store, last) == [answer(1)]
    numbers = [number for number, _ in store.history()]
    assert numbers == sorted(set(numbers))
    assert min(numbers) > 0
    store.close()


def writing_the_same_twice_counts_once(open_store: Opener) -> None:
    store = open_store()
    for _ in range(2):
        store.asked([question(0), question(0)])
        store.told([answer(0), answer(0)])
        store.announce(finding(1))
    assert events(store) == [question(0), answer(0), finding(1)]
    store.close()


def another_answer_is_refused_and_the_first_stands(open_store: Opener) -> None:
    store = open_store()
    store.asked([question(0), question(1)])
    store.told([answer(0, 0.25)])
    said = refusal(StoreError, lambda: store.told([answer(0, 1.0)]))
    assert "0.25" in said
    assert "1.0" in said
    refusal(StoreError, lambda: store.told([Outcome(question(0), None)]))
    store.announce(finding(1))
    refusal(StoreError, lambda: store.announce(finding(1, "another reason")))
    assert events(store) == [question(0), question(1), answer(0, 0.25), finding(1)]
    store.close()


def another_question_under_a_taken_number_is_refused(open_store: Opener) -> None:
    store = open_store()
    store.asked([question(0)])
    said = refusal(AlreadyAsked, lambda: store.asked([question(0, 2, 1)]))
    assert "duel 0" in said
    assert events(store) == [question(0)]
    store.close()


def only_what_was_asked_can_be_answered(open_store: Opener) -> None:
    store = open_store()
    store.asked([question(0)])
    assert "duel 5" in refusal(StoreError, lambda: store.told([answer(5)]))
    refusal(StoreError, lambda: store.told([Outcome(question(0, 2, 1), (1.0, 0.0))]))
    assert events(store) == [question(0)]
    store.close()


def a_refused_call_writes_nothing(open_store: Opener) -> None:
    store = open_store()
    store.asked([question(0), question(1)])
    refusal(StoreError, lambda: store.told([answer(0), answer(7)]))
    refusal(StoreError, lambda: store.asked([question(2), question(1, 2, 0)]))
    assert events(store) == [question(0), question(1)]
    store.told([answer(0)])
    assert events(store) == [question(0), question(1), answer(0)]
    store.close()


def a_refused_call_leaves_its_neighbours_alone(open_store: Opener) -> None:
    """Eight threads tell at once: their own duel, the same duel in eight ways, an unknown one."""
    store = open_store()
    store.asked([question(i) for i in range(9)])
    ready = Barrier(8)
    refused: list[str] = []

    def caller(i: int) -> None:
        ready.wait()
        for outcome in (answer(i), answer(8, i / 8), answer(100 + i)):
            try:
                store.told([outcome])
            except StoreError:
                refused.append(f"{i} {outcome.comparison.id}")

    threads = [Thread(target=caller, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [event.comparison.id for event in events(store) if isinstance(event, Outcome)]
    assert sorted(told) == list(range(9))
    assert len(set(refused)) == 7 + 8
    store.close()


def a_closed_store_acknowledges_nothing(open_store: Opener) -> None:
    store = open_store()
    store.asked([question(0)])
    store.close()
    refusal(StoreError, lambda: store.told([answer(0)]))


STORE_LAWS = (
    what_is_written_is_read_back_as_it_was_in_the_order_it_came,
    a_reader_may_go_on_from_where_it_was,
    writing_the_same_twice_counts_once,
    another_answer_is_refused_and_the_first_stands,
    another_question_under_a_taken_number_is_refused,
    only_what_was_asked_can_be_answered,
    a_refused_call_writes_nothing,
    a_refused_call_leaves_its_neighbours_alone,
    a_closed_store_acknowledges_nothing,
)


def what_was_acknowledged_is_there_at_the_next_opening(open_store: Opener) -> None:
    first = open_store()
    first.asked([question(0)])
    first.told([answer(0, 0.1)])
    first.announce(finding(1))
    before = first.history()
    first.close()
    second = open_store()
    assert second.history() == before
    second.told([answer(0, 0.1)])
    refusal(StoreError, lambda: second.told([answer(0, 0.2)]))
    assert second.history() == before
    second.close()


def two_openings_see_each_other_and_never_share_a_number(open_store: Opener) -> None:
    one, two = open_store(), open_store()
    one.asked([question(0)])
    # The very same question: two askers must still not both believe that the duel is theirs.
    refusal(AlreadyAsked, lambda: two.asked([question(0)]))
    two.asked([question(1)])
    one.told([answer(1)])
    two.told([answer(0)])
    assert one.history() == two.history()
    assert events(one) == [question(0), question(1), answer(1), answer(0)]
    one.close()
    two.close()


LASTING_STORE_LAWS = (
    what_was_acknowledged_is_there_at_the_next_opening,
    two_openings_see_each_other_and_never_share_a_number,
)


# -- designs -----------------------------------------------------------------------------------


def same(a: object, b: object) -> bool:
    """Equal all the way down, arrays included and to the bit."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and np.array_equal(a, b)
    if is_dataclass(a) and not isinstance(a, type):
        return type(a) is type(b) and all(
            same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a)
        )
    if isinstance(a, list | tuple):
        return (
            isinstance(b, list | tuple)
            and len(a) == len(b)
            and all(same(x, y) for x, y in zip(a, b, strict=True))
        )
    return bool(a == b)


def answers(make: Maker, n: int) -> list[Outcome]:
    """What `n` questions of the design are answered: wins, draws, and some that never come."""
    design, rng = make(4), stream(8, "tests/laws/answers")
    world = replace(INSTANCES["easy4"](), answer=drawing(0.2))
    state, told = design.init(), []
    for i in range(n):
        (outcome,) = world.play(number(design.ask(state, [None], rng, ()), i, rng), rng)
        if rng.random() < 0.1:
            outcome = replace(outcome, scores=None)
        told.append(outcome)
        state = design.tell(state, [outcome])
    return told


def the_same_stream_asks_the_same_questions(make: Maker) -> None:
    design = make(4)
    state = design.tell(design.init(), answers(make, 40))
    for step in range(20):
        once, again = (
            design.ask(state, [None] * 3, stream(8, "tests/laws/ask", step), ()) for _ in range(2)
        )
        assert once == again


def telling_in_pieces_is_telling_at_once(make: Maker) -> None:
    design, told = make(4), answers(make, 60)
    at_once = design.tell(design.init(), told)
    for piece in (1, 7):
        state = design.init()
        for start in range(0, len(told), piece):
            state = design.tell(state, told[start : start + piece])
        assert same(state, at_once)
        assert design.verdict(state) == design.verdict(at_once)


def the_old_state_is_untouched(make: Maker) -> None:
    design, told = make(4), answers(make, 60)
    state = design.tell(design.init(), told[:30])
    before = deepcopy(state)
    design.ask(state, [None] * 5, stream(8, "tests/laws/untouched"), ())
    design.verdict(state)
    design.standing(state)
    design.tell(state, told[30:])
    assert same(state, before)


def a_question_is_about_two_policies_and_its_context(make: Maker) -> None:
    design, told = make(4), answers(make, 60)
    for n in (0, 5, 60):
        state = design.tell(design.init(), told[:n])
        asked = design.ask(state, ["x", "y", "z"], stream(8, "tests/laws/questions", n), ())
        assert [c.context for c in asked] == ["x", "y", "z"]
        for c in asked:
            i, j = c.arms
            assert i != j
            assert {i, j} <= set(range(4))


def no_number_is_worth_having(make: Maker) -> None:
    """Among equals, every policy is asked about most equally often, from the first question on.

    The binomial's bounds are left by one policy's count less than once in a million.
    """
    K = 4
    for asks, runs in ((1, 400), (25, 120)):
        favourites = np.bincount([_asked_most(make(K), asks, run) for run in range(runs)])
        low, high = binom.ppf([5e-7, 1 - 5e-7], runs, 1 / K)
        assert len(favourites) == K
        assert np.all((low <= favourites) & (favourites <= high))


def _asked_most(design: Design[Any], asks: int, run: int) -> int:
    world, rng = tied(design.policies), stream(8, f"tests/laws/numbers/{asks}", run)
    state, counts = design.init(), np.zeros(design.policies)
    for i in range(asks):
        questions = number(design.ask(state, [None], rng, ()), i, rng)
        counts[list(questions[0].arms)] += 1
        state = design.tell(state, world.play(questions, rng))
    return int(rng.choice(np.flatnonzero(counts == counts.max())))


DESIGN_LAWS = (
    the_same_stream_asks_the_same_questions,
    telling_in_pieces_is_telling_at_once,
    the_old_state_is_untouched,
    a_question_is_about_two_policies_and_its_context,
    no_number_is_worth_having,
)
