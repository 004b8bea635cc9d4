"""A design small enough to be checked by eye: random pairs until one is far enough ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bestpolicy.core.nouns import Comparison, Context, Outcome, Rng, Standing, Verdict

Margins = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class State:
    margins: Margins  # how far a is ahead of b
    told: int = 0


@dataclass(frozen=True)
class Tiny:
    """Names who is `lead` answers ahead of every rival. It proves nothing."""

    policies: int
    lead: float = 6.0

    def init(self) -> State:
        return State(((0.0,) * self.policies,) * self.policies)

    def ask(
        self, state: State, contexts: Sequence[Context], rng: Rng, pending: Sequence[Comparison]
    ) -> list[Comparison]:
        open_pairs = [
            (a, b)
            for a in range(self.policies)
            for b in range(a)
            if abs(state.margins[a][b]) < self.lead
        ]
        picks = rng.integers(len(open_pairs), size=len(contexts))
        return [Comparison(open_pairs[pick], propensity=1 / len(open_pairs)) for pick in picks]

    def tell(self, state: State, outcomes: Sequence[Outcome]) -> State:
        margins = [list(row) for row in state.margins]
        for outcome in outcomes:
            if outcome.scores is not None:
                (a, b), (left, right) = outcome.comparison.arms, outcome.scores
                margins[a][b] += left - right
                margins[b][a] += right - left
        return State(tuple(map(tuple, margins)), state.told + len(outcomes))

    def verdict(self, state: State) -> Verdict[int]:
        lost = [min(row) <= -self.lead for row in state.margins]
        alive = tuple(i for i in range(self.policies) if not lost[i])
        if len(alive) == 1:
            return Verdict("winner", alive[0], 0.95, alive, state.told, "far enough ahead")
        kind = "undecided" if alive else "no-winner"
        return Verdict(kind, None, 0.95, alive, state.told, "")

    def standing(self, state: State) -> Standing:
        total = np.array(state.margins).sum(1)
        least = np.array(state.margins).min(1)
        return Standing(
            int(total.argmax()),
            least > -self.lead,
            -least,
            -least,
            self.lead,
            self.lead,
            np.array(state.margins).argmin(1),
            float("inf"),
        )
