"""Which duels come next: a function of the seed and the record, which it leaves alone."""

from __future__ import annotations

from math import exp

from bestpolicy.core.nouns import Comparison
from bestpolicy.core.rng import stream
from bestpolicy.inputs import Inputs
from bestpolicy.study.reading import Reading
from bestpolicy.study.record import Record
from bestpolicy.study.settings import Budget

BLOCK = 1024  # sides are drawn in blocks: one generator costs more than a thousand coins
ALERT = 4.0  # how many times more sentinels there are while a change looks likely


class Questions:
    """The design's choices, now and then a sentinel instead, each with an input and sides.

    A sentinel is a pair from before once more, so that a judge who has changed is found out: half
    the time the pair that tells most of a change, else a past question, the early ones rather.
    """

    def __init__(
        self, record: Record, inputs: Inputs | None, budget: Budget, seed: int, sentinels: float
    ) -> None:
        self._record = record
        self._inputs = inputs
        self._budget = budget
        self._seed = seed
        self._sentinels = sentinels
        self._sides: tuple[int, list[int]] = (-1, [])

    def plan(self, n: int) -> list[Comparison]:
        """Up to n of the next questions."""
        record = self._record
        first = len(record.asked)
        if record.over or not (n := self._budget.room(first, n, record.paid)):
            return []
        # To the design everything past the folded answers is pending, told or not: what it asks
        # may then not depend on which answers came early.
        reading = record.reading.ahead(record.answers)
        choices = reading.design.ask(
            reading.state,
            [None] * n,
            stream(self._seed, "ask", first),
            reading.seated(record.asked[reading.told :]),
        )
        plan: list[Comparison] = []
        for choice in choices:
            number = first + len(plan)
            a, b = (reading.roster.policies[arm] for arm in choice.arms)
            chance = choice.propensity
            if self._sentinels and (again := self._sentinel(number, reading)) is not None:
                (a, b), chance = again, None
            row = None
            if self._inputs is not None:
                rng = stream(self._seed, "input", number)
                row = self._inputs.draw(Comparison((a, b)), plan, rng)
                if row is None:
                    continue
            arms = (a, b) if self._side(number) else (b, a)
            plan.append(Comparison(arms, row, chance, number))
        return plan

    def why_over(self) -> str | None:
        """Why an undecided study asks no more, in words; None if it does."""
        inputs = self._inputs
        spent = self._budget.spent(len(self._record.asked), self._record.paid)
        if spent is None and inputs is not None and inputs.a_pair_has_had_all and not self.plan(1):
            return (
                f"the inputs are used up, as the pair to compare next has met all "
                f"{inputs.different}: give more inputs, or set reuse_inputs, which makes the "
                "verdict about this very list"
            )
        return spent

    def _sentinel(self, number: int, reading: Reading) -> tuple[int, ...] | None:
        past = reading.told - reading.since
        if not past:
            return None
        rng = stream(self._seed, "sentinel", number)
        found = reading.watch.suspect()
        odds = exp(min(found[1], 3.0)) if found is not None else 0.0
        if rng.random() >= self._sentinels * (1 + ALERT * odds / (odds + 3)):
            return None
        early = self._record.asked[reading.since + int(past * rng.random() ** 2)].arms
        arms = found[0] if found is not None and rng.random() < 0.5 else early
        return arms if set(arms) <= set(reading.roster.policies) else None

    def _side(self, number: int) -> int:
        block, place = divmod(number, BLOCK)
        if self._sides[0] != block:
            coins = stream(self._seed, "side", block).integers(0, 2, BLOCK)
            self._sides = (block, coins.tolist())
        return self._sides[1][place]
