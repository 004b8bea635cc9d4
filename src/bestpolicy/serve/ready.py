"""Ready duels: answers are made before anybody waits for them, a few duels ahead and no more.

    claim ──► both answers, kept as they are paid ──► ready ──► a person's screen

Far ahead the design would ask what it may no longer want to know. Two answers that are the same
text need nobody to look at them: they tie. A policy without an answer is tried as a run tries it:
its duel stays open until another shows that the models do answer, and is then given up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Event, Thread
from time import monotonic

from bestpolicy.config import Players
from bestpolicy.core.nouns import BestPolicyError
from bestpolicy.core.rng import stream
from bestpolicy.llm.prompts import Row
from bestpolicy.run.desk import Desk, PlayError
from bestpolicy.run.duels import Ended, Table
from bestpolicy.run.limits import Limits
from bestpolicy.run.open import Opened
from bestpolicy.run.play import PATIENCE
from bestpolicy.run.texts import texts_of
from bestpolicy.study.shared import Held, Shared

log = logging.getLogger("bestpolicy.serve")

AHEAD = 4  # times the queue: answers that may wait for one before them
SAME = '{"same_text": true}'
PAUSE, LONGEST = 5.0, 300.0  # seconds after models have failed, doubled each time


@dataclass(frozen=True, slots=True)
class Made:
    """A duel whose answers are on record."""

    held: Held
    usd: float


class Ready:
    """Makes duels ready in threads of its own. `wanted` says how many there should be."""

    def __init__(
        self,
        opened: Opened,
        players: Players,
        shared: Shared,
        wanted: Callable[[], int],
        told: Callable[[], object],
    ) -> None:
        section = opened.file.section
        self._opened = opened
        human = section.judge.human
        self._queue = 1 if human is None else human.queue
        self._shared = shared
        self._wanted = wanted
        self._told = told  # somebody wants to know when an answer has gone to the study
        self._desk = Desk(opened.calls, section.budget.usd)
        order, canaries = section.judge.order, section.judge.canaries
        self._table = Table(
            *(opened.study, players, self._desk),
            seed=opened.study.seed,
            order=order,
            canaries=canaries,
        )
        self._limits = Limits(
            section.constraints, players.checks, opened.file.rows, opened.study, opened.calls
        )
        self._stop = Event()
        self._change = Condition()  # guards all that follows
        self._ready: dict[int, Made] = {}
        self._making: dict[int, Held] = {}
        self._failed: list[tuple[Held, Ended]] = []
        self._asking = 0
        self._in_a_row = 0
        self._pause = PAUSE
        self._resumes = 0.0
        self._enforcing = False
        self.trouble = ""  # why nothing is made now
        self.spent = False  # the dollars are: nothing will be made any more
        self._dry_at = -1  # as many outcomes were known when the study last had nothing to ask
        patience = max(PATIENCE, 2 * section.workers)
        self._threads = [
            Thread(target=self._work, args=(patience,), name=f"ready-{i}", daemon=True)
            for i in range(section.workers)
        ]

    def start(self) -> None:
        self._limits.enforce(self._trial)  # what a killed process did not come to
        for thread in self._threads:
            thread.start()

    def close(self, within: float) -> bool:
        """Stop; False if a call is still under way after so many seconds."""
        self._stop.set()
        with self._change:
            self._change.notify_all()
        end = monotonic() + within
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - monotonic()))
        with self._change:
            left = [made.held for made in self._ready.values()] + [f[0] for f in self._failed]
        self._shared.release(left)
        done = not any(thread.is_alive() for thread in self._threads)
        if done:
            self._desk.close()
        return done

    def take(self, is_for: Callable[[int], bool]) -> Made | None:
        """The oldest ready duel that is for this person, out of the others' reach."""
        with self._change:
            for duel in sorted(self._ready):
                if is_for(duel):
                    self._change.notify_all()
                    return self._ready.pop(duel)
        return None

    def put(self, made: Made) -> None:
        """Somebody did not want it; others may."""
        with self._change:
            self._ready[made.held.id] = made

    def poke(self) -> None:
        """More may be wanted now."""
        with self._change:
            self._change.notify_all()

    def renew(self) -> None:
        """Keep what nobody has taken yet, and forget what was lost."""
        with self._change:
            held = [made.held for made in self._ready.values()] + list(self._making.values())
            held += [one for one, _ in self._failed]
        kept = {one.id for one in self._shared.renew(held)}
        with self._change:
            for one in held:
                if one.id not in kept:
                    self._ready.pop(one.id, None)
            self._failed = [pair for pair in self._failed if pair[0].id in kept]

    def let_go(self) -> None:
        """Nobody is here: what lies ready may be somebody else's."""
        with self._change:
            left, self._ready = [made.held for made in self._ready.values()], {}
        self._shared.release(left)

    def waiting(self) -> list[int]:
        """The duels that lie ready."""
        with self._change:
            return sorted(self._ready)

    @property
    def dry(self) -> bool:
        """Whether the study has nothing to ask: it had not, and nothing was told since."""
        return self._dry_at == len(self._opened.study.outcomes())

    @property
    def busy(self) -> bool:
        """Whether something is being made now."""
        return bool(self._making or self._asking)

    def _work(self, patience: int) -> None:
        while not self._stop.is_set():
            try:
                held = self._claimed()
                if held is None:
                    with self._change:
                        self._change.wait(0.5)
                    continue
                ended = self._played(held)
                self._note(held, ended, patience)
            except Exception as error:  # whatever it was, the next try may fare better
                self._trouble(error)

    def _claimed(self) -> Held | None:
        with self._change:
            coming = len(self._ready) + len(self._making) + self._asking
            halted = self.spent or self._enforcing or monotonic() < self._resumes
            if halted or coming >= self._wanted():
                return None
            self._asking += 1
        taken: list[Held] = []
        known = len(self._opened.study.outcomes())
        try:
            if not self._is_far_ahead():
                taken = self._shared.ask(1)
        finally:
            with self._change:
                self._asking -= 1
                self._making |= {held.id: held for held in taken}
        self._dry_at = -1 if taken else known
        return taken[0] if taken else None

    def _is_far_ahead(self) -> bool:
        """Whether answers wait in number for one before them, which somebody has on the screen:
        evidence is read in ask order, and what is asked now would be asked blindly."""
        study = self._opened.study
        waiting = {duel.id for duel in study.in_flight()}
        asked = len(study.outcomes()) + len(waiting)
        if not waiting or asked - min(waiting) <= AHEAD * self._queue:
            return False
        return waiting <= {hold.duel for hold in self._opened.claims.held()}

    def _played(self, held: Held) -> Ended:
        try:
            context = self._opened.study.question(held.id).context
            return self._table.play(held.duel, context, 0)
        except BaseException:
            with self._change:
                self._making.pop(held.id, None)
            self._shared.release([held])
            raise

    def _note(self, held: Held, ended: Ended, patience: int) -> None:
        if ended.how != "people":
            with self._change:
                self._making.pop(held.id, None)
        if ended.how == "people":
            self._file_away(held, ended)
            self._give_up()
            self._enforce()
        elif ended.how == "failed":
            with self._change:
                self._failed.append((held, ended))
                self._in_a_row += 1
                down = ended.fatal or self._in_a_row >= patience
            if down:
                raise PlayError(ended.reason)
        else:
            self.spent = ended.how == "money"
            self._shared.release([held])

    def _file_away(self, held: Held, ended: Ended) -> None:
        """Put it where people find it, unless there is nothing to choose."""
        question = self._opened.study.question(held.id)
        names = self._opened.study.policies
        ((left, right),) = texts_of(self._opened.file, self._opened.calls, [question], names)
        if left == right:
            self._shared.tell(held, "tie", cost=ended.usd, feedback=SAME)
        with self._change:
            self._making.pop(held.id, None)
            if left != right:
                self._ready[held.id] = Made(held, ended.usd)
            self._in_a_row, self._pause, self.trouble = 0, PAUSE, ""
        if left == right:
            self._told()

    def _give_up(self) -> None:
        """Duels that failed while another did not: their answers will never come."""
        with self._change:
            failed, self._failed = self._failed, []
        for held, ended in failed:
            self._shared.abandon(held, cost=ended.usd, feedback=ended.reason)
        if failed:
            self._told()

    def _trouble(self, error: Exception) -> None:
        known = isinstance(error, BestPolicyError)
        said = str(error) if known else f"a defect: {type(error).__name__}"
        with self._change:
            left, self._failed = [held for held, _ in self._failed], []
            self.trouble, self._in_a_row = said, 0
            self._resumes = monotonic() + self._pause
            wait, self._pause = self._pause, min(LONGEST, 2 * self._pause)
        log.error("no answers are made for people: %s; tried again in %.0f s", said, wait)
        with suppress(BestPolicyError):  # their leases run out by themselves
            self._shared.release(left)

    def _enforce(self) -> None:
        """Who breaks a constraint leaves, one look at a time."""
        if not self._opened.file.section.constraints:
            return
        with self._change:
            if self._enforcing:
                return
            self._enforcing = True
        try:
            self._limits.enforce(self._trial)
        finally:
            with self._change:
                self._enforcing = False

    def _trial(self, policy: str, first: int, many: int) -> bool:
        """Have a policy answer these trials; False if it cannot now."""
        file = self._opened.file
        rows: Sequence[Row] = file.rows or [{}]
        order = stream(file.section.seed, "trial").permutation(len(rows)).tolist()
        for number in range(first, first + many):
            context = order[number % len(rows)]
            ended = self._table.trial(policy, number, context, rows[context])
            self.spent = self.spent or ended.how == "money"
            if ended.fatal:
                raise PlayError(ended.reason)
            if self._stop.is_set() or self.spent:
                return False
        return True
