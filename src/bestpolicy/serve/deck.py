"""The deck: what may be shown to a person next, and the leases on what was.

    mostly a ready duel that the design asked for, now and then gold or an answered duel

A duel belongs to one person at a time. The side of each view is drawn for itself and kept with it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from bestpolicy.duel import Duel
from bestpolicy.run.open import Opened
from bestpolicy.run.texts import shown_of, texts_of
from bestpolicy.serve.ready import Made, Ready
from bestpolicy.store.claims import Claim
from bestpolicy.store.ratings import Seen, View
from bestpolicy.store.rows import digest
from bestpolicy.study.shared import Held, Shared

Chance = Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Pair:
    """One view with its texts, as they stand on the screen."""

    view: View
    row: dict[str, str]
    first: str
    second: str


class Deck:
    """What the people of one process are shown."""

    def __init__(self, opened: Opened, ready: Ready, shared: Shared, watched: Shared) -> None:
        human = opened.file.section.judge.human
        assert human is not None
        self._opened, self._ratings = opened, opened.ratings
        self._ready, self._shared, self._watched = ready, shared, watched
        self._overlap = human.overlap
        items = human.gold if isinstance(human.gold, list) else []
        self._gold = {digest(item): item for item in items}
        self._gold_share = human.gold_share if items else 0.0
        self._held: dict[str, Made] = {}  # by view
        self._lost: set[str] = set()  # views whose duels somebody else has now

    def open_of(self, rater: int, *, watched: bool = False) -> list[View]:
        """What this person was shown and has not answered, the leases renewed."""
        mine = [
            o.view for o in self._of(rater) if o.state == "open" and o.view.id not in self._lost
        ]
        # What was taken back stands before what was waiting behind it.
        mine.sort(key=lambda view: "back" not in view.about)
        lost = self._renewed([view for view in mine if view.kind == "duel"], watched=watched)
        return [view for view in mine if view.id not in lost]

    def keeps(self, view: View) -> bool:
        """Whether its duel is still this person's; the lease begins anew if so."""
        if view.kind != "duel":
            return True
        return view.id not in self._lost and not self._renewed([view], watched=False)

    def _renewed(self, views: list[View], *, watched: bool) -> set[str]:
        """New leases, all in one transaction; the views whose duels somebody else has now. A page
        that says by itself that somebody is there needs a short lease."""
        made = {view.id: self.made(view) for view in views}
        shared = self._watched if watched else self._shared
        kept = {held.id: held for held in shared.renew([one.held for one in made.values()])}
        self._held |= {
            name: Made(kept[one.held.id], one.usd)
            for name, one in made.items()
            if one.held.id in kept
        }
        lost = {name for name, one in made.items() if one.held.id not in kept}
        for name in lost:
            self._held.pop(name, None)
        self._lost |= lost
        return lost

    def made(self, view: View) -> Made:
        """The duel of a view under its claim, also when a process that is gone has shown it."""
        if view.id in self._held:
            return self._held[view.id]
        study, rows = self._opened.study, self._opened.file.rows
        question = study.question(view.duel)
        left, right = (study.policies[arm] for arm in question.arms)
        duel = Duel(view.duel, left, right, None if rows is None else rows[question.context])
        return Made(Held(duel, Claim(view.duel, int(view.about["token"]), 0.0)), 0.0)

    def done(self, view: View) -> None:
        """Nobody will look at this view any more."""
        self._held.pop(view.id, None)

    def moved(self, old: View, new: View) -> None:
        """The same pair under another name."""
        if old.id in self._held:
            self._held[new.id] = self._held.pop(old.id)

    def deal(self, rater: int) -> View | None:
        """One more view for this person, not yet on record; None if nothing is ready."""
        if chance(self._gold_share) and (view := self._golden(rater)) is not None:
            return view
        if chance(self._overlap) and (view := self._repeated(rater)) is not None:
            return view
        met = {seen.view.duel for seen in self._of(rater)}
        made = self._ready.take(lambda duel: duel not in met)
        if made is None or not (kept := self._shared.renew([made.held])):
            return None
        view = View(name(), rater, "duel", made.held.id, coin(), {"token": kept[0].claim.token})
        self._held[view.id] = Made(kept[0], made.usd)
        return view

    def pair(self, view: View) -> Pair | None:
        """What stands on the screen; None if a text is not on record."""
        file = self._opened.file
        if view.kind == "gold":
            item = self._gold.get(view.about["gold"])
            if item is None:  # taken out of the file since
                return None
            row = {k: str(v) for k, v in item.items() if k not in ("left", "right", "winner")}
            left, right = item["left"], item["right"]
        else:
            question = self._opened.study.question(view.duel)
            row = {} if file.rows is None else shown_of(file, file.rows[question.context])
            names = self._opened.study.policies
            ((left, right),) = texts_of(file, self._opened.calls, [question], names)
        if left is None or right is None:
            return None
        return Pair(view, row, *((right, left) if view.turned else (left, right)))

    def _golden(self, rater: int) -> View | None:
        met = {seen.view.about.get("gold") for seen in self._of(rater)}
        fresh = [key for key in self._gold if key not in met]
        if not fresh:
            return None
        key = secrets.choice(fresh)
        about = {"gold": key, "truth": self._gold[key]["winner"]}
        return View(name(), rater, "gold", -1, coin(), about)

    def _repeated(self, rater: int) -> View | None:
        """A duel that others have answered and this person has not met."""
        seen = [one for one in self._ratings.seen() if one.view.kind != "gold"]
        met = {one.view.duel for one in seen if one.view.rater == rater}
        twice = {one.view.duel for one in seen if one.view.kind == "again"}
        known = {one.view.duel for one in seen if one.state == "settled"} - met
        fresh = sorted(known - twice) or sorted(known)
        if not fresh:
            return None
        return View(name(), rater, "again", secrets.choice(fresh), coin())

    def _of(self, rater: int) -> list[Seen]:
        return [seen for seen in self._ratings.seen() if seen.view.rater == rater]


def coin() -> bool:
    """Which side the duel's right answer stands on."""
    # Not of the study's seed: nobody who has read the file may foretell a side.
    return bool(secrets.randbits(1))


def chance(share: float) -> bool:
    return secrets.randbelow(10**9) < share * 10**9


def name() -> str:
    """A view's name, which nobody can guess."""
    return secrets.token_urlsafe(12)
