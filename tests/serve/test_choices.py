"""A served study with a learned policy: units get its prompts by their context, with its chances,
and no refusal depends on whom a unit is given."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from scipy.stats import binom

from bestpolicy import Live
from bestpolicy.live.draw import place
from bestpolicy.offpolicy.policy_file import read_policy
from bestpolicy.serve import choices, traffic
from choosers import BY_TIER, NAMES, TEXTS, by_number, kept
from serve.serving import housed, many, served, write

UNITS = 1500  # about half of which get the learned policy
WRONG = 1e-6  # how often frequencies may disagree where all is right; secret and units are fixed
LEARNED = {
    "id": "learned",
    "learned": "policy.npz",
    "prompts": TEXTS,
    "model": "scripted/echo",
    "temperature": 0,
}
FIXED = {"id": "fixed", "model": "scripted/echo", "prompt": "plain to {{input}}"}
ASSIGN = ("POST", "/v1/assign")


def study(folder: Path, **more: Any) -> Path:
    kept(folder)
    told: dict[str, Any] = {"policies": [LEARNED, FIXED]}
    told["inputs"] = [{"input": f"{i}", "tier": "gold"} for i in range(50)]
    return write(folder, **(told | more))


def asked(path: Path, *bodies: Any, way: tuple[str, str] = ASSIGN) -> list[Any]:
    with housed(path) as house:
        return many(house, *((*way, body) for body in bodies))


def agree_with_the_chances(path: Path) -> None:
    """Frequencies of the prompts that units of each tier were given, and that a unit which comes
    again gets the same."""
    tiers = [("gold", "free")[n % 2] for n in range(UNITS)]
    bodies = [{"unit": f"u{n}", "context": {"tier": tier}} for n, tier in enumerate(tiers)]
    answers = asked(path, *bodies, *bodies[:100])
    found: Counter[tuple[str, str]] = Counter()
    for tier, answer in zip(tiers, answers, strict=False):
        assert answer.status == 200
        told = answer.json
        chosen = told["config"].pop("chosen", None)
        assert (chosen is None) == (told["policy"] == "fixed")
        if chosen is not None:
            assert told["config"]["prompts"] == TEXTS
            assert chosen["prompt"] == TEXTS[chosen["id"]]
            found[tier, chosen["id"]] += 1
            chance = BY_TIER[tier][NAMES.index(chosen["id"])]
            assert chosen["chance"] == pytest.approx(chance)
    for tier, chances in BY_TIER.items():
        total = sum(found[tier, name] for name in NAMES)
        assert total > UNITS // 5
        for name, chance in zip(NAMES, chances, strict=True):
            low, high = binom.interval(1 - WRONG / 6, total, chance)
            assert low <= found[tier, name] <= high, (tier, name, found[tier, name], total)
    for first, again in zip(answers, answers[UNITS:], strict=False):
        assert first.json["config"] == again.json["config"]


def test_units_get_prompts_by_their_context_with_the_policys_chances(tmp_path: Path) -> None:
    agree_with_the_chances(study(tmp_path))


def test_a_prompt_drawn_with_the_policys_own_draw_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units below 1/2 get the first policy: were the prompt drawn at the same number, all of its
    units would fall into the first half of the chances."""
    monkeypatch.setattr(traffic, "CHOICE", "draw")
    monkeypatch.setattr(choices, "choice", lambda key, study, policy, unit: place(key, study, unit))
    with pytest.raises(AssertionError):
        agree_with_the_chances(study(tmp_path))


def test_the_same_unit_gets_the_same_prompt_after_the_server_was_started_anew(
    tmp_path: Path,
) -> None:
    path = study(tmp_path)
    bodies = [{"unit": f"u{n}", "context": {"tier": "gold"}} for n in range(40)]
    first = [answer.json["config"] for answer in asked(path, *bodies)]
    assert [answer.json["config"] for answer in asked(path, *bodies)] == first
    other = [body | {"context": {"tier": "free"}} for body in bodies]
    assert [answer.json["config"] for answer in asked(path, *other)] != first


def test_a_context_that_lacks_something_is_refused_before_anything_is_kept(tmp_path: Path) -> None:
    path = study(tmp_path)
    contexts: list[Any] = [None, {}, {"tire": "gold"}, {"tier": "SECRET"}, {"tier": ["gold"]}]
    bodies = [{"unit": f"u{n}", "context": c} for n in range(10) for c in contexts]
    for answer in asked(path, *bodies):
        assert answer.status == 422
        assert answer.json["detail"] == (
            "body.context: a learned policy of this study chooses by 'tier', one of gold, free"
        )
        assert "SECRET" not in answer.text
    with closing(sqlite3.connect(tmp_path / "study.db")) as db:
        assert db.execute("SELECT COUNT(*) FROM assigned").fetchone() == (0,)


def test_numbers_of_any_size_are_answered_or_refused(tmp_path: Path) -> None:
    rows = [{"input": "a", "id": 1}, {"input": "b", "id": 2}]
    texts = {name: TEXTS[name] for name in NAMES[:2]}
    path = study(tmp_path, policies=[LEARNED | {"prompts": texts}, FIXED], inputs=rows * 20)
    kept(tmp_path, by_number())
    sizes = [0, -1e308, 1e308, 2**62, 1e-320, "7", "x", True, None]
    answers = asked(path, *({"unit": f"u{i}", "context": {"id": n}} for i, n in enumerate(sizes)))
    assert {answer.status for answer in answers} == {200, 422}
    assert all("NaN" not in answer.text for answer in answers)
    assert answers[2].json["detail"].endswith("no chances for numbers as large as these")


def test_units_that_say_who_won_get_the_prompts_of_both_sides(tmp_path: Path) -> None:
    other = LEARNED | {"id": "other", "temperature": 1}
    path = study(tmp_path, policies=[LEARNED, other], judge={"live": {"by": "winner"}})
    bodies = [{"unit": f"u{n}", "context": {"tier": "gold"}} for n in range(30)]
    answers = asked(path, {"unit": "u0"}, *bodies)
    assert answers[0].status == 422
    pairs = Counter()
    for answer in answers[1:]:
        assert answer.status == 200, answer.text
        sides = [answer.json[side]["config"]["chosen"]["id"] for side in ("left", "right")]
        pairs[sides[0] == sides[1]] += 1
    assert len(pairs) == 2  # each side draws by itself


def test_the_gateway_reads_what_is_chosen_by_from_metadata(tmp_path: Path) -> None:
    path = study(tmp_path)
    body = {"model": "study/study", "messages": [{"role": "user", "content": "you"}]}
    gold = [body | {"user": f"u{n}", "metadata": {"tier": "gold"}} for n in range(60)]
    chat = ("POST", "/v1/chat/completions")
    answers = asked(path, body | {"metadata": {"tire": "gold"}}, *gold, *gold, way=chat)
    assert answers[0].status == 400
    assert answers[0].json["error"]["param"] == "metadata"
    assert "'tier', one of gold, free: give it in metadata" in answers[0].json["error"]["message"]
    texts = [answer.json["choices"][0]["message"]["content"] for answer in answers[1:]]
    assert texts[:60] == texts[60:]  # a unit keeps its prompt
    assert set(texts) == {f"{name} to you" for name in NAMES}
    assigns = [{"unit": f"u{n}", "context": {"tier": "gold"}} for n in range(60)]
    for text, answer in zip(texts[:60], asked(path, *assigns), strict=True):
        chosen = answer.json["config"].get("chosen", {"id": "plain"})
        assert text == f"{chosen['id']} to you"


def test_in_process_units_choose_as_the_server_would(tmp_path: Path) -> None:
    path = study(tmp_path)
    policy = read_policy(tmp_path / "policy.npz")
    with housed(path) as house, served(house) as url, Live(url, log=tmp_path / "log") as live:
        for n in range(40):
            context = {"tier": ("gold", "free")[n % 2]}
            given = live.assign(f"u{n}", context)
            body = {"unit": f"u{n}", "context": context}
            told = httpx2.post(f"{url}/v1/assign", json=body, trust_env=False).json()
            assert told["policy"] == given.policy
            assert (given.at is None) == (given.policy == "fixed")
            if given.at is not None:
                name, chance = policy.choose(context, given.at)
                chosen = told["config"]["chosen"]
                assert (name, chance) == (chosen["id"], chosen["chance"])
                assert given.config["prompts"][name] == chosen["prompt"]


def test_a_study_without_learned_policies_answers_as_ever(tmp_path: Path) -> None:
    with housed(write(tmp_path)) as house:
        assert house.traffic.wrong(None) is None
        (answer,) = many(house, (*ASSIGN, {"unit": "ann"}))
        assert list(json.loads(answer.text)) == ["policy", "config", "propensity", "token"]
        assert house.traffic.told()["choice_key"] == ""
