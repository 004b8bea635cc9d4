"""Models behind an OpenAI-compatible server, good or bad."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.talk import Failed, Model, Prompt, Reply
from bestpolicy.llm import openai as room
from bestpolicy.llm.answers import Said, plain, without
from bestpolicy.llm.openai import OpenAIModel
from bestpolicy.llm.retries import Clock, Fault
from bestpolicy.llm.terms import Price, Terms
from llm.asking import KEY, PRICE, Sleeps, ask, opened, reasons
from llm.fake_provider import MODES, FakeProvider, mixture

# How a call ends whose every try meets the same: the tries, whether all is lost, and why.
ENDS: dict[str, tuple[int, bool, str]] = {
    "429": (5, False, "HTTP 429: slow down"),
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
MIXTURE = {
    "ok": 10.0,
    **dict.fromkeys(["429", "500", "503", "html", "broken-json", "nan", "empty", "no-choices"], 1),
    **dict.fromkeys(["null", "cut", "cut-chunks", "hang-up", "echo-error", "deep", "parts"], 1),
    **dict.fromkeys(["400", "redirect", "filter", "gzip", "not-http"], 0.3),
    **dict.fromkeys(["drip", "drip-head", "huge"], 0.05),
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


# -- many calls at once --------------------------------------------------------------------------


def many_calls_are_survived(calls: int, seed: int = 1) -> None:
    """1,000 calls from 16 threads to a server of every temper."""
    sleeps = Sleeps()
    # Every wait is of another length, so that each can be found again.
    waits: Callable[[int], dict[str, str]] = lambda n: {"retry-after-ms": f"{9000 + n}"}  # noqa: E731
    prompts = [Prompt(f"call {i}", seed=i) for i in range(calls)]
    with (
        FakeProvider() as other,
        FakeProvider(
            mixture(seed, MIXTURE), elsewhere=other.url, retry_after=waits, piece_s=0.05
        ) as server,
        opened(server, sleeps=sleeps, timeout_s=1.0) as model,
        ThreadPoolExecutor(16) as threads,
    ):
        results = [
            done[0] for done in threads.map(lambda prompt: model.complete([prompt]), prompts)
        ]
        assert not other.requests
    asked: Counter[float] = Counter()
    for prompt, result in zip(prompts, results, strict=True):
        seen = server.seen(prompt.text)
        # A crowded machine may let a try end before the server has taken note of it.
        assert len(seen) <= len(result.failures) + isinstance(result, Reply) <= 5
        assert all(result.failures)
        assert KEY not in reasons(result)
        if isinstance(result, Reply):
            assert result.text in server.answers
        heard = [reason for reason in result.failures[:4] if reason.startswith("HTTP 429")]
        asked.update([request.asked_s for request in seen if request.asked_s][: len(heard)])
    texts = [result.text for result in results if isinstance(result, Reply)]
    assert len(set(texts)) == len(texts) > calls / 3
    assert asked
    assert not asked - Counter(sleeps.slept)
    tries = sum(len(result.failures) + isinstance(result, Reply) for result in results)
    assert len(sleeps.slept) == tries - calls


def test_many_calls_to_a_server_of_every_temper_are_survived() -> None:
    many_calls_are_survived(120)


@pytest.mark.slow
def test_a_thousand_calls_to_a_server_of_every_temper_are_survived() -> None:
    many_calls_are_survived(1000)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("read", lambda body: Said("", None)),
        ("pause", lambda prompt, n, fault: 0.0),
        ("asked", lambda headers, today: None),
    ],
)
def test_calls_that_believe_or_disobey_are_caught(
    name: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, name, wrong)
    with pytest.raises(AssertionError):
        many_calls_are_survived(60)


# -- choices -------------------------------------------------------------------------------------

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


# -- secrets -------------------------------------------------------------------------------------


def no_key_comes_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    for mode in MODES:
        if mode in ("huge", "drip", "drip-head"):
            continue
        with FakeProvider(mode) as server, opened(server) as model:
            (result,) = model.complete([Prompt("a private prompt")])
            texts += [repr(result), repr(model), *result.failures]
            assert all(len(reason) <= 300 for reason in result.failures)
            assert all(reason.isprintable() for reason in result.failures)
            assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    logged = [record.getMessage() for record in caplog.records]
    assert logged
    assert not any("private" in line for line in logged)
    texts += logged
    texts += [record.exc_text or "" for record in caplog.records]
    assert any("[key]" in text for text in texts)
    for text in texts:
        assert KEY not in text
        assert KEY[:10] not in text


def test_no_key_comes_out_in_any_reason_answer_or_log(caplog: pytest.LogCaptureFixture) -> None:
    no_key_comes_out(caplog)


@pytest.mark.parametrize("name", ["plain", "without"])
def test_a_key_that_comes_out_is_caught(
    name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaky = {"plain": lambda text, key: text[:300], "without": lambda key, text: text}
    monkeypatch.setattr(room, name, leaky[name])
    with pytest.raises(AssertionError):
        no_key_comes_out(caplog)


def test_an_exception_on_the_way_holds_no_key() -> None:
    for mode in ("500", "forbidden", "cut", "redirect", "html", "gzip"):
        with FakeProvider(mode) as server, opened(server) as model:
            body = model._body(Prompt("hello"), by_schema=False)
            with pytest.raises(Fault) as caught:
                room.read(model._send(body))
        held: BaseException | None = caught.value
        assert KEY not in "".join(traceback.format_exception(caught.value))
        while held is not None:
            assert not {"request", "response"} & vars(held).keys()
            held = held.__cause__ or held.__context__


def test_reasons_are_one_short_line_that_moves_no_cursor() -> None:
    text = "a\x1b[31mred\x1b[0m\r\n\tb\x07\u202ec\x1b]0;title\x07 " + "x" * 500
    shown = plain(text, None)
    assert shown.startswith("ared bc xxx")
    assert len(shown) == 300
    assert plain("x" * 290 + KEY, KEY).endswith("x[key]")
    assert plain("sk-canary-\x1b[1m0123456789abcdef", KEY) == "[key]"
    for cut in range(len(KEY) + 4):
        far = "\x1b[1m" * ((8000 - cut) // 4) + f"{KEY[:9]}\x1b[1m{KEY[9:]}" * 2
        assert KEY[:5] not in plain(far, KEY)


def test_a_word_that_servers_take_for_a_key_is_no_secret() -> None:
    assert without("EMPTY", "EMPTY rooms") == "EMPTY rooms"
    assert without(KEY, f"a {KEY} b") == "a [key] b"
    assert without("sk/with+signs", "?key=sk%2Fwith%2Bsigns") == "?key=[key]"


def test_the_environment_of_the_sdk_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeProvider() as server, FakeProvider() as trap:
        monkeypatch.setenv("OPENAI_BASE_URL", trap.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-another-000000000")
        monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-000000000")
        monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer x\nX-Secret: y")
        monkeypatch.setenv("HTTP_PROXY", trap.url)
        monkeypatch.setenv("http_proxy", trap.url)
        ask(server)
        ask(server, key=None)
        home = OpenAIModel("m", base_url=None, key=KEY, key_name="K", terms=Terms())
        assert "https://api.openai.com/v1/" in repr(home)
        home.close()
        assert not trap.requests
        own, none = (seen.headers for seen in server.requests)
    assert own["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in none
    for headers in (own, none):
        assert not {"x-secret", "openai-organization"} & headers.keys()
        assert not [name for name in headers if name.startswith("x-stainless")]


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
