"""The record, read and folded: everything that a study knows.

Answers fold into the design one by one in the order they were *asked*, up to the first that
decides. The verdict is then a function of the answers alone: neither the order of telling, nor
the size of a batch, nor a killed process has a part in it.

A judge who changes, or whose answers repeat each other, breaks what the certificate rests on, and
`Watch` raises a doubt. After a change the evidence begins anew: what was answered before says
nothing of the judge as he is now. Repeats cannot be undone, so that no verdict follows. A false
alarm begins anew in one study of a hundred, for which `SPARE` of the error budget is set aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from bestpolicy.core.loop import Fold
from bestpolicy.core.nouns import Comparison, Design, Outcome, Store, StoreError, Verdict
from bestpolicy.core.watch import DOUBTS, FALSE_ALARM, Doubt, Watch
from bestpolicy.inputs import Inputs
from bestpolicy.store import AlreadyAsked
from bestpolicy.store.rows import Event

# Each new beginning may be wrong with chance delta; a false alarm comes with chance FALSE_ALARM,
# a second one with its square, and so on.
SPARE = FALSE_ALARM

REPEATS = (
    "the answers of a pair repeat each other more than separate answers would, so that evidence "
    "cannot be counted: tell which inputs belong together (cluster), or ask about different ones"
)


class Reading:
    """The answers folded in so far, what they come to, and what speaks against counting them."""

    def __init__(self, design: Design[Any]) -> None:
        self.design = design
        self.fold = Fold.of(design)
        self.watch = Watch(design.policies)
        self.found: Verdict[int] = design.verdict(self.fold.state)
        self.since = 0  # evidence counts from this ask number on
        self.doubts: list[tuple[str, int]] = []  # raised, and after how many answers
        self._highest = dict.fromkeys(DOUBTS, 0.0)  # of watches that have been ended

    @property
    def over(self) -> bool:
        """Whether asking on is pointless."""
        return self.found.final or any(doubt == "repeats" for doubt, _ in self.doubts)

    def advance(self, answers: Mapping[int, Outcome], late: Set[int] = frozenset()) -> None:
        """Fold answers in as far as the first that decides."""
        while not self.over and (outcome := answers.get(self.fold.told)) is not None:
            self.fold.tell((outcome,))
            number, (a, b) = outcome.comparison.id, outcome.comparison.arms
            y = None if outcome.scores is None else outcome.scores[0]
            known = len(self.watch.alarms)
            self.watch.told(a, b, y, late=number in late)
            if len(self.watch.alarms) > known:
                self._doubt()
            self.found = self._verdict()

    def _doubt(self) -> None:
        told = self.fold.told
        raised = {doubt for doubt, at in self.watch.alarms.items() if at == self.watch.read}
        self.doubts += [(doubt, told) for doubt in sorted(raised)]
        if "drift" in raised:
            self._highest = self._peaks()
            self.since, self.fold.state = told, self.design.init()
            self.watch = Watch(self.design.policies)

    def doubted(self) -> list[Doubt]:
        """Each doubt, raised or not."""
        return [
            Doubt(about, evidence, tuple(at for doubt, at in self.doubts if doubt == about))
            for about, evidence in self._peaks().items()
        ]

    def _peaks(self) -> dict[str, float]:
        return {about: max(e, self.watch.highest[about]) for about, e in self._highest.items()}

    def _verdict(self) -> Verdict[int]:
        found = replace(self.design.verdict(self.fold.state), comparisons=self.fold.told)
        if any(doubt == "repeats" for doubt, _ in self.doubts):
            everybody = tuple(range(self.design.policies))
            return replace(
                found, kind="undecided", policy=None, survivors=everybody, reason=REPEATS, given=""
            )
        if self.since and found.reason:
            aside = f"the first {self.since:,} answers are set aside, as the judge has changed"
            return replace(found, reason=f"{found.reason}; {aside}")
        return found


class Record:
    """What a store holds, as far as it has been read."""

    def __init__(self, store: Store, design: Design[Any], inputs: Inputs | None) -> None:
        self.store = store
        self.inputs = inputs
        self.asked: list[Comparison] = []  # by id
        self.answers: dict[int, Outcome] = {}  # by id
        self.late: set[int] = set()  # answered after a later question was
        self.reading = Reading(design)
        self.counts = [[0, 0, 0] for _ in range(design.policies)]  # wins, ties, losses
        self.announced = False
        self._read_to = 0
        self._newest = -1

    @property
    def fold(self) -> Fold[Any]:
        return self.reading.fold

    @property
    def found(self) -> Verdict[int]:
        """What the answers come to so far."""
        return self.reading.found

    @property
    def over(self) -> bool:
        return self.reading.over

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
        design = self.reading.design
        answers: dict[int, Outcome] = {}
        pairs = []
        for _, event in self.store.history():
            if isinstance(event, Outcome):
                answers[event.comparison.id] = event
            elif isinstance(event, Verdict):
                reading = Reading(design)
                reading.advance(answers)
                pairs.append((event, reading.found))
        return pairs

    def _read(self) -> None:
        news = self.store.history(self._read_to)
        if not news:
            return
        for number, event in news:
            self._note(event)
            self._read_to = number
        self.reading.advance(self.answers, self.late)

    def _note(self, event: Event) -> None:
        if isinstance(event, Outcome):
            number = event.comparison.id
            self.answers[number] = event
            if number < self._newest:
                self.late.add(number)
            self._newest = max(self._newest, number)
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


def _place(mine: float, theirs: float) -> int:
    return 0 if mine > theirs else 1 if mine == theirs else 2
