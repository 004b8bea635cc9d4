"""The Python front: what a user types, and what comes back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import bestpolicy.study.study as front
from bestpolicy.core.nouns import Outcome, Settings, Store, StoreError
from bestpolicy.core.rng import stream
from bestpolicy.duel import Duel, Tally
from bestpolicy.store import open_store
from bestpolicy.study import Study, questions
from bestpolicy.study.reading import Reading
from bestpolicy.study.settings import Budget
from crash.workers import judge
from tiny import Tiny

NAMES = ("red", "green", "blue")
ROWS = tuple({"question": f"what is {i}?", "n": i} for i in range(300))


def tiny(**options: Any) -> Study:
    return Study(NAMES, **{"design": Tiny(3), "inputs": ROWS, "seed": 3, **options})


def answered(study: Study, seed: int = 3) -> Iterator[Duel]:
    while duel := study.ask():
        study.tell(duel, judge(duel, seed))
        yield duel


def played(study: Study) -> Study:
    for _ in answered(study):
        pass
    return study


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'x.db'}"


# -- asking, telling, deciding -----------------------------------------------------------------


def test_a_study_asks_until_it_is_decided_and_names_the_winner() -> None:
    study = played(tiny())
    verdict = study.verdict()
    assert (verdict.kind, verdict.policy, verdict.survivors) == ("winner", "red", ("red",))
    assert verdict.comparisons == len(study.outcomes())
    assert study.ask() is None
    assert study.ask(4) == []
    assert study.replay() == [(verdict, verdict)]


def test_the_same_seed_and_answers_give_the_same_study_and_another_seed_another() -> None:
    one, same, other = (played(tiny(seed=seed)) for seed in (3, 3, 4))
    assert one.outcomes() == same.outcomes()
    assert one.record_hash() == same.record_hash()
    assert one.outcomes() != other.outcomes()
    assert one.record_hash() != other.record_hash()
    assert one.hash == same.hash != other.hash


def test_each_side_is_left_half_of_the_time() -> None:
    from scipy.stats import binom

    with Study(["a", "b"], design=Tiny(2, 1e9), seed=1) as study:
        first = sum(duel.left == "a" for duel in study.ask(4000))
    low, high = binom.ppf([5e-7, 1 - 5e-7], 4000, 0.5)
    assert low <= first <= high


def the_order_of_telling_leaves_no_trace() -> None:
    studies = [tiny(budget=60) for _ in range(3)]
    duels = [study.ask(60) for study in studies]
    assert duels[0] == duels[1] == duels[2]
    shuffled = stream(1, "order").permutation(60)
    for study, order in zip(studies, [range(60), range(59, -1, -1), shuffled], strict=True):
        for i in order:
            study.tell(duels[0][i], judge(duels[0][i], 3))
    assert len({study.record_hash() for study in studies}) == 1
    assert len({study.verdict() for study in studies}) == 1
    assert studies[0].verdict().final


def test_the_order_of_telling_leaves_no_trace() -> None:
    the_order_of_telling_leaves_no_trace()


def test_folding_answers_as_they_are_told_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_told(self: Reading, answers: dict[int, Outcome], late: set[int]) -> None:
        for outcome in list(answers.values())[self.told :]:
            if not self.found.final:
                self.state = self.design.tell(self.state, (outcome,))
                self.told += 1
                self.found = self.design.verdict(self.state)

    monkeypatch.setattr(Reading, "advance", as_told)
    with pytest.raises(AssertionError):
        the_order_of_telling_leaves_no_trace()


def test_a_verdict_is_that_of_the_shortest_stretch_of_answers_that_decides() -> None:
    study = Study(["a", "b"], design=Tiny(2, 3), seed=0)
    duels = study.ask(10)
    for duel in reversed(duels):
        study.tell(duel, "left" if duel.left == "a" else "right")
    assert study.verdict().comparisons == 3
    assert study.replay() == [(study.verdict(), study.verdict())]


def test_duels_in_flight_are_not_asked_again() -> None:
    study = tiny()
    duels = [study.ask(), study.ask(), *study.ask(3)]
    assert [duel.id for duel in duels if duel] == [0, 1, 2, 3, 4]
    assert study.in_flight() == duels
    study.tell(duels[3], "tie")
    assert [duel.id for duel in study.in_flight()] == [0, 1, 2, 4]


def test_several_answers_to_one_duel_are_one_answer() -> None:
    study = tiny()
    duel = study.ask()
    study.tell(duel, ["left", "left", "right", 0.6, "tie"])
    (outcome,) = study.outcomes()
    assert outcome.scores == pytest.approx((0.62, 0.38))
    study.tell(duel.id, ["tie", "right", 0.6, "left", "left"])
    assert len(study.outcomes()) == 1


def test_telling_the_same_twice_counts_once_and_another_answer_is_an_error() -> None:
    study = tiny()
    duel = study.ask()
    study.tell(duel, "left", cost=0.5, feedback="kind")
    study.tell(duel, 1.0, cost=0.7)
    assert [outcome.cost for outcome in study.outcomes()] == [0.5]
    with pytest.raises(StoreError, match=r"answered 1\.0 for the left, and now 0\.0"):
        study.tell(duel, "right")
    with pytest.raises(StoreError, match=r"never \(abandoned\)"):
        study.abandon(duel)


def test_an_abandoned_duel_no_longer_holds_up_the_rest() -> None:
    study = Study(["a", "b"], design=Tiny(2, 3), seed=0)
    lost, *duels = study.ask(4)
    for duel in duels:
        study.tell(duel, "left" if duel.left == "b" else "right")
    assert study.verdict().kind == "undecided"
    study.abandon(lost, feedback="the judge fell asleep")
    assert study.verdict().policy == "b"
    assert study.tallies() == {"a": Tally(3, 0, 0, 3), "b": Tally(3, 3, 0, 0)}
    with pytest.raises(StoreError, match="abandoned"):
        study.tell(lost, "left")


def test_tallies_count_wins_ties_and_losses() -> None:
    study = Study(["a", "b"], design=Tiny(2, 99), seed=0)
    for duel, a in zip(study.ask(4), [1.0, 0.5, 0.25, 0.75], strict=True):
        study.tell(duel, a if duel.left == "a" else 1 - a)
    assert study.tallies() == {"a": Tally(4, 2, 1, 1), "b": Tally(4, 1, 1, 2)}
    assert study.standing().alive.all()


# -- stopping early ----------------------------------------------------------------------------


def test_a_spent_budget_asks_no_more_even_while_duels_are_in_flight() -> None:
    study = tiny(budget=5)
    assert len(study.ask(3)) == 3
    assert len(study.ask(9)) == 2
    assert study.ask() is None
    assert study.verdict().kind == "undecided"
    assert "budget of 5 comparisons" in study.verdict().reason


def test_minutes_end_a_study_too(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    study = tiny(budget={"minutes": 2, "comparisons": 100})
    study._questions._budget = Budget(100, 2, opened=0.0)
    assert study.ask()
    now[0] = 121.0
    assert study.ask() is None
    assert "2 minutes" in study.verdict().reason


def test_a_study_goes_on_under_a_larger_budget(tmp_path: Path) -> None:
    with tiny(budget=5, store=url(tmp_path)) as study:
        assert len(list(answered(study))) == 5
    with tiny(budget=8, store=url(tmp_path)) as study:
        assert len(list(answered(study))) == 3


# -- resuming ----------------------------------------------------------------------------------


def resumes_as_if_never_closed(tmp_path: Path) -> None:
    whole = tiny()
    list(islice(answered(whole), 5))
    expected = whole.ask(4)
    whole.tell(expected[2], "tie")
    with tiny(store=url(tmp_path)) as study:
        list(islice(answered(study), 5))
        assert study.ask(4) == expected
        study.tell(expected[2], "tie")
    with tiny(store=url(tmp_path)) as study:
        assert study.ask() == expected[0]
        assert study.ask(9) == [expected[1], expected[3]]
        for duel in (expected[0], expected[1], expected[3]):
            study.tell(duel, judge(duel, 3))
            whole.tell(duel, judge(duel, 3))
        assert study.ask(3) == whole.ask(3)
        assert study.in_flight() == whole.in_flight()


def test_a_reopened_study_gives_what_is_unanswered_first_and_goes_on_as_if_never_closed(
    tmp_path: Path,
) -> None:
    resumes_as_if_never_closed(tmp_path)


def test_streams_that_restart_with_the_process_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: defaultdict[str, count[int]] = defaultdict(count)

    def restarting(url: str | None, name: str, settings: Settings) -> Store:
        steps.clear()
        return open_store(url, name, settings)

    monkeypatch.setattr(front, "open_store", restarting)
    monkeypatch.setattr(
        questions, "stream", lambda seed, name, _: stream(seed, name, next(steps[name]))
    )
    with pytest.raises(AssertionError):
        resumes_as_if_never_closed(tmp_path)


def test_a_closed_study_acknowledges_nothing(tmp_path: Path) -> None:
    for store in (None, url(tmp_path)):
        with tiny(store=store) as study:
            duel = study.ask()
        with pytest.raises(StoreError, match="open the study again"):
            study.tell(duel, "left")


def test_a_decided_study_reopens_decided_and_is_announced_once(tmp_path: Path) -> None:
    with tiny(store=url(tmp_path)) as study:
        verdict = played(study).verdict()
    for _ in range(2):
        with tiny(store=url(tmp_path)) as study:
            assert study.ask() is None
            assert study.verdict() == verdict
            assert study.replay() == [(verdict, verdict)]


def test_replay_shows_a_verdict_that_the_record_does_not_bear_out(tmp_path: Path) -> None:
    with tiny(store=url(tmp_path)) as study:
        announced = played(study).verdict()
    with tiny(store=url(tmp_path), design=Tiny(3, 5.0)) as changed:
        ((stored, again),) = changed.replay()
    assert stored == announced
    assert again != announced


def test_a_study_with_other_settings_is_refused_with_both_values(tmp_path: Path) -> None:
    tiny(store=url(tmp_path)).close()
    for change, said in [
        ({"seed": 4}, "seed: stored 3, given 4"),
        ({"confidence": 0.9}, "confidence: stored 0.95, given 0.9"),
        ({"inputs": ROWS[1:]}, 'inputs: stored "sha256:'),
        ({"reuse_inputs": True}, "reuse_inputs: stored false, given true"),
    ]:
        with pytest.raises(StoreError) as caught:
            tiny(store=url(tmp_path), **change)
        assert said in str(caught.value)
    with pytest.raises(StoreError, match='"red","green","blue"'):
        Study(["red", "green", "plum"], design=Tiny(3), inputs=ROWS, seed=3, store=url(tmp_path))
    tiny(store=url(tmp_path), name="another", seed=4).close()


def test_two_studies_on_one_record_never_hold_the_same_new_duel(tmp_path: Path) -> None:
    one, two = tiny(store=url(tmp_path)), tiny(store=url(tmp_path))
    ids = []
    for study in (one, two, two, one, two):
        duel = study.ask()
        assert duel is not None
        ids.append(duel.id)
        (two if study is one else one).tell(duel, judge(duel, 3))
    assert ids == [0, 1, 2, 3, 4]
    assert one.outcomes() == two.outcomes()
    assert one.record_hash() == two.record_hash()
    one.close()
    two.close()


def test_a_study_that_does_not_read_on_before_it_asks_still_gets_a_number_of_its_own(
    tmp_path: Path,
) -> None:
    one, two = tiny(store=url(tmp_path)), tiny(store=url(tmp_path))
    one.ask(2)
    plan = two._questions.plan(1)
    assert two._record.ask(plan) is False
    assert [c.id for c in two._questions.plan(1)] == [2]
    one.close()
    two.close()


def test_threads_that_share_a_study_come_to_one_end(tmp_path: Path) -> None:
    with tiny(store=url(tmp_path)) as study:
        seen: list[int] = []

        def work() -> None:
            seen.extend(duel.id for duel in answered(study))

        threads = [Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(seen) == list(range(len(study.outcomes())))
        assert study.replay() == [(study.verdict(), study.verdict())]
        assert study.verdict().policy == "red"


def test_a_study_file_gives_the_same_study(tmp_path: Path) -> None:
    (tmp_path / "players.py").write_text("def judge(row, left, right):\n    return 0.5\n")
    file = tmp_path / "study.yaml"
    file.write_text(
        "version: 1\nname: n\npolicies:\n"
        "  - {id: a, model: scripted/echo, prompt: x}\n"
        "  - {id: b, model: scripted/echo, prompt: y}\n"
        "judge: {call: 'players:judge'}\ndecide: {confidence: 0.9}\nseed: 4\n"
    )
    with Study.from_yaml(file) as study:
        assert study.policies == ("a", "b")
        assert study.settings["confidence"] == 0.9
        assert (tmp_path / "n.db").exists() or list(tmp_path.glob("*.db"))
        asked = study.ask()
    with Study(["a", "b"], confidence=0.9, seed=4) as same:
        assert same.ask() == asked
