"""A study that many share: each duel is one worker's, and none is left lying."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bestpolicy.core.nouns import ConfigError
from bestpolicy.store.claims import Superseded, Taken
from bestpolicy.store.database import Database
from bestpolicy.study import Study
from bestpolicy.study.shared import Shared
from laws import refusal

NAMES = ("a", "b", "c")


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of leases, which a test sets."""
    now = [1000.0]
    for clock in ("sqlite.boot_clock", "postgres.server_clock"):
        monkeypatch.setattr(f"bestpolicy.store.{clock}", lambda _: ("this boot", now[0]))
    return now


@pytest.fixture
def open_study(store_url: str) -> Iterator[Callable[..., Study]]:
    studies: list[Study] = []

    def opened(**more: object) -> Study:
        studies.append(Study(NAMES, **{"store": store_url, "seed": 1} | more))  # type: ignore[arg-type]
        return studies[-1]

    yield opened
    for study in studies:
        study.close()


def test_workers_never_get_the_same_duel(open_study: Callable[..., Study]) -> None:
    ann, bob = Shared(open_study(), "ann"), Shared(open_study(), "bob")
    seen = [held.id for _ in range(5) for worker in (ann, bob) for held in worker.ask(3)]
    assert sorted(seen) == list(range(30))
    assert ann.others() == 15


def test_what_a_worker_lets_go_another_plays_first(open_study: Callable[..., Study]) -> None:
    ann, bob = Shared(open_study(), "ann"), Shared(open_study(), "bob")
    first, second = ann.ask(2)
    ann.release([first])
    (again,) = bob.ask()
    assert again.duel == first.duel
    bob.tell(again, "left")
    refusal(Superseded, lambda: ann.tell(first, "left"))
    ann.tell(second, "right", cost=0.5, feedback="said")
    told = [(o.scores, o.cost, o.feedback) for o in bob.study.outcomes()]
    assert told == [((1.0, 0.0), 0.0, ""), ((0.0, 1.0), 0.5, "said")]


def test_a_dead_workers_duels_are_played_by_others_oldest_first(
    open_study: Callable[..., Study], time: list[float]
) -> None:
    ann, bob = Shared(open_study(), "ann", lease=60), Shared(open_study(), "bob", lease=60)
    ann.ask(3)
    (mine,) = bob.ask()
    time[0] += 40
    assert [held.id for held in bob.renew([mine])] == [3]
    time[0] += 20
    assert [held.id for held in bob.ask(5)] == [0, 1, 2]
    assert [held.id for held in bob.ask(2)] == [4, 5]


def test_who_was_stopped_past_his_lease_cannot_write(
    open_study: Callable[..., Study], time: list[float]
) -> None:
    ann, bob = Shared(open_study(), "ann", lease=60), Shared(open_study(), "bob", lease=60)
    late = ann.ask(4)
    time[0] += 61
    bob.ask(3)
    for held in late[:3]:
        refusal(Superseded, lambda held=held: ann.tell(held, "left"))
        refusal(Superseded, lambda held=held: ann.abandon(held))
    ann.tell(late[3], "left")  # late, and nobody else had it
    assert ann.renew(late[:3]) == []
    assert [o.comparison.id for o in ann.study.outcomes()] == [3]


def test_what_goes_along_with_an_answer_is_written_with_it_or_not_at_all(
    open_study: Callable[..., Study], time: list[float]
) -> None:
    ann, bob = Shared(open_study(), "ann"), Shared(open_study(), "bob")
    (held,) = ann.ask()
    time[0] += 61
    (again,) = bob.ask()

    def along(db: Database) -> None:
        db.execute("INSERT INTO study VALUES (7, 'noted', '{}', '', 0)")

    def noted() -> int:
        with ann._store._commits.reading() as db:
            return int(db.execute("SELECT count(*) FROM study WHERE id = 7").fetchone()[0])

    refusal(Superseded, lambda: ann.tell(held, "left", along=along))
    assert noted() == 0
    bob.tell(again, "left", along=along)
    assert noted() == 1


def test_who_holds_no_claim_cannot_tell_what_another_plays(
    open_study: Callable[..., Study],
) -> None:
    ann, plain = Shared(open_study(), "ann"), open_study()
    (held,) = ann.ask()
    refusal(Taken, lambda: plain.tell(held.duel, "left"))
    ann.abandon(held)
    assert plain.in_flight() == []


def test_many_people_of_one_process_get_their_own_and_may_skip(
    open_study: Callable[..., Study],
) -> None:
    page = Shared(open_study(), "the page")
    (one,) = page.ask(who="ann")
    (two,) = page.ask(who="bob")
    assert {one.id, two.id} == {0, 1}
    page.release([one])
    (other,) = page.ask(who="ann", except_for={one.id})
    assert other.id == 2
    assert page.mine("ann") == [other]
    (again,) = page.ask(who="cyn")
    assert again.duel == one.duel
    # After a restart the page finds what each of them holds.
    assert Shared(open_study(), "the page").mine("bob") == [two]


def test_a_decided_study_and_a_spent_budget_give_no_duels(
    open_study: Callable[..., Study],
) -> None:
    ann = Shared(open_study(budget=3), "ann")
    held = ann.ask(5)
    assert len(held) == 3
    assert ann.ask() == []
    ann.release(held[:1])
    assert ann.ask(5)[0].id == held[0].id

    sure = Shared(open_study(name="sure", confidence=0.6), "ann")
    while asked := sure.ask(2):
        for one in asked:
            sure.tell(one, "left" if one.duel.left < one.duel.right else "right")
    assert sure.study.verdict().policy == "a"
    assert sure.ask() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [({"lease": 0}, "lease"), ({"lease": float("nan")}, "lease"), ({"who": " "}, "who")],
)
def test_what_no_sharing_can_be_set_to_is_refused(
    change: dict[str, object], said: str, open_study: Callable[..., Study]
) -> None:
    settings = {"study": open_study(), "who": "ann"} | change
    assert said in refusal(ConfigError, lambda: Shared(**settings))  # type: ignore[arg-type]
    assert "store" in refusal(ConfigError, lambda: Shared(Study(NAMES), "ann"))
