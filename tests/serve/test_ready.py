"""Answers are made ready by models that fail, cost and stop; people notice as little as can be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bestpolicy.serve import ready
from bestpolicy.store.ratings import Said
from llm.fake_provider import FakeProvider
from run.playing import CHARGED, named, policy, write
from serve.people import one_pair, pairs_of, until


def study(folder: Path, server: FakeProvider, **more: Any) -> Path:
    return write(folder, server, judge={"human": {"overlap": 0}}, workers=2, **more)


def answer(pairs: Any, rater: int = 1) -> bool:
    """One answer by somebody who likes `a` best and `c` least."""
    pair = one_pair(pairs, rater)
    if pair is None:
        return False
    pairs.say(rater, pair.view.id, Said("first" if pair.first < pair.second else "second"))
    return True


def test_a_model_that_fails_now_and_then_costs_duels_and_invents_no_answer(tmp_path: Path) -> None:
    with (
        FakeProvider(lambda n: "400" if n % 23 == 4 else "ok", answer=named) as server,
        pairs_of(study(tmp_path, server), settles=0.0) as (pairs, opened),
    ):
        while answer(pairs):
            pass
        pairs.close()
        outcomes = opened.study.outcomes()
        given_up = [o for o in outcomes if o.scores is None]
        assert given_up
        assert all("people" not in o.feedback for o in given_up)
        said = {one.view.duel for one in opened.ratings.seen() if one.state == "settled"}
        assert said == {o.comparison.id for o in outcomes if o.scores is not None}
        assert opened.study.verdict().policy == "a"
        answered = len(server.answers)
        assert opened.calls.spent() == pytest.approx(answered * CHARGED)


def test_people_wait_while_no_model_answers_and_go_on_when_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "PAUSE", 0.05)
    with (
        FakeProvider("400", answer=named) as server,
        pairs_of(study(tmp_path, server)) as (pairs, opened),
    ):
        until(lambda: pairs.trouble)
        assert pairs.before(1, 1) == []
        assert not pairs.over
        assert not opened.study.outcomes()
        server.plan = "ok"
        assert answer(pairs)
        until(lambda: not pairs.trouble)


def test_when_the_dollars_are_spent_people_are_thanked(tmp_path: Path) -> None:
    with FakeProvider(answer=named) as server:
        path = study(tmp_path, server, budget={"usd": 30 * CHARGED})
        with pairs_of(path, settles=0.0) as (pairs, opened):
            while answer(pairs):
                pass
            assert pairs.over
            assert opened.calls.spent() <= 30 * CHARGED
            assert not opened.study.verdict().final


def test_few_duels_are_made_ahead_of_the_people(tmp_path: Path) -> None:
    with FakeProvider(answer=named) as server, pairs_of(study(tmp_path, server)) as (pairs, _):
        until(lambda: pairs._ready.waiting())
        time.sleep(0.5)
        assert len(server.requests) == 2  # nobody is here: one duel
        one_pair(pairs, 1)
        one_pair(pairs, 2)
        time.sleep(0.5)
        assert len(server.requests) <= 2 * (2 + 3)  # two on screens, three behind them


def test_who_breaks_a_constraint_leaves_also_where_people_judge(tmp_path: Path) -> None:
    limits = [{"metric": "cost_usd", "max": 2 * CHARGED}]
    dear = {"price": {"input": 1.0, "output": 10.0}}
    with FakeProvider(answer=named) as server:
        policies = [policy(name, server) for name in "abc"]
        policies[0]["model"] = "openai/dear"
        models = {
            "openai/x": {"timeout_s": 2, **dear},
            "openai/dear": {"timeout_s": 2, "price": {"input": 100.0, "output": 1000.0}},
        }
        path = study(tmp_path, server, policies=policies, constraints=limits, models=models)
        with pairs_of(path, settles=0.0) as (pairs, opened):
            for _ in range(200):
                if not answer(pairs):
                    break
            assert [c.policy for c in opened.study.changes()] == ["a"]
            assert opened.study.verdict().policy == "b"
