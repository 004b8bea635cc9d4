"""Any order of asking, telling, retelling, abandoning and reopening, beside a dict that knows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from bestpolicy.core.nouns import Outcome, StoreError
from bestpolicy.study import Study
from tiny import Tiny

MODEST = settings(max_examples=25, stateful_step_count=25, deadline=None)
# A broken twin is looked for longer, and on the same journeys every time: it must never get away.
CAUGHT = settings(
    MODEST, max_examples=400, derandomize=True, phases=[Phase.generate], print_blob=False
)


class Journey(RuleBasedStateMachine):
    """The oracle: which duels were asked, and what each was answered."""

    study_class: type[Study] = Study

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.asked: dict[int, Any] = {}
        self.answers: dict[int, float | None] = {}
        self.again: list[int] = []
        self.study = self.open()

    def open(self) -> Study:
        return self.study_class(
            ["a", "b", "c"],
            design=Tiny(3, 4.0),
            inputs=[f"row {i}" for i in range(30)],
            store=f"sqlite:///{Path(self.folder.name) / 'x.db'}",
            seed=1,
        )

    def teardown(self) -> None:
        self.study.close()
        self.folder.cleanup()

    @rule(n=st.integers(1, 4))
    def ask(self, n: int) -> None:
        decided = self.study.verdict().final
        again = [number for number in self.again if number not in self.answers]
        duels = self.study.ask(n)
        if decided:
            assert duels == []
        elif again:
            assert [duel.id for duel in duels] == again[:n]
            assert all(self.asked[duel.id] == duel for duel in duels)
            self.again = again[n:]
        else:
            assert [duel.id for duel in duels] == [len(self.asked) + i for i in range(len(duels))]
            self.asked.update((duel.id, duel) for duel in duels)

    @precondition(lambda self: len(self.answers) < len(self.asked))
    @rule(data=st.data(), left=st.sampled_from([0.0, 0.25, 0.5, 1.0, None]))
    def answer(self, data: st.DataObject, left: float | None) -> None:
        number = data.draw(st.sampled_from(sorted(self.asked.keys() - self.answers.keys())))
        self.tell(number, left)
        self.answers[number] = left

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), left=st.sampled_from([0.0, 0.25, 0.5, 1.0, None]))
    def answer_again(self, data: st.DataObject, left: float | None) -> None:
        number = data.draw(st.sampled_from(sorted(self.answers)))
        if left == self.answers[number]:
            self.tell(number, left)
        else:
            with pytest.raises(StoreError):
                self.tell(number, left)

    @rule()
    def answer_nothing_that_was_asked(self) -> None:
        with pytest.raises(StoreError):
            self.study.tell(len(self.asked), "left")

    @rule()
    def reopen(self) -> None:
        before = self.study.verdict(), self.study.record_hash()
        self.study.close()
        self.study = self.open()
        assert (self.study.verdict(), self.study.record_hash()) == before
        self.again = sorted(self.asked.keys() - self.answers.keys())

    @invariant()
    def the_record_is_what_was_said(self) -> None:
        said = {
            outcome.comparison.id: None if outcome.scores is None else outcome.scores[0]
            for outcome in self.study.outcomes()
        }
        assert said == self.answers
        assert [duel.id for duel in self.study.in_flight()] == sorted(
            self.asked.keys() - self.answers.keys()
        )
        counted = sum(left is not None for left in self.answers.values())
        assert sum(tally.comparisons for tally in self.study.tallies().values()) == 2 * counted

    def tell(self, number: int, left: float | None) -> None:
        if left is None:
            self.study.abandon(number)
        else:
            self.study.tell(self.asked[number], left)


def test_no_journey_leads_away_from_the_oracle() -> None:
    run(Journey, settings=MODEST)


def test_a_study_that_forgets_what_was_abandoned_is_caught() -> None:
    class Forgetful(Study):
        def outcomes(self) -> list[Outcome]:
            return [outcome for outcome in super().outcomes() if outcome.scores is not None]

    class Twin(Journey):
        study_class = Forgetful

    with pytest.raises(AssertionError):
        run(Twin, settings=CAUGHT)
