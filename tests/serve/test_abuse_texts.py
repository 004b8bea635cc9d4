"""Abuse by texts, and texts that must not come out (T8, T11, T12 of the threat model)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Template

from bestpolicy.llm.prompts import fill
from bestpolicy.serve.app import make_app
from llm.fake_provider import FakeProvider
from serve.serving import call, housed, many, write
from serve.test_gateway import HELLO, policies

Folder = Path


ESCAPES = (
    "{{7*7}}", "{{ 7*7 }}", "{% print(7*7) %}", "${7*7}", "#{7*7}", "%{7*7}", "<%= 7*7 %>", "{7*7}",
    "{0.__class__}", "{input.__class__.__mro__}", "%(input)s", "$input", "{{input}}", "{{secret}}",
    "{{''.__class__.__mro__[1].__subclasses__()}}", "{{ config }}", "{{ self._TemplateReference }}",
    "{{ cycler.__init__.__globals__.os.getcwd() }}", "{{ lipsum.__globals__ }}",
    "{{ ''|attr('format') }}", "{{ 'x'.format_map }}", "{{ get_flashed_messages }}", "{{}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}", "{# comment #}",
    "{{{7*7}}}", "}}{{",
    "${T(java.lang.Runtime).getRuntime().exec('id')}", "${jndi:ldap://127.0.0.1/a}", "`id`",
    "$(id)",
    "{{#with 's'}}{{/with}}", "<#assign x=7*7>${x}", "{{ input | safe }}", "{!r}", "{{{{input}}}}",
)  # fmt: skip


def executions(substitute: Callable[[str, dict[str, Any]], str]) -> int:
    """Of how many values something else comes out than the value itself."""
    told = 0
    for value in ESCAPES:
        for where in ("Say: {{input}}", "{{input}} {{input}}", "{{other}}{{input}}"):
            row = {"input": value, "other": "{{input}}", "secret": "hunter2"}
            plain = where.replace("{{input}}", "\0").replace("{{other}}", "{{input}}")
            try:
                told += substitute(where, row) != plain.replace("\0", value)
            except Exception:
                told += 1
    return told


def test_t08_users_text_is_only_a_value() -> None:
    assert executions(fill) == 0


def test_t08_filling_by_a_template_language_is_caught() -> None:
    def twice(prompt: str, row: dict[str, Any]) -> str:
        return fill(fill(prompt, row), {**row, "7*7": 49, "": "", "7*7}}": ""})

    assert executions(twice) > 0

    def pasted(prompt: str, row: dict[str, Any]) -> str:
        return Template(fill(prompt, row)).render(row)

    assert executions(pasted) > 0


def test_t08_through_the_gateway_too(tmp_path: Folder) -> None:
    path = write(
        tmp_path,
        policies=[{"id": n, "model": "scripted/echo", "prompt": "Q: {{input}}"} for n in "ab"],
    )
    with housed(path) as house:
        asked = [
            ("POST", "/v1/chat/completions", {
                "model": "study/study", "messages": [{"role": "user", "content": value}],
            })
            for value in ESCAPES
        ]  # fmt: skip
        for value, answer in zip(ESCAPES, many(house, *asked), strict=True):
            assert answer.json["choices"][0]["message"]["content"] == f"Q: {value}"


CANARY = "sk-canary-9f8e7d6c5b4a39281706"


def leaks(folder: Folder, caplog: pytest.LogCaptureFixture, *, mute: bool = True) -> int:
    """In how many places a provider's key, or one that a client sent, comes out."""
    caplog.set_level(logging.DEBUG)
    modes = (
        "ok",
        "500",
        "wrong-key",
        "echo-error",
        "echo-answer",
        "html",
        "cut",
        "redirect",
        "400",
    )
    told: list[str] = []
    for mode in modes:
        inner = folder / mode
        inner.mkdir()
        with FakeProvider(mode) as server:
            own = [p | {"api_key_env": "CANARY_OF_THE_TESTS"} for p in policies(server)]
            with housed(write(inner, policies=own, models={"openai/x": {"timeout_s": 5}})) as house:
                chat = {"model": "study/study", "messages": HELLO}
                sent = (("authorization", f"Bearer {CANARY}"), ("x-unit", "u"))
                answers = many(
                    house,
                    ("POST", "/v1/chat/completions", chat, sent),
                    ("POST", "/v1/chat/completions", chat | {"stream": True}, sent),
                    ("POST", "/v1/chat/completions", chat | {"user": 7}, sent),
                    ("POST", "/v1/assign", {"unit": 1, "api_key": CANARY}, sent),
                    ("POST", "/v1/feedback", {"token": CANARY, "key": "k", "reward": 1}, sent),
                    ("GET", "/v1/status", None, sent),
                    ("GET", f"/nowhere/{CANARY}", None, sent),
                    ("GET", "/openapi.json", None, sent),
                    ("GET", "/docs", None, sent),
                )
                told += [answer.text + str(answer.headers) for answer in answers]
            told += [file.read_bytes().decode("latin-1") for file in inner.glob("study.db*")]
    told += [f"{record.getMessage()} {record.exc_text}" for record in caplog.records]
    return sum(CANARY in text or CANARY[:14] in text for text in told)


def test_t11_no_key_comes_out_of_any_answer_log_or_record(
    tmp_path: Folder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_OF_THE_TESTS", CANARY)
    monkeypatch.setattr("bestpolicy.llm.retries.FIRST", 0.001)
    assert leaks(tmp_path, caplog) == 0


def test_t11_a_key_that_comes_out_is_caught(
    tmp_path: Folder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bestpolicy.llm import openai as room

    monkeypatch.setenv("CANARY_OF_THE_TESTS", CANARY)
    monkeypatch.setattr("bestpolicy.llm.retries.FIRST", 0.001)
    monkeypatch.setattr(room, "plain", lambda text, key: text)
    assert leaks(tmp_path, caplog) > 0


def test_t11_a_defect_is_told_without_its_words(
    tmp_path: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    with housed(write(tmp_path)) as house:
        app = make_app(house)

        @app.get("/v1/broken")
        async def broken() -> None:
            raise RuntimeError(f"connecting with {CANARY}")

        answer = asyncio.run(call(app, "GET", "/v1/broken"))
    assert answer.status == 500
    assert CANARY not in answer.text
    assert "test_abuse_texts.py" in caplog.text
    assert CANARY not in caplog.text


PERSON = "anna.canary@example.org"


def traces(folder: Folder, caplog: pytest.LogCaptureFixture, **live: Any) -> int:
    """In how many places an address of somebody is found after his requests."""
    caplog.set_level(logging.DEBUG)
    with housed(write(folder, judge={"live": live})) as house:
        chat = {"model": "study/study", "user": PERSON, "messages": HELLO}
        first = ("POST", "/v1/assign", {"unit": PERSON, "context": {"mail": PERSON}})
        spoken = chat | {"messages": [{"role": "user", "content": f"I am {PERSON}"}]}
        _, said, bad, status, report = many(
            house,
            first,
            ("POST", "/v1/chat/completions", spoken),
            ("POST", "/v1/assign", {"unit": PERSON, "oops": PERSON}),
            ("GET", "/v1/status"),
            ("GET", "/v1/report"),
        )
        assert PERSON in said.text  # who asked hears it back from the echo,
        told = [bad.text, status.text, report.text]  # and nobody else
    told += [file.read_bytes().decode("latin-1") for file in folder.glob("study.db*")]
    told += [record.getMessage() for record in caplog.records]
    return sum(PERSON in text for text in told)


def test_t12_nobodys_name_or_text_is_kept(
    tmp_path: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    assert traces(tmp_path, caplog) == 0


def test_t12_a_study_that_keeps_contexts_is_told_apart(
    tmp_path: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    assert traces(tmp_path, caplog, log_context=True) > 0


def test_t12_who_asks_to_be_forgotten_is(tmp_path: Folder) -> None:
    with housed(write(tmp_path, judge={"live": {"log_context": True}})) as house:
        told = {"unit": PERSON, "context": {"mail": PERSON}}
        gone = many(house, ("POST", "/v1/assign", told), ("DELETE", "/v1/unit", {"unit": PERSON}))[
            1
        ]
        assert gone.json == {"rows": 1}
    with housed(tmp_path / "study.yaml"):
        pass  # the log beside the file is folded in
    assert PERSON.encode() not in (tmp_path / "study.db").read_bytes()
