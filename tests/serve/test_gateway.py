"""The gateway: OpenAI's own client talks to it, and what went wrong never looks like an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import openai
import pytest

from bestpolicy.core.talk import Reply
from bestpolicy.serve import spoken
from bestpolicy.serve.app import make_app
from bestpolicy.serve.house import House
from bestpolicy.serve.spoken import Whole
from llm.fake_provider import FakeProvider
from serve.serving import Answer, call, housed, served, write

HELLO = [{"role": "user", "content": "Where is my parcel?"}]
PRICE = {"openai/x": {"price": {"input": 1.0, "output": 10.0}, "timeout_s": 5}}


def policies(server: FakeProvider) -> list[dict[str, Any]]:
    one = {"model": "openai/x", "base_url": server.url, "max_tokens": 50}
    return [
        one | {"id": "kind", "prompt": "Kindly: {{input}}", "system": "Be kind."},
        one | {"id": "terse", "prompt": "Briefly: {{input}}"},
    ]


@contextmanager
def clients(path: Path) -> Iterator[tuple[openai.OpenAI, House, str]]:
    """OpenAI's client of a really served study."""
    with (
        housed(path) as house,
        served(house) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client, house, f"study/{house.opened.study.name}"


def ask(path: Path, body: Any, headers: Any = ()) -> Answer:
    """One request in this process."""

    async def one() -> Answer:
        with housed(path) as house:
            async with house.traffic:
                return await call(make_app(house), "POST", "/v1/chat/completions", body, headers)

    return asyncio.run(one())


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "study/study", "messages": HELLO} | more


def test_the_client_gets_an_answer_a_token_and_no_name(tmp_path: Path) -> None:
    with clients(write(tmp_path)) as (client, house, model):
        assert [one.id for one in client.models.list()] == [model]
        assert client.models.retrieve(model).owned_by == "bestpolicy"
        raw = client.chat.completions.with_raw_response.create(
            model=model, messages=HELLO, user="anna"
        )
        said = raw.parse()
        text = said.choices[0].message.content
        assert text in ("Kindly: Where is my parcel?", "Briefly: Where is my parcel?")
        assert said.choices[0].finish_reason == "stop"
        assert said.usage is not None
        assert said.usage.total_tokens > 0
        claim = house.traffic.claim(raw.headers["x-bestpolicy-token"])
        assert house.traffic.policies[claim.policy] == {"K": "kind", "B": "terse"}[text[0]]
        told = raw.text + str(raw.headers)
        assert "kind" not in told
        assert "terse" not in told


def test_a_unit_keeps_its_policy_and_nobody_in_particular_gets_any(tmp_path: Path) -> None:
    with clients(write(tmp_path)) as (client, _, model):

        def first(**who: Any) -> str:
            said = client.chat.completions.create(model=model, messages=HELLO, **who)
            return str(said.choices[0].message.content)[0]

        assert len({first(user="anna") for _ in range(8)}) == 1
        assert len({first(extra_headers={"X-Unit": "bo"}, user=f"u{i}") for i in range(8)}) == 1
        assert len({first() for _ in range(40)}) == 2


def test_a_stream_is_the_same_answer_in_pieces(tmp_path: Path) -> None:
    with (
        FakeProvider("ok", answer=lambda body, nonce: "It is on its way.") as server,
        clients(write(tmp_path, policies=policies(server), models=PRICE)) as (client, house, model),
    ):
        stream = client.chat.completions.create(
            model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        house.traffic.claim(stream.response.headers["x-bestpolicy-token"])
        pieces = [c.choices[0].delta.content for c in chunks if c.choices]
        assert [piece for piece in pieces if piece] == ["It ", "is ", "on ", "its ", "way."]
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 5
        assert all(seen.body["stream"] for seen in server.requests)
        plain = client.chat.completions.create(model=model, messages=HELLO)
        assert plain.choices[0].message.content == "It is on its way."


def test_a_model_that_cannot_stream_sends_one_piece(tmp_path: Path) -> None:
    with clients(write(tmp_path)) as (client, _, model):
        stream = client.chat.completions.create(model=model, messages=HELLO, stream=True)
        text = "".join(c.choices[0].delta.content or "" for c in stream)
    assert text.endswith("Where is my parcel?")


def test_the_policy_makes_the_prompt_and_earlier_turns_go_along(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "I was here first."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
        *HELLO,
    ]
    with (
        FakeProvider() as server,
        clients(write(tmp_path, policies=policies(server))) as (client, _, model),
    ):
        for n in range(12):
            client.chat.completions.create(model=model, messages=turns, user=f"{n}", max_tokens=9)  # type: ignore[arg-type]
        seen = {turn.body["messages"][-1]["content"]: turn.body for turn in server.requests}
    for start, system in (("Kindly", "Be kind."), ("Briefly", "I was here first.")):
        body = seen[f"{start}: Where is my parcel?"]
        assert [(m["role"], m["content"]) for m in body["messages"][:3]] == [
            ("system", system),
            ("user", "Hi"),
            ("assistant", "Hello."),
        ]
        assert body["max_tokens"] == 9
        assert body["model"] == "x"


def test_a_request_may_not_raise_the_policys_max_tokens(tmp_path: Path) -> None:
    with (
        FakeProvider() as server,
        clients(write(tmp_path, policies=policies(server))) as (client, _, model),
    ):
        client.chat.completions.create(model=model, messages=HELLO, max_completion_tokens=100_000)
        assert server.requests[0].body["max_tokens"] == 50


def test_metadata_fills_the_other_columns(tmp_path: Path) -> None:
    prompts = ["{{question}} in {{language}}", "Say in {{language}}: {{question}}"]
    study = write(
        tmp_path,
        inputs=[{"question": f"{i}", "language": "b"} for i in range(50)],
        policies=[
            {"id": f"p{i}", "model": "scripted/echo", "prompt": prompt, "temperature": 0.5}
            for i, prompt in enumerate(prompts)
        ],
    )
    said = ask(study, chat(metadata={"language": "Dutch"}))
    text = said.json["choices"][0]["message"]["content"]
    assert text in ("Where is my parcel? in Dutch", "Say in Dutch: Where is my parcel?")
    lacking = ask(study, chat())
    assert lacking.status == 400
    assert "question, language" in lacking.json["error"]["message"]


def test_a_function_answers_too(tmp_path: Path) -> None:
    (tmp_path / "gate_players.py").write_text(
        "def shout(row):\n    return row['input'].upper() + str(len(row['messages']))\n"
    )
    policies = [{"id": name, "call": "gate_players:shout"} for name in "ab"]
    said = ask(write(tmp_path, policies=policies), chat())
    assert said.json["choices"][0]["message"]["content"] == "WHERE IS MY PARCEL?1"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"temperature": 0.3}, "temperature"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"base_url": "http://127.0.0.1:9"}, "base_url"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages.0.content",
        ),
    ],
)
def test_what_is_not_supported_is_refused_and_named(
    more: dict[str, Any], param: str, tmp_path: Path
) -> None:
    with clients(write(tmp_path)) as (client, house, model):
        body = {"model": model, "messages": HELLO} | more
        with pytest.raises(openai.BadRequestError) as caught:
            client.post("/chat/completions", body=body, cast_to=object)
        assert caught.value.param == param
        assert house.traffic.stand().units == 0  # who is refused is no unit


def test_what_changes_nothing_may_be_said(tmp_path: Path) -> None:
    neutral = {"n": 1, "temperature": None, "top_p": 1, "tools": [], "store": False, "user": ""}
    assert ask(write(tmp_path), chat(**neutral)).status == 200


def test_a_study_whose_units_compare_two_answers_has_no_gateway(tmp_path: Path) -> None:
    answer = ask(write(tmp_path, judge={"live": {"by": "winner"}}), chat())
    assert answer.status == 409
    assert answer.json["error"]["code"] == "two_answers"
    assert answer.header("x-should-retry") == "false"


def test_another_model_is_not_found(tmp_path: Path) -> None:
    with clients(write(tmp_path)) as (client, _, _), pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert caught.value.code == "model_not_found"


def is_never_an_answer(path: Path, server: FakeProvider) -> None:
    for stream in (False, True):
        with clients(path) as (client, house, model):
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(model=model, messages=HELLO, stream=stream)  # type: ignore[call-overload]
            assert caught.value.status_code in (502, 503)
            assert caught.value.code == "no_answer"
            assert "openai/x" not in caught.value.message
            house.traffic.claim(caught.value.response.headers["x-bestpolicy-token"])
            assert house.traffic.stand().units > 0
            account = house.opened.calls.accounts()
            assert sum(a.failed for (role, _), a in account.items() if role == "gateway") > 0


@pytest.mark.parametrize("mode", ["400", "wrong-key", "html", "blank", "refusal"])
def test_a_provider_that_fails_is_an_error_and_never_an_answer(mode: str, tmp_path: Path) -> None:
    with FakeProvider(mode) as server:
        models = {"openai/x": {"timeout_s": 5, "concurrency": 4}}
        own = [p | {"temperature": 1} for p in policies(server)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bestpolicy.llm.retries.FIRST", 0.001)
            is_never_an_answer(write(tmp_path, policies=own, models=models), server)


def test_a_gateway_that_makes_up_an_answer_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken, "Failed", lambda *why: Whole(0, 0, cut=False))
    monkeypatch.setattr(spoken, "_streamed", lambda model, prompt: iter([Reply("Sorry!")]))
    with FakeProvider("400") as server:
        path = write(tmp_path, policies=policies(server))
        with pytest.raises(pytest.fail.Exception):
            is_never_an_answer(path, server)


def test_a_stream_that_breaks_half_way_ends_with_an_error(tmp_path: Path) -> None:
    with (
        FakeProvider("cut") as server,
        clients(write(tmp_path, policies=policies(server))) as (client, _, model),
    ):
        stream = client.chat.completions.create(model=model, messages=HELLO, stream=True)
        said: list[str] = []
        with pytest.raises(openai.APIError, match="did not answer"):
            said.extend(chunk.choices[0].delta.content or "" for chunk in stream)


def spends_no_more_than_the_cap(path: Path, server: FakeProvider, cap: float) -> None:
    with clients(path) as (client, house, model):
        refused = 0
        for n in range(12):
            raw = client.with_options(max_retries=0).chat.completions.with_raw_response
            with suppress(openai.RateLimitError):
                raw.create(model=model, messages=HELLO, user=f"{n}")
                continue
            refused += 1
        assert refused > 0
        assert len(server.requests) == 12 - refused
        assert house.opened.calls.spent() <= cap
        assert house.opened.calls.reserved() == 0


def test_t13_the_gateway_never_spends_more_than_the_cap(tmp_path: Path) -> None:
    cap = 0.001
    with FakeProvider() as server:
        path = write(tmp_path, policies=policies(server), models=PRICE, budget={"usd": cap})
        spends_no_more_than_the_cap(path, server, cap)


def test_t13_a_gateway_without_a_cap_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bestpolicy.store.calls import Calls

    kept: Callable[..., Any] = Calls.reserve
    monkeypatch.setattr(Calls, "reserve", lambda self, asks, cap: kept(self, asks, None))
    with FakeProvider() as server:
        path = write(tmp_path, policies=policies(server), models=PRICE, budget={"usd": 0.001})
        with pytest.raises(AssertionError):
            spends_no_more_than_the_cap(path, server, 0.001)


def test_out_of_money_is_said_once_and_not_tried_again(tmp_path: Path) -> None:
    with FakeProvider() as server:
        path = write(tmp_path, policies=policies(server), models=PRICE, budget={"usd": 1e-7})
        with clients(path) as (client, _, model), pytest.raises(openai.RateLimitError) as caught:
            client.with_options(max_retries=5).chat.completions.create(model=model, messages=HELLO)
        assert caught.value.code == "insufficient_quota"
        assert not server.requests


def test_t12_what_was_asked_and_answered_is_not_written_down(tmp_path: Path) -> None:
    path = write(tmp_path)
    said = ask(path, chat(messages=[{"role": "user", "content": "I am anna@example.org"}]))
    assert "anna@example.org" in said.text
    for file in tmp_path.glob("study.db*"):
        assert b"anna@example.org" not in file.read_bytes()
