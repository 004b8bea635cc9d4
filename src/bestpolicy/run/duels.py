"""One duel, played: both answers made, both orders judged, the study told.

What fails is never an answer. `Ended` says how it went, and the run decides what follows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, Literal

from bestpolicy.config import Players
from bestpolicy.config.connect import Referee
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.talk import TRIES, Failed, Prompt, Reply
from bestpolicy.duel import Duel
from bestpolicy.llm.canaries import KINDS, canary
from bestpolicy.llm.judges import CheckJudge, FunctionJudge, LlmJudge, People
from bestpolicy.llm.players import Called, Prompted, key_of
from bestpolicy.llm.votes import Votes
from bestpolicy.run.desk import Desk, OutOfMoney, PlayError, Wanted, Work
from bestpolicy.run.source import Source
from bestpolicy.store.calls import Ask, Role
from bestpolicy.store.claims import Superseded


@dataclass(frozen=True, slots=True)
class Ended:
    """How a duel went: told, failed, left to people, out of votes, out of money, or lost to
    somebody else who plays it now."""

    duel: int
    how: Literal["told", "failed", "people", "votes", "money", "lost"]
    reason: str = ""
    fatal: bool = False
    usd: float = 0.0
    who: str = ""  # the policy without an answer, or the judge


class _CallFailed(Exception):
    """A model gave no answer."""

    def __init__(self, failed: Failed, ask: Ask) -> None:
        super().__init__(f"{ask.role} {ask.who!r}: {failed.reason}")
        self.fatal = failed.fatal
        self.who = ask.who if ask.role == "policy" else "the judge"


class Table:
    """Where duels are played: who hands them out, the players, the desk, and how often a judge
    sees a canary."""

    def __init__(
        self,
        source: Source,
        players: Players,
        desk: Desk,
        *,
        seed: int,
        order: str,
        canaries: float,
    ) -> None:
        self._source = source
        self._seed = seed
        self._players = players
        self._desk = desk
        self._order = order
        self._canaries = canaries

    def play(self, duel: Duel, context: int | None, earlier: int) -> Ended:
        """Play it; `earlier` duels of the same pair, and input, were asked before."""
        try:
            return self._played(duel, context, earlier)
        except Superseded as lost:
            return Ended(duel.id, "lost", str(lost))

    def _played(self, duel: Duel, context: int | None, earlier: int) -> Ended:
        judge, row = self._players.judge, {} if duel.input is None else duel.input
        if isinstance(judge, Votes):
            share = judge.share(duel.left, duel.right, context, earlier)
            if share is None:
                return Ended(duel.id, "votes")
            self._source.tell(duel, share)
            return Ended(duel.id, "told")
        usd = [0.0]
        try:
            left, right = self.texts(duel.id, (duel.left, duel.right), row, usd)
            if isinstance(judge, People):
                return Ended(duel.id, "people", usd=usd[0])
            share, said = self._judged(judge, duel, row, left, right, usd)
        except OutOfMoney:
            return Ended(duel.id, "money", usd=usd[0])
        except _CallFailed as failure:
            return Ended(duel.id, "failed", str(failure), failure.fatal, usd[0], failure.who)
        self._source.tell(duel, share, cost=usd[0], feedback=said)
        self._canary(judge, duel, row, left)
        return Ended(duel.id, "told", usd=usd[0])

    def texts(self, number: int, policies: Sequence[str], row: Any, usd: list[float]) -> list[str]:
        """What these policies answer about this row."""
        wanted = [self._wanted(number, policy, row) for policy in policies]
        return self._texts(wanted, usd)

    def share(
        self,
        judge: Referee,
        where: str,
        row: Any,
        pair: tuple[str, str],
        draw: str,
        usd: list[float],
    ) -> tuple[float, ...]:
        """What the judge says of the first of two answers; twice if he sees both orders."""
        a, b = pair
        both = self._order == "both" and not isinstance(judge, CheckJudge)
        shown = [(a, b), (b, a)][: 1 + both]
        if isinstance(judge, LlmJudge) and a == b:
            said = [0.5] * len(shown)  # nobody need be asked which of two equal texts is better
        elif isinstance(judge, LlmJudge):
            wanted = []
            for place, (first, second) in enumerate(shown):
                key = f"{draw}, order {place}"
                prompt = judge.ask(row, first, second, _seed(self._seed, key))
                wanted.append(self._want(judge, prompt, key, -1, "judge", judge.named.name))
            said = [judge.read(text) for text in self._texts(wanted, usd)]
        else:
            assert isinstance(judge, FunctionJudge | CheckJudge)
            self._desk.counts(len(shown))
            said = [_function_share(judge, where, row, *answers) for answers in shown]
        return tuple(1.0 - s if place else s for place, s in enumerate(said))

    def _judged(
        self, judge: Referee, duel: Duel, row: Any, left: str, right: str, usd: list[float]
    ) -> tuple[float, str]:
        where = f"the judge, on duel {duel.id} ({duel.left!r} against {duel.right!r}),"
        said = self.share(judge, where, row, (left, right), f"duel {duel.id}: judge", usd)
        if len(said) == 1:  # the study shows either policy on the left by a fair coin
            return said[0], ""
        # Both orders are one answer, their mean: two that disagree are a tie.
        words = {"left_share_shown_first": said[0], "left_share_shown_second": said[1]}
        return (said[0] + said[1]) / 2, json.dumps(words)

    def _canary(self, judge: Referee, duel: Duel, row: Any, answer: str) -> None:
        """Now and then, an answer that should not win, beside one that was just judged."""
        if not self._canaries or isinstance(judge, CheckJudge):
            return
        if _seed(self._seed, f"canary {duel.id}") >= self._canaries * 2**63:
            return
        for kind in KINDS:
            put = canary(kind, answer, duel.id)
            draw = f"duel {duel.id}: {kind} canary"
            try:
                said = self.share(
                    judge, f"the judge, on a {kind} canary,", row, (put, answer), draw, [0.0]
                )
            except (_CallFailed, OutOfMoney):
                return  # a canary that is not judged tells nothing
            self._desk.keep(Ask(draw, duel.id, "canary", kind), str(sum(said) / len(said)))

    def trial(self, policy: str, number: int, context: int, row: Any) -> Ended:
        """An answer that is compared with nobody's, to see whether it keeps to the constraints."""
        usd = [0.0]
        duel = -2 - context
        try:
            wanted = self._wanted(duel, policy, row, draw=f"trial {number}: {policy}")
            self._texts([wanted], usd)
        except OutOfMoney:
            return Ended(duel, "money")
        except _CallFailed as failure:
            return Ended(duel, "failed", str(failure), failure.fatal, usd[0], failure.who)
        return Ended(duel, "told", usd=usd[0])

    def _wanted(self, number: int, policy: str, row: Any, draw: str = "") -> Wanted | Work:
        if policy not in self._players.answers:
            raise PlayError(
                f"policy {policy!r} joined by Study.add, and the file does not say how to play "
                "it: ask and tell its duels in Python"
            )
        player, draw = self._players.answers[policy], draw or f"duel {number}: {policy}"
        if isinstance(player, Called):
            answer = partial(_function_text, player.function, policy, row)
            return Work(Ask(draw, number, "policy", policy), answer)
        prompt = player.ask(row, _seed(self._seed, draw))
        return self._want(player, prompt, draw, number, "policy", policy)

    def _want(
        self,
        who_says: Prompted | LlmJudge,
        prompt: Prompt,
        draw: str,
        number: int,
        role: Role,
        who: str,
    ) -> Wanted:
        chosen = isinstance(who_says, Prompted) and who_says.chooses
        key = key_of(who_says.named, prompt, draw, chosen=chosen)
        # Every try may be charged.
        most = TRIES * (who_says.model.most_usd(prompt) or 0.0)
        return Wanted(Ask(key, number, role, who, most), who_says.model, prompt)

    def _texts(self, wanted: Sequence[Wanted | Work], usd: list[float]) -> list[str]:
        ends, cost = self._desk.answers(wanted)
        usd[0] += cost
        for want, end in zip(wanted, ends, strict=True):
            if isinstance(end, Failed):
                raise _CallFailed(end, want.ask)
        return [end.text for end in ends if isinstance(end, Reply)]


def input_of(duel: int) -> int | None:
    """The input of a trial, which stands where calls have their duel's number."""
    return -2 - duel if duel < -1 else None


def _function_text(function: Callable[[Any], Any], policy: str, row: Any) -> str:
    try:
        text = function(row)
    except (Exception, SystemExit) as error:  # a user's function may raise anything
        raise PlayError(f"policy {policy!r} raised {_said(error)}") from error
    if not isinstance(text, str):
        raise PlayError(f"policy {policy!r} must return text, saw {text!r:.80}")
    return text


def _function_share(
    judge: FunctionJudge | CheckJudge, where: str, row: Any, first: str, second: str
) -> float:
    try:
        return judge.share(row, first, second)
    except ConfigError as error:
        raise PlayError(f"{where} gave no answer: {error}") from None
    except (Exception, SystemExit) as error:
        raise PlayError(f"{where} raised {_said(error)}") from error


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _seed(seed: int, name: str) -> int:
    """63 bits of its own for every named draw; a stream would cost ten times as much."""
    return int.from_bytes(blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()) >> 1
