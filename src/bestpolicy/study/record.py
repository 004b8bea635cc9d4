"""The record, read and folded: everything that a study knows.

Answers fold into the design one by one in the order they were *asked*, up to the first that
decides. The verdict is then a function of the answers alone: neither the order of telling, nor
the size of a batch, nor a killed process has a part in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bestpolicy.core.loop import Fold
from bestpolicy.core.nouns import Comparison, Design, Outcome, Store, StoreError, Verdict
from bestpolicy.inputs import Inputs
from bestpolicy.store import AlreadyAsked
from bestpolicy.store.rows import Event


class Record:
    """What a store holds, as far as it has been read."""

    def __init__(self, store: Store, design: Design[Any], inputs: Inputs | None) -> None:
        self.store = store
        self.inputs = inputs
        self.asked: list[Comparison] = []  # by id
        self.answers: dict[int, Outcome] = {}  # by id
        self.fold = Fold.of(design)
        self.found: Verdict[int] = design.verdict(self.fold.state)
        self.counts = [[0, 0, 0] for _ in range(design.policies)]  # wins, ties, losses
        self.announced = False
        self._read_to = 0

    def catch_up(self) -> None:
        """Read what is new, ours or not, and announce the verdict that it decides."""
        self._read()
        if self.found.final and not self.announced:
            self.store.announce(self.found)
            self._read()

    def ask(self, questions: Sequence[Comparison]) -> bool:
        """Put the questions on record; False if another process took their numbers first."""
        known = len(self.asked)
        try:
            self.store.asked(questions)
        except AlreadyAsked:
            self.catch_up()
            if len(self.asked) == known:
                raise
            return False
        self.catch_up()
        return True

    def replay(self) -> list[tuple[Verdict[int], Verdict[int]]]:
        """Every verdict announced, beside what the answers recorded before it come to now."""
        design = self.fold.design
        answers: dict[int, Outcome] = {}
        pairs = []
        for _, event in self.store.history():
            if isinstance(event, Outcome):
                answers[event.comparison.id] = event
            elif isinstance(event, Verdict):
                fold = Fold.of(design)
                pairs.append((event, _advance(fold, design.verdict(fold.state), answers)))
        return pairs

    def _read(self) -> None:
        news = self.store.history(self._read_to)
        if not news:
            return
        for number, event in news:
            self._note(event)
            self._read_to = number
        self.found = _advance(self.fold, self.found, self.answers)

    def _note(self, event: Event) -> None:
        if isinstance(event, Outcome):
            self.answers[event.comparison.id] = event
            if event.scores is not None:
                (a, b), (left, right) = event.comparison.arms, event.scores
                self.counts[a][_place(left, right)] += 1
                self.counts[b][_place(right, left)] += 1
        elif isinstance(event, Comparison):
            if event.id != len(self.asked):
                raise StoreError(
                    f"duel {event.id} is in the record where {len(self.asked)} was due: something "
                    "else wrote to it; restore a copy, or start a new study"
                )
            self.asked.append(event)
            if self.inputs is not None:
                self.inputs.note(event)
        else:
            self.announced = True


def _advance(
    fold: Fold[Any], verdict: Verdict[int], answers: Mapping[int, Outcome]
) -> Verdict[int]:
    """Fold answers in as far as the first that decides."""
    while not verdict.final and (outcome := answers.get(fold.told)) is not None:
        fold.tell((outcome,))
        verdict = fold.design.verdict(fold.state)
    return verdict


def _place(mine: float, theirs: float) -> int:
    return 0 if mine > theirs else 1 if mine == theirs else 2
