"""Constraints: who breaks one leaves and is named, and hardly anybody else ever does."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any, Protocol

import pytest

from bestpolicy.core.limits import Above, mean_interval
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.rng import stream
from bounds import at_most
from llm.fake_provider import FakeProvider
from run.playing import MODEL, PRICE, bestpolicy_, named, play, policy, told, write

Draw = Callable[[Rng, int], Array]
# All with the mean that is just allowed, 0.1.
AT_THE_LIMIT: dict[str, Draw] = {
    "exponential": lambda rng, n: rng.exponential(0.1, n),
    "bernoulli": lambda rng, n: (rng.random(n) < 0.1).astype(float),
    "nearly constant": lambda rng, n: 0.1 + 1e-4 * rng.standard_normal(n),
    "heavy": lambda rng, n: rng.pareto(2.2, n) * 0.12,
}


class Watches(Protocol):
    def tell(self, y: float) -> None: ...
    def proven(self, alpha: float) -> bool: ...


class Peeked:
    """A t-test that is looked at after every value; the customary way to do it wrong."""

    def __init__(self, limit: float) -> None:
        self.limit, self.n, self.total, self.squares, self.most = limit, 0, 0.0, 0.0, 0.0

    def tell(self, y: float) -> None:
        self.n, self.total, self.squares = self.n + 1, self.total + y, self.squares + y * y
        variance = self.squares / self.n - (self.total / self.n) ** 2
        if self.n > 5 and variance > 0:
            t = (self.total / self.n - self.limit) / sqrt(variance / self.n)
            self.most = max(self.most, t)

    def proven(self, alpha: float) -> bool:
        return self.most > 1.645


def alarms(draw: Draw, runs: int, make: Callable[[float], Watches], length: int = 120) -> int:
    found = 0
    for run in range(runs):
        above = make(0.1)
        for y in draw(stream(11, "limits", run), length).tolist():
            above.tell(y)
        found += above.proven(0.05)
    return found


def test_who_just_keeps_to_a_limit_is_rarely_taken_for_one_who_breaks_it() -> None:
    for draw in AT_THE_LIMIT.values():
        assert at_most(alarms(draw, 100, Above), 100, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_false_alarms_about_limits_are_rare_in_2000_sequences(name: str) -> None:
    assert at_most(alarms(AT_THE_LIMIT[name], 2000, Above), 2000, 0.05)


def test_a_t_test_that_is_looked_at_all_the_time_is_caught() -> None:
    for name in ("bernoulli", "exponential", "nearly constant"):
        assert not at_most(alarms(AT_THE_LIMIT[name], 1000, Peeked), 1000, 0.05)


def test_who_is_above_the_limit_is_found_out() -> None:
    def thrice(draw: Draw) -> Draw:
        return lambda rng, n: 3 * draw(rng, n)

    for name in ("exponential", "bernoulli", "nearly constant"):
        assert alarms(thrice(AT_THE_LIMIT[name]), 30, Above, 300) >= 24


def test_the_lower_end_of_a_mean_covers_at_every_moment() -> None:
    missed = 0
    for run in range(100):
        values = stream(12, "limits", run).exponential(0.1, 60)
        missed += any(mean_interval(values[:n], 0.1).low > 0.1 for n in range(2, 60, 6))
    assert at_most(missed, 100, 0.05)


def test_a_limit_of_nothing_is_broken_by_anything() -> None:
    above = Above(0.0)
    above.tell(0.0)
    assert not above.proven(0.01)
    above.tell(1e-9)
    assert above.proven(0.01)


# -- whole studies -------------------------------------------------------------------------

UNLIMITED = """\
from bestpolicy.run.limits import Limits
Limits.enforce = lambda self, trial: None
"""


def constrained(folder: Path, twin: str = "") -> Any:
    """`a` is best and slow, `b` second and dear; `c` beats `e`."""

    def late(body: Any, nonce: str) -> str:
        time.sleep(0.12 if body["messages"][-1]["content"][0] == "a" else 0)
        return named(body, nonce)

    with FakeProvider(answer=late) as server:
        dear = {"output": 200.0, "input": 1.0}
        path = write(
            folder,
            server,
            policies=[
                policy(name, server, model="openai/dear" if name == "b" else MODEL)
                for name in "abce"
            ],
            models={MODEL: {"price": PRICE}, "openai/dear": {"price": dear}},
            constraints=[
                {"metric": "latency_s", "max": 0.05},
                {"metric": "cost_usd", "max": 0.0002},
            ],
            decide={"confidence": 0.95},
            budget=1500,
            workers=4,
        )
        done = play(path, twin=twin)
        assert done.code == 0, done.err
        assert bestpolicy_("replay", path).code == 0
        return done.said


@pytest.mark.slow
def test_who_is_too_slow_or_too_dear_leaves_and_is_named(tmp_path: Path) -> None:
    said = constrained(tmp_path)
    assert said["verdict"]["policy"] == "c"
    news = " ".join(map(str, said["warnings"])) + str(said)
    assert "a breaks a constraint: latency_s is" in news
    assert "b breaks a constraint: cost_usd is" in news
    assert "c breaks" not in news
    assert "e breaks" not in news


@pytest.mark.slow
def test_constraints_that_nobody_enforces_are_caught(tmp_path: Path) -> None:
    assert constrained(tmp_path, UNLIMITED)["verdict"]["policy"] == "a"


def limited(folder: Path, names: str, check: dict[str, str], **more: Any) -> Path:
    with FakeProvider() as server:  # functions answer; nobody is asked over the wire
        path = write(
            folder,
            server,
            policies=[{"id": name, "call": f"answering:{name}"} for name in names],
            constraints=[{"metric": "failure_rate", "max": 0.5, "check": check}],
            **{"decide": {"confidence": 0.9999}, "budget": 600} | more,
        )
    functions = [f"def {n}(row):\n    return '{n} ' + row['input']\n" for n in names]
    (folder / "answering.py").write_text("\n\n".join(functions))
    return path


@pytest.mark.slow
def test_where_all_break_a_constraint_the_study_is_infeasible(tmp_path: Path) -> None:
    path = limited(tmp_path, "abc", {"regex": "nothing like it"})
    done = play(path)
    assert done.code == 4, done.err
    assert done.said["verdict"]["kind"] == "infeasible"
    assert "every policy is proven to break a constraint" in done.said["verdict"]["reason"]
    again = bestpolicy_("replay", path, "--json")
    assert again.code == 0
    assert again.said["verdict"] == done.said["verdict"]
    assert play(path).said["verdict"] == done.said["verdict"]


HELD = """\
from bestpolicy.run.limits import Limits
Limits._tried = lambda self, policy, needed, trial: False
"""
AT_ONCE = """\
from bestpolicy.run.limits import Limits
Limits._tried = lambda self, policy, needed, trial: True
"""


def the_last_one(folder: Path, names: str, twin: str = "") -> dict[str, Any]:
    """`a` is better than `b` and breaks a constraint that `b` keeps to."""
    done = play(limited(folder, names, {"regex": "^[^a]"}), twin=twin)
    assert done.code == 0, done.err
    assert bestpolicy_("replay", folder / "study.yaml").code == 0
    return done.said


@pytest.mark.slow
def test_the_last_policy_has_a_fair_chance_to_fail_and_who_breaks_a_constraint_never_wins(
    tmp_path: Path,
) -> None:
    said = the_last_one(tmp_path, "ab")
    assert said["verdict"]["policy"] == "b"
    assert said["verdict"]["reason"] == "every other policy breaks a constraint"
    a, b = (policy["cost"]["answers"] for policy in said["policies"])
    assert b == 2 * a


@pytest.mark.slow
def test_a_last_policy_whose_rivals_stay_is_caught(tmp_path: Path) -> None:
    assert the_last_one(tmp_path, "ab", HELD)["verdict"]["policy"] == "a"


@pytest.mark.slow
def test_a_last_policy_that_is_not_tried_is_caught(tmp_path: Path) -> None:
    said = the_last_one(tmp_path, "ab", AT_ONCE)
    a, b = (policy["cost"]["answers"] for policy in said["policies"])
    assert b == a


@pytest.mark.slow
def test_a_run_that_is_stopped_by_the_check_of_a_constraint_says_so_and_resumes(
    tmp_path: Path,
) -> None:
    path = limited(tmp_path, "ab", {"call": "judging:raises"})
    done = play(path)
    assert done.code == 5
    assert done.said["error"]["kind"] == "play"
    assert "constraint 1: the check of an answer of 'a'" in done.said["error"]["message"] or (
        "constraint 1: the check of an answer of 'b'" in done.said["error"]["message"]
    )
    assert "Traceback" not in done.err
    judging = (tmp_path / "judging.py").read_text()
    (tmp_path / "judging.py").write_text(
        judging.replace('raise RuntimeError("odd text")', "return 1")
    )
    assert play(path).code == 0
    assert told(path)
