"""Policies whose calls fail unequally are told of, with what the missing answers could hide."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from bestpolicy.config import load
from bestpolicy.core.rng import stream
from bestpolicy.core.talk import Failed, Reply
from bestpolicy.report.snapshot import Pair, Snapshot
from bestpolicy.run import Opened, open_study, snapshot
from bestpolicy.store.calls import Account, Ask
from bounds import at_most
from llm.fake_provider import FakeProvider
from run.playing import policy, write

SAID = re.compile(
    r"calls of (\w) fail more often than those of \w: .* would be between ([\d.]+)% and ([\d.]+)%"
)


def opened(folder: Path) -> Opened:
    with FakeProvider() as server:
        names = [policy(name, server) for name in "ab"]
        path = write(folder, server, policies=names, inputs=[f"question {i}" for i in range(500)])
    return open_study(load(str(path)))


def played(study: Opened, seed: int, duels: int, *, often: float) -> Snapshot:
    """Duels in which calls of `b` fail with chance `often`, those of `a` with 5 %."""
    rng = stream(seed, "rates")
    while len(study.study.outcomes()) < duels and (batch := study.study.ask(50)):
        asks, ends = [], list[Reply | Failed]()
        for duel in batch:
            fails = {name: rng.random() < chance for name, chance in (("a", 0.05), ("b", often))}
            for name in (duel.left, duel.right):
                asks.append(Ask(f"duel {duel.id}: {name}", duel.id, "policy", name))
                ends.append(Failed(("HTTP 500",)) if fails[name] else Reply("x"))
            if any(fails.values()):
                study.study.abandon(duel, feedback="HTTP 500")
            else:
                study.study.tell(duel, "tie" if rng.random() < 0.9 else float(rng.random() < 0.5))
        study.calls.settle(asks, ends, [0] * len(asks))
    return snapshot(study)


def told_of(at: Snapshot) -> list[str]:
    return [said for said in at.warnings() if "fail more often" in said]


@pytest.mark.slow
def test_rates_of_5_and_20_percent_are_told_apart_in_1000_calls_every_time(tmp_path: Path) -> None:
    for seed in range(4):
        (folder := tmp_path / str(seed)).mkdir()
        with opened(folder) as study:
            at = played(study, seed, 500, often=0.2)
            assert sum(len(account.ends) for account in at.accounts.values()) == 1000
            (said,) = told_of(at)
        worst, low, high = SAID.search(said).groups()  # type: ignore[union-attr]
        assert worst == "b"
        # Whatever the missing answers were, the share is within the bounds, which are reached.
        shares = [o.scores and o.scores[o.comparison.arms.index(1)] for o in at.outcomes]
        known = sum(share for share in shares if share is not None)
        lost = shares.count(None)
        could = [(known + won) / len(shares) for won in range(lost + 1)]
        assert (f"{min(could):.1%}", f"{max(could):.1%}") == (f"{low}%", f"{high}%")


def test_the_bounds_are_those_of_every_way_the_missing_answers_could_have_gone(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as study:
        at = snapshot(study)
    for n, lost in product((1, 4), (1, 3)):
        for won in range(n + 1):
            pair = Pair(float(won), n, lost)
            accounts = {("policy", "a"): ends(0, 500), ("policy", "b"): ends(100, 500)}
            pairs = {(1, 0): pair, (0, 1): Pair(n - float(won), n, lost)}
            (said,) = told_of(replace(at, accounts=accounts, pairs=pairs))
            _, low, high = SAID.search(said).groups()  # type: ignore[union-attr]
            could = [(won + sum(way)) / (n + lost) for way in product((0, 1), repeat=lost)]
            assert (f"{min(could):.1%}", f"{max(could):.1%}") == (f"{low}%", f"{high}%")


def ends(failed: int, of: int) -> Account:
    return Account(
        usd=array("d", [0.0] * (of - failed)),
        seconds=array("d", [0.0] * (of - failed)),
        ends=array("d", [1.0] * failed + [0.0] * (of - failed)),
    )


def by_eye(at: Snapshot) -> list[str]:
    """The customary way: a z-test of two rates, looked at again and again."""
    a, b = (at.accounts["policy", name] for name in "ab")
    rates = [account.failed / len(account.ends) for account in (a, b)]
    scatter = sum(r * (1 - r) / len(a.ends) for r in rates) ** 0.5
    return ["differ"] if abs(rates[0] - rates[1]) > 1.96 * scatter else []


def false_alarms(at: Snapshot, flag: Callable[[Snapshot], list[str]], runs: int) -> int:
    """Studies with equal rates in which one of many looks raised the alarm."""
    found = 0
    for run in range(runs):
        fails = stream(run, "equal").random((2, 1000)) < 0.1
        looks = (
            replace(
                at,
                confidence=0.95,
                accounts={
                    ("policy", name): ends(int(fails[i, :n].sum()), n)
                    for i, name in enumerate("ab")
                },
            )
            for n in range(100, 1001, 100)
        )
        found += any(flag(look) for look in looks)
    return found


def test_equal_rates_are_hardly_ever_told_apart_however_often_one_looks(tmp_path: Path) -> None:
    with opened(tmp_path) as study:
        at = snapshot(study)
    assert at_most(false_alarms(at, told_of, 150), 150, 0.05)
    assert not at_most(false_alarms(at, by_eye, 300), 300, 0.05)


def test_failed_rows_that_are_dropped_are_caught(tmp_path: Path) -> None:
    with opened(tmp_path) as study:
        at = snapshot(study)
    dropped = {("policy", name): ends(0, 500) for name in "ab"}
    assert not told_of(replace(at, accounts=dropped))
    assert told_of(replace(at, accounts={**dropped, ("policy", "b"): ends(100, 500)}))
