"""Every kind of judge, in real runs: models that judge and fail, checks, people, recorded votes."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bestpolicy import Study
from llm.fake_provider import FakeProvider, Seen
from run.playing import (
    MODEL,
    PRICE,
    bestpolicy_,
    calls,
    completed,
    named,
    play,
    policy,
    recorded_usd,
    told,
    write,
)

pytestmark = pytest.mark.slow  # every one of them starts a command


def judges(seen: Seen | dict[str, Any]) -> bool:
    body = seen.body if isinstance(seen, Seen) else seen
    return "response_format" in body or "<answer-1-" in body["messages"][-1]["content"]


def answers_and_judges(body: dict[str, Any], nonce: str) -> str:
    """Policies get a text; a judge prefers whichever answer's name comes first."""
    if not judges(body):
        return named(body, nonce)
    text = body["messages"][-1]["content"]
    first, second = (text.split(f"<answer-{n}-")[1].split("\n")[1][0] for n in (1, 2))
    return json.dumps({"answer": "1" if first < second else "2" if second < first else "tie"})


def by_model(folder: Path, server: FakeProvider, **more: Any) -> Path:
    judge = {"llm": {"model": "openai/judge", "base_url": server.url}, "order": "both"}
    terms = {"price": PRICE, "timeout_s": 0.5}
    return write(
        folder,
        server,
        **{"judge": judge, "models": {MODEL: terms, "openai/judge": terms}, "workers": 4} | more,
    )


def test_a_model_that_judges_is_asked_in_both_orders_and_paid_once(tmp_path: Path) -> None:
    with FakeProvider(answer=answers_and_judges) as server:
        path = by_model(tmp_path, server, budget={"comparisons": 100, "usd": 1.0})
        done = play(path)
        assert done.code == 0, done.err
        assert done.said["verdict"]["policy"] == "a"
        assert done.said["judge"]["self_agreement"] == 1.0
        looks = sum(judges(seen) for seen in server.requests)
        assert looks == 2 * len(told(path))
        assert set(completed(server).values()) == {1}
        assert recorded_usd(calls(path)) == pytest.approx(len(server.requests) * 57e-6)


def test_a_model_that_judges_and_fails_settles_nothing(tmp_path: Path) -> None:
    with FakeProvider(answer=answers_and_judges) as server:
        # What is no choice is asked again, and never taken for a tie.
        server.answer = lambda body, nonce: (
            "I think the first is nicer" if judges(body) else named(body, nonce)
        )
        path = by_model(tmp_path, server)
        done = play(path)
        assert done.code == 5
        assert "the answer is none of 1, 2, tie" in done.said["error"]["message"]
        assert not told(path)
        kept = sum(row["state"] == "answered" for row in calls(path))
        server.answer = answers_and_judges
        assert play(path).code == 0
        # The answers of the policies were there already.
        once = [n for (prompt, _), n in completed(server).items() if not prompt.startswith("Which")]
        assert set(once) == {1}
        assert kept > 0


GYM = "basic_arithmetic"


@pytest.mark.parametrize(
    ("check", "rows"),
    [
        ({"exact": "gold"}, lambda i: {"input": f"q{i}", "gold": f"a: q{i}"}),
        ({"regex": "^a: {{input}}$"}, lambda i: {"input": f"q{i} (.*[+"}),
        (
            {"json_schema": {"type": "object", "required": ["a"]}},
            lambda i: {"input": json.dumps({"a": i})},
        ),
        ({"reasoning_gym": GYM}, lambda i: {"question": f"{i} + 1 =", "answer": f"{i + 1}"}),
        ({"call": "judging:strict"}, lambda i: {"input": f"q{i}"}),
    ],
    ids=["exact", "regex", "json_schema", "reasoning_gym", "call"],
)
def test_a_check_finds_the_policy_whose_answers_pass_it(
    tmp_path: Path, check: dict[str, Any], rows: Any
) -> None:
    inputs = [rows(i) for i in range(60)]
    if "reasoning_gym" in check:
        pytest.importorskip("reasoning_gym")
    prompts = {"a": "a: {{input}}", "b": "b: {{input}}"}
    if "json_schema" in check:
        prompts = {"a": "{{input}}", "b": "so: {{input}}"}
    if "reasoning_gym" in check:
        prompts = {"a": "{{answer}}", "b": "{{question}}"}
    with FakeProvider(answer=lambda body, nonce: body["messages"][-1]["content"]) as server:
        path = write(
            tmp_path,
            server,
            inputs=inputs,
            policies=[policy(n, server, prompt=p, max_tokens=64) for n, p in prompts.items()],
            judge={"check": check},
            workers=2,
        )
        done = play(path)
        assert done.code == 0, done.err
        assert done.said["verdict"]["policy"] == "a"
        assert done.said["policies"][1]["cost"]["answers"] == len(told(path))
        # Turned round, the other one wins: nobody is named for being first.
        turned = {"a": prompts["b"], "b": prompts["a"]}
        path = write(
            tmp_path,
            server,
            name="turned",
            inputs=inputs,
            policies=[policy(n, server, prompt=p, max_tokens=64) for n, p in turned.items()],
            judge={"check": check},
            workers=2,
        )
        assert play(path).said["verdict"]["policy"] == "b"


def test_people_find_the_answers_ready_and_the_run_goes_on_after_them(tmp_path: Path) -> None:
    with FakeProvider(answer=named) as server:
        path = write(tmp_path, server, judge={"human": {"queue": 40}}, workers=2)
        first = play(path)
        assert first.code == 3, first.err
        assert len(server.requests) == 80
        again = play(path)
        assert again.code == 3
        assert len(server.requests) == 80  # the same duels, and no answer is paid again
        waiting: list[int] = []
        for _ in range(12):
            with Study.from_yaml(path) as study:
                assert [duel.id for duel in study.in_flight()][: len(waiting)] == waiting
                for duel in study.in_flight()[:36]:
                    study.tell(duel, "left" if duel.left < duel.right else "right")
                waiting = [duel.id for duel in study.in_flight()]
            done = play(path)
            if done.code == 0:
                break
            assert done.code == 3, done.err
        assert done.said["verdict"]["policy"] == "a"
        assert set(completed(server).values()) == {1}


def recorded(folder: Path, server: FakeProvider, votes: int, **more: Any) -> Path:
    with (folder / "votes.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["left", "right", "winner"])
        for i in range(votes):
            for left, right in (("a", "b"), ("c", "a"), ("b", "c")):
                out.writerow([left, right, min(left, right) if i % 4 else max(left, right)])
    policies = [{"id": name} for name in "abc"]
    return write(
        folder,
        server,
        inputs=None,
        policies=policies,
        judge={"replay": "votes.csv"},
        models={},
        **more,
    )


# A resumed study begins with the votes that it has used.
FROM_THE_START = """\
from importlib import import_module
play = import_module("bestpolicy.run.play")
real = play._Earlier.of
first = {}


def of(self, duel):
    context, before = real(self, duel)
    pair = frozenset((duel.left, duel.right))
    return context, before - first.setdefault(pair, before)


play._Earlier.of = of
"""


def uses_each_vote_once(folder: Path, twin: str = "") -> None:
    for name in ("whole", "cut", "few"):
        (folder / name).mkdir()
    with FakeProvider() as server:
        whole = recorded(folder / "whole", server, 200, workers=1)
        ended = play(whole)
        assert ended.code == 0, ended.err
        cut = folder / "cut"
        for budget in (10, 25, 40, 400):
            done = play(recorded(cut, server, 200, budget=budget, workers=1), twin=twin)
        assert done.said["verdict"] == ended.said["verdict"]
        assert done.said["replay"] == ended.said["replay"]
        few = recorded(folder / "few", server, 6, workers=3)
        done = play(few, twin=twin)
        assert done.code == 3
        assert any(
            "votes of the pair to compare next are used up" in w for w in done.said["warnings"]
        )
        assert play(few, twin=twin).code == 3
        export = bestpolicy_("export", few, "--json").said["export"]["duels"]
        pairs = Counter(frozenset((row["left"], row["right"])) for row in export)
        assert max(pairs.values()) == 6
        assert not server.requests


def test_a_recorded_vote_is_used_once_and_a_resumed_study_meets_the_same(tmp_path: Path) -> None:
    uses_each_vote_once(tmp_path)


def test_votes_that_are_used_again_are_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        uses_each_vote_once(tmp_path, FROM_THE_START)
