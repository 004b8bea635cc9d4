"""Policies join and leave a running study; the promise stays, and the output tells."""

from __future__ import annotations

import json
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binom

from bestpolicy.cli import cli
from bestpolicy.core.nouns import ConfigError, Rng, StoreError
from bestpolicy.core.rng import stream
from bestpolicy.core.roster import Change, Roster, share_of
from bestpolicy.store import open_store
from bestpolicy.study import Study
from bestpolicy.study import reading as room

WORTH = {"a": 0.0, "b": -0.7, "c": -1.0, "good": 1.5, "bad": -1.5, "like a": 0.0}


def answer(study: Study, rng: Rng, most: int = 10**6, worth: dict[str, float] = WORTH) -> Study:
    for _ in range(most):
        if (duel := study.ask()) is None:
            break
        p = 1 / (1 + np.exp(worth[duel.right] - worth[duel.left]))
        study.tell(duel, float(rng.random() < p))
    return study


def begun(answers: int, run: int = 0, **options: Any) -> tuple[Study, Rng]:
    rng = stream(3, "roster", run)
    return answer(Study(["a", "b", "c"], seed=run, **options), rng, answers), rng


def test_a_better_policy_that_joins_is_named() -> None:
    study, rng = begun(30)
    before = study.standing().evidence
    study.add("good")
    assert study.standing().evidence[:3] == pytest.approx(before)
    assert study.standing().evidence[3] == pytest.approx(log(0.02 / 2))
    verdict = answer(study, rng).verdict()
    assert (verdict.kind, verdict.policy) == ("winner", "good")
    assert study.policies == ("a", "b", "c", "good")
    assert study.changes() == [Change(0, 30, "good", joins=True)]
    assert study.replay() == [(verdict, verdict)]
    assert study.tallies()["good"].comparisons > 0


def test_a_worse_policy_that_joins_is_beaten_at_its_own_expense() -> None:
    study, rng = begun(30)
    study.add("bad")
    assert answer(study, rng).verdict().policy == "a"


def test_a_policy_that_leaves_is_not_asked_about_again_and_the_rest_are_decided() -> None:
    study, rng = begun(40)
    study.retire("a")
    asked = len(study.outcomes())
    verdict = answer(study, rng).verdict()
    assert (verdict.kind, verdict.policy) == ("winner", "b")
    later = [o.comparison.arms for o in study.outcomes()[asked:]]
    assert later
    assert all(0 not in arms for arms in later)
    standing = study.standing()
    assert not standing.alive[0]
    assert len(standing.evidence) == 3
    assert study.replay() == [(verdict, verdict)]


def test_a_change_holds_from_its_ask_number_whatever_is_in_flight(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    rng = stream(4, "roster", 0)
    with Study(["a", "b", "c"], seed=1, store=url, confidence=0.999) as study:
        answer(study, rng, 25)
        waiting = study.ask(4)
        study.add("good")
        study.retire("c")
        after = study.ask(4)
        assert {duel.left for duel in after} | {duel.right for duel in after} <= {"a", "b", "good"}
        for duel in reversed([*waiting, *after]):
            study.tell(duel, "tie")
        hashed, known = study.record_hash(), study.changes()
    with Study(["a", "b", "c"], seed=1, store=url, confidence=0.999) as again:
        assert again.changes() == known
        assert again.record_hash() == hashed
        verdict = answer(again, rng).verdict()
        assert verdict.policy == "good"
        assert again.replay() == [(verdict, verdict)]


def a_wrong_winner_is_rare(looks_bad: float, runs: int = 250) -> None:
    """A user adds a policy just better than the best, once there is evidence against the best."""
    wrong, worth = 0, {"a": 0.0, "b": -0.6, "good": 0.05}
    for run in range(runs):
        rng = stream(5, "adversary", run)
        study = Study(["a", "b"], confidence=0.95, assume_winner=True, seed=run)
        best = "a"
        while len(study.outcomes()) < 250 and study.ask() is not None:
            answer(study, rng, 1, worth)
            for duel in study.in_flight():
                study.tell(duel, float(rng.random() < 0.5))
            known = len(study.outcomes())
            lags = known >= 5 and study.standing().evidence[0] >= looks_bad
            if best == "a" and lags and not study.verdict().final:
                study.add("good")
                best = "good"
        verdict = study.verdict()
        wrong += verdict.kind == "winner" and verdict.policy != best
    assert wrong <= binom.ppf(1 - 1e-6, runs, 0.05)


@pytest.mark.parametrize("looks_bad", [-np.inf, 0.8])
def test_a_user_who_adds_when_the_best_looks_bad_gains_nothing(looks_bad: float) -> None:
    a_wrong_winner_is_rare(looks_bad)


def test_a_newcomer_that_brings_more_than_there_is_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "share_of", lambda change, kept: 18.0)
    with pytest.raises(AssertionError):
        a_wrong_winner_is_rare(-np.inf, 100)


def test_all_shares_together_are_what_is_kept() -> None:
    assert sum(share_of(n, 0.02) for n in range(200)) == pytest.approx(0.02)
    once = Roster.whole(3).plus(3, 10, 0.01).minus(0, 0.005)
    assert once.policies == (1, 2, 3)
    assert once.level == pytest.approx(0.005 / 4)
    assert once.capital == (0.0, 0.0, log(0.01))


@pytest.mark.parametrize(
    ("options", "change", "says"),
    [
        ({}, ("add", "b"), "in the study already"),
        ({}, ("retire", "bb"), "not compared; these are: a, b, c"),
        ({}, ("add", " "), "a text that is not empty"),
        ({"reserve": 0.0}, ("add", "d"), "reserve is 0"),
        ({"design": "savage"}, ("add", "d"), "bounds of theirs"),
        ({"structure": "features", "features": [[1], [2], [4]]}, ("add", "d"), "new study"),
        ({"structure": "bradley-terry", "trust_structure": True}, ("retire", "a"), "new study"),
    ],
)
def test_what_cannot_change_is_refused_before_it_is_written(
    options: dict[str, Any], change: tuple[str, str], says: str
) -> None:
    study, _ = begun(5, **options)
    method, policy = change
    with pytest.raises(ConfigError, match=says):
        getattr(study, method)(policy)
    assert study.changes() == []
    assert study.ask() is not None


def test_two_cannot_leave_of_two_and_a_decided_study_stays_as_it_is() -> None:
    study = Study(["a", "b"])
    with pytest.raises(ConfigError, match="at least two policies have to stay"):
        study.retire("a")
    done, _ = begun(10**6)
    with pytest.raises(ConfigError, match="decided"):
        done.add("good")


@pytest.mark.parametrize("url", [None, "sqlite"])
def test_a_store_keeps_one_change_under_each_number(url: str | None, tmp_path: Path) -> None:
    store = open_store(url and f"sqlite:///{tmp_path / 'x.db'}", "study", {})
    change = Change(0, 7, "d", joins=True)
    store.changed([change])
    store.changed([change])
    assert [event for _, event in store.history()] == [change]
    with pytest.raises(StoreError, match="say it again"):
        store.changed([Change(0, 7, "e", joins=True)])
    store.close()


def test_a_report_tells_who_joined_and_who_left(study: Any) -> None:
    path = study()
    with Study.from_yaml(path) as opened:
        _, second, *_ = opened.policies
        answer(opened, stream(8, "roster", 0), 10, dict.fromkeys(opened.policies, 0.0))
        opened.add("newcomer")
        opened.retire(second)
    result = CliRunner().invoke(cli, ["status", str(path), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["changes"] == [
        {"policy": "newcomer", "joins": True, "from_duel": 10, "why": None},
        {"policy": second, "joins": False, "from_duel": 10, "why": None},
    ]
    assert [row["id"] for row in told["policies"]] == [*opened.policies]
    result = CliRunner().invoke(cli, ["run", str(path)])
    assert "the file does not say how to play it" in str(result.exception)
    plain = " ".join(CliRunner().invoke(cli, ["status", str(path)]).output.split())
    assert "newcomer joined at duel 10" in plain
    assert f"{second} left at duel 10" in plain


@pytest.mark.parametrize(
    "options",
    [
        {"structure": "bradley-terry"},
        {"design": "uniform"},
        {"design": "paper", "structure": "auto"},
        {"design": "racing"},
        {"design": "rucb"},
        {"design": "double-thompson"},
        {"indifference": 0.05},
        {"assume_winner": True, "indifference": 0.05},
    ],
    ids=str,
)
def test_every_design_with_the_certificate_lets_policies_join_and_leave(
    options: dict[str, Any],
) -> None:
    study, rng = begun(30, **options)
    before = study.standing().evidence
    study.add("good")
    assert study.standing().evidence[:3] == pytest.approx(before)
    study.retire("c")
    verdict = answer(study, rng, 3000).verdict()
    assert verdict.policy == "good"
    assert study.replay() == [(verdict, verdict)]
