"""The record, read: every question, answer and verdict of a study, and who is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bestpolicy.core.nouns import Comparison, ConfigError, Outcome, Store, StoreError, Verdict
from bestpolicy.core.roster import Change
from bestpolicy.core.shares import nearest
from bestpolicy.inputs import Inputs
from bestpolicy.store import AlreadyAsked
from bestpolicy.store.rows import Event
from bestpolicy.study.reading import Reading


class Record:
    """What a store holds, as far as it has been read."""

    def __init__(
        self,
        store: Store,
        names: Sequence[str],
        begin: Callable[[], Reading],
        inputs: Inputs | None,
    ) -> None:
        self.store = store
        self.inputs = inputs
        self.names = list(names)  # of every policy that was ever compared, by number
        self.changes: list[Change] = []
        self.asked: list[Comparison] = []  # by id
        self.answers: dict[int, Outcome] = {}  # by id
        self.open: dict[int, None] = {}  # ids without an answer, in the order they were asked
        self.late: set[int] = set()  # answered after a later question was
        self.counts = [[0, 0, 0] for _ in names]  # wins, ties, losses
        self.paid = 0.0  # dollars that the answers have cost
        self.announced = False
        self.reading = begin()
        self._begin = begin
        self._read_to = 0
        self._newest = -1

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

    def ask(
        self,
        questions: Sequence[Comparison],
        put: Callable[[Sequence[Comparison]], None] | None = None,
    ) -> bool:
        """Put the questions on record; False if another process took their numbers first."""
        known = len(self.asked)
        try:
            (put or self.store.asked)(questions)
        except AlreadyAsked:
            self.catch_up()
            if len(self.asked) == known:
                raise
            return False
        self.catch_up()
        return True

    def joins(self, policy: str) -> None:
        """Put on record that a policy joins; what cannot be is refused before."""
        here = self._here()
        if policy in self.names:
            left = "" if policy in here else ", and left: give it another name"
            raise ConfigError(f"add: {policy!r} is in the study already{left}")
        self._change((Change(len(self.changes), len(self.asked), policy, True),))

    def leave(self, policies: Sequence[str], why: str | Mapping[str, str]) -> None:
        """Put on record that these leave, all at once; what cannot be is refused before."""
        here = self._here()
        for policy in policies:
            if policy not in here:
                raise ConfigError(
                    f"retire: {policy!r} is not compared; these are: {', '.join(here)}"
                    f"{nearest(policy, here)}"
                )
        if not why and len(here) - len(set(policies)) < 2:
            raise ConfigError("retire: at least two policies have to stay")
        at, first = len(self.asked), len(self.changes)
        said = why if isinstance(why, Mapping) else dict.fromkeys(policies, why)
        gone = [Change(first + i, at, one, False, said[one]) for i, one in enumerate(policies)]
        self._change(gone)

    def _here(self) -> list[str]:
        """Who is compared, as far as all that is on record."""
        self.catch_up()
        if self.over:
            raise ConfigError("the study is decided: start a new one to compare more policies")
        return [self.names[i] for i in self.reading.ahead(self.answers).roster.policies]

    def _change(self, changes: Sequence[Change]) -> None:
        reading = self.reading.ahead(self.answers)
        for change in changes:
            known = len(self.names) if change.joins else self.names.index(change.policy)
            reading.tried(change, known)
        self.store.changed(changes)
        self.catch_up()

    def replay(self) -> list[tuple[Verdict[int], Verdict[int]]]:
        """Every verdict announced, beside what the answers recorded before it come to now."""
        answers: dict[int, Outcome] = {}
        changes: list[Change] = []
        pairs = []
        for _, event in self.store.history():
            if isinstance(event, Outcome):
                answers[event.comparison.id] = event
            elif isinstance(event, Change):
                changes.append(event)
            elif isinstance(event, Verdict):
                reading = self._begin()
                for change in changes:
                    reading.change(change, self.names.index(change.policy))
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
            self.open.pop(number, None)
            self.paid += event.cost
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
            self.open[event.id] = None
            if self.inputs is not None:
                self.inputs.note(event)
        elif isinstance(event, Change):
            self.changes.append(event)
            if event.joins:
                self.names.append(event.policy)
                self.counts.append([0, 0, 0])
            self.reading.change(event, self.names.index(event.policy))
        else:
            self.announced = True


def _place(mine: float, theirs: float) -> int:
    return 0 if mine > theirs else 1 if mine == theirs else 2
