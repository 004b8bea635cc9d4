"""What a log could answer, before any target is named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.describe import describe
from bestpolicy.offpolicy.evaluate import evaluate

N = 3000


def log(seed: int = 0) -> Log:
    """Three actions of which the last is rare."""
    rng = stream(seed, "tests/describe")
    chances = np.array([0.6, 0.39, 0.01])
    actions = rng.choice(3, size=N, p=chances)
    rewards = (rng.random(N) < np.array([0.2, 0.5, 0.9])[actions]).astype(float)
    return Log(actions, rewards, chances[actions], ("a", "b", "rare"), times=60.0 * np.arange(N))


def test_each_action_has_its_rows_rewards_chances_and_what_it_is_worth() -> None:
    one = log()
    seen = describe(one)
    for a, choice in enumerate(seen.actions):
        own = one.actions == a
        assert choice.rows == own.sum()
        assert choice.reward is not None
        assert choice.reward.value == pytest.approx(one.rewards[own].mean())
        assert choice.reward.low < one.rewards[own].mean() < choice.reward.high
        assert choice.least == choice.most == one.propensity[own][0]
        assert choice.worth == pytest.approx(own.sum())  # of alike weights, all rows
    assert seen.reward.low < one.rewards.mean() < seen.reward.high
    assert seen.times == (0.0, 60.0 * (N - 1))
    assert (seen.binary, seen.full, seen.contexts) == (True, False, 0)
    w = 1 / (3 * one.propensity)
    assert seen.uniform == pytest.approx(w.sum() ** 2 / (w @ w))


def test_the_advice_says_what_the_log_can_answer_for() -> None:
    one = log()
    assert "2 of 3" in describe(one).advice
    even = np.arange(N) % 3
    balanced = Log(even, one.rewards, np.full(N, 1 / 3), one.names)
    assert "any policy" in describe(balanced).advice
    few = Log(even[:60], one.rewards[:60], np.full(60, 1 / 3), one.names)
    assert "close to the one that logged" in describe(few).advice


def test_rewards_keep_their_scale_and_an_action_never_logged_has_none() -> None:
    one = log()
    wide = replace(one, rewards=10 * one.rewards - 5, bounds=(-5.0, 5.0), names=(*one.names, "no"))
    seen, plain = describe(wide), describe(one)
    assert seen.reward.low == pytest.approx(10 * plain.reward.low - 5)
    assert seen.parts[3].reward.value == pytest.approx(10 * plain.parts[3].reward.value - 5)
    assert seen.actions[3].reward is None
    assert seen.actions[3].worth == 0


def test_a_drift_of_rewards_and_wrong_chances_are_said() -> None:
    one = log()
    late = replace(one, rewards=np.where(np.arange(N) > 2400, 1.0, one.rewards))
    verdicts = {line.name: line.verdict for line in describe(late).lines}
    assert verdicts == {"propensities": "ok", "drift": "warn", "effective-rows-of-uniform": "warn"}
    wrong = replace(one, propensity=np.ones(N))
    assert describe(wrong).lines[0].verdict == "warn"


def test_rows_that_stand_for_different_numbers_prove_nothing() -> None:
    uneven = replace(log(), weight=1.0 + np.arange(N) % 2)
    seen = describe(uneven)
    assert (seen.reward.low, seen.reward.high) == (0.0, 1.0)
    assert seen.rows == 1.5 * N


def test_a_description_is_json() -> None:
    said = json.loads(json.dumps(describe(log()).as_json()))
    assert said["actions"][2]["name"] == "rare"
    assert said["advice"]


@pytest.mark.parametrize("ask", [describe, lambda log: evaluate(log, "uniform")])
def test_a_log_without_rows_is_refused(ask: Any) -> None:
    none = np.zeros(0)
    with pytest.raises(ConfigError, match="the log has no rows"):
        ask(Log(none.astype(int), none, none, ("a", "b")))
