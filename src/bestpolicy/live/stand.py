"""Where live traffic stands: the ledger read into the fold, and told for readers.

Beside the verdict come two alarms, both valid whenever one looks and however the chances moved.
Units that arrive in other shares than they were drawn with mean that something drops or doubles
them. Units that give feedback in other shares than they were drawn with mean that a policy changes
*whether* it is heard of, so that the means of those who answered may mislead; the bounds say how
far at worst.
"""

from __future__ import annotations

from dataclasses import dataclass

from bestpolicy.core.nouns import Interval, Standing, Verdict
from bestpolicy.live.fold import Fold
from bestpolicy.live.terms import Terms
from bestpolicy.store.ledger import Ledger, Snapshot

PAGE = 5000


@dataclass(frozen=True, slots=True)
class Share:
    """One policy's part of the traffic."""

    chance: float  # of the current snapshot
    assigned: int
    answered: int
    missing: int
    mean: Interval  # reward of those who count
    worst: tuple[float, float]  # the mean, were all the missing ones to say 0, or 1

    @property
    def waiting(self) -> int:
        """Assigned units whose end the evidence has not read."""
        return self.assigned - self.answered - self.missing


@dataclass(frozen=True, slots=True)
class Alarm:
    """An e-process against "units come as they were drawn"."""

    log_e: float
    raised: bool


@dataclass(frozen=True, slots=True)
class Stand:
    """Where live traffic stands."""

    verdict: Verdict[int]
    standing: Standing
    shares: tuple[Share, ...]
    units: int  # rows assigned
    read: int  # of which the evidence has read so many,
    told: int  # and counted so many
    snapshot: Snapshot | None
    ratio: Alarm  # units assigned
    answered: Alarm  # units that gave feedback


class Reader:
    """Reads a ledger on, as far as it has been written."""

    def __init__(self, ledger: Ledger, terms: Terms) -> None:
        self.ledger = ledger
        self.fold = Fold(terms)
        self.snapshot: Snapshot | None = None  # the newest
        self._row = self._end = -1

    def learn(self) -> bool:
        """Take note of what is new in the ledger; whether anything was."""
        any_news = False
        while True:
            # A row is there before its end, and its snapshot before either.
            ended = self.ledger.ended(self._end, PAGE)
            assigned = self.ledger.assigned(self._row, PAGE)
            version = -1 if self.snapshot is None else self.snapshot.version
            snapshots = self.ledger.snapshots(version)
            self.fold.learn(snapshots, assigned, ended)
            self.snapshot = snapshots[-1] if snapshots else self.snapshot
            self._row = assigned[-1].number if assigned else self._row
            self._end = ended[-1].seq if ended else self._end
            any_news |= bool(ended or assigned or snapshots)
            if max(len(ended), len(assigned)) < PAGE:
                return any_news

    def stand(self) -> Stand:
        """Where it stands now."""
        self.learn()
        self.fold.advance()
        return stand(self.fold, self.snapshot)


def stand(fold: Fold, snapshot: Snapshot | None) -> Stand:
    """Where a fold stands."""
    k = fold.terms.policies
    chances = snapshot.chances if snapshot is not None else (1 / k,) * k
    shares = [
        Share(chance, int(a), int(n), int(m), mean, _worst(mean, int(n), int(m)))
        for chance, a, n, m, mean in zip(
            chances,
            fold.assigned,
            fold.answered,
            fold.missing,
            fold.rewards.estimates(),
            strict=True,
        )
    ]
    return Stand(
        verdict=fold.found,
        standing=fold.rewards.standing(),
        shares=tuple(shares),
        units=fold.known,
        read=fold.at,
        told=fold.told,
        snapshot=snapshot,
        ratio=Alarm(fold.ratio.log_e, fold.ratio.raised),
        answered=Alarm(fold.answered_ratio.log_e, fold.answered_ratio.raised),
    )


@dataclass(frozen=True, slots=True)
class Replay:
    """The record beside what its rows come to when they are read again."""

    verdicts: tuple[tuple[Verdict[int], Verdict[int]], ...]  # announced, and again
    snapshots: tuple[tuple[Snapshot, tuple[float, ...]], ...]  # taken, and its chances again

    @property
    def same(self) -> bool:
        return all(told == again for told, again in self.verdicts) and all(
            taken.chances == again for taken, again in self.snapshots
        )


def replay(ledger: Ledger, terms: Terms) -> Replay:
    """Read the whole ledger again, and stop at each snapshot and each verdict."""
    reader = Reader(ledger, terms)
    reader.learn()
    fold, snapshots = reader.fold, ledger.snapshots()
    decided = dict(ledger.decided())
    verdicts, chances = [], []
    for stop in sorted({*decided, *(snapshot.reached for snapshot in snapshots)}):
        fold.advance(stop)
        chances += [(taken, fold.chances()) for taken in snapshots if taken.reached == stop]
        if stop in decided:
            verdicts.append((decided[stop], fold.found))
    return Replay(tuple(verdicts), tuple(chances))


def _worst(mean: Interval, answered: int, missing: int) -> tuple[float, float]:
    lost = missing / (answered + missing) if missing else 0.0
    return (1 - lost) * mean.low, (1 - lost) * mean.high + lost
