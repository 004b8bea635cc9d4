"""Plays a configured study: policies answer, the judge compares, the study is told.

Up to `workers` duels are in flight, each in a thread of its own that also tells its answer, so
that answers which arrive together share a commit. A duel without an answer stays open until
another one shows that its models do answer; it is then given up, and the evidence counts it at its
worst. When nothing answers any more the run stops, and the same command asks again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event

from bestpolicy.config import Players
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.duel import Duel
from bestpolicy.llm.judges import People
from bestpolicy.llm.prompts import Row
from bestpolicy.llm.votes import Votes
from bestpolicy.run.desk import Desk, PlayError
from bestpolicy.run.duels import Ended, Table
from bestpolicy.run.limits import Limits
from bestpolicy.run.open import Opened
from bestpolicy.run.source import Source
from bestpolicy.run.work import Worker
from bestpolicy.store.claims import Superseded
from bestpolicy.study import Study

MONEY = "the budget of dollars is spent: the next answer could exceed it"
PATIENCE = 8  # times in a row without an answer, after which a model is taken to be down
PAUSE = 0.25  # seconds between two looks for what others have left behind
AHEAD = 4  # duels for each worker, asked beyond the first that is still open


@dataclass(slots=True)
class Played:
    """What came of it: calls made, and why no more were made if the study would go on."""

    calls: int = 0
    halted: str = ""
    waiting: int = 0  # duels that wait for people
    told: int = 0  # duels answered here


@dataclass(slots=True)
class _Round:
    """What is under way and what went wrong so far."""

    flying: dict[Future[Ended], Duel] = field(default_factory=dict)
    failed: list[Ended] = field(default_factory=list)  # open, until another duel is answered
    in_a_row: int = 0
    told: int = 0
    waiting: int = 0
    newest: int = -1  # duel
    silent: Counter[str] = field(default_factory=Counter)  # calls in a row of whoever fails
    halted: str = ""
    error: BaseException | None = None


def play(
    opened: Opened,
    players: Players,
    *,
    stop: Event,
    watch: Callable[[], object],
    worker: Worker | None = None,
) -> Played:
    """Ask until the study is decided, out of budget or stopped, finishing what is in flight.

    A `worker` shares the study with others, and goes on as long as any of them may die.
    """
    study, file, calls = opened.study, opened.file, opened.calls
    source: Source = study if worker is None else worker
    if worker is None:
        _check_alone(opened, players)
    section = file.section
    desk = Desk(calls, section.budget.usd)
    limits = Limits(section.constraints, players.checks, file.rows, study, calls)
    table = Table(
        *(source, players, desk),
        seed=study.seed,
        order=section.judge.order,
        canaries=section.judge.canaries,
    )
    earlier = _Earlier(study, players.judge)
    patience = max(PATIENCE, 2 * section.workers)
    now = _Round()

    def trial(policy: str, first: int, many: int) -> bool:
        return _tried(opened, table, now, stop, policy, range(first, first + many))

    try:
        limits.enforce(trial)  # a process killed before it could must not make a difference
        with ThreadPoolExecutor(section.workers, thread_name_prefix="duel") as pool:
            while True:
                if now.error is None and not now.halted and not stop.is_set():
                    for duel in _next(study, source, players, now, section.workers):
                        context, before = earlier.of(duel)
                        now.flying[pool.submit(table.play, duel, context, before)] = duel
                        now.newest = max(now.newest, duel.id)
                if not now.flying:
                    ended = now.error is not None or now.halted or stop.is_set()
                    if ended or worker is None or not worker.unfinished():
                        break
                    stop.wait(PAUSE)
                    watch()
                    continue
                done, _ = wait(now.flying, timeout=0.25, return_when=FIRST_COMPLETED)
                for future in done:
                    _note(source, now.flying.pop(future), future, now, patience)
                if done and now.error is None:
                    limits.enforce(trial)
                watch()
        _give_up(source, now)
    finally:
        desk.close()
    if now.error is not None:
        raise now.error
    return Played(desk.made, now.halted, now.waiting, now.told)


def _tried(
    opened: Opened, table: Table, now: _Round, stop: Event, policy: str, numbers: range
) -> bool:
    """Have a policy answer these trials, `workers` at a time; False if it cannot now."""
    file, workers = opened.file, opened.file.section.workers
    rows: Sequence[Row] = file.rows or [{}]
    order = stream(file.section.seed, "trial").permutation(len(rows)).tolist()

    def one(number: int) -> Ended:
        context = order[number % len(rows)]
        return table.trial(policy, number, context, rows[context])

    with ThreadPoolExecutor(workers, thread_name_prefix="trial") as pool:
        for batch in range(0, len(numbers), workers):
            if stop.is_set() or now.halted:
                return False
            for ended in pool.map(one, numbers[batch : batch + workers]):
                if ended.how == "money":
                    now.halted = MONEY
                if ended.fatal:
                    goes_on = "when that is mended, the same command goes on"
                    raise PlayError(f"{ended.reason}; {goes_on}")
    return not now.halted


def _check_alone(opened: Opened, players: Players) -> None:
    """Refuse to play what others play now: every call would be made twice."""
    if isinstance(players.judge, People):  # they hold what they rate, and only texts are made here
        return
    if held := opened.claims.held():
        last = max(held, key=lambda hold: hold.seconds)
        raise ConfigError(
            f"{len(held)} duels of this study are played by others now ({last.who} for up to "
            f"{last.seconds:.0f} s more): join them with `bestpolicy work`, or wait until they end"
        )


def _next(study: Study, source: Source, players: Players, now: _Round, workers: int) -> list[Duel]:
    free = workers - len(now.flying)
    if free <= 0:
        return []
    # Evidence reads answers in ask order: far ahead of a slow one nothing more can be learnt.
    if now.flying and (ahead := now.newest - study.verdict().comparisons) >= AHEAD * workers:
        others = source.others() if isinstance(source, Worker) else 0
        if ahead >= AHEAD * (workers + others):
            return []
    if isinstance(players.judge, People):
        free = min(free, players.judge.queue - now.waiting - len(now.flying))
    return source.ask(free) if free > 0 else []


def _note(source: Source, duel: Duel, future: Future[Ended], now: _Round, patience: int) -> None:
    """What a duel's end means for the run."""
    try:
        ended = future.result()
    except BaseException as error:
        now.error = now.error or error
        return
    match ended.how:
        case "told":
            now.told, now.in_a_row = now.told + 1, 0
            for who in (duel.left, duel.right, "the judge"):
                now.silent.pop(who, None)
            _give_up(source, now)
        case "people":
            now.waiting += 1
        case "money":
            now.halted = MONEY
        case "votes":
            now.halted = "the recorded votes of the pair to compare next are used up"
        case "failed":
            now.failed.append(ended)
            now.in_a_row, now.silent[ended.who] = now.in_a_row + 1, now.silent[ended.who] + 1
            if ended.fatal or now.silent[ended.who] >= patience or now.in_a_row >= patience:
                times = max(now.silent[ended.who], now.in_a_row)
                many = "" if ended.fatal else f"{times} times in a row there was no answer; "
                now.error = now.error or PlayError(
                    f"{many}{ended.reason}. Nothing of it is counted; when that is mended, the "
                    "same command goes on"
                )


def _give_up(source: Source, now: _Round) -> None:
    """Duels that failed while others did not: their answers will never come."""
    if now.error is not None:
        return
    if now.failed and not now.told:
        now.error = PlayError(
            f"no duel had an answer; {now.failed[-1].reason}. Nothing of it is counted; when that "
            "is mended, the same command goes on"
        )
        return
    for ended in now.failed:
        with suppress(Superseded):  # somebody else plays it now
            source.abandon(ended.duel, cost=ended.usd, feedback=ended.reason)
    now.failed.clear()


class _Earlier:
    """How many duels of the same pair, and input where votes name one, came before each duel."""

    def __init__(self, study: Study, judge: object) -> None:
        self._study = study
        self._votes = judge if isinstance(judge, Votes) else None
        self._seen: Counter[tuple[int, int, int | None]] = Counter()
        self._before: dict[int, int] = {}

    def of(self, duel: Duel) -> tuple[int | None, int]:
        """The input's number, and how many."""
        context = self._study.question(duel.id).context
        if self._votes is None:
            return context, 0
        for number in range(len(self._before), duel.id + 1):
            asked = self._study.question(number)
            a, b = sorted(asked.arms)
            key = (a, b, asked.context if self._votes.about_inputs else None)
            self._before[number] = self._seen[key]
            self._seen[key] += 1
        return context, self._before[duel.id]
