"""Models behind an OpenAI-compatible server, good or bad."""

from __future__ import annotations

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.talk import Failed, Model, Prompt, Reply
from bestpolicy.llm import openai as room
from bestpolicy.llm.answers import Said
from bestpolicy.llm.openai import OpenAIModel
from bestpolicy.llm.retries import Clock
from bestpolicy.llm.terms import Price, Terms
from llm.asking import KEY, Sleeps, ask, opened
from llm.fake_provider import FakeProvider

# How a call ends whose every try meets the same: the tries, whether all is lost, and why.
ENDS: dict[str, tuple[int, bool, str]] = {
    "429": (5, False, "HTTP 429: slow down"),
    "429-odd": (5, False, "HTTP 429: slow down"),
    "408": (5, False, "HTTP 408: too slow"),
    "500": (5, False, "HTTP 500: oh no"),
    "503": (5, False, "HTTP 503"),
    "gzip-503": (5, False, "HTTP 503"),
    "html": (5, False, "the body is HTML"),
    "broken-json": (5, False, "the body is no JSON"),
    "nan": (5, False, "NaN is no number"),
    "overflow": (5, False, "1e999 is no finite number"),
    "deep": (5, False, "the body is no JSON"),
    "not-utf8": (5, False, "the body is no JSON"),
    "empty": (5, False, "the body is empty"),
    "list": (5, False, "holds no choices"),
    "error-200": (5, False, "an error with status 200: upstream is gone"),
    "no-choices": (5, False, "holds no choices"),
    "null": (5, False, "text is empty"),
    "blank": (5, False, "text is empty"),
    "parts": (5, False, "no text but list"),
    "surrogate": (5, False, "lone surrogate"),
    "gzip": (5, False, "the body is compressed"),
    "cut": (5, False, "cut off"),
    "cut-chunks": (5, False, "cut off"),
    "hang-up": (5, False, "cut off"),
    "not-http": (5, False, "no HTTP"),
    "long-head": (5, False, "no HTTP"),
    "400": (1, False, "HTTP 400: context too long"),
    "422": (1, False, "HTTP 422: temperature must be below 2"),
    "no-path": (1, False, "HTTP 404: Not Found"),
    "redirect": (1, False, "write the final address as base_url"),
    "length": (1, False, "raise max_tokens"),
    "filter": (1, False, "content filter"),
    "refusal": (1, False, "the model refused: I cannot help with that"),
    "wrong-key": (
        1,
        True,
        "HTTP 401: Incorrect API key provided: [key] (the key in MY_KEY was refused)",
    ),
    "forbidden": (1, True, "HTTP 403: not yours"),
    "no-model": (1, True, "no such model"),
    "no-quota": (1, True, "no money left"),
}


# -- one call ------------------------------------------------------------------------------------


def test_a_good_answer_comes_back_with_its_tokens_and_its_price() -> None:
    with FakeProvider() as server, opened(server) as model:
        kept: Model = model
        (reply,) = kept.complete([Prompt("hello", system="be kind", seed=2**40 + 5, max_tokens=9)])
        assert isinstance(reply, Reply)
        (seen,) = server.requests
        assert reply.text == seen.nonce
        assert (reply.tokens_in, reply.tokens_out, reply.failures) == (7, 5, ())
        assert reply.usd == pytest.approx((7 * 1.0 + 5 * 10.0) / 1e6)
        assert seen.path == "/v1/chat/completions"
        assert seen.body == {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": "hello"},
            ],
            "max_tokens": 9,
            "seed": 5,
        }
        assert model.name == "openai/m"


def test_nothing_is_drawn_at_temperature_zero() -> None:
    with FakeProvider() as server:
        ask(server, Prompt("hello", temperature=0.0, seed=3))
        ask(server, Prompt("hello", temperature=0.7, seed=3))
        cold, warm = (seen.body for seen in server.requests)
    assert (cold["temperature"], "seed" in cold) == (0.0, False)
    assert (warm["temperature"], warm["seed"]) == (0.7, 3)


@pytest.mark.parametrize("mode", ENDS)
def test_every_misbehaviour_is_a_failure_with_its_reason(mode: str) -> None:
    tries, fatal, reason = ENDS[mode]
    sleeps = Sleeps()
    with FakeProvider(mode) as server:
        result = ask(server, sleeps=sleeps)
    assert isinstance(result, Failed)
    assert len(server.requests) == len(result.failures) == tries
    assert result.fatal == fatal
    assert reason in result.reason
    assert len(sleeps.slept) == tries - 1


@pytest.mark.parametrize("mode", [mode for mode, end in ENDS.items() if end[0] == 5])
def test_what_may_pass_is_tried_again(mode: str) -> None:
    with FakeProvider([mode, "ok"]) as server:
        result = ask(server)
    assert isinstance(result, Reply)
    assert result.text in server.answers
    assert len(result.failures) == 1
    assert ENDS[mode][2] in result.failures[0]


def test_a_bad_body_read_as_an_empty_answer_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "read", lambda body: Said("", None))
    for mode in ("html", "null", "empty", "nan"):
        with pytest.raises(AssertionError):
            test_every_misbehaviour_is_a_failure_with_its_reason(mode)


def test_tries_that_the_sdk_adds_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    made = openai.OpenAI

    def eager(**options: Any) -> openai.OpenAI:
        return made(**{**options, "max_retries": 2})

    monkeypatch.setattr(openai, "OpenAI", eager)
    monkeypatch.setattr(made, "_sleep_for_retry", lambda self, **how: None)
    with pytest.raises(AssertionError):
        test_every_misbehaviour_is_a_failure_with_its_reason("500")


def test_a_server_that_is_not_there_and_one_without_tls_are_failures() -> None:
    with FakeProvider() as server:
        secure = ask(server.url.replace("http:", "https:"))
    nobody = ask(server.url)
    for result in (secure, nobody):
        assert isinstance(result, Failed)
        assert len(result.failures) == 5
        assert result.reason.startswith("cannot connect to 127.0.0.1:")
        assert result.usd == 0.0


def test_whatever_else_goes_wrong_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(body: bytes) -> Said:
        raise KeyError("what nobody thought of")

    monkeypatch.setattr(room, "read", burst)
    with FakeProvider() as server:
        result = ask(server)
        assert isinstance(result, Failed)
        assert result.failures == ("KeyError: 'what nobody thought of'",)
        assert ask(server, "half \ud83d").reason == (
            "the prompt holds half a character (a lone surrogate)"
        )


# -- pauses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "3600"}, 60.0),
    ],
)
def test_a_server_that_asks_to_wait_is_obeyed(headers: dict[str, str], seconds: float) -> None:
    sleeps = Sleeps()
    with FakeProvider(["429", "ok"], retry_after=lambda n: headers) as server:
        assert isinstance(ask(server, sleeps=sleeps), Reply)
    assert sleeps.slept == [seconds]


def test_a_date_to_wait_for_is_obeyed() -> None:
    sleeps = Sleeps()
    with FakeProvider(["429-date", "ok"]) as server:
        assert isinstance(ask(server, sleeps=sleeps), Reply)
    assert 0 < sleeps.slept[0] <= 20


def test_tries_are_paced() -> None:
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    with FakeProvider(["503", "ok"]) as server:
        model = OpenAIModel(
            "m",
            base_url=server.url,
            key=None,
            key_name="K",
            terms=Terms(requests_per_minute=30, concurrency=1),
            clock=Clock(now=lambda: now[0], sleep=sleep),
        )
        replies = model.complete([Prompt("a"), Prompt("b"), Prompt("c")])
        model.close()
    assert all(isinstance(reply, Reply) for reply in replies)
    assert len(server.requests) == 4
    assert sum(slept) == pytest.approx(3 * 2.0)


def test_closing_ends_a_pause_and_sends_nothing_more() -> None:
    with FakeProvider("429", retry_after=lambda n: {"Retry-After": "50"}) as server:
        model = OpenAIModel("m", base_url=server.url, key=None, key_name="K", terms=Terms())
        with ThreadPoolExecutor(1) as threads:
            future = threads.submit(model.complete, [Prompt("hello")])
            while not server.requests:
                threading.Event().wait(0.005)
            model.close()
            (result,) = future.result()
        assert isinstance(result, Failed)
        assert "closed" in result.reason
        (late,) = model.complete([Prompt("hello")])
        assert late == Failed(("the model was closed",), seconds=late.seconds)
        assert len(server.requests) == 1


def test_no_more_tries_run_at_a_time_than_the_terms_allow() -> None:
    inside, most, lock = [0], [0], threading.Lock()

    def answer(body: dict[str, Any], nonce: str) -> str:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.01)
        with lock:
            inside[0] -= 1
        return nonce

    prompts = [Prompt(f"{i}") for i in range(12)]
    with FakeProvider(answer=answer) as server, opened(server, concurrency=3) as model:
        with ThreadPoolExecutor(4) as threads:
            rounds = list(threads.map(lambda _: model.complete(prompts), range(4)))
        for replies in rounds:
            assert all(isinstance(reply, Reply) for reply in replies)
    assert 2 <= most[0] <= 3


def test_replies_come_in_the_order_of_the_prompts() -> None:
    with (
        FakeProvider(answer=lambda body, nonce: body["messages"][0]["content"]) as server,
        opened(server) as model,
    ):
        replies = model.complete([Prompt(f"{i}") for i in range(40)])
        assert [reply.text for reply in replies if isinstance(reply, Reply)] == [
            f"{i}" for i in range(40)
        ]
        assert model.complete([]) == []


# -- what cannot be meant ------------------------------------------------------------------------


def test_a_key_is_needed_where_no_server_of_ones_own_is_named() -> None:
    for key in (None, ""):
        with pytest.raises(ConfigError, match="set OPENAI_API_KEY in the environment"):
            OpenAIModel("m", base_url=None, key=key, key_name="OPENAI_API_KEY", terms=Terms())


@pytest.mark.parametrize(
    ("url", "key", "says"),
    [
        ("ftp://host/v1", KEY, "must begin with http"),
        ("localhost:8000", KEY, "must begin with http"),
        ("http://api.openai.com/v1", KEY, "over https:// only"),
        ("http://user:pass@host/v1", KEY, "no user, password"),
        ("http://host/v1?key=1", KEY, "no user, password"),
        (f"http://host/{KEY}", KEY, "holds the key"),
        ("http://host:x/v1", KEY, "no address"),
        ("http://host/v1", KEY + "\n", "MY_KEY holds a blank, a line break"),
    ],
)
def test_addresses_and_keys_that_cannot_be_meant_are_refused(url: str, key: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        OpenAIModel("m", base_url=url, key=key, key_name="MY_KEY", terms=Terms())
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"concurrency": 0}, "concurrency must be a whole number, 1 or more"),
        ({"tries": 6}, "tries must be a whole number, 1 to 5"),
        ({"tries": True}, "tries must be"),
        ({"timeout_s": float("nan")}, "timeout_s must be above 0"),
        ({"requests_per_minute": 0.0}, "requests_per_minute must be above 0"),
    ],
)
def test_terms_that_cannot_be_meant_are_refused(terms: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Terms(**terms)
    with pytest.raises(ConfigError, match="price: output must be"):
        Price(0.0, float("inf"))
