"""Pairs: what people are shown and what becomes of what they say.

    ready ──► shown ──► said ──► settled ──► the study is told

An answer is on disk before it is acknowledged. It can be taken back until it settles, at the same
person's next answer or after a few seconds, and only then the study hears of it. After a kill the
rows say what was settled and not yet told; telling the same twice counts once.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, RLock, Thread
from time import monotonic

from bestpolicy.config import Players
from bestpolicy.core.nouns import BestPolicyError, StoreError
from bestpolicy.run.open import Opened
from bestpolicy.serve.deck import Deck, Pair, name
from bestpolicy.serve.ready import Made, Ready
from bestpolicy.store.claims import Superseded
from bestpolicy.store.ratings import Refused, Said, Seen, Side, View
from bestpolicy.study.shared import Shared

log = logging.getLogger("bestpolicy.serve")

LEASE = 600.0  # seconds that somebody has for a pair,
WATCHED = 90.0  # and where a page says every half minute that somebody is there
KEPT = 60.0  # seconds of the lease on a duel that nobody looks at yet; it is renewed
SETTLES = 20.0  # seconds in which an answer can be taken back
ACTIVE = 120.0  # seconds after which a silent person is not counted on
SKIPS = 3  # people who would not say, after which nobody else is asked
TICK = 0.5  # seconds between two looks of the keeper
FORESEEN = 10**6  # a forecast beyond this says nothing
HOLDS = 20  # pairs that one program may hold at once


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one person has come, and the study."""

    answered: int
    left: int | None  # answers still forecast; None when nobody can tell
    over: bool
    can_undo: bool
    elsewhere: bool  # what is left to answer is with other people


class Pairs:
    """The people's part of one served study."""

    def __init__(
        self, opened: Opened, players: Players, *, lease: float = LEASE, settles: float = SETTLES
    ) -> None:
        human = opened.file.section.judge.human
        assert human is not None
        self.question = human.question or "Which answer is better?"
        self.ratings = opened.ratings
        self._study = opened.study
        self._queue = human.queue
        self._budget = opened.file.section.budget.comparisons or FORESEEN
        self._lease, self._settles = lease, settles
        who = f"people {secrets.token_hex(4)}"  # of this process: another one has its own duels
        self._shared = Shared(opened.study, who, lease)
        kept = Shared(opened.study, who, min(KEPT, lease))
        self._ready = Ready(opened, players, kept, self._wanted, self._look)
        watched = Shared(opened.study, who, min(WATCHED, lease))
        self._deck = Deck(opened, self._ready, self._shared, watched)
        self._lock = RLock()
        self._untold: list[Seen] = []  # settled, and not in the record yet
        self._numbers: dict[str, int] = {}
        self._active: dict[int, float] = {}
        self._began = monotonic()
        self._idle = False
        self._left: int | None = None
        self._decided = False
        self.hangs = False
        self._stop = Event()
        self._keeper = Thread(target=self._keep, name="keeper", daemon=True)

    def start(self) -> None:
        """Finish what a killed process left, then make answers ready."""
        self.ratings.settle([o.view.id for o in self.ratings.seen() if o.state == "said"])
        known = {outcome.comparison.id for outcome in self._study.outcomes()}
        for one in self.ratings.seen():
            if one.state == "settled" and one.view.kind == "duel" and one.view.duel not in known:
                self._tell(one)
        self._look()
        self._ready.start()
        self._keeper.start()

    def close(self, within: float = 2.0) -> None:
        """Stop; what was said is settled. `hangs` says whether a call is still under way."""
        self._stop.set()
        if self._keeper.is_alive():
            self._keeper.join()
        self._settle(older=0.0)
        self.hangs = not self._ready.close(within)

    @property
    def trouble(self) -> str:
        """Why no answers can be made now; nothing if they can."""
        return self._ready.trouble

    @property
    def over(self) -> bool:
        """Whether nobody need be asked any more."""
        ready = self._ready
        if self._decided:
            return True
        if not (ready.dry or ready.spent) or ready.busy or ready.waiting():
            return False
        return ready.spent or not self._study.in_flight()

    def number_of(self, key: str) -> int:
        """The number under which the record knows whoever this key stands for."""
        with self._lock:
            if key not in self._numbers:
                self._numbers[key] = self.ratings.rater(key)
            return self._numbers[key]

    def progress(self, rater: int) -> Progress:
        mine = [one for one in self.ratings.seen() if one.view.rater == rater]
        answered = sum(one.state in ("said", "settled") for one in mine)
        can_undo = any(one.state == "said" for one in mine)
        return Progress(answered, self._left, self.over, can_undo, self._ready.dry)

    def before(self, rater: int, many: int, *, watched: bool = False) -> list[Pair]:
        """The pairs that this person has before them, dealt up to so many. `watched`: their page
        will say how long they are there."""
        with self._lock:
            self._here(rater)
            mine = self._deck.open_of(rater, watched=watched)
            while len(mine) < many and (view := self._dealt(rater)) is not None:
                mine.append(view)
            return self._pairs(mine[:many])

    def another(self, rater: int) -> Pair | None:
        """One more pair for a program; the oldest again if it holds too many."""
        with self._lock:
            self._here(rater)
            mine = self._deck.open_of(rater)
            view = self._dealt(rater) if len(mine) < HOLDS else None
            found = self._pairs([view] if view is not None else mine[:1])
        return found[0] if found else None

    def say(self, rater: int, view: str, said: Said, *, final: bool = False) -> None:
        """Keep an answer. With `final` the study is told at once; otherwise this person's earlier
        answers settle, and this one can be taken back for a while."""
        seen = self._of(rater, view)
        with self._lock:
            self._here(rater)
            if seen.state == "open" and not self._deck.keeps(seen.view):
                raise Refused("lost", "that pair went to somebody else, as it took too long")
            earlier = [] if final else self._said_by(rater, besides=view)
            self.ratings.said(view, rater, said, settles=[one.view.id for one in earlier])
            if final:
                self.ratings.settle([view])
                earlier = [seen]
            self._tell_settled(earlier)

    def skip(self, rater: int, view: str) -> None:
        """This person will not say; somebody else is asked."""
        seen = self._of(rater, view)
        with self._lock:
            self._here(rater)
            was_open = seen.state == "open" and self._deck.keeps(seen.view)
            self.ratings.skipped(view, rater)
            if was_open and seen.view.kind == "duel":
                made = self._deck.made(seen.view)
                self._deck.done(seen.view)
                if not self._given_up(made):
                    self._ready.put(made)

    def undo(self, rater: int) -> bool:
        """Take this person's last answer back; False if it is final by now."""
        with self._lock:
            self._here(rater)
            for one in reversed(self._said_by(rater)):
                if self.ratings.undone(one.view.id, rater):
                    old = one.view
                    about = {**old.about, "back": old.id}
                    again = View(name(), rater, old.kind, old.duel, old.turned, about)
                    self._deck.moved(old, again)
                    self.ratings.shown([again])
                    return True
        return False

    def _here(self, rater: int) -> None:
        self._active[rater] = monotonic()
        self._idle = False
        self._ready.poke()

    def _wanted(self) -> int:
        """How many duels should lie ready: a few more than there are people."""
        now = monotonic()
        if self._idle or self._decided:
            return 0
        people = sum(now - at < ACTIVE for at in list(self._active.values()))
        skipped = {one.view.duel for one in self.ratings.seen() if one.state == "skipped"}
        passed = sum(duel in skipped for duel in self._ready.waiting())
        return min(self._queue, 1 + people) + passed

    def _dealt(self, rater: int) -> View | None:
        view = None if self._decided else self._deck.deal(rater)
        if view is not None:
            self.ratings.shown([view])
        self._ready.poke()
        return view

    def _pairs(self, views: list[View]) -> list[Pair]:
        return [pair for view in views if (pair := self._deck.pair(view)) is not None]

    def _of(self, rater: int, view: str) -> Seen:
        seen = self.ratings.find(view)
        if seen is None or seen.view.rater != rater:
            raise Refused("unknown", "no such pair was shown to you")
        return seen

    def _said_by(self, rater: int, besides: str = "") -> list[Seen]:
        return [
            one
            for one in self.ratings.seen()
            if one.view.rater == rater and one.state == "said" and one.view.id != besides
        ]

    def _settle(self, older: float) -> None:
        """Make final what has waited for so many seconds."""
        due = monotonic() - older
        waiting = [o for o in self.ratings.seen() if o.state == "said" and o.since <= due]
        self.ratings.settle([one.view.id for one in waiting])
        with self._lock:
            self._tell_settled(waiting)

    def _tell_settled(self, asked: list[Seen]) -> None:
        if asked:
            self.ratings.seen()  # who was quicker to undo is read here
        for one in asked:
            if one.state == "settled":
                self._tell(one)

    def _tell(self, seen: Seen) -> None:
        """Tell the study what was settled. What cannot be written now is told later."""
        view, said = seen.view, seen.said
        if view.kind != "duel" or said is None:
            return
        made = self._deck.made(view)
        about = {"rater": view.rater, "both_bad": said.both_bad, "ms": said.ms}
        feedback = json.dumps({"people": about | {"first": "right" if view.turned else "left"}})
        try:
            won = winner(said.side, view.turned)
            self._shared.tell(made.held, won, cost=made.usd, feedback=feedback)
        except StoreError as error:
            known = {outcome.comparison.id for outcome in self._study.outcomes()}
            # Somebody else's answer was first; this one stays as a second opinion.
            if not isinstance(error, Superseded) and view.duel not in known:
                log.error("an answer is kept and waits to be told: %s", error)
                self._untold.append(seen)
                return
        self._deck.done(view)
        self._look()

    def _look(self) -> None:
        """How far it is to a verdict, looked at once for everybody."""
        self._decided = self._study.verdict().final
        forecast = self._study.standing().forecast
        left = self._budget - len(self._study.outcomes())
        self._left = round(min(forecast, left)) if 0 <= forecast < FORESEEN else None

    def _given_up(self, made: Made) -> bool:
        """Give a duel up that nobody who is here would answer."""
        seen, duel, now = self.ratings.seen(), made.held.id, monotonic()
        skipped = {o.view.rater for o in seen if o.view.duel == duel and o.state == "skipped"}
        here = {rater for rater, at in self._active.items() if now - at < self._lease}
        if len(skipped) < SKIPS and here - skipped:
            return False
        said = json.dumps({"people": {"skipped_by": sorted(skipped)}})
        self._shared.abandon(made.held, cost=made.usd, feedback=said)
        self._look()
        return True

    def _keep(self) -> None:
        """Settle what is due, keep what lies ready, and let go when nobody is here."""
        renewed = monotonic()
        while not self._stop.wait(TICK):
            try:
                self._settle(self._settles)
                with self._lock:
                    again, self._untold = self._untold, []
                    self._tell_settled(again)
                if monotonic() - renewed > min(KEPT, self._lease) / 3:
                    renewed = monotonic()
                    self._ready.renew()
                    self._pass_over()
                    self._look()  # other processes tell answers too
                last = max([self._began, *list(self._active.values())])
                if not self._idle and monotonic() - last > LEASE:
                    self._idle = True
                    self._ready.let_go()
            except BestPolicyError as error:
                log.error("%s", error)

    def _pass_over(self) -> None:
        """Those who might have answered what others skipped may have gone."""
        skipped = {one.view.duel for one in self.ratings.seen() if one.state == "skipped"}
        with self._lock:
            while (made := self._ready.take(skipped.__contains__)) is not None:
                if not self._given_up(made):
                    self._ready.put(made)
                skipped.discard(made.held.id)


@contextmanager
def people_of(opened: Opened, players: Players) -> Iterator[Pairs | None]:
    """The people's part of a study that people judge, at work; None for any other."""
    if opened.file.section.judge.human is None:
        yield None
        return
    pairs = Pairs(opened, players)
    pairs.start()
    try:
        yield pairs
    finally:
        pairs.close()


def winner(side: Side, turned: bool) -> str:
    """Who won of the duel's left and right, from where it stood on the screen."""
    if side == "tie":
        return "tie"
    return "left" if (side == "first") != turned else "right"
