"""Secrets: a key goes to its server and comes out nowhere."""

from __future__ import annotations

import logging
import traceback

import pytest

from bestpolicy.core.talk import Prompt
from bestpolicy.llm import openai as room
from bestpolicy.llm.answers import plain, without
from bestpolicy.llm.openai import OpenAIModel
from bestpolicy.llm.retries import Fault
from bestpolicy.llm.terms import Terms
from llm.asking import KEY, ask, opened
from llm.fake_provider import MODES, FakeProvider


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
