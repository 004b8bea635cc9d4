"""The gate: is a candidate as good as the baseline, proven at every moment and whoever peeks?

θ is the candidate's mean share against the baseline, a tie counts half. For a margin m and the
levels a and b, three claims:

    better      θ > 1/2            not worse   θ >= 1/2 - m           worse   θ < 1/2 - m

    superiority       stops at better (a = 3δ/4) or worse (b = δ/4)
    non-inferiority   stops at not worse (a = δ) or worse (b = δ)

For "the mean of y is above h", with y in [0, 1], it holds a portfolio of stakes s in (0, 1),

    E_n = Σ_s w_s Π_i (1 + s (y_i - h) / h),      claimed once E_n >= 1 / level.

Under E[y_i | past] <= h each product has mean 1 at most, so has their average, and by Ville the bar
is ever reached with chance `level` at most. "Worse" is the same of 1 - y and 1 - h. An answer that
will never come counts as y = 0 for either claim. Nothing is foretold: the stake that fits margin,
share and ties gets the weight by itself, in whatever order the answers come.

**What holds of all claims together.** P(a false one is ever made) <= δ, whatever θ is.
Non-inferiority: not worse and worse are each other's opposite, so for every θ exactly one of them
is false, and it has all of δ. Superiority: θ > 1/2 makes only "worse" false, θ < 1/2 - m only
"better"; in between, and with m = 0 at θ = 1/2 alone, both are, and a + b = δ. Two claims of level
δ each would be wrong up to 2δ there, which is where two equal policies are.
Sources: Ville 1939; Cover 1991; Waudby-Smith & Ramdas 2024, arXiv 2010.09686.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, log, log1p
from typing import Any, Literal

import numpy as np

from bestpolicy.core.evidence import hedge, mixture
from bestpolicy.core.nouns import Comparison, Context, Kind, Outcome, Rng, Standing, Verdict

Finding = Literal["better", "not-worse", "worse", "undecided"]
Goal = Literal["superiority", "non-inferiority"]
Wealth = tuple[float, ...]  # log of what each stake has made of 1

BASELINE, CANDIDATE = 0, 1
STAKES = (0.04, 0.08, 0.16, 0.32, 0.64, 0.9)  # share of what may be staked at most
WEIGHTS = (0.1, 0.25, 0.25, 0.2, 0.12, 0.08)  # small effects are what a gate is for
BETTER = 0.75  # part of δ that a claim of superiority has; being worse has the rest
START: Wealth = (0.0,) * len(STAKES)
LONGEST = 10_000  # unanimous answers that are tried out


@dataclass(frozen=True, slots=True)
class GateState:
    """Totals of the candidate, the wealth of either claim, and which was the first to be proven."""

    told: int = 0
    won: float = 0.0
    lost: float = 0.0
    goal: Wealth = START
    worse: Wealth = START
    found: Finding = "undecided"


@dataclass(frozen=True, slots=True)
class Gate:
    """The Design of two policies: 0 is the baseline, 1 the candidate."""

    margin: float = 0.05
    goal: Goal = "non-inferiority"
    confidence: float = 0.95
    spare: float = 0.0  # share of 1 - confidence that is left to errors outside of the gate

    @property
    def policies(self) -> int:
        return 2

    @property
    def aim(self) -> Finding:
        """The good claim that is tried for."""
        return "better" if self.goal == "superiority" else "not-worse"

    @property
    def bars(self) -> tuple[float, float]:
        """Log of the wealth at which the good claim, and "worse", are proven."""
        delta = (1 - self.confidence) * (1 - self.spare)
        if self.goal == "superiority":
            return -log(BETTER * delta), -log((1 - BETTER) * delta)
        return -log(delta), -log(delta)

    def init(self) -> GateState:
        return GateState()

    def ask(
        self,
        state: GateState,
        contexts: Sequence[Context],
        rng: Rng,
        pending: Sequence[Comparison],
    ) -> list[Comparison]:
        return [Comparison((BASELINE, CANDIDATE), context) for context in contexts]

    def tell(self, state: GateState, outcomes: Sequence[Outcome]) -> GateState:
        for outcome in outcomes:
            scores = outcome.scores
            share = None if scores is None else scores[outcome.comparison.arms.index(CANDIDATE)]
            state = self._told(state, share)
        return state

    def verdict(self, state: GateState) -> Verdict[int]:
        both = (BASELINE, CANDIDATE)
        kind: Kind
        match state.found:
            case "better":
                kind, policy, left = "winner", CANDIDATE, (CANDIDATE,)
                reason = "it beats the baseline"
            case "worse":
                kind, policy, left = "winner", BASELINE, (BASELINE,)
                reason = "it beats the candidate" + self._by("more than")
            case "not-worse":  # nobody says that the baseline is as good
                kind, policy, left = "equivalent", CANDIDATE, (CANDIDATE,)
                reason = "the candidate does not lose to the baseline" + self._by("more than")
            case _:
                aim = "better" if self.aim == "better" else "not worse" + self._by("more than")
                reason = f"neither {aim} nor worse{self._by('more than')} is proven"
                return Verdict("undecided", None, self.confidence, both, state.told, reason)
        return Verdict(kind, policy, self.confidence, left, state.told, reason)

    def standing(self, state: GateState) -> Standing:
        """Evidence against either policy is by totals, so that "loses to nobody" is its null."""
        reached, bars = self.evidence(state), self.bars
        n = state.told
        # Whoever is ahead of what the goal asks for leads; `proof` is how far its claim has come.
        threshold = 0.5 if self.goal == "superiority" else 0.5 - self.margin
        up = state.found != "worse" and state.won >= threshold * (state.won + state.lost)
        leader, side = (CANDIDATE, 0) if up else (BASELINE, 1)
        proof = np.full(2, inf)
        proof[1 - leader] = reached[side]
        missing = n - state.won - state.lost
        evidence = np.array(
            [mixture(state.lost + missing, state.won), mixture(state.won + missing, state.lost)]
        )
        alive = np.array([state.found != "better", state.found != "worse"])
        to_go = min(_to_go(state.goal, bars[0], n), _to_go(state.worse, bars[1], n))
        return Standing(
            leader,
            alive,
            evidence,
            proof,
            bars[1],
            bars[side],
            np.where(evidence > 0, [CANDIDATE, BASELINE], -1),
            0.0 if state.found != "undecided" else to_go,
        )

    def evidence(self, state: GateState) -> tuple[float, float]:
        """Log wealth of the good claim, and of "worse"."""
        return hedge(state.goal, WEIGHTS), hedge(state.worse, WEIGHTS)

    def fewest(self) -> int:
        """Comparisons that the good claim takes when the candidate wins every one of them."""
        state, n = self.init(), 0
        while state.found == "undecided" and n < LONGEST:
            state, n = self._told(state, 1.0), n + 1
        return n

    def _told(self, state: GateState, share: float | None) -> GateState:
        at_worst, at_best = (0.0, 1.0) if share is None else (share, share)
        h = 0.5 - self.margin
        state = replace(
            state,
            told=state.told + 1,
            won=state.won + (share or 0.0),
            lost=state.lost + (0.0 if share is None else 1 - share),
            goal=staked(state.goal, at_worst, 0.5 if self.goal == "superiority" else h),
            worse=staked(state.worse, 1 - at_best, 1 - h),
        )
        if state.found == "undecided":  # the first to be proven stands
            good, bad = self.evidence(state)
            if good >= self.bars[0]:
                return replace(state, found=self.aim)
            if bad >= self.bars[1]:
                return replace(state, found="worse")
        return state

    def _by(self, words: str) -> str:
        return f" by {words} {self.margin:g}" if self.margin else ""


def staked(wealth: Wealth, y: float, h: float) -> Wealth:
    """The log wealth of each stake after one answer, all staked on "the mean of y is above h"."""
    gain = (y - h) / h
    return tuple([w + log1p(s * gain) for w, s in zip(wealth, STAKES, strict=True)])


def finding(verdict: Verdict[Any], candidate: object = CANDIDATE) -> Finding:
    """What a verdict of a gate says of the candidate."""
    match verdict.kind:
        case "winner":
            return "better" if verdict.policy == candidate else "worse"
        case "equivalent":
            return "not-worse"
        case _:
            return "undecided"


def _to_go(wealth: Wealth, bar: float, n: int) -> float:
    """Answers until a stake reaches the bar by itself, if it goes on earning as it has so far."""
    left = inf
    for made, weight in zip(wealth, WEIGHTS, strict=True):
        if made > 0:
            left = min(left, (bar - log(weight) - made) * n / made)
    return max(left, 0.0)
