"""A study: policies in, duels asked and answered, a verdict with a certificate out."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import isfinite
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Self, cast, overload

from bestpolicy.config import load
from bestpolicy.core.nouns import (
    Array,
    Comparison,
    ConfigError,
    Design,
    Outcome,
    Standing,
    Store,
    StoreError,
    Verdict,
)
from bestpolicy.core.roster import Change, Roster
from bestpolicy.core.shares import Winner, share
from bestpolicy.core.watch import Doubt
from bestpolicy.duel import Duel, Tally
from bestpolicy.store import open_store
from bestpolicy.store.rows import body, digest
from bestpolicy.study.questions import Questions
from bestpolicy.study.reading import Reading
from bestpolicy.study.record import Record
from bestpolicy.study.settings import (
    RESERVE,
    budget_of,
    claim,
    inputs_of,
    maker,
    policy_names,
    share_between,
    structure_of,
    text,
    whole,
)


class Study:
    """Compares policies until it can prove which is best.

    P(a wrong winner is ever named) <= 1 - confidence, at every moment, for any judge whose
    answers are exchangeable given the pair.

    - `indifference`: shares within this of 1/2 are as good as equal.
    - `assume_winner`: some policy beats all others for certain, which needs fewer duels.
    - `structure`: how shares hang together: "bradley-terry" (one strength per policy), "features"
      (a row of numbers per policy, in `features`) or "auto" (features if given). It steers and
      foretells; the proof stays free of it, so a wrong one costs duels and never the promise.
    - `trust_structure`: proofs may rest on the structure, which needs far fewer duels; every
      verdict then says "if the structure holds", and a test withdraws it when it does not.
    - `design`: what to compare next, by name, or any `Design` of your own.
    - `budget`: a number of comparisons, or {"comparisons": n, "minutes": m, "usd": d}; minutes
      count from the opening, dollars are the costs told. It is all that may change later.
    - `inputs`: rows (texts or mappings) that duels are about. Each pair of policies meets each
      row at most once, so that answers are not repeats of each other; when the pair to compare
      next has met all rows, the study ends undecided. `reuse_inputs=True` draws rows
      independently with replacement, and the verdict is then about this very list of rows.
    - `cluster`: a column of the inputs; rows that share its value belong together (turns of one
      conversation) and count as one input. Rows that are the same are one input in any case.
    - `sentinels`: the share of duels that ask an earlier pair again, to notice a judge who changes.
    - `reserve`: the share of the error budget kept for policies that join or leave later.
    - `store`: "sqlite:///file.db" or "postgresql://user@host/database" keeps the record of each
      `name` and resumes it; None forgets.
    """

    def __init__(
        self,
        policies: Sequence[str],
        *,
        confidence: float = 0.95,
        structure: str = "free",
        features: Array | None = None,
        trust_structure: bool = False,
        indifference: float = 0.0,
        assume_winner: bool = False,
        design: str | Design[Any] = "llm-po",
        budget: int | Mapping[str, float] | None = None,
        inputs: Sequence[str | Mapping[str, Any]] | None = None,
        store: str | None = None,
        seed: int = 0,
        name: str = "study",
        reuse_inputs: bool = False,
        cluster: str | None = None,
        sentinels: float = 0.0,
        reserve: float = 0.02,
    ) -> None:
        names = policy_names(policies)
        self.name = text("name", name)
        self.seed = whole("seed", seed, 0)
        limits = budget_of(budget)
        reuse = claim("reuse_inputs", reuse_inputs)
        self._inputs = inputs_of(inputs, reuse, cluster)
        again = share_between("sentinels", sentinels, 0.0, 0.5, low_counts=True)
        zone = share_between("indifference", indifference, 0.0, 0.5, low_counts=True)
        assumed = structure_of(structure, features, trust_structure, len(names), zone)
        kept = share_between("reserve", reserve, 0.0, 0.5, low_counts=True)
        described = None if assumed is None else assumed.features
        settings: dict[str, Any] = {
            "policies": list(names),
            "confidence": share_between("confidence", confidence, 0.5, 1.0, low_counts=False),
            "structure": structure,
            "trust_structure": trust_structure,
            "features": None if described is None else digest(described.round(9).tolist()),
            "indifference": zone,
            "assume_winner": claim("assume_winner", assume_winner),
            "design": design if isinstance(design, str) else type(design).__qualname__,
            "inputs": None if self._inputs is None else self._inputs.digest,
            "reuse_inputs": reuse,
            "seed": seed,
        }
        settings |= {"sentinels": again} if again else {}
        settings |= {"reserve": kept} if kept != RESERVE else {}
        self.settings: Mapping[str, Any] = settings
        make = maker(design, settings, assumed)
        begin = partial(Reading, make, Roster.whole(len(names)), kept)
        begin()  # what no design can be made of is refused before a store is opened
        self._lock = RLock()
        self._record = Record(open_store(store, name, settings), names, begin, self._inputs)
        self._questions = Questions(self._record, self._inputs, limits, seed, again)
        try:
            self._record.catch_up()
        except BaseException:
            self._record.store.close()
            raise
        # Asked by an earlier process and never answered.
        self._left_over = deque(duel.id for duel in self.in_flight())

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """The study of a YAML file. You ask and tell; `bestpolicy run` also plays it."""
        return cls(**load(str(path)).settings())

    @property
    def store(self) -> Store:
        """Where the record is."""
        return self._record.store

    @property
    def policies(self) -> tuple[str, ...]:
        """Every policy that is or was compared."""
        return tuple(self._record.names)

    @overload
    def ask(self) -> Duel | None: ...

    @overload
    def ask(self, n: int) -> list[Duel]: ...

    def ask(self, n: int | None = None) -> Duel | list[Duel] | None:
        """The next duel, or None when the study is decided or may ask no more; `ask(n)` gives up
        to n duels to be played at once. What an earlier process left unanswered comes first."""
        with self._lock:
            duels = self._next(1 if n is None else whole("ask(n)", n, 1))
        if n is None:
            return duels[0] if duels else None
        return duels

    def tell(
        self, duel: Duel | int, winner: Winner, *, cost: float = 0.0, feedback: str = ""
    ) -> None:
        """Record who won: "left", "right", "tie", left's share in [0, 1], or what several people
        said of this one duel, whose mean is one answer. The same answer again changes nothing."""
        left = share(winner)
        self._answer(duel, (left, 1.0 - left), cost, feedback)

    def abandon(self, duel: Duel | int, *, cost: float = 0.0, feedback: str = "") -> None:
        """Say that the answer will never come: evidence then counts it at its worst case."""
        self._answer(duel, None, cost, feedback)

    def add(self, policy: str) -> None:
        """A policy joins from the next duel on. What is known of the others stands; to refute the
        newcomer takes more, as its share of the error budget is a small one (`reserve`)."""
        with self._lock:
            self._record.joins(text("add: a policy's name", policy))

    def retire(self, *policies: str, why: str | Mapping[str, str] = "") -> None:
        """Policies leave: the verdict will be about the others. The answers among them are read
        again at a small share of the error budget (`reserve`), so that a proof takes more. With
        `why`, the constraint that they break, even the last may leave."""
        with self._lock:
            self._record.leave(policies, why)

    def changes(self) -> list[Change]:
        """Who has joined or left, and from which duel on."""
        with self._lock:
            self._record.catch_up()
            return list(self._record.changes)

    def verdict(self) -> Verdict[str]:
        """What has been proven so far, and why an undecided study asks no more if it does not."""
        with self._lock:
            self._record.catch_up()
            found = self._record.found
            over = None if self._record.over else self._questions.why_over()
        if over is not None:
            found = replace(found, reason=f"{found.reason}; {over}" if found.reason else over)
        return self._named(found)

    def standing(self) -> Standing:
        """Where the evidence stands, policies by number."""
        with self._lock:
            self._record.catch_up()
            return self._record.reading.standing(len(self._record.names))

    @property
    def since(self) -> int:
        """The duel from which evidence counts: 0, or where the judge was seen to have changed."""
        return self._record.reading.since

    def doubts(self) -> list[Doubt]:
        """What the record speaks against: a judge who changes, repeats or lags."""
        with self._lock:
            self._record.catch_up()
            return self._record.reading.doubted()

    def tallies(self) -> dict[str, Tally]:
        """How the answered duels of each policy went."""
        with self._lock:
            self._record.catch_up()
            counts = zip(self.policies, self._record.counts, strict=True)
            return {policy: Tally(sum(count), *count) for policy, count in counts}

    def outcomes(self) -> list[Outcome]:
        """Every answer in the order the duels were asked; policies and inputs by number."""
        with self._lock:
            self._record.catch_up()
            answers = self._record.answers
            return [answers[c.id] for c in self._record.asked if c.id in answers]

    def in_flight(self) -> list[Duel]:
        """The duels asked and not yet answered."""
        with self._lock:
            self._record.catch_up()
            return [self._duel(self._record.asked[number]) for number in self._record.open]

    def replay(self) -> list[tuple[Verdict[str], Verdict[str]]]:
        """Every verdict announced, beside what the answers recorded before it come to now."""
        with self._lock:
            pairs = self._record.replay()
        return [(self._named(announced), self._named(again)) for announced, again in pairs]

    def record_hash(self) -> str:
        """One hash of the settings, the answers in ask order and the verdict they come to."""
        answers = [
            [o.comparison.id, o.comparison.arms, o.comparison.context, o.scores]
            for o in self.outcomes()
        ]
        found = self._record.found
        changes = [[c.at, c.policy, c.joins] for c in self._record.changes]
        told = [self.settings, answers, found.comparisons, body(found)]
        return digest([*told, changes] if changes else told)

    @property
    def hash(self) -> str:
        """One hash of the settings: studies that share it ask the same questions."""
        return digest(self.settings)

    def close(self) -> None:
        """Let go of the store; the record stays."""
        with self._lock:
            self._record.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _next(self, n: int) -> list[Duel]:
        record = self._record
        record.catch_up()
        if record.over:
            return []
        # Left-overs make a batch of their own: filling it up would shift the batches that follow,
        # and a resumed study would part from one that was never interrupted.
        again: list[Duel] = []
        while self._left_over and len(again) < n:
            if (number := self._left_over.popleft()) not in record.answers:
                again.append(self._duel(record.asked[number]))
        if again:
            return again
        while plan := self._questions.plan(n):
            if record.ask(plan):
                return [self._duel(comparison) for comparison in plan]
        return []

    def _answer(
        self, duel: Duel | int, scores: tuple[float, float] | None, cost: float, feedback: str
    ) -> None:
        if not (isfinite(cost) and cost >= 0):
            raise ConfigError(f"cost must be a finite number from 0 up, saw {cost!r}")
        comparison = self.question(duel)
        held = self._record.answers.get(comparison.id)
        if held is None:
            # Outside the lock, so that answers that arrive together share a commit.
            self._record.store.told((Outcome(comparison, scores, cost, feedback),))
        elif held.scores != scores:
            raise StoreError(
                f"{self._duel(comparison)} was answered {_said(held.scores)}, and now "
                f"{_said(scores)} is given: a duel has one answer, and the stored one stands"
            )
        with self._lock:
            self._record.catch_up()

    def question(self, duel: Duel | int) -> Comparison:
        """The question that a duel is on record as, policies and input by number."""
        asked = self._record.asked
        number = whole("tell a duel or its id, which", getattr(duel, "id", duel), 0)
        if number >= len(asked):
            with self._lock:
                self._record.catch_up()
        if number >= len(asked):
            raise StoreError(
                f"duel {number} is not in study {self.name!r}, which has asked {len(asked)} "
                "duels, numbered from 0: tell a duel that ask() gave"
            )
        if isinstance(duel, Duel) and duel != (stored := self._duel(asked[number])):
            raise StoreError(f"study {self.name!r} asked {stored}, and {duel} is told")
        return asked[number]

    def _duel(self, comparison: Comparison) -> Duel:
        left, right = comparison.arms
        row = None if self._inputs is None else self._inputs.rows[comparison.context]
        return Duel(comparison.id, self.policies[left], self.policies[right], row)

    def _named(self, verdict: Verdict[int]) -> Verdict[str]:
        policy = None if verdict.policy is None else self.policies[verdict.policy]
        left = tuple(self.policies[survivor] for survivor in verdict.survivors)
        return replace(cast("Verdict[Any]", verdict), policy=policy, survivors=left)


def _said(scores: tuple[float, ...] | None) -> str:
    return "never (abandoned)" if scores is None else f"{scores[0]!r} for the left"
