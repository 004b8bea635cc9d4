"""Constraints: what each policy must keep to on average, watched as its answers come in.

A policy that is proven to break one leaves the study. Some policy that keeps to all of them is
taken out with chance `LIMIT_ALARM` at most, over the whole study and whoever looks.

Whom nobody is left to beat is not the winner before he had a fair chance to fail: before the others
leave he answers on, on trial, compared with nobody. Meanwhile no duel is begun, since one of those
who break a constraint could win it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set

from bestpolicy.config.schema import ConstraintSection
from bestpolicy.core.limits import Above
from bestpolicy.core.nouns import ConfigError
from bestpolicy.llm.checks import Check
from bestpolicy.llm.prompts import Row
from bestpolicy.report.snapshot import LIMIT_ALARM, Kept
from bestpolicy.run.desk import PlayError
from bestpolicy.run.duels import input_of
from bestpolicy.store.calls import Account, Ask, Calls
from bestpolicy.store.rows import ChangedMeanwhile
from bestpolicy.study import Study

FAIR = 2  # times the answers that refuted the others, which the last policy must have had

# Has a policy answer so many more, its trials from that number on; False if it cannot now.
Trial = Callable[[str, int, int], bool]


class Limits:
    """The evidence against each policy under each constraint."""

    def __init__(
        self,
        constraints: Sequence[ConstraintSection],
        checks: Sequence[Check | None],
        rows: Sequence[Row] | None,
        study: Study,
        calls: Calls,
    ) -> None:
        self._constraints = constraints
        self._checks = checks
        self._rows = rows
        self._study = study
        self._calls = calls
        self._read: dict[tuple[str, int], int] = {}
        self._above: dict[tuple[str, int], Above] = {}
        self._checked = 0  # the last call whose text was checked

    def enforce(self, trial: Trial) -> None:
        """Take out whoever is proven to break a constraint."""
        while not self._enforced(trial):
            pass

    def _enforced(self, trial: Trial) -> bool:
        """Whether nobody is left to be taken out, or another process was at it too."""
        if not self._constraints or self._over():
            return True
        gone = self._gone()
        broken = self._broken(gone)
        out = {kept.policy for kept in broken}
        stay = [p for p in self._study.policies if p not in gone and p not in out]
        if len(stay) == 1 and out:
            if not self._tried(stay[0], FAIR * max(kept.n for kept in broken), trial):
                return True
            broken = self._broken(gone)
        if broken:
            why = {
                policy: "; ".join(str(kept) for kept in broken if kept.policy == policy)
                for policy in dict.fromkeys(kept.policy for kept in broken)
            }
            try:
                self._study.retire(*why, why=why)
            except (ConfigError, ChangedMeanwhile):
                # Nobody leaves a study that is over, and answers told meanwhile may have ended it;
                # or another worker has seen the same and was first.
                if not self._over() and gone == self._gone():
                    raise
                return False
        return True

    def _gone(self) -> set[str]:
        return {change.policy for change in self._study.changes() if not change.joins}

    def _broken(self, gone: Set[str]) -> list[Kept]:
        return [kept for kept in self.standing() if kept.broken and kept.policy not in gone]

    def _tried(self, policy: str, needed: int, trial: Trial) -> bool:
        """Whether the last policy has had its chance: so many answers, or as many as there are."""
        first, most = 0, needed + len(self._rows or ())
        while first < most:
            held = [kept for kept in self.standing() if kept.policy == policy]
            had = min((kept.n for kept in held), default=0)
            missing = needed - had if len(held) == len(self._constraints) else needed
            if missing <= 0 or any(kept.broken for kept in held):
                return True
            many = min(missing, most - first)
            if not trial(policy, first, many):
                return False
            first += many
        return True

    def _over(self) -> bool:
        """Whether nothing more is asked, whatever the answers to come."""
        repeats = any(doubt.raised for doubt in self._study.doubts() if doubt.about == "repeats")
        return repeats or self._study.verdict().final

    def standing(self) -> list[Kept]:
        """Every policy under every constraint, as far as its answers go."""
        if not self._constraints:
            return []
        accounts = {
            who: account
            for (role, who), account in self._calls.accounts().items()
            if role == "policy"
        }
        for i, constraint in enumerate(self._constraints):
            for policy, account in accounts.items():
                self._tell(policy, i, constraint, account)
        self._tell_checks()
        alpha = LIMIT_ALARM / (len(self._constraints) * len(self._study.policies))
        return [
            Kept(
                policy,
                self._constraints[i].metric,
                self._constraints[i].max,
                above.total / above.n if above.n else 0.0,
                above.n,
                above.highest,
                above.proven(alpha),
            )
            for (policy, i), above in sorted(self._above.items())
        ]

    def _tell(self, policy: str, i: int, constraint: ConstraintSection, account: Account) -> None:
        """What this policy's calls say that has not been told yet."""
        if constraint.metric == "failure_rate" and self._checks[i] is not None:
            return
        begin = self._read.get((policy, i), 0)
        above = self._of(policy, i)
        # More may come while these are told.
        values = VALUES[constraint.metric](account)[begin:]
        for value in values:
            above.tell(value)
        self._read[policy, i] = begin + len(values)

    def _tell_checks(self) -> None:
        """The texts that have come since, through the checks."""
        checked = [(i, check) for i, check in enumerate(self._checks) if check is not None]
        if not checked:
            return
        for number, ask, reply in self._calls.each("policy", after=self._checked):
            self._checked = number
            context = input_of(ask.duel)
            if context is None:
                context = self._study.question(ask.duel).context
            row = {} if self._rows is None else self._rows[context]
            for i, check in checked:
                self._of(ask.who, i).tell(1.0 - _score(check, i, ask, row, reply.text))

    def _of(self, policy: str, i: int) -> Above:
        limit = self._constraints[i].max
        return self._above.setdefault((policy, i), Above(limit))


def _score(check: Check, i: int, ask: Ask, row: Row, text: str) -> float:
    try:
        return check(row, text)
    except (Exception, SystemExit) as error:  # a user's function may raise anything
        said = f"{type(error).__name__}: {error}"[:300]
        raise PlayError(
            f"constraint {i + 1}: the check of an answer of {ask.who!r} (duel {ask.duel}) raised "
            f"{said}; everything answered is saved, and when that is mended the same command goes "
            "on"
        ) from error


VALUES: Mapping[str, Callable[[Account], Sequence[float]]] = {
    "cost_usd": lambda account: account.usd,
    "latency_s": lambda account: account.seconds,
    "failure_rate": lambda account: account.ends,
}
