"""Each line of a diagnosis: what it passes, what it warns of, what stops it, and what fools it not.

Logs are made so that one thing is wrong with each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.core.betting import Purse
from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.diagnose import Diagnosis, Line, Watch, hill
from bestpolicy.offpolicy.evaluate import evaluate
from bestpolicy.offpolicy.rows import Given, Rows
from bestpolicy.offpolicy.targets import target_of
from bounds import at_most

N, ACTIONS = 4000, 5
NAMES = tuple("abcde")


def right(seed: int = 0, n: int = N, *, tables: bool = True) -> Log:
    """A log with nothing wrong: five actions, chances that depend on a context."""
    rng = stream(seed, "tests/diagnose")
    x = rng.normal(size=(n, 2))
    pi_0 = np.exp(0.5 * x @ rng.normal(size=(2, ACTIONS)))
    pi_0 /= pi_0.sum(axis=1, keepdims=True)
    actions = (rng.random(n)[:, None] > np.cumsum(pi_0, axis=1)).sum(axis=1).clip(0, ACTIONS - 1)
    rewards = (rng.random(n) < 0.2 + 0.1 * actions / ACTIONS).astype(float)
    p = pi_0[np.arange(n), actions]
    times = np.arange(n, dtype=float)
    table = pi_0 if tables else None
    return Log(actions, rewards, p, NAMES, contexts=x, propensities=table, times=times)


def lines(log: Log, target: Any = "uniform", **more: Any) -> dict[str, Line]:
    return {line.name: line for line in evaluate(log, target, **more).diagnosis.lines}


def verdicts(log: Log, target: Any = "uniform") -> dict[str, str]:
    return {name: line.verdict for name, line in lines(log, target).items()}


def test_a_log_with_nothing_wrong_is_ok_in_every_line() -> None:
    found = evaluate(right(), "uniform").diagnosis
    assert {line.verdict for line in found.lines} == {"ok"}
    assert found.verdict == "ok"
    assert found.worst is None
    assert "Nothing" in found.advice


def test_logs_with_nothing_wrong_are_seldom_called_wrong() -> None:
    runs = 40
    wrong = {"propensities": 0, "drift": 0, "support": 0}
    for seed in range(runs):
        for name in wrong:
            wrong[name] += verdicts(right(seed, 800, tables=seed % 2 == 0))[name] != "ok"
    assert all(at_most(count, runs, 0.01) for count in wrong.values()), wrong


def test_a_log_is_graded_by_the_rows_of_the_targets_own_that_it_is_worth() -> None:
    log = right(tables=False)
    for rows, verdict in ((90, "stop"), (700, "warn"), (N, "ok")):
        pi = (log.actions[:rows] == 0).astype(float)
        found = lines(log.at(slice(0, rows)), pi if rows > 90 else "uniform")["effective-rows"]
        w = pi / log.propensity[:rows] if rows > 90 else 0.2 / log.propensity[:rows]
        assert found.verdict == verdict
        assert found.value == pytest.approx(w.sum() ** 2 / (w @ w))


def test_chances_half_as_large_as_they_were_are_off_in_two_ways() -> None:
    log = right(tables=False)
    halved = replace(log, propensity=log.propensity / 2)
    found = lines(halved)
    assert found["mean-weight"].verdict == "stop"
    assert found["propensities"].verdict in ("warn", "stop")
    doubled = replace(log, propensity=np.minimum(1, 2 * log.propensity))
    assert lines(doubled)["propensities"].verdict == "warn"
    assert "a, b, c and 2 more" in lines(doubled)["propensities"].said


def test_chances_logged_for_other_actions_stop() -> None:
    """The table of chances is that of the row before: sums are right, frequencies are not."""
    log = right()
    assert log.propensities is not None
    skewed = np.sort(log.propensities, axis=1)  # as if the last action were always the likeliest
    p = skewed[np.arange(N), log.actions]
    found = lines(replace(log, propensities=skewed, propensity=p))
    assert found["propensities"].verdict == "stop"
    assert "more or less often" in found["propensities"].said


def test_a_constant_one_in_place_of_the_chance_is_found_out() -> None:
    log = right(tables=False)
    assert lines(replace(log, propensity=np.ones(N)))["propensities"].verdict == "warn"


def test_a_context_that_the_weights_pull_off_its_mean_is_seen() -> None:
    """Chances as if they did not depend on the context: each action's are right on average."""
    log = right(tables=False)
    share = np.bincount(log.actions, minlength=ACTIONS) / N
    found = lines(replace(log, propensity=share[log.actions]), "a")
    assert "context" in found["propensities"].said
    assert found["propensities"].verdict == "warn"


def test_one_row_with_a_tiny_chance_stops_by_the_band_where_the_test_passes() -> None:
    log = right(tables=False)
    p = log.propensity.copy()
    p[7] = 1e-6
    found = lines(replace(log, propensity=p))
    assert found["mean-weight"].verdict == "stop"
    assert "outside" in found["mean-weight"].said
    w = 0.2 / p
    assert abs(w.mean() - 1) / (w.std() / np.sqrt(N)) < 2  # what the test alone would say


def test_a_handful_of_rows_that_make_the_sum_are_named() -> None:
    rewards = np.zeros(N)
    rewards[[3, 50, 700]] = 1
    found = lines(replace(right(), rewards=rewards))["top-rows"]
    assert found.verdict == "stop"
    for row in ("3", "50", "700"):
        assert row in found.said
    assert lines(replace(right(), rewards=np.zeros(N)))["top-rows"].verdict == "unchecked"


def test_the_tail_index_of_a_pareto_is_its_own() -> None:
    for index in (0.4, 0.9):
        w = stream(1, "tests/diagnose/pareto").random(50_000) ** -index
        assert hill(Purse.of(w)) == pytest.approx(index, rel=0.1)
    assert hill(Purse.of(np.ones(500))) == 0.0


def test_mass_on_actions_never_logged_is_counted_and_bounded() -> None:
    log = right(tables=False)
    named = replace(log, names=(*NAMES, "new", "newer"))
    found = lines(named, np.tile([0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.2], (N, 1)))["support"]
    assert found.verdict == "stop"
    assert found.value == pytest.approx(0.5)
    assert "new, newer" in found.said
    assert "from 0 to 0.5 a row" in found.said
    some = np.tile([0.19, 0.19, 0.19, 0.19, 0.19, 0.05, 0.0], (N, 1))
    assert lines(named, some)["support"].verdict == "warn"


def test_mass_where_the_chance_is_next_to_nothing_is_counted_too() -> None:
    """Every action is logged somewhere, but half the contexts never had action a."""
    log = right()
    assert log.propensities is not None
    without = log.propensities.copy()
    half = np.arange(N) % 2 == 0
    without[half, 0] = 0
    without /= without.sum(axis=1, keepdims=True)
    kept = np.flatnonzero(~(half & (log.actions == 0)))
    p = without[np.arange(N), log.actions]
    cut = Log(*(log.actions[kept], log.rewards[kept], p[kept], NAMES), propensities=without[kept])
    assert lines(cut, "a")["support"].verdict == "stop"
    assert lines(cut, "b")["support"].verdict == "ok"


def test_support_goes_unchecked_where_only_chances_of_logged_actions_are_known() -> None:
    found = lines(right(), np.full(N, 0.2))["support"]
    assert found.verdict == "unchecked"
    assert "(n, A)" in found.advice


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log, late: replace(log, rewards=np.where(late, 1.0, log.rewards)), "mean reward"),
        (lambda log, late: replace(log, propensity=np.where(late, 1, log.propensity)), "weight"),
    ],
)
def test_a_trend_is_a_warning(change: Callable[[Log, Array], Log], said: str) -> None:
    log = right(tables=False)
    found = lines(change(log, np.arange(N) > 0.7 * N))["drift"]
    assert found.verdict == "warn"
    assert said in found.said


def test_a_single_huge_weight_at_the_end_is_no_trend() -> None:
    log = right(tables=False)
    p = log.propensity.copy()
    p[-1] = 1e-6
    assert lines(replace(log, propensity=p))["drift"].verdict == "ok"


def test_loggers_that_follow_each_other_are_no_drift_but_a_drift_inside_one_is() -> None:
    """The second logger's rows earn more: between them that is no trend of either."""
    log = right(tables=False)
    second = np.arange(N) >= N // 2
    rewards = (stream(5, "tests/diagnose/two").random(N) < 0.2 + 0.4 * second).astype(float)
    one = replace(log, rewards=rewards)
    assert lines(one)["drift"].verdict == "warn"
    two = replace(one, loggers=second.astype(np.intp))
    assert lines(two)["drift"].verdict == "ok"
    late = np.where(np.arange(N) > 0.8 * N, 1.0, rewards)
    assert lines(replace(two, rewards=late))["drift"].verdict == "warn"
    pictures = evaluate(two, "uniform").diagnosis.pictures
    assert [part.rows for part in pictures.loggers] == [N / 2, N / 2]


def seen(log: Log, given: Given) -> Diagnosis:
    watch = Watch(log)
    for chunk in log.split(1000):
        watch.see(Rows(chunk, target_of("uniform", log), given))
    return watch.diagnosis()


def test_a_model_of_the_reward_is_judged_and_its_stop_binds_only_itself() -> None:
    log = right()
    noise = stream(9, "tests/diagnose/noise").normal(0.3, 0.2, (N, ACTIONS))

    def model(every: Array) -> Given:
        return Given(lambda rows: every[rows.log.start : rows.log.start + len(rows.log)])

    bad = seen(log, model(noise))
    (line,) = (line for line in bad.lines if line.name == "reward-model")
    assert line.verdict == "stop"
    assert bad.verdict == "warn"
    assert bad.worst == line
    x = log.rewards  # a model that knows the rewards has slope 1
    knowing = np.tile(x[:, None], (1, ACTIONS))
    (line,) = (line for line in seen(log, model(knowing)).lines if line.name == "reward-model")
    assert (line.verdict, line.value) == ("ok", pytest.approx(1.0))
    biased = seen(log, model(knowing * 0.9 + 0.3))
    (line,) = (line for line in biased.lines if line.name == "reward-model")
    assert line.verdict == "warn"
    assert "biased" in line.advice


def test_a_log_seen_in_pieces_is_the_log_seen_at_once() -> None:
    log = right()
    at_once = evaluate(log, "uniform").diagnosis
    pieces = seen(log, Given())
    for one, other in zip(at_once.lines, pieces.lines, strict=True):
        assert (one.name, one.verdict) == (other.name, other.verdict)
        assert one.value == pytest.approx(other.value)
    assert [top.row for top in at_once.pictures.top] == [top.row for top in pieces.pictures.top]


def test_pictures_hold_every_row_once_and_are_json() -> None:
    log = right()
    pictures = evaluate(log, "uniform").diagnosis.pictures
    assert sum(each.rows for each in pictures.weights) == pytest.approx(N)
    assert sum(each.share for each in pictures.weights) == pytest.approx(1)
    assert [part.rows for part in pictures.parts] == [N / 10] * 10
    assert pictures.parts[0].since == 0
    assert pictures.parts[-1].until == N - 1
    assert sum(action.rows for action in pictures.actions) == N
    for a, action in enumerate(pictures.actions):
        own = log.actions == a
        assert action.reciprocal == pytest.approx((1 / log.propensity[own]).sum() / N)
        assert action.least == log.propensity[own].min()
        assert action.target == pytest.approx(0.2)
    assert json.loads(json.dumps(pictures.as_json()))["actions"][0]["name"] == "a"
