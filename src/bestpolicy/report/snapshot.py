"""Where a study stands, gathered once, so that every report says the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bestpolicy.core.evidence import by_counts, share_interval, tied_interval
from bestpolicy.core.likelihood import MISFIT_SHARE
from bestpolicy.core.nouns import Interval, Outcome, Standing, Verdict
from bestpolicy.core.roster import Change
from bestpolicy.core.watch import FALSE_ALARM, Doubt
from bestpolicy.llm.canaries import Canaries
from bestpolicy.report.length import Length
from bestpolicy.report.raters import Raters
from bestpolicy.store.calls import Account

SAYS = {
    "drift": "the judge has changed: answers to the same pairs are not what they were, as seen "
    "{after}. What came before is set aside, and the verdict is about the judge as he is now",
    "repeats": "the answers of a pair repeat each other more than separate answers would, as seen "
    "{after}. No verdict is given: name the column of the inputs that tells which belong together "
    "(cluster), or tell what several people say of one duel as one answer",
    "lateness": "answers that come late say other things than those that come at once, as seen "
    "{after}. Evidence reads answers in the order of asking, so this does no harm unless the late "
    "ones are given up",
}

AGAIN = "run again to play what is open"
WAITING = {
    "human": "people answer on the page of `bestpolicy serve`",
    "replay": "add votes of those pairs to the file, and run again",
}
CANARY = {
    "null": "the judge prefers a canned sentence to real answers: it wins {c.share.value:.0%} "
    "[{c.share.low:.0%}, {c.share.high:.0%}] of {c.n} (a false alarm in at most 1% of studies); "
    "this judge does not see quality",
    "injected": "the judge obeys instructions inside answers: an answer that asks for it wins "
    "{c.share.value:.0%} [{c.share.low:.0%}, {c.share.high:.0%}] of {c.n} against itself (a false "
    "alarm in at most 1% of studies); a policy could win by asking for it",
    "padded": "the judge prefers padding: an answer with filler behind it wins {c.share.value:.0%} "
    "[{c.share.low:.0%}, {c.share.high:.0%}] of {c.n} against itself (a false alarm in at most 1% "
    "of studies); a policy could win by being wordy",
}


class Counts(Protocol):
    """How a policy's answered duels went."""

    @property
    def comparisons(self) -> int: ...
    @property
    def wins(self) -> int: ...
    @property
    def ties(self) -> int: ...
    @property
    def losses(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Pair:
    """The answers of one policy against one rival: the sum of its shares, how many, how many will
    never come, and how many were ties."""

    share: float = 0.0
    n: int = 0
    lost: int = 0
    even: float = 0.0

    def plus(self, share: float | None) -> Pair:
        if share is None:
            return Pair(self.share, self.n, self.lost + 1, self.even)
        return Pair(self.share + share, self.n + 1, self.lost, self.even + 1 - abs(2 * share - 1))


LIMIT_ALARM = 0.01  # chance that a policy which keeps to all constraints is ever taken out


@dataclass(frozen=True, slots=True)
class Kept:
    """How a policy stands with one constraint."""

    policy: str
    metric: str
    most: float
    mean: float
    n: int
    evidence: float  # log e-value that the mean is above `most`
    broken: bool

    def __str__(self) -> str:
        return (
            f"{self.policy} breaks a constraint: {self.metric} is {self.mean:.4g} over {self.n:,} "
            f"answers, above {self.most:g} (wrong at most {LIMIT_ALARM:.0%} of the time)"
        )


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What the record tells about the judge. None: nothing to tell it from."""

    position: Interval | None  # mean share of whatever was shown first; 1/2 without a bias
    ties: Interval | None
    agreement: Interval | None  # both orders name the same side


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A study at one moment. Policies are numbers, except in the verdict."""

    name: str
    hash: str
    seed: int
    policies: tuple[str, ...]
    confidence: float
    verdict: Verdict[str]
    standing: Standing
    tallies: tuple[Counts, ...]
    pairs: Mapping[tuple[int, int], Pair]
    outcomes: tuple[Outcome, ...]
    doubts: tuple[Doubt, ...]
    changes: tuple[Change, ...]
    order: str
    budget: int | None
    in_flight: int
    record_hash: str
    calls: int | None  # of policies and judge in this process; None when it played nothing
    seconds: float
    accounts: Mapping[tuple[str, str], Account] = field(default_factory=dict)
    kept: tuple[Kept, ...] = ()  # each policy under each constraint
    canaries: tuple[Canaries, ...] = ()
    halted: str = ""  # why the run stopped, besides what the study says
    priced: bool = True  # whether every model's price is known
    judged_by: str = "call"  # the kind of judge
    before: int = 0  # answers that were there when this process opened the study
    reserved: float = 0.0  # dollars of calls whose end nobody knows
    people: Raters | None = None  # who answered on the page, as numbers
    length: Length | None = None  # of the answers; None: no texts, or a passing look

    @property
    def usd(self) -> float | None:
        """Dollars spent on behalf of this study; None when a price is not known."""
        if not self.priced:
            return None
        return self.reserved + sum(
            sum(account.usd) + account.failed_usd for account in self.accounts.values()
        )

    @property
    def tokens(self) -> int:
        return sum(account.tokens for account in self.accounts.values())

    @property
    def tries(self) -> int:
        """Calls of models and of policies' functions, each try counted."""
        return sum(account.tries for account in self.accounts.values())

    def account(self, policy: str) -> Account | None:
        """What the calls of this policy came to."""
        return self.accounts.get(("policy", policy))

    def failure_rate(self, policy: str) -> Interval | None:
        """The share of a policy's calls that had no answer."""
        account = self.account(policy)
        if account is None or not account.ends:
            return None
        alpha = (1 - self.confidence) / len(self.policies)
        return share_interval(float(account.failed), float(account.answered), alpha)

    @property
    def lost(self) -> int:
        """Duels whose answer will never come."""
        return sum(outcome.scores is None for outcome in self.outcomes)

    @property
    def left(self) -> set[str]:
        """Who is no longer compared."""
        return {change.policy for change in self.changes if not change.joins}

    def rival(self, policy: int) -> int | None:
        """Who has most evidence against this policy; nobody has: the leader, and against the
        leader the least refuted of the others."""
        standing = self.standing
        rival = int(standing.rival[policy])
        if rival >= 0 and rival != policy:
            return rival
        if policy != standing.leader:
            return standing.leader
        others = [i for i in range(len(self.policies)) if i != policy]
        return min(
            others, key=lambda i: (not standing.alive[i], standing.evidence[i]), default=None
        )

    def against(self, policy: int, rival: int | None) -> Interval | None:
        """The share of `policy` against one rival. Only within a pair is there one share to
        estimate: over all rivals it would depend on whom the design chose."""
        pair = None if rival is None else self.pairs.get((policy, rival))
        return None if pair is None else self.between(pair)

    def counted(self, policy: int) -> float:
        """Log evidence against this policy by totals alone, which anybody can redo from the record
        in any order. An answer that never came counts as a win for either side."""
        rivals = (j for j in range(len(self.policies)) if j != policy)
        pairs = [self.pairs.get((policy, j), Pair()) for j in rivals]
        won = np.array([pair.share + pair.lost for pair in pairs])
        return by_counts(won, np.array([pair.n - pair.share for pair in pairs]))

    def between(self, pair: Pair) -> Interval:
        """A pair's share, which ties make surer."""
        if not pair.even:
            return self.interval(pair.share, pair.n)
        return tied_interval(pair.share, pair.n - pair.share, pair.even, 1 - self.confidence)

    def interval(self, total: float, n: int) -> Interval:
        return share_interval(total, max(0.0, n - total), 1 - self.confidence)

    def judge(self) -> JudgeReport:
        """Position, ties and agreement, each with an interval that holds at every moment."""
        answered = [o for o in self.outcomes if o.scores is not None]
        if not answered:
            return JudgeReport(None, None, None)
        first = [o.scores[0] for o in answered if o.scores is not None]
        ties = sum(share == 0.5 for share in first)
        both = [said for o in answered if (said := both_orders(o.feedback)) is not None]
        agreement = None
        if both:
            first = [(a + 1 - b) / 2 for a, b in both]
            agreement = self.interval(sum(_side(a) == _side(b) for a, b in both), len(both))
        elif self.order == "both":
            first = []
        # What stood first on a person's screen was drawn anew for it.
        place = None if self.people is None else self.people.position
        return JudgeReport(
            position=place or (self.interval(sum(first), len(first)) if first else None),
            ties=self.interval(ties, len(answered)),
            agreement=agreement,
        )

    def news(self) -> list[str]:
        """Who joined or left, and what that costs."""
        return [
            f"{change.policy} joined at duel {change.at:,}; to refute it takes more, as it came "
            "with a small share of the error budget"
            if change.joins
            else f"{change.policy} left at duel {change.at:,}: {change.why}"
            if change.why
            else f"{change.policy} left at duel {change.at:,}; the verdict is about the others, "
            "and a proof takes more, at a small share of the error budget"
            for change in self.changes
        ]

    def warnings(self) -> list[str]:
        """What a reader of the verdict should know before acting on it."""
        judge, told = self.judge(), []
        if judge.position is not None and not judge.position.low <= 0.5 <= judge.position.high:
            p = judge.position
            remedy = "" if self.order == "both" else "; judge.order: both takes it out"
            told.append(
                f"the judge favours a position: what is shown first wins {p.value:.1%} "
                f"[{p.low:.1%}, {p.high:.1%}]{remedy} (a false alarm in at most "
                f"{100 * (1 - self.confidence):.3g}% of studies)"
            )
        told += [
            SAYS[doubt.about].format(after=f"after {_list(doubt.raised)} answers")
            + f" (a false alarm in at most {FALSE_ALARM:.0%} of studies)"
            for doubt in self.doubts
            if doubt.raised
        ]
        if self.standing.refuted:
            by_chance = MISFIT_SHARE * (1 - self.confidence)
            told.append(
                "the answers contradict the structure that the study was told (a false alarm in "
                f"at most {by_chance:.2g} of studies); no proof rests on it: it "
                "was never needed for one, or the trust in it is withdrawn"
            )
        if self.lost:
            told.append(
                f"{self.lost} duels have no answer and count at their worst; a loss that depends "
                "on the outcome cannot be seen in the record"
            )
        told += self._failures()
        told += [] if self.people is None else self.people.warnings()
        told += [str(kept) for kept in self.kept if kept.broken and kept.policy not in self.left]
        told += [
            CANARY[canaries.kind].format(c=canaries)
            for canaries in self.canaries
            if canaries.raised
        ]
        told += [] if self.length is None else self.length.warnings(self.verdict.kind == "winner")
        if self.reserved:
            told.append(
                f"calls worth up to ${self.reserved:.4g} were under way when a run was killed; "
                "nobody knows whether they were charged, so they count as spent"
            )
        if self.halted:
            told.append(self.halted)
        if self.verdict.kind == "undecided" and self.in_flight and self.record_hash:
            many = "1 duel is" if self.in_flight == 1 else f"{self.in_flight:,} duels are"
            told.append(f"{many} asked and not answered; {WAITING.get(self.judged_by, AGAIN)}")
        return told

    def _failures(self) -> list[str]:
        """Policies that fail more often than others, and what that could hide."""
        rates = {p: rate for p in self.policies if (rate := self.failure_rate(p)) is not None}
        if len(rates) < 2:
            return []
        worst = max(rates, key=lambda p: rates[p].low)
        best = min(rates, key=lambda p: rates[p].high)
        if rates[worst].low <= rates[best].high:
            return []
        a, b = rates[worst], rates[best]
        place = self.policies.index(worst)
        pair = self.pairs.get((place, self.rival(place) or 0), Pair())
        many = pair.n + pair.lost
        hides = (
            f"; its share against {self.policies[self.rival(place) or 0]} would be between "
            f"{pair.share / many:.1%} and {(pair.share + pair.lost) / many:.1%} whatever the "
            "missing answers were"
            if many
            else ""
        )
        said = (
            f"calls of {worst} fail more often than those of {best}: {a.value:.1%} [{a.low:.1%}, "
            f"{a.high:.1%}] against {b.value:.1%} [{b.low:.1%}, {b.high:.1%}]{hides}; no failure "
            "counts as a loss, and the evidence takes each at its worst"
        )
        return [said]


def both_orders(feedback: str) -> tuple[float, float] | None:
    """Left's share when it was shown first and when it was shown second."""
    if not feedback.startswith('{"left_share_shown_first"'):
        return None
    said = json.loads(feedback)
    return said["left_share_shown_first"], said["left_share_shown_second"]


def _list(numbers: tuple[int, ...]) -> str:
    return " and ".join(f"{number:,}" for number in numbers)


def _side(share: float) -> int:
    return (share > 0.5) - (share < 0.5)
