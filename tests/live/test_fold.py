"""Evidence is read in the order of assignment, each unit once, and can be computed again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lives import Desk, claim, hashed

from bestpolicy.core.rng import stream
from bestpolicy.live.books import Books
from bestpolicy.live.fold import Fold
from bestpolicy.live.intake import Conflict, Receipt, TooLate
from bestpolicy.live.stand import Reader, replay
from bestpolicy.live.terms import Terms
from bestpolicy.store.ledger import Assigned, Ended, Snapshot


def play(
    desk: Desk, units: range, means: Sequence[float], *, shuffled: int | None = None
) -> list[Assigned]:
    """Assign these units, then tell what they gave back, in another order if so wished."""
    rows = [desk.assign(f"unit {n}") for n in units]
    order = list(range(len(rows)))
    if shuffled is not None:
        stream(shuffled, "order").shuffle(order)
    for n in order:
        x = stream(0, "reward", rows[n].number).random()
        desk.feedback(rows[n], float(x < means[rows[n].policy]), f"key {rows[n].number}")
    return rows


def seen(fold: Fold) -> Any:
    return (
        *(fold.at, fold.told, fold.found, fold.ratio.log_e, fold.answered_ratio.log_e),
        fold.rewards.standing().proof.tolist(),
    )


def test_the_order_in_which_feedback_comes_changes_nothing(tmp_path: Path) -> None:
    folds = []
    for shuffled in (None, 1, 2):
        desk = Desk(tmp_path / f"{shuffled}.db")
        play(desk, range(40), (0.3, 0.7), shuffled=shuffled)
        desk.books.turn()
        folds.append(seen(desk.books._reader.fold))
        desk.store.close()
    assert folds[0] == folds[1] == folds[2]
    assert folds[0][:2] == (40, 40)


def test_a_fold_that_reads_whatever_came_is_caught() -> None:
    class Hasty(Fold):
        """The broken twin: it does not wait for those who were assigned earlier."""

        def advance(self, stop: int | None = None) -> None:
            for n in range(self.known):
                if self._reward[n] == self._reward[n] and n not in self.had:
                    self.had.add(n)
                    self._read(self._policy[n], self._snapshot[n], self._reward[n])

    def ends(fold: Fold, order: Sequence[int]) -> Any:
        rows = [Assigned(n, f"{n}", 0, n % 2, 0, 0.5, True, 0.0) for n in range(30)]
        fold.learn([Snapshot(0, 0, 0, (0.5, 0.5))], rows, [])
        for seq, n in enumerate(order):
            fold.learn([], [], [Ended(seq, n, f"{n}", "", float(n % 3 > 0))])
            fold.advance()
        return fold.rewards.standing().proof.tolist(), fold.told

    def both(make: type[Fold]) -> list[Any]:
        folds = [make(Terms(2)), make(Terms(2))]
        for fold in folds:
            fold.had = set()  # type: ignore[attr-defined]
        return [ends(folds[0], range(30)), ends(folds[1], range(29, -1, -1))]

    forward, backward = both(Fold)
    assert forward == backward
    forward, backward = both(Hasty)
    assert forward != backward


def test_nobody_is_read_before_those_who_were_assigned_earlier(store_url: str) -> None:
    desk = Desk(store_url)
    rows = [desk.assign(f"{n}") for n in range(5)]
    for row in rows[1:]:
        assert isinstance(desk.feedback(row, 1.0, f"{row.number}"), Receipt)
    assert (desk.books.stand().read, desk.books.stand().told) == (0, 0)
    desk.feedback(rows[0], 0.0, "0")
    assert (desk.books.stand().read, desk.books.stand().told) == (5, 5)
    desk.store.close()


@pytest.mark.parametrize(("missing", "told"), [(None, 2), (0.0, 4)])
def test_a_unit_whose_window_passed_is_left_out_or_counts_as_told(
    store_url: str, missing: float | None, told: int
) -> None:
    desk = Desk(store_url, window=60.0, missing=missing)
    rows = [desk.assign(f"{n}") for n in range(4)]
    desk.feedback(rows[1], 1.0, "a")
    desk.feedback(rows[2], 1.0, "b")
    desk.books.turn()
    desk.clock.now = 59.9
    desk.books.turn()
    assert desk.books.stand().read == 0
    desk.clock.now = 60.0
    desk.books.turn()
    at = desk.books.stand()
    assert (at.read, at.told) == (4, told)
    assert sum(share.missing for share in at.shares) == 2
    assert sum(share.answered for share in at.shares) == 2
    assert isinstance(desk.feedback(rows[0], 1.0, "c"), TooLate)
    assert isinstance(desk.feedback(rows[1], 1.0, "a"), Receipt)  # the stored answer, for ever
    desk.store.close()


def test_feedback_before_the_end_was_recorded_wins_and_after_the_window_is_refused(
    store_url: str,
) -> None:
    desk = Desk(store_url, window=60.0)
    early, late = desk.assign("early"), desk.assign("late")
    desk.books.turn()
    desk.clock.now = 59.0
    assert isinstance(desk.feedback(early, 1.0, "a"), Receipt)
    desk.clock.now = 61.0
    assert isinstance(desk.feedback(late, 1.0, "b"), TooLate)  # though no sweep has come by yet
    desk.books.turn()
    assert [end.reward for end in desk.store.ledger().ended()] == [1.0, None]
    desk.store.close()


def test_jumps_of_the_wall_clock_end_no_window(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "x.db", window=60.0)
    rows = []
    for jump in (0.0, 3600.0, -3600.0, 86400.0, -86400.0):
        desk.wall.now += jump
        rows.append(desk.assign(f"{jump}"))
        desk.books.turn()
    assert desk.store.ledger().ended() == []
    assert all(isinstance(desk.feedback(r, 1.0, f"{r.number}"), Receipt) for r in rows)
    desk.store.close()


def test_windows_on_the_wall_clock_are_caught(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "x.db", window=60.0)
    desk.books._clock = desk.wall
    desk.assign("unit")
    desk.books.turn()
    desk.wall.now += 3600.0
    desk.books.turn()
    assert len(desk.store.ledger().ended()) == 1
    desk.store.close()


def test_a_restart_gives_those_who_wait_their_window_anew(store_url: str) -> None:
    desk = Desk(store_url, window=60.0)
    row = desk.assign("unit")
    desk.books.turn()
    desk.store.close()
    again = Desk(store_url, window=60.0)
    again.clock.now = 59.0
    again.books.turn()
    assert isinstance(again.feedback(row, 1.0, "key"), Receipt)
    again.store.close()


def test_a_better_policy_wins_and_then_has_all_units(store_url: str) -> None:
    desk = Desk(store_url, policies=3, confidence=0.9)
    for start in range(0, 4000, 50):
        play(desk, range(start, start + 50), (0.4, 0.6, 0.3))
        desk.books.turn()
        if desk.books.stand().verdict.final:
            break
    at = desk.books.stand()
    assert (at.verdict.kind, at.verdict.policy) == ("winner", 1)
    assert desk.books.snapshot.chances == (0.0, 1.0, 0.0)
    assert {desk.assign(f"new {n}").policy for n in range(20)} == {1}
    again = replay(desk.store.ledger(), desk.books.terms)
    assert again.same
    assert len(again.snapshots) > 2
    assert [told for told, _ in again.verdicts] == [at.verdict]
    # Whoever reads the ledger from the beginning finds the same.
    fresh = Reader(desk.store.ledger(), desk.books.terms).stand()
    assert (fresh.verdict, fresh.snapshot, fresh.told) == (at.verdict, at.snapshot, at.told)
    desk.store.close()


def test_a_replay_notices_a_reward_that_was_changed(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "x.db", confidence=0.9)
    for start in range(0, 1000, 50):
        play(desk, range(start, start + 50), (0.1, 0.9))
        desk.books.turn()
    told = desk.store.ledger().ended()
    turned = [e for e in told if e.number < 60]

    class Changed:
        """A ledger some of whose rewards are the other way round."""

        def __init__(self, ledger: Any) -> None:
            self.snapshots, self.assigned, self.decided = (
                *(ledger.snapshots, ledger.assigned),
                ledger.decided,
            )

        def ended(self, after: int = -1, most: int = 5000) -> list[Ended]:
            return [
                Ended(e.seq, e.number, e.key, e.body, 1 - e.reward if e in turned else e.reward)
                for e in told
                if e.seq > after
            ]

    assert replay(desk.store.ledger(), desk.books.terms).same
    assert not replay(Changed(desk.store.ledger()), desk.books.terms).same  # type: ignore[arg-type]
    desk.store.close()


def test_a_unit_keeps_its_policy_until_that_is_proven_worse_and_then_counts_no_more(
    store_url: str,
) -> None:
    desk = Desk(store_url, policies=2, confidence=0.9)
    rows = play(desk, range(400), (0.05, 0.95))
    desk.books.turn()
    assert desk.books.stand().verdict.policy == 1
    loser = next(r for r in rows if r.policy == 0)
    winner = next(r for r in rows if r.policy == 1)
    assert desk.assign(f"unit {winner.number}") == winner
    moved = desk.assign(f"unit {loser.number}")
    assert (moved.policy, moved.nth, moved.counts) == (1, 1, False)
    assert desk.assign(f"unit {loser.number}") == moved
    told = desk.books.stand().told
    assert desk.feedback(moved, 1.0, "again") == Receipt(moved.number, counts=False)
    assert desk.books.stand().told == told
    desk.store.close()


def test_an_assignment_that_a_crash_took_comes_back_from_its_token(store_url: str) -> None:
    desk = Desk(store_url)
    desk.assign("somebody")
    lost = Assigned(77, hashed("lost"), 0, 1, 0, 0.5, True, 0.0)
    receipt = desk.feedback(lost, 1.0, "key")
    assert receipt == Receipt(1, counts=True)
    assert desk.feedback(lost, 1.0, "key") == receipt
    assert isinstance(desk.feedback(lost, 1.0, "another key"), Conflict)
    (row,) = desk.store.ledger().assigned(after=0)
    assert (row.unit, row.policy, row.propensity) == (hashed("lost"), 1, 0.5)
    late = claim(Assigned(78, hashed("late"), 0, 1, 0, 0.5, True, 0.0), fresh=False)
    assert isinstance(desk.feedback(late, 1.0, "k2"), TooLate)
    elsewhere = claim(Assigned(79, hashed("else"), 0, 1, 0, 0.3, True, 0.0))
    assert isinstance(desk.feedback(elsewhere, 1.0, "k3"), Conflict)
    desk.store.close()


def test_a_refused_request_leaves_its_neighbours_alone(store_url: str) -> None:
    from bestpolicy.live.draw import place
    from bestpolicy.live.intake import Arrival, Feedback

    desk = Desk(store_url)
    row = desk.assign("a")
    new = Arrival(hashed("b"), place(b"k", "live", "b"))
    batch = [
        Feedback(claim(row), "k", "body", 1.0),
        Feedback(claim(row), "k", "another body", 0.0),
        new,
        Feedback(claim(row), "k2", "body", 1.0),
        new,
        Feedback(claim(row), "k", "body", 1.0),
    ]
    one, two, three, four, five, six = desk.books.settle(batch)
    assert one == six == Receipt(0, counts=True)
    assert isinstance(two, Conflict)
    assert isinstance(four, Conflict)
    assert isinstance(three, Assigned)
    assert three == five
    assert len(desk.store.ledger().assigned()) == 2
    assert len(desk.store.ledger().ended()) == 1
    desk.store.close()


def test_missing_feedback_that_depends_on_the_policy_is_noticed(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "x.db", window=1.0)
    for start in range(0, 4000, 500):
        rows = [desk.assign(f"{n}") for n in range(start, start + 500)]
        for row in rows:
            if stream(1, "lost", row.number).random() < (0.5, 0.95)[row.policy]:
                desk.feedback(row, 0.5, f"{row.number}")
        desk.books.turn()
        desk.clock.now += 2.0
        desk.books.turn()
    at = desk.books.stand()
    assert at.answered.raised
    assert not at.ratio.raised
    for share, lost in zip(at.shares, (0.5, 0.05), strict=True):
        assert abs(share.missing / (share.missing + share.answered) - lost) < 0.1
        low, high = share.worst
        assert low < share.mean.low
        assert high > share.mean.high
    desk.store.close()


def test_units_are_drawn_with_the_chances_that_are_told() -> None:
    from scipy.stats import binom

    from bestpolicy.live.draw import drawn, place

    chances = (0.2, 0.0, 0.5, 0.3)
    drew = [drawn(place(b"key", "study", f"unit {n}"), chances) for n in range(20_000)]
    counts = np.bincount(drew, minlength=4)
    for count, chance in zip(counts.tolist(), chances, strict=True):
        low, high = binom.ppf([1e-7, 1 - 1e-7], len(drew), chance)
        assert low <= count <= high
    assert drawn(1 - 2**-53, (0.1,) * 10) == 9


def test_a_snapshot_taken_by_another_process_is_the_one_that_holds(store_url: str) -> None:
    one, two = Desk(store_url), Desk(store_url)
    play(one, range(100), (0.5, 0.5))
    one.books.turn()
    two.books.turn()
    assert one.books.snapshot == two.books.snapshot
    assert one.books.snapshot.version == 1
    row = two.assign("unit 3")
    assert row == one.assign("unit 3")
    assert row.number == 3
    assert isinstance(two.books, Books)
    one.store.close()
    two.store.close()
