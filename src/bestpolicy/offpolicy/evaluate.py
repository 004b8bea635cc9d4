"""Evaluate: a target's value by several estimators, and whether it beats the policy that logged.

A verdict needs both intervals on the same side of nothing, and a log that can carry it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bestpolicy.core.log import Estimate, Logged, Target
from bestpolicy.core.nouns import ConfigError, Interval
from bestpolicy.offpolicy.density import Source
from bestpolicy.offpolicy.diagnose import Diagnosis, Watch
from bestpolicy.offpolicy.intervals import Spread
from bestpolicy.offpolicy.kernel import dr_kernel, kernel_is
from bestpolicy.offpolicy.lines import Line
from bestpolicy.offpolicy.marginal import mips, off_cem
from bestpolicy.offpolicy.reasons import Claim, because
from bestpolicy.offpolicy.regression import dm, dr, dros, switch_dr
from bestpolicy.offpolicy.rows import Estimator, Given, Proof, Sums, estimate, parts
from bestpolicy.offpolicy.sequence import uplift_sequence
from bestpolicy.offpolicy.sides import Asked, with_model, with_sentences, with_weights
from bestpolicy.offpolicy.targets import target_of
from bestpolicy.offpolicy.uplift import Pairs, Uplift, uplift
from bestpolicy.offpolicy.weighting import clipped_ips, ips, snips

ESTIMATORS: dict[str, Estimator] = {
    one.name: one
    for one in (
        *(ips, snips, clipped_ips, dm, dr, switch_dr, dros, mips, off_cem, kernel_is, dr_kernel),
    )
}
INTERVALS = ("betting", "delta")
SENTENCES = "effective-rows-of-sentences"  # the line of the diagnosis


@dataclass(frozen=True)
class Evaluation(Mapping[str, Estimate]):
    """One target's estimates by name, its uplift, what the log can carry, and the verdict."""

    target: str
    estimates: Mapping[str, Estimate]
    uplift: Uplift
    diagnosis: Diagnosis
    confidence: float
    candidates: int = 1  # targets asked about at once; the confidence is of all together
    notes: tuple[str, ...] = ()
    looks: tuple[tuple[int, Interval], ...] = ()  # rows seen, and the uplift: valid at every one

    def __getitem__(self, name: str) -> Estimate:
        return self.estimates[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.estimates)

    def __len__(self) -> int:
        return len(self.estimates)

    @property
    def verdict(self) -> Claim:
        """Better or worse than what was logged, where every interval says so and the log may."""
        if self.diagnosis.verdict == "stop":
            return "stop"
        sure, usual = self.uplift, self.uplift.asymptotic
        if sure.low > 0 and usual.low > 0:
            return "better"
        if sure.high < 0 and usual.high < 0:
            return "worse"
        return "undecided"

    @property
    def reason(self) -> str:
        """Why that is the verdict, in a sentence to act on."""
        return because(self.verdict, self.target, self.uplift, self.diagnosis, self.confidence)


def evaluate(
    log: Logged,
    target: Any,
    *,
    estimators: Sequence[str] = ("ips", "snips"),
    confidence: float = 0.95,
    given: Given | None = None,
    model: Any = None,
    embeddings: Any = None,
    clusters: Any = None,
    bank: Source | None = None,
    tau: float | None = None,
    daily: bool = False,
    intervals: Sequence[str] = INTERVALS,
    seed: int = 0,
    name: str = "target",
) -> Evaluation:
    """The value of a target, which is (n,) chances of the logged actions, (n, A) chances of all, a
    Policy, a function of contexts, or a word: uniform, logging, an action's name.

    What an estimator needs besides is made of `model`, `embeddings`, `clusters` and `bank` (see
    sides.py), unless it is `given`.
    """
    (made,) = evaluate_all(
        *(log, {name: target}),
        estimators=estimators,
        confidence=confidence,
        given=given,
        asked=Asked(model, embeddings, clusters, bank, tau),
        daily=daily,
        intervals=intervals,
        seed=seed,
    ).values()
    return made


def evaluate_all(
    log: Logged,
    targets: Mapping[str, Any],
    *,
    estimators: Sequence[str] = ("ips", "snips"),
    confidence: float = 0.95,
    given: Given | None = None,
    asked: Asked | None = None,
    daily: bool = False,
    intervals: Sequence[str] = INTERVALS,
    seed: int = 0,
) -> dict[str, Evaluation]:
    """Several targets, each at a confidence that holds for all of them together.

    Whatever `intervals` are shown besides, betting and delta alone decide. `daily`: who looks at a
    growing log again and again is given bets that hold at every look."""
    if not 0.5 < confidence < 1:
        raise ConfigError(f"confidence must be between 0.5 and 1, saw {confidence:g}")
    alpha = (1 - confidence) / max(1, len(targets))
    known, asked = [_known(said) for said in estimators], asked or Asked()
    if isinstance(asked.embeddings, str):
        log = log.keeping(asked.embeddings)
    given = with_model(given or Given(), log, known, asked)
    spread, made = Spread(tuple(intervals), alpha, seed), {}
    for name, said in targets.items():
        target = target_of(said, log, name)
        beside = with_weights(given, log, target, known, asked)
        beside, lines = with_sentences(beside, log, target, known, asked)
        one = _evaluated(log, target, known, spread, beside, len(targets), name, lines)
        made[name] = _looked_at(one, uplift_sequence(log, target, alpha=alpha)) if daily else one
    return made


def _evaluated(
    log: Logged,
    target: Target,
    estimators: Sequence[Estimator],
    spread: Spread,
    given: Given,
    candidates: int,
    name: str,
    extra: tuple[Line, ...],
) -> Evaluation:
    sums = {one.name: Sums() for one in estimators}
    proof, pairs, watch, alpha = Proof(), Pairs(), Watch(log), spread.alpha
    others = spread.begin([one.name for one in estimators], len(log))
    for rows in parts(log, target, given):
        watch.see(rows)
        proof, pairs = proof + Proof.of(rows), pairs + Pairs.of(rows)
        others.see(rows)
        for one in estimators:
            z, u = one.each(rows)
            sums[one.name] += Sums.of(z, u)
            others.resample(one.name, z, u, rows.log.start)
    made, diagnosis = others.intervals(sums, proof), watch.diagnosis(extra=extra)
    of_sentences = next((x.value for x in diagnosis.lines if x.name == SENTENCES), None)

    def own(one: Estimator) -> Estimate:
        effective = of_sentences if "kernel" in one.needs else None
        return estimate(sums[one.name], proof, log.bounds, alpha, made[one.name], effective)

    return Evaluation(
        name,
        {one.name: _heard(own(one), one, extra).warned(*one.warnings(given)) for one in estimators},
        uplift(pairs, log.bounds, alpha, uneven=proof.uneven),
        diagnosis,
        1 - alpha * candidates,
        candidates,
        log.notes,
    )


def _heard(made: Estimate, one: Estimator, lines: tuple[Line, ...]) -> Estimate:
    """The same, claimed by no estimator of sentences where a line on sentences says stop."""
    stops = [line.name for line in lines if line.verdict == "stop"]
    if "kernel" not in one.needs or not stops:
        return made
    return replace(made, claims=False).warned(f"nothing is claimed: {', '.join(stops)} says stop")


def _looked_at(one: Evaluation, looks: list[tuple[int, Interval]]) -> Evaluation:
    """The same for who has looked before: the uplift that holds at all looks so far."""
    last = looks[-1][1]
    return replace(
        one, uplift=replace(one.uplift, low=last.low, high=last.high), looks=tuple(looks)
    )


def _known(name: str) -> Estimator:
    if name not in ESTIMATORS:
        from difflib import get_close_matches

        near = get_close_matches(name, ESTIMATORS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(ESTIMATORS)}"
        raise ConfigError(f"no estimator is called {name!r}; {hint}")
    return ESTIMATORS[name]
