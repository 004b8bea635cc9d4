"""The trail is the record read again: it ends where the study stands, and passes where it stood."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.core.nouns import Comparison, Outcome
from bestpolicy.core.roster import Roster
from bestpolicy.report.dossier import Trail
from bestpolicy.study import Study
from bestpolicy.study.reading import Reading
from bestpolicy.study.trail import retraced, trail
from report.scripted import TICKETS, answer, play
from test_judges import NAMES, changing
from test_roster import answer as told
from test_roster import begun
from tiny import Tiny


def plain() -> Study:
    return play(TICKETS, most=300)


def decided() -> Study:
    return play({"a": 2.0, "b": 0.0, "c": 0.5})


def nothing_answered() -> Study:
    return Study(["a", "b"])


def with_a_batch_in_flight() -> Study:
    study = play(TICKETS, most=60)
    for duel in study.ask(5)[1::2]:
        study.tell(duel, "left")
    return study


def assuming_a_winner() -> Study:
    return play(TICKETS, most=200, assume_winner=True, indifference=0.05)


def told_a_structure() -> Study:
    return play(TICKETS, most=200, structure="bradley-terry")


def of_its_own_design() -> Study:
    return play({"a": 1.0, "b": 0.0, "c": 0.5}, design=Tiny(3))


def with_answers_that_never_came() -> Study:
    study = play(TICKETS, most=40)
    for _ in range(5):
        duel = study.ask()
        assert duel is not None
        study.abandon(duel)
    answer(study, TICKETS, most=20)
    return study


def with_guests() -> Study:
    study, rng = begun(30)
    study.add("good")
    study.retire("b")
    told(study, rng, 25)
    study.add("bad")
    told(study, rng, 10)
    return study


def with_a_change_to_come() -> Study:
    study, _ = begun(30)
    study.ask(4)
    study.add("good")
    return study


def whose_judge_changed() -> Study:
    study = changing(Study(NAMES, confidence=0.999, seed=1, sentinels=0.05), after=120)
    assert study.since > 120
    return study


STUDIES = [
    plain,
    decided,
    nothing_answered,
    with_a_batch_in_flight,
    assuming_a_winner,
    told_a_structure,
    of_its_own_design,
    with_answers_that_never_came,
    with_guests,
    with_a_change_to_come,
]
made = pytest.mark.parametrize(
    "make",
    [*STUDIES, pytest.param(whose_judge_changed, marks=pytest.mark.slow)],
    ids=lambda make: make.__name__,
)


def end(study: Study) -> tuple[Any, ...]:
    standing, here = study.standing(), study._record.reading.roster.policies
    evidence = [standing.evidence[i] if i in here else None for i in range(len(study.policies))]
    return (
        study.verdict().comparisons,
        evidence,
        standing.alive.tolist(),
        standing.leader,
        [standing.proof[i] if i in here else None for i in range(len(study.policies))],
        standing.drop_bar,
    )


def last(seen: Trail) -> tuple[Any, ...]:
    return (
        int(seen.at[-1]),
        [None if np.isnan(e) else e for e in seen.evidence[-1].tolist()],
        seen.alive[-1].tolist(),
        int(seen.leader[-1]),
        [None if np.isnan(e) else e for e in seen.proof[-1].tolist()],
        float(seen.bar[-1]),
    )


@made
def test_the_trail_ends_where_the_study_stands_to_the_bit(make: Any) -> None:
    study = make()
    assert last(trail(study)) == end(study)


@made
def test_the_trail_passes_where_the_study_stood(make: Any) -> None:
    study = make()
    seen = trail(study, points=7)
    for n in range(len(seen.at)):
        then = reading(study, int(seen.at[n]))
        standing = then.standing(len(study.policies))
        here = list(then.roster.policies)
        assert seen.evidence[n, here].tolist() == standing.evidence[here].tolist()
        assert np.isnan(np.delete(seen.evidence[n], here)).all()
        assert seen.bar[n] == standing.drop_bar
        assert seen.leader[n] == standing.leader


def reading(study: Study, told: int) -> Reading:
    """The study's own way: one answer after the other, the judge watched."""
    record = study._record
    joins = sum(change.joins for change in record.changes)
    again = Reading(record.reading.make, Roster.whole(len(record.names) - joins), 0.02)
    for change in record.changes:
        again.change(change, record.names.index(change.policy))
    again.advance({n: record.answers[n] for n in range(told)}, record.late)
    return again


def test_how_many_points_are_taken_changes_no_point() -> None:
    study = with_guests()
    few, many = trail(study, 4), trail(study, 10_000)
    assert len(many.at) == study.verdict().comparisons + 1
    for at, evidence in zip(few.at, few.evidence, strict=True):
        np.testing.assert_array_equal(evidence, many.evidence[many.at == at][0])


def test_turns_are_moments_of_the_trail() -> None:
    guests = trail(with_guests(), 2)
    assert {30, 55} <= set(guests.at.tolist())
    assert np.isnan(guests.evidence[guests.at < 55, 4]).all()


def test_a_trail_that_mistakes_a_turn_ends_elsewhere() -> None:
    study = with_guests()
    right = end(study)
    first, *others = study._record.changes
    study._record.changes[:] = [replace(first, at=5), *others]
    assert last(retraced(study._record)) != right


@pytest.mark.slow
def test_the_evidence_begins_anew_where_the_judge_was_found_changed() -> None:
    study = whose_judge_changed()
    seen = trail(study, 3)
    assert seen.resets == (study.since,)
    assert not seen.evidence[seen.at == study.since].any()
    study._record.reading.doubts.clear()  # and a trail that forgets it
    assert last(trail(study)) != end(study)


@pytest.mark.slow
def test_a_long_record_is_read_in_slices() -> None:
    study, rng = Study([f"p{i}" for i in range(12)]), np.random.default_rng(0)
    answers = study._record.answers
    for n in range(20_000):
        a, b = rng.choice(12, 2, replace=False).tolist()
        share = float(rng.random() < 0.5)
        answers[n] = Outcome(Comparison((a, b), id=n), (share, 1 - share))
    study._record.reading.told = len(answers)  # as if they had been read one by one
    told = []
    design = study._record.reading.design
    make = study._record.reading.make

    class Counting:
        """The design, which notes how much it is told at once."""

        def __getattr__(self, name: str) -> Any:
            return getattr(design, name)

        def tell(self, state: Any, outcomes: Any) -> Any:
            told.append(len(outcomes))
            return design.tell(state, outcomes)

    study._record.reading.make = lambda roster, joined: Counting()  # type: ignore[assignment]
    assert len(trail(study).at) == 200
    study._record.reading.make = make
    assert sum(told) == 20_000
    assert len(told) <= 201
