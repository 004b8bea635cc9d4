"""Choices: one of the words that were offered, and what every try may have cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bestpolicy.core.talk import Failed, Prompt, Reply
from bestpolicy.llm import openai as room
from bestpolicy.llm.answers import Said
from bestpolicy.llm.openai import OpenAIModel
from bestpolicy.llm.terms import Price, Terms
from llm.asking import KEY, PRICE, ask, opened
from llm.fake_provider import FakeProvider

CHOICES = ("left", "right", "tie")


def choosing(says: str | Sequence[str], plan: str = "ok", **options: Any) -> tuple[Any, list[Any]]:
    said = iter([says] * 9 if isinstance(says, str) else says)
    with FakeProvider(plan, answer=lambda body, nonce: next(said)) as server:
        result = ask(server, Prompt("which?", choices=CHOICES), **options)
    return result, [seen.body for seen in server.requests]


def test_a_choice_is_asked_for_by_schema() -> None:
    reply, (body,) = choosing('{"answer": "left"}')
    assert reply.text == "left"
    form = body["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["properties"]["answer"]["enum"] == list(CHOICES)
    assert body["messages"] == [{"role": "user", "content": "which?"}]


def test_a_server_that_knows_no_schemas_is_asked_in_words_from_then_on() -> None:
    with (
        FakeProvider("no-form", answer=lambda body, nonce: " tie\n") as server,
        opened(server) as model,
    ):
        for _ in range(2):
            (reply,) = model.complete([Prompt("which?", choices=CHOICES)])
            assert isinstance(reply, Reply)
            assert reply.text == "tie"
    first, *others = [seen.body for seen in server.requests]
    assert "response_format" in first
    assert len(others) == 2
    for body in others:
        assert "response_format" not in body
        assert body["messages"][0]["content"].endswith(
            "Answer with one of these and nothing else:\nleft\nright\ntie"
        )


def test_a_server_that_passes_over_a_schema_is_asked_in_words() -> None:
    reply, bodies = choosing(["The left one is better", "left"])
    assert reply.text == "left"
    assert "response_format" in bodies[0]
    assert "response_format" not in bodies[1]


@pytest.mark.parametrize(
    "says",
    [
        "Left",
        "left or right",
        "I choose left.",
        '"left"',
        '{"answer": "both"}',
        '{"answer": null}',
        '{"answer": ["left"]}',
        '{"answer": "left", "answer": "right"}',
        '{"answer": "left", "but": "not sure"}',
        '{"answer": "left"',
        "{" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_what_is_no_choice_is_no_answer(says: str) -> None:
    result, bodies = choosing(says)
    assert isinstance(result, Failed)
    assert len(bodies) == 5
    assert "the answer is none of left, right, tie" in result.reason


def test_a_choice_that_is_guessed_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def guessed(said: Said, choices: Sequence[str]) -> Said:
        return Said(next(c for c in choices if c in said.text.lower()), said.tokens)

    monkeypatch.setattr(room, "chosen", guessed)
    with pytest.raises(AssertionError):
        test_what_is_no_choice_is_no_answer("left or right")


# -- money ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "charged"),
    [
        *[(mode, "nothing") for mode in ("429", "500", "503", "400", "wrong-key", "redirect")],
        *[(mode, "the worst") for mode in ("cut", "html", "nan", "empty", "gzip", "not-utf8")],
        *[(mode, "as counted") for mode in ("null", "length", "filter", "parts", "blank")],
        *[(mode, "the worst") for mode in ("no-usage", "odd-usage", "hang-up")],
        ("ok", "as counted"),
    ],
)
def test_every_try_is_counted_at_what_it_may_have_cost(mode: str, charged: str) -> None:
    prompt = Prompt("hellö", max_tokens=20)
    with FakeProvider(mode) as server, opened(server) as model:
        (result,) = model.complete([prompt])
        most = model.most_usd(prompt)
    assert most is not None
    each = {"nothing": 0.0, "the worst": most, "as counted": PRICE.of(7, 5)}[charged]
    assert result.usd == pytest.approx(len(server.requests) * each)
    assert result.usd <= len(server.requests) * most


def test_charging_only_for_answers_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenAIModel, "_usd", lambda self, prompt, tokens: 0.0)
    for mode in ("cut", "null", "no-usage"):
        with pytest.raises(AssertionError):
            test_every_try_is_counted_at_what_it_may_have_cost(
                mode, "as counted" if mode == "null" else "the worst"
            )


def test_the_worst_price_counts_bytes_and_all_tokens_of_the_answer() -> None:
    with opened("http://127.0.0.1:9/v1") as model:
        short = model.most_usd(Prompt("a", max_tokens=10))
        wide = model.most_usd(Prompt("ä", max_tokens=10))
        long = model.most_usd(Prompt("a", max_tokens=11))
        system = model.most_usd(Prompt("a", system="be kind", max_tokens=10))
    assert short is not None
    assert wide == pytest.approx(short + 1e-6)
    assert long == pytest.approx(short + 10e-6)
    assert system == pytest.approx(short + 7e-6)


def test_no_price_is_known_where_nobody_gives_one() -> None:
    with opened("http://127.0.0.1:9/v1", price=None) as model:
        assert model.most_usd(Prompt("a")) is None
    with opened("http://127.0.0.1:9/v1", price=Price(0, 0)) as model:
        assert model.most_usd(Prompt("a")) == 0.0
    for url in (None, "https://api.openai.com/v1/"):
        home = OpenAIModel("gpt-5-mini", base_url=url, key=KEY, key_name="K", terms=Terms())
        assert (home.most_usd(Prompt("a")) or 0) > 0
        assert "max_completion_tokens" in home._body(Prompt("a"), by_schema=False)
        home.close()
